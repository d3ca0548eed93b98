/** Bytes on their way in: counted, hashed, and cut off at a limit. */
import { createHash } from 'node:crypto';
import { addAbortSignal, Readable } from 'node:stream';
import { type Refusal, refusal } from '../../fhir/outcome.ts';
import type { Blob, Blobs, ByteRange, PutOptions } from './blobs.ts';

export interface Measuring {
  /** the stream's bytes, as they come; a stream that is past the limit is not destroyed */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** once all have been taken */
  measured(): Omit<Blob, 'name'>;
}

/** @throws Refusal 413 past the limit, and what the stream or the signal fails with, while chunks are taken */
export function measure(stream: Readable, { limit = Infinity, signal }: PutOptions): Measuring {
  const hash = createHash('sha256');
  // what R4 Attachment.hash asks for
  const sha1 = createHash('sha1');
  let size = 0;
  async function* chunks(): AsyncGenerator<Uint8Array> {
    if (signal) addAbortSignal(signal, stream);
    for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
      const bytes: Uint8Array = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
      size += bytes.length;
      if (size > limit) throw tooLarge(limit);
      hash.update(bytes);
      sha1.update(bytes);
      yield bytes;
    }
  }
  return {
    chunks: chunks(),
    measured: () => ({ size, sha256: hash.digest('hex'), sha1: sha1.digest('base64') }),
  };
}

/** Bytes are not what they were when they were put away. */
export class Damaged extends Error {
  override readonly name = 'Damaged';
  constructor() {
    super('These bytes are not those that were put away: consilium doctor --deep tells which');
  }
}

/**
 * The same bytes, the last of them only once all are known to have the hash: what is damaged never ends as if it were
 * whole.
 *
 * @param sha256 in hexadecimal digits
 * @throws       Damaged, while they are read
 */
export function checked(source: Readable, sha256: string): Readable {
  async function* bytes(): AsyncGenerator<Buffer> {
    const hash = createHash('sha256');
    let held: Buffer | undefined;
    for await (const piece of source as AsyncIterable<Buffer>) {
      if (held) yield held;
      hash.update(piece);
      held = piece;
    }
    if (hash.digest('hex') !== sha256) throw new Damaged();
    if (held) yield held;
  }
  return derived(source, bytes());
}

/** A stream of what is made of another's bytes, which is closed with it, though none was read. */
export function derived(source: Readable, bytes: AsyncIterable<Buffer>): Readable {
  return Readable.from(bytes, { objectMode: false }).once('close', () => source.destroy());
}

/** Pours what is opened as a stream. */
export const pouring =
  (open: Blobs['open']): Blobs['pour'] =>
  async (name, take, range) => {
    for await (const piece of (await open(name, range)).stream) await take(piece);
  };

/** A stream in pieces of one size, the last one shorter; of an empty stream one that is empty. */
export async function* pieces(
  chunks: AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<{ readonly bytes: Buffer; readonly isLast: boolean }> {
  let waiting: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    waiting.push(chunk);
    length += chunk.length;
    if (length <= size) continue;
    let all = Buffer.concat(waiting);
    for (; all.length > size; all = all.subarray(size)) yield { bytes: all.subarray(0, size), isLast: false };
    waiting = [all];
    length = all.length;
  }
  yield { bytes: Buffer.concat(waiting), isLast: true };
}

/** The bytes from one to another, inclusive; what comes after them is not waited for. */
export async function* part(
  pieces: AsyncIterable<Buffer>,
  { start, end }: ByteRange,
): AsyncGenerator<Buffer> {
  let at = 0;
  for await (const piece of pieces) {
    const cut = piece.subarray(Math.max(0, start - at), Math.max(0, end + 1 - at));
    at += piece.length;
    if (cut.length > 0) yield cut;
    if (at > end) return;
  }
}

const tooLarge = (limit: number): Refusal =>
  refusal(413, 'too-long', `These are more than the ${limit} bytes that are taken at once.`);

export const missing = (name: string): Refusal =>
  refusal(
    404,
    'not-found',
    `There are no bytes named ${JSON.stringify(name.slice(0, 60))}: they may have been removed.`,
  );

export const beyond = (start: number, size: number): Refusal =>
  refusal(416, 'value', `The range begins at byte ${start}, but there are ${size}: ask for less than that.`);
