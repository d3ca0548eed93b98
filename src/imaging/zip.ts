/** ZIP archives (APPNOTE.TXT 6.3.3), stored without compression and written as a stream; with ZIP64 where they are large. */
import { crc32 } from 'node:zlib';

export interface File {
  /** with slashes, in ASCII */
  readonly name: string;
  readonly body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

const LARGE = 0xffffffff;
/** Sizes and checksum follow the bytes, as they are known only then (§4.4.4, bit 3). */
const AFTERWARDS = 0x0008;
const ZIP64 = 45;
/** 1 January 1980, 0:00: an archive tells nothing of when it was made. */
const DATE = 0x0021;

interface Entry {
  readonly name: Buffer;
  readonly offset: number;
  readonly size: number;
  readonly crc: number;
}

export async function* zip(files: AsyncIterable<File> | Iterable<File>): AsyncGenerator<Uint8Array> {
  const entries: Entry[] = [];
  let at = 0;
  const wrote = (bytes: Buffer): Buffer => {
    at += bytes.length;
    return bytes;
  };
  for await (const { name: text, body } of files) {
    const name = Buffer.from(text, 'latin1');
    const offset = at;
    yield wrote(localHeader(name));
    let size = 0;
    let crc = 0;
    for await (const piece of body) {
      crc = crc32(piece, crc);
      size += piece.length;
      yield piece;
    }
    at += size;
    yield wrote(descriptor(crc, size));
    entries.push({ name, offset, size, crc });
  }
  const begin = at;
  for (const entry of entries) yield wrote(centralHeader(entry));
  yield* end(entries.length, begin, at - begin);
}

/** §4.3.7, with the extra field of ZIP64: whoever reads it knows that sizes afterwards take 8 bytes. */
function localHeader(name: Buffer): Buffer {
  const head = Buffer.alloc(30);
  head.writeUInt32LE(0x04034b50, 0);
  head.writeUInt16LE(ZIP64, 4);
  head.writeUInt16LE(AFTERWARDS, 6);
  head.writeUInt16LE(DATE, 12);
  head.writeUInt32LE(LARGE, 18);
  head.writeUInt32LE(LARGE, 22);
  head.writeUInt16LE(name.length, 26);
  head.writeUInt16LE(20, 28);
  return Buffer.concat([head, name, extra(0n, 0n)]);
}

/** §4.5.3: sizes, and perhaps where it is. */
function extra(...numbers: readonly bigint[]): Buffer {
  const field = Buffer.alloc(4 + 8 * numbers.length);
  field.writeUInt16LE(0x0001, 0);
  field.writeUInt16LE(8 * numbers.length, 2);
  numbers.forEach((number, i) => {
    field.writeBigUInt64LE(number, 4 + 8 * i);
  });
  return field;
}

/** §4.3.9 */
function descriptor(crc: number, size: number): Buffer {
  const bytes = Buffer.alloc(24);
  bytes.writeUInt32LE(0x08074b50, 0);
  bytes.writeUInt32LE(crc, 4);
  bytes.writeBigUInt64LE(BigInt(size), 8);
  bytes.writeBigUInt64LE(BigInt(size), 16);
  return bytes;
}

/** §4.3.12 */
function centralHeader({ name, offset, size, crc }: Entry): Buffer {
  const head = Buffer.alloc(46);
  head.writeUInt32LE(0x02014b50, 0);
  head.writeUInt16LE(ZIP64, 4);
  head.writeUInt16LE(ZIP64, 6);
  head.writeUInt16LE(AFTERWARDS, 8);
  head.writeUInt16LE(DATE, 14);
  head.writeUInt32LE(crc, 16);
  head.writeUInt32LE(LARGE, 20);
  head.writeUInt32LE(LARGE, 24);
  head.writeUInt16LE(name.length, 28);
  head.writeUInt16LE(28, 30);
  head.writeUInt32LE(LARGE, 42);
  return Buffer.concat([head, name, extra(BigInt(size), BigInt(size), BigInt(offset))]);
}

/** §4.3.14 to §4.3.16: the ends of ZIP64, and the one that all readers look for. */
function* end(count: number, begin: number, length: number): Generator<Buffer> {
  const large = Buffer.alloc(56);
  large.writeUInt32LE(0x06064b50, 0);
  large.writeBigUInt64LE(44n, 4);
  large.writeUInt16LE(ZIP64, 12);
  large.writeUInt16LE(ZIP64, 14);
  large.writeBigUInt64LE(BigInt(count), 24);
  large.writeBigUInt64LE(BigInt(count), 32);
  large.writeBigUInt64LE(BigInt(length), 40);
  large.writeBigUInt64LE(BigInt(begin), 48);
  const locator = Buffer.alloc(20);
  locator.writeUInt32LE(0x07064b50, 0);
  locator.writeBigUInt64LE(BigInt(begin + length), 8);
  locator.writeUInt32LE(1, 16);
  const last = Buffer.alloc(22);
  last.writeUInt32LE(0x06054b50, 0);
  last.writeUInt16LE(Math.min(count, 0xffff), 8);
  last.writeUInt16LE(Math.min(count, 0xffff), 10);
  last.writeUInt32LE(Math.min(length, LARGE), 12);
  last.writeUInt32LE(Math.min(begin, LARGE), 16);
  yield Buffer.concat([large, locator, last]);
}
