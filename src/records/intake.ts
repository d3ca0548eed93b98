/** Bytes on their way in: put away, looked at, and perhaps put in the place of by others, before anybody has them. */
import { Readable } from 'node:stream';
import type { Blob } from '../store/blobs/blobs.ts';
import { addBlob } from '../store/bytes.ts';
import type { Seen } from './arrival.ts';
import type { Setting } from './setting.ts';

/** Bytes that were taken in. */
export interface Taken {
  readonly blob: string;
  /** where it is another than was declared */
  readonly contentType?: string;
  /** as they came, where others are in their place and these were to be kept, too */
  readonly original?: string;
}

/**
 * Takes bytes in. They outlast a power cut before a row knows them; what no Binary comes to own is swept away later.
 *
 * @param keep whether they are also kept as they came
 */
export async function putAway(
  { store, look }: Setting,
  stream: Readable,
  { asItIs = false, keep = false } = {},
): Promise<Taken> {
  const { blobs, pool } = store;
  const came = await blobs.put(stream);
  const seen = await looked(came);
  const { instead } = seen;
  if (!instead) {
    await addBlob(pool, came, seen);
    return { blob: came.name };
  }
  const kept = await blobs.put(Readable.from([instead.bytes], { objectMode: false }));
  await addBlob(pool, kept, seen);
  if (keep) await addBlob(pool, came, seen);
  else await blobs.remove(came.name);
  const { contentType } = instead;
  return { blob: kept.name, contentType, original: keep ? came.name : undefined };

  async function looked({ name, size }: Blob): Promise<Seen> {
    try {
      const open = async (range?: { start: number; end: number }) => (await blobs.open(name, range)).stream;
      return (await look?.({ size, asItIs, open })) ?? { kind: null, facts: null };
    } catch (fault) {
      await blobs.remove(name);
      throw fault;
    }
  }
}
