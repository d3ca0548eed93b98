/**
 * Array parameters in PostgreSQL's binary format: no escaping of contents and no text for numbers on either
 * side. pg sends a Buffer as a binary parameter.
 */

const oid = {
  bool: 16,
  bytea: 17,
  int8: 20,
  int2: 21,
  int4: 23,
  text: 25,
  float8: 701,
  timestamptz: 1184,
  uuid: 2950,
  varbit: 1562,
};

function allocate(elementType: number, count: number, bytes: number): Buffer {
  if (count === 0) {
    const empty = Buffer.alloc(12);
    empty.writeInt32BE(elementType, 8);
    return empty;
  }
  const buffer = Buffer.allocUnsafe(20 + bytes);
  buffer.writeInt32BE(1, 0); // dimensions
  buffer.writeInt32BE(1, 4); // may hold nulls
  buffer.writeInt32BE(elementType, 8);
  buffer.writeInt32BE(count, 12);
  buffer.writeInt32BE(1, 16); // lower bound
  return buffer;
}

/** Elements of one width; `write` is not called for nulls. */
function fixed<T>(
  elementType: number,
  width: number,
  values: readonly (T | null)[],
  write: (buffer: Buffer, value: T, at: number) => void,
): Buffer {
  const count = values.length;
  const buffer = allocate(elementType, count, count * (4 + width));
  let at = 20;
  for (let i = 0; i < count; i++) {
    const value = values[i] as T | null;
    if (value === null) {
      buffer.writeInt32BE(-1, at);
      at += 4;
    } else {
      buffer.writeInt32BE(width, at);
      write(buffer, value, at + 4);
      at += 4 + width;
    }
  }
  return count === 0 || at === buffer.length ? buffer : buffer.subarray(0, at);
}

function writeInt8(buffer: Buffer, value: number, at: number): void {
  buffer.writeInt32BE(Math.floor(value / 4294967296), at);
  buffer.writeInt32BE(value | 0, at + 4);
}

/** bigint[] of safe integers. */
export const int8Array = (values: readonly (number | null)[]): Buffer =>
  fixed(oid.int8, 8, values, writeInt8);

export const int4Array = (values: readonly (number | null)[]): Buffer =>
  fixed(oid.int4, 4, values, (buffer, value, at) => buffer.writeInt32BE(value, at));

export const int2Array = (values: readonly (number | null)[]): Buffer =>
  fixed(oid.int2, 2, values, (buffer, value, at) => buffer.writeInt16BE(value, at));

export const float8Array = (values: readonly (number | null)[]): Buffer =>
  fixed(oid.float8, 8, values, (buffer, value, at) => buffer.writeDoubleBE(value, at));

export const boolArray = (values: readonly boolean[]): Buffer =>
  fixed(oid.bool, 1, values, (buffer, value, at) => buffer.writeUInt8(value ? 1 : 0, at));

/** bigint[] of keys, given as alternating high and low halves; null where the high half is NaN. */
export function keyArray(halves: readonly number[]): Buffer {
  const count = halves.length / 2;
  const buffer = allocate(oid.int8, count, count * 12);
  let at = 20;
  for (let i = 0; i < halves.length; i += 2) {
    const high = halves[i] as number;
    if (Number.isNaN(high)) {
      buffer.writeInt32BE(-1, at);
      at += 4;
    } else {
      buffer.writeInt32BE(8, at);
      buffer.writeInt32BE(high, at + 4);
      buffer.writeInt32BE(halves[i + 1] as number, at + 8);
      at += 12;
    }
  }
  return count === 0 || at === buffer.length ? buffer : buffer.subarray(0, at);
}

// 2000-01-01, PostgreSQL's epoch
const EPOCH = 946684800000;

/** timestamptz[] of milliseconds since 1970; ±Infinity are PostgreSQL's infinities. */
export const timestamptzArray = (values: readonly (number | null)[]): Buffer =>
  fixed(oid.timestamptz, 8, values, (buffer, value, at) => {
    if (value === Number.POSITIVE_INFINITY) buffer.writeBigInt64BE(0x7fffffffffffffffn, at);
    else if (value === Number.NEGATIVE_INFINITY) buffer.writeBigInt64BE(-0x8000000000000000n, at);
    else buffer.writeBigInt64BE(BigInt(value - EPOCH) * 1000n, at);
  });

/** uuid[] from their usual text. */
export const uuidArray = (values: readonly (string | null)[]): Buffer =>
  fixed(oid.uuid, 16, values, (buffer, value, at) => buffer.write(value.replaceAll('-', ''), at, 'hex'));

export function textArray(values: readonly (string | null)[]): Buffer {
  let bytes = 0;
  const lengths: number[] = [];
  for (const value of values) {
    const length = value === null ? -1 : Buffer.byteLength(value);
    lengths.push(length);
    bytes += 4 + Math.max(length, 0);
  }
  const buffer = allocate(oid.text, values.length, bytes);
  let at = 20;
  for (let i = 0; i < values.length; i++) {
    const length = lengths[i] as number;
    buffer.writeInt32BE(length, at);
    at += 4;
    if (length > 0) at += buffer.write(values[i] as string, at);
  }
  return buffer;
}

/** varbit[] of whole bytes of bits, the first bit the highest. */
export function varbitArray(values: readonly Uint8Array[]): Buffer {
  let bytes = 0;
  for (const value of values) bytes += 8 + value.length;
  const buffer = allocate(oid.varbit, values.length, bytes);
  let at = 20;
  for (const value of values) {
    buffer.writeInt32BE(4 + value.length, at);
    buffer.writeInt32BE(8 * value.length, at + 4);
    buffer.set(value, at + 8);
    at += 8 + value.length;
  }
  return buffer;
}

export function byteaArray(values: readonly (Uint8Array | null)[]): Buffer {
  let bytes = 0;
  for (const value of values) bytes += 4 + (value?.length ?? 0);
  const buffer = allocate(oid.bytea, values.length, bytes);
  let at = 20;
  for (const value of values) {
    buffer.writeInt32BE(value?.length ?? -1, at);
    at += 4;
    if (!value) continue;
    buffer.set(value, at);
    at += value.length;
  }
  return buffer;
}
