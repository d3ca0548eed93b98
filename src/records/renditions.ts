/** What is made of bytes and kept beside them: smaller pictures, and films that every browser plays. */
import { Readable } from 'node:stream';
import { addBlob, addRendition, type Rendition } from '../store/bytes.ts';
import type { Store } from '../store/store.ts';

/** What was made. */
export interface Made extends Omit<Rendition, 'made'> {
  readonly bytes: Uint8Array | Readable;
}

export const streamOf = (bytes: Uint8Array | Readable): Readable =>
  bytes instanceof Readable ? bytes : Readable.from([bytes], { objectMode: false });

/** Keeps what was made of bytes, as long as there are these. */
export async function keepRendition(
  { store }: { readonly store: Pick<Store, 'blobs' | 'pool'> },
  blob: string,
  size: string,
  { bytes, ...made }: Made,
): Promise<Rendition> {
  const kept = await store.blobs.put(streamOf(bytes));
  await addBlob(store.pool, kept, { kind: made.type });
  const rendition = { ...made, made: kept.name };
  await addRendition(store.pool, blob, size, rendition);
  return rendition;
}
