/** Binary (R4 binary.html): its bytes are in the blob store, the rest of it is a resource like others. */
import { Readable } from 'node:stream';
import type { Binary } from 'fhir/r4.js';
import { demand } from '../access/access.ts';
import { contentOf, type Incoming, readIncoming } from '../fhir/content.ts';
import { invalid, refusal } from '../fhir/outcome.ts';
import { addBlob, findBlob } from '../store/bytes.ts';
import type { BlobContent, Bytes, Caller, Written } from './records.ts';
import type { Setting } from './setting.ts';
import { create, update } from './write.ts';

/**
 * Puts the bytes of a Binary in JSON away.
 *
 * @returns the resource without `data`, and the name of the bytes
 * @throws  Refusal 400 where `data` is no base64
 */
export async function takeIn(
  setting: Setting,
  incoming: Incoming,
): Promise<{ readonly incoming: Incoming; readonly blob: string | null }> {
  const { data, ...rest } = incoming.resource as Binary;
  if (typeof data !== 'string') return { incoming, blob: null };
  const bytes = Buffer.from(data, 'base64');
  // Node skips what is no base64; the length of what it read tells.
  const digits = data.replace(/\s+/g, '');
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(digits) || digits.length !== Math.ceil(bytes.length / 3) * 4)
    throw invalid(
      'value',
      'This must be base64: A-Z, a-z, 0-9, + and /, padded with = to groups of four',
      'Binary.data',
    );
  const blob = await putAway(setting, Readable.from([bytes], { objectMode: false }));
  const resource = rest as unknown as Incoming['resource'];
  return { incoming: { resource, ...contentOf(rest as unknown as Record<string, unknown>) }, blob };
}

/** Creates or updates a Binary from raw bytes. */
export async function writeBinary(
  setting: Setting,
  caller: Caller,
  id: string | undefined,
  { contentType, securityContext, stream }: Bytes,
  ifMatch?: number,
): Promise<Written> {
  demand(caller.access, 'Binary', id === undefined ? 'c' : 'u');
  const resource = {
    resourceType: 'Binary',
    id,
    contentType,
    securityContext: securityContext === undefined ? undefined : { reference: securityContext },
  };
  const incoming = readIncoming(JSON.stringify(resource));
  const issues = setting.validator.validate(incoming.resource, 'Binary');
  if (issues.length > 0)
    throw invalid('value', `Content-Type or X-Security-Context cannot be kept: ${issues[0]?.diagnostics}`);
  const blob = await putAway(setting, stream);
  return id === undefined
    ? create(setting, caller, 'Binary', incoming, blob)
    : update(setting, caller, { type: 'Binary', id, ifMatch }, incoming, blob);
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
