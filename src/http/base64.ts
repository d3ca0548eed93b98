/** Binary.data in the JSON of a Binary, streamed: the bytes are never in memory at once (R4 binary.html). */
import type { Readable } from 'node:stream';

const OPEN = ',"data":"';
const CLOSE = '"}';

/** The characters of so many bytes. */
export const base64Length = (bytes: number): number => 4 * Math.ceil(bytes / 3);

/** What `withData` adds to the resource, in characters. */
export function dataLength(bytes: number): number {
  return OPEN.length + base64Length(bytes) + CLOSE.length - 1;
}

/**
 * The pieces of a Binary's JSON with its bytes as `data`.
 *
 * @param json the resource without them
 */
export async function* withData(json: string, bytes: Readable): AsyncGenerator<string> {
  yield json.slice(0, -1) + OPEN;
  yield* base64Of(bytes);
  yield CLOSE;
}

/** Bytes as base64, in pieces as they come. */
export async function* base64Of(bytes: Readable): AsyncGenerator<string> {
  // three bytes are four characters: what is over waits for the next piece
  let over: Buffer = Buffer.alloc(0);
  for await (const piece of bytes) {
    const all: Buffer = over.length > 0 ? Buffer.concat([over, piece]) : piece;
    const whole = all.length - (all.length % 3);
    if (whole > 0) yield all.toString('base64', 0, whole);
    over = all.subarray(whole);
  }
  yield over.toString('base64');
}
