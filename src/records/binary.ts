/** Binary (R4 binary.html): its bytes are in the blob store, the rest of it is a resource like others. */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { Binary } from 'fhir/r4.js';
import { demand } from '../access/access.ts';
import { contentOf, type Incoming, readIncoming } from '../fhir/content.ts';
import { parseKeepingNumbers } from '../fhir/json.ts';
import { invalid, refusal } from '../fhir/outcome.ts';
import type { ByteRange, Take } from '../store/blobs/blobs.ts';
import { checked, Damaged } from '../store/blobs/measure.ts';
import { findBlob, type KnownBlob } from '../store/bytes.ts';
import { checkEpoch } from './callers.ts';
import { checkId, judge } from './draft.ts';
import { isRestricted, putAway, RESTRICTED } from './intake.ts';
import { notFound } from './not-found.ts';
import type { BlobContent, Bytes, Caller, Written } from './records.ts';
import { newestSeen } from './seen.ts';
import type { Setting } from './setting.ts';
import { create, update } from './write.ts';

/**
 * Puts the bytes of a Binary in JSON away. Under a restricted label they stay as they are.
 *
 * @param incoming judged already, its base64 too
 * @returns        the resource without `data`, and the name of the bytes
 */
export async function takeIn(
  setting: Setting,
  caller: Caller,
  incoming: Incoming,
): Promise<{ readonly incoming: Incoming; readonly blob: string | null }> {
  const { data, ...resource } = incoming.resource as Binary;
  if (typeof data !== 'string') return { incoming, blob: null };
  const bytes = Readable.from([Buffer.from(data, 'base64')], { objectMode: false });
  const taken = await putAway(setting, caller, bytes, { asItIs: isRestricted(resource) });
  const { contentType = resource.contentType, blob } = taken;
  const { data: _data, ...kept } = parseKeepingNumbers(incoming.content);
  const typed: Binary = { ...resource, contentType };
  return { incoming: { resource: typed, ...contentOf({ ...kept, contentType }) }, blob };
}

/**
 * Creates or updates a Binary in JSON. Who may not, and what is not sound, leaves no bytes behind.
 *
 * @param id undefined creates
 */
export async function writeBinaryResource(
  setting: Setting,
  caller: Caller,
  id: string | undefined,
  incoming: Incoming,
  ifMatch?: number,
): Promise<Written> {
  await asOfNow(setting, caller, (current) => {
    demand(current.access, 'Binary', id === undefined ? 'c' : 'u');
    judge(setting, incoming.resource, 'Binary');
    if (id !== undefined) checkId(incoming.resource, id);
  });
  const { incoming: kept, blob } = await takeIn(setting, caller, incoming);
  return write(setting, caller, id, kept, blob, ifMatch);
}

/**
 * Creates or updates a Binary from raw bytes, which can be read once only. Where others take the place of a photo's and
 * the original is to be kept, that is another Binary, under a restricted label.
 */
export async function writeBinary(
  setting: Setting,
  caller: Caller,
  id: string | undefined,
  { contentType, securityContext, stream, keepOriginal }: Bytes,
  ifMatch?: number,
): Promise<Written & { readonly original?: string }> {
  const declared = rawBinary({ id, contentType, securityContext });
  await asOfNow(setting, caller, async (current) => {
    demand(current.access, 'Binary', id === undefined ? 'c' : 'u');
    if (keepOriginal) demand(current.access, 'Binary', 'c');
    if (id !== undefined) await demandThere(setting, current, id);
    const [issue] = setting.validator.validate(declared.resource, 'Binary');
    if (issue)
      throw invalid('value', `Content-Type or X-Security-Context cannot be kept: ${issue.diagnostics}`);
  });
  const taken = await putAway(setting, caller, stream, { keep: keepOriginal });
  const incoming =
    taken.contentType === undefined
      ? declared
      : rawBinary({ id, contentType: taken.contentType, securityContext });
  const written = await write(setting, caller, id, incoming, taken.blob, ifMatch);
  if (taken.original === undefined) return written;
  const original = rawBinary({
    contentType,
    securityContext: securityContext ?? `Binary/${written.id}`,
    meta: { security: [RESTRICTED] },
  });
  const kept = await write(setting, caller, undefined, original, taken.original, undefined);
  return { ...written, original: kept.id };
}

function rawBinary({
  securityContext,
  ...rest
}: {
  readonly id?: string;
  readonly meta?: object;
  readonly contentType: string;
  readonly securityContext?: string;
}): Incoming {
  const context = securityContext === undefined ? undefined : { reference: securityContext };
  return readIncoming(JSON.stringify({ resourceType: 'Binary', ...rest, securityContext: context }));
}

/** Judges a caller as it is now, before bytes are taken. */
function asOfNow(
  { callers }: Setting,
  caller: Caller,
  judged: (current: Caller) => void | Promise<void>,
): Promise<void> {
  return callers.asOf(caller, async (current) => {
    checkEpoch(current, await callers.epoch());
    await judged(current);
  });
}

/** @throws Refusal 404 where limited access does not reach it, whether or not it is there */
async function demandThere(setting: Setting, caller: Caller, id: string): Promise<void> {
  if (!caller.access.limited) return;
  const there = await newestSeen(setting, caller, 'u', [{ type: 'Binary', id }]);
  if (there.size === 0) throw notFound('Binary', id);
}

function write(
  setting: Setting,
  caller: Caller,
  id: string | undefined,
  incoming: Incoming,
  blob: string | null,
  ifMatch: number | undefined,
): Promise<Written> {
  return setting.callers.asOf(caller, (current) =>
    id === undefined
      ? create(setting, current, 'Binary', incoming, blob)
      : update(setting, current, { type: 'Binary', id, ifMatch }, incoming, blob),
  );
}

/**
 * Bytes as they are kept. Read as a whole they are compared with the hash that they had when they came in: the stream of
 * damaged ones fails before its end.
 *
 * @throws Refusal 404 where there are none of that name, 416 where the range begins after their end
 */
export async function openBlob(
  setting: Setting,
  name: string,
  range?: { readonly start: number; readonly end: number },
): Promise<BlobContent> {
  const known = await describeBlob(setting, name);
  const { size, stream } = await setting.store.blobs.open(name, range);
  return { ...known, size, stream: range ? stream : checked(stream, known.sha256) };
}

/**
 * The same, given to whoever takes them, piece by piece; the last is given only where all of them have their hash.
 *
 * @throws Refusal 404; 416; Damaged
 */
export async function pourBlob(setting: Setting, name: string, take: Take, range?: ByteRange): Promise<void> {
  const { blobs } = setting.store;
  if (range) return blobs.pour(name, take, range);
  const { size, sha256 } = await describeBlob(setting, name);
  const hash = createHash('sha256');
  let given = 0;
  await blobs.pour(name, async (piece) => {
    hash.update(piece);
    given += piece.length;
    if (given > size || (given === size && hash.digest('hex') !== sha256)) throw new Damaged();
    await take(piece);
  });
  if (given < size) throw new Damaged();
}

/** What is known of bytes, without opening them. @throws Refusal 404 */
export async function describeBlob({ store }: Setting, name: string): Promise<KnownBlob> {
  const known = await findBlob(store.pool, name);
  if (!known) throw refusal(404, 'not-found', 'The bytes of this Binary are not here');
  return known;
}
