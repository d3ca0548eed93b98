/** Binary (R4 binary.html): its bytes are in the blob store, the rest of it is a resource like others. */
import { Readable } from 'node:stream';
import type { Binary } from 'fhir/r4.js';
import { demand } from '../access/access.ts';
import { contentOf, type Incoming, readIncoming } from '../fhir/content.ts';
import { parseKeepingNumbers } from '../fhir/json.ts';
import { invalid, refusal } from '../fhir/outcome.ts';
import { addBlob, findBlob } from '../store/bytes.ts';
import { checkEpoch } from './callers.ts';
import { checkId, judge } from './draft.ts';
import { notFound } from './not-found.ts';
import type { BlobContent, Bytes, Caller, Written } from './records.ts';
import { newestSeen } from './seen.ts';
import type { Setting } from './setting.ts';
import { create, update } from './write.ts';

/**
 * Puts the bytes of a Binary in JSON away.
 *
 * @param incoming judged already, its base64 too
 * @returns        the resource without `data`, and the name of the bytes
 */
export async function takeIn(
  setting: Setting,
  incoming: Incoming,
): Promise<{ readonly incoming: Incoming; readonly blob: string | null }> {
  const { data, ...resource } = incoming.resource as Binary;
  if (typeof data !== 'string') return { incoming, blob: null };
  const bytes = Buffer.from(data, 'base64');
  const blob = await putAway(setting, Readable.from([bytes], { objectMode: false }));
  const { data: _data, ...kept } = parseKeepingNumbers(incoming.content);
  return { incoming: { resource, ...contentOf(kept) }, blob };
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
  const { incoming: kept, blob } = await takeIn(setting, incoming);
  return write(setting, caller, id, kept, blob, ifMatch);
}

/** Creates or updates a Binary from raw bytes, which can be read once only. */
export async function writeBinary(
  setting: Setting,
  caller: Caller,
  id: string | undefined,
  { contentType, securityContext, stream }: Bytes,
  ifMatch?: number,
): Promise<Written> {
  const resource = {
    resourceType: 'Binary',
    id,
    contentType,
    securityContext: securityContext === undefined ? undefined : { reference: securityContext },
  };
  const incoming = readIncoming(JSON.stringify(resource));
  await asOfNow(setting, caller, async (current) => {
    demand(current.access, 'Binary', id === undefined ? 'c' : 'u');
    if (id !== undefined) await demandThere(setting, current, id);
    const [issue] = setting.validator.validate(incoming.resource, 'Binary');
    if (issue)
      throw invalid('value', `Content-Type or X-Security-Context cannot be kept: ${issue.diagnostics}`);
  });
  return write(setting, caller, id, incoming, await putAway(setting, stream), ifMatch);
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

/** The bytes outlast a power cut before a row knows them; what no Binary comes to own is swept away later. */
async function putAway({ store }: Setting, stream: Readable): Promise<string> {
  const blob = await store.blobs.put(stream);
  await addBlob(store.pool, blob);
  return blob.name;
}

/** @throws Refusal 404 where there are none of that name, 416 where the range begins after their end */
export async function openBlob(
  { store }: Setting,
  name: string,
  range?: { readonly start: number; readonly end: number },
): Promise<BlobContent> {
  const known = await findBlob(store.pool, name);
  if (!known) throw refusal(404, 'not-found', 'The bytes of this Binary are not here');
  return { ...(await store.blobs.open(name, range)), sha256: known.sha256 };
}
