/**
 * Bytes encrypted before they are put away, each blob under a key of its own, which is kept beside them under a key
 * from the environment. They are sealed in segments (AES-256-GCM), so that a range needs no more than its own, and no
 * byte is given out that was changed, moved or cut off.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { Refusal } from '../../fhir/outcome.ts';
import type { Blobs } from './blobs.ts';
import { beyond, derived, measure, part, pieces, pouring } from './measure.ts';

const CIPHER = 'aes-256-gcm';
/** Bytes of a segment, but of the last one, and what the cipher adds. */
const SEGMENT = 65_536;
const TAG = 16;
const SEALED = SEGMENT + TAG;

/** What an encrypted blob begins with: this, the name of the key, and the blob's own key under it. */
const MAGIC = Buffer.from('consil\x00\x01', 'latin1');
const NAME = 8;
const NONCE = 12;
const KEY = 32;
const HEADER = MAGIC.length + NAME + NONCE + KEY + TAG;

/**
 * @param keys 32 bytes each: the first is for what is put away from now on, all are for what is there. What was put
 *             away without encryption is read as it is
 */
export function encrypted(inner: Blobs, keys: readonly Buffer[]): Blobs {
  const [newest] = keys;
  if (!newest) return inner;
  const byName = new Map(keys.map((key) => [nameOf(key).toString('hex'), key]));
  const open: Blobs['open'] = async (name, range) => {
    const header = await headerOf(inner, name);
    if (!header?.bytes.subarray(0, MAGIC.length).equals(MAGIC)) return inner.open(name, range);
    const own = ownKey(byName, header.bytes);
    const size = plainSize(header.size - HEADER);
    if (range && range.start >= size) throw beyond(range.start, size);
    const { start, end } = { start: range?.start ?? 0, end: Math.min(range?.end ?? size, size - 1) };
    const [first, last] = [Math.floor(start / SEGMENT), Math.max(0, Math.floor(end / SEGMENT))];
    const whole = { start: HEADER + first * SEALED, end: HEADER + (last + 1) * SEALED - 1 };
    const { stream } = await inner.open(name, whole);
    const segments = { key: own, first, count: Math.max(1, Math.ceil(size / SEGMENT)) };
    const plain = part(unseal(segments, stream), {
      start: start - first * SEGMENT,
      end: end - first * SEGMENT,
    });
    return { size, stream: derived(stream, plain) };
  };
  return {
    ...inner,
    open,
    pour: pouring(open),
    async put(stream, options = {}) {
      const { chunks, measured } = measure(stream, options);
      const sealed = Readable.from(seal(newest, chunks), { objectMode: false });
      const { name } = await inner.put(sealed, { signal: options.signal });
      return { name, ...measured() };
    },
  };
}

const nameOf = (key: Buffer): Buffer => createHash('sha256').update(key).digest().subarray(0, NAME);

const plainSize = (sealed: number): number => sealed - TAG * Math.max(1, Math.ceil(sealed / SEALED));

/** The beginning of a blob and its size; undefined where there is not a byte. */
async function headerOf(inner: Blobs, name: string): Promise<{ bytes: Buffer; size: number } | undefined> {
  try {
    const { size, stream } = await inner.open(name, { start: 0, end: HEADER - 1 });
    return { bytes: await buffer(stream), size };
  } catch (fault) {
    if (fault instanceof Refusal && fault.status === 416) return undefined;
    throw fault;
  }
}

/** @throws Error where the key is not among those given */
function ownKey(byName: ReadonlyMap<string, Buffer>, header: Buffer): Buffer {
  const bound = header.subarray(0, MAGIC.length + NAME);
  const name = bound.subarray(MAGIC.length).toString('hex');
  const key = byName.get(name);
  if (!key) throw new Error(`The blob is encrypted under the key ${name}, which is not among BLOB_KEYS`);
  const nonce = header.subarray(bound.length, bound.length + NONCE);
  const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG });
  decipher.setAAD(bound).setAuthTag(header.subarray(HEADER - TAG));
  return Buffer.concat([
    decipher.update(header.subarray(bound.length + NONCE, HEADER - TAG)),
    decipher.final(),
  ]);
}

async function* seal(master: Buffer, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const bound = Buffer.concat([MAGIC, nameOf(master)]);
  const [key, nonce] = [randomBytes(KEY), randomBytes(NONCE)];
  const wrap = createCipheriv(CIPHER, master, nonce, { authTagLength: TAG }).setAAD(bound);
  yield Buffer.concat([bound, nonce, wrap.update(key), wrap.final(), wrap.getAuthTag()]);
  let number = 0;
  const sealed = (plain: Uint8Array, isLast: boolean): Buffer => {
    const cipher = createCipheriv(CIPHER, key, nonceOf(number++, isLast), { authTagLength: TAG });
    return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  };
  // Whether a segment is the last shows with the next byte: one waits.
  for await (const segment of pieces(chunks, SEGMENT)) yield sealed(segment.bytes, segment.isLast);
}

/** The number of a segment, and whether it is the last: keys are used for one blob only. */
function nonceOf(number: number, isLast: boolean): Buffer {
  const nonce = Buffer.alloc(NONCE);
  nonce[0] = isLast ? 1 : 0;
  nonce.writeUIntBE(number, NONCE - 6, 6);
  return nonce;
}

interface Sealed {
  readonly key: Buffer;
  /** number of the first segment of the stream */
  readonly first: number;
  /** segments of the whole blob */
  readonly count: number;
}

async function* unseal({ key, first, count }: Sealed, stream: Readable): AsyncGenerator<Buffer> {
  let number = first;
  for await (const { bytes } of pieces(stream, SEALED)) {
    const nonce = nonceOf(number, number === count - 1);
    const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG });
    decipher.setAuthTag(bytes.subarray(-TAG));
    number++;
    yield Buffer.concat([decipher.update(bytes.subarray(0, -TAG)), decipher.final()]);
  }
}
