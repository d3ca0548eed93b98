/** Bytes on their way in: put away, looked at, and perhaps put in the place of by others, before anybody has them. */
import type { Readable } from 'node:stream';
import type { Resource } from 'fhir/r4.js';
import { CONFIDENTIALITY } from '../access/policy.ts';
import { refusal } from '../fhir/outcome.ts';
import { addTranscoding } from '../jobs/transcodings.ts';
import type { Blob, ByteRange } from '../store/blobs/blobs.ts';
import { addBlob, bytesSent } from '../store/bytes.ts';
import type { Arrived, Seen } from './arrival.ts';
import type { Caller } from './records.ts';
import { keepRendition, streamOf } from './renditions.ts';
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
  { agent }: Pick<Caller, 'agent'>,
  stream: Readable,
  { asItIs = false, keep = false } = {},
): Promise<Taken> {
  const { blobs, pool } = setting.store;
  const { came, seen } = await arrive(setting, { agent }, stream, asItIs);
  const { instead } = seen;
  if (!instead) {
    await addBlob(pool, came, { ...seen, agent });
    await makeMore(setting, came.name, seen, asItIs);
    return { blob: came.name };
  }
  const clean = streamOf(instead.bytes);
  // a file that it is read from goes when it is closed
  const kept = await blobs.put(clean).finally(() => clean.destroy());
  await addBlob(pool, kept, { ...seen, agent });
  if (keep) await addBlob(pool, came, { ...seen, agent });
  else await blobs.remove(came.name);
  await makeMore(setting, kept.name, seen, asItIs);
  const { contentType } = instead;
  return { blob: kept.name, contentType, original: keep ? came.name : undefined };
}

/** What is made of a film: a picture at once, and later, of what not every browser plays, a form that they do. */
async function makeMore(
  setting: Setting,
  blob: string,
  { picture, facts }: Seen,
  asItIs: boolean,
): Promise<void> {
  const { width, height } = facts ?? {};
  if (picture && width && height)
    await keepRendition(setting, blob, POSTER, { bytes: picture, type: 'image/jpeg', width, height });
  // What is to stay as it is was meant for few: they can ask for it.
  if (facts?.plays === false && !asItIs) await addTranscoding(setting.store.pool, blob);
}

/** The name of the picture of a film among its renditions. */
export const POSTER = 'poster';

/**
 * The one way in, whatever the route: bounded, put away, and looked at. No row knows the bytes yet; where they are
 * refused nothing of them is kept.
 *
 * @throws Refusal 413 past MAX_BINARY, 507 past BYTES_QUOTA; what the look is refused with
 */
export async function arrive(
  setting: Setting,
  { agent }: Pick<Caller, 'agent'>,
  stream: Readable,
  asItIs: boolean,
): Promise<{ readonly came: Blob; readonly seen: Seen }> {
  const { blobs } = setting.store;
  const came = await blobs.put(stream, { limit: await limitFor(setting, agent) });
  const open = async (range?: ByteRange) => (await blobs.open(came.name, range)).stream;
  try {
    return { came, seen: await looked(setting, { size: came.size, asItIs, open }) };
  } catch (fault) {
    await blobs.remove(came.name);
    throw fault;
  }
}

/**
 * How many bytes may come at once.
 *
 * @throws Refusal 507 where the access token has used up what it may
 */
export async function limitFor(
  { store, maxBinary, bytesQuota }: Pick<Setting, 'store' | 'maxBinary' | 'bytesQuota'>,
  agent: number,
): Promise<number> {
  const most = maxBinary || Number.POSITIVE_INFINITY;
  if (bytesQuota === 0 || agent === 0) return most;
  const left = bytesQuota - (await bytesSent(store.pool, agent));
  if (left > 0) return Math.min(most, left);
  throw refusal(
    507,
    'too-costly',
    `This access token has sent the ${bytesQuota} bytes that it may (BYTES_QUOTA)`,
  );
}

/** What bytes are; where nothing looks at them, nothing is known. */
export async function looked({ look }: Pick<Setting, 'look'>, arrived: Arrived): Promise<Seen> {
  return (await look?.(arrived)) ?? { kind: null, facts: null };
}

/** Whether a resource is labelled as restricted, or more (HL7 v3 Confidentiality): its bytes stay as they are. */
export function isRestricted({ meta }: Resource): boolean {
  return !!meta?.security?.some(
    ({ system, code }) => system === CONFIDENTIALITY && (code === 'R' || code === 'V'),
  );
}

export const RESTRICTED = { system: CONFIDENTIALITY, code: 'R' };
