/** Bytes on their way in: put away, looked at, and perhaps put in the place of by others, before anybody has them. */
import { Readable } from 'node:stream';
import type { Resource } from 'fhir/r4.js';
import type { ByteRange } from '../store/blobs/blobs.ts';
import { addBlob } from '../store/bytes.ts';
import type { Arrived, Seen } from './arrival.ts';
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
  setting: Setting,
  stream: Readable,
  { asItIs = false, keep = false } = {},
): Promise<Taken> {
  const { blobs, pool } = setting.store;
  const came = await blobs.put(stream);
  const open = async (range?: ByteRange) => (await blobs.open(came.name, range)).stream;
  const seen = await looked(setting, { size: came.size, asItIs, open }).catch(async (fault) => {
    await blobs.remove(came.name);
    throw fault;
  });
  const { instead } = seen;
  if (!instead) {
    await addBlob(pool, came, seen);
    return { blob: came.name };
  }
  const clean = streamOf(instead.bytes);
  // a file that it is read from goes when it is closed
  const kept = await blobs.put(clean).finally(() => clean.destroy());
  await addBlob(pool, kept, seen);
  if (keep) await addBlob(pool, came, seen);
  else await blobs.remove(came.name);
  const { contentType } = instead;
  return { blob: kept.name, contentType, original: keep ? came.name : undefined };
}

export const streamOf = (bytes: Uint8Array | Readable): Readable =>
  bytes instanceof Readable ? bytes : Readable.from([bytes], { objectMode: false });

/** What bytes are; where nothing looks at them, nothing is known. */
export async function looked({ look }: Pick<Setting, 'look'>, arrived: Arrived): Promise<Seen> {
  return (await look?.(arrived)) ?? { kind: null, facts: null };
}

/** Whether a resource is labelled as restricted, or more (HL7 v3 Confidentiality): its bytes stay as they are. */
export function isRestricted({ meta }: Resource): boolean {
  return !!meta?.security?.some(
    ({ system, code }) => system === RESTRICTED.system && (code === 'R' || code === 'V'),
  );
}

export const RESTRICTED = {
  system: 'http://terminology.hl7.org/CodeSystem/v3-Confidentiality',
  code: 'R',
};
