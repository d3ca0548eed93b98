/**
 * Attachments on their way in (R4 datatypes.html#Attachment): photos in them lose what others should not see, large data
 * is kept apart, and what the client left out is told by the bytes themselves.
 */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { Attachment, Binary, Media, Resource } from 'fhir/r4.js';
import { attachmentsOf, isApart, isBlob, partOf, standIn } from '../fhir/attachments.ts';
import { contentOf, type Incoming } from '../fhir/content.ts';
import { parseKeepingNumbers } from '../fhir/json.ts';
import { invalid, Refusal, refusal } from '../fhir/outcome.ts';
import { parseReference } from '../fhir/reference.ts';
import { addAttachment, findAttachment, sameAttachment, versionsHaving } from '../store/attachments.ts';
import { type Facts, findBlob, type KnownBlob } from '../store/bytes.ts';
import { isRestricted, looked, putAway } from './intake.ts';
import { read, vread } from './read.ts';
import type { Caller, Stored } from './records.ts';
import { streamOf } from './renditions.ts';
import type { Setting } from './setting.ts';

/** Longer data, in bytes, is kept apart. */
const LARGE = 64 * 1024;

/** Names of the bytes of Binaries that are written together with it, by `Binary/id`. */
export type Beside = ReadonlyMap<string, string | null>;

/** Which resource, perhaps not written yet. */
interface To {
  readonly type: string;
  readonly id: string;
}

/** What an attachment's bytes are known to be. */
interface Known extends Pick<KnownBlob, 'size' | 'sha1' | 'kind' | 'facts'> {
  /** what they are declared as where they are */
  readonly contentType?: string;
}

/**
 * Completes a resource that was judged.
 *
 * @param beside where Binaries are written in the same transaction
 * @returns      itself where there is nothing to do
 * @throws       Refusal 400 where a url names data of it that there is none of; 422 for a picture that cannot be read
 */
export async function completed(
  setting: Setting,
  caller: Caller,
  to: To,
  incoming: Incoming,
  beside: Beside = new Map(),
): Promise<Incoming> {
  const touched = attachmentsOf(incoming.resource).some(
    ({ data, url }) => data !== undefined || url !== undefined,
  );
  if (!touched) return incoming;
  const kept = parseKeepingNumbers(incoming.content) as unknown as Resource;
  const asItIs = isRestricted(incoming.resource);
  let known: Known | undefined;
  for (const attachment of attachmentsOf(kept)) {
    known = attachment.data
      ? await takeData(setting, caller, to, attachment, asItIs)
      : await follow(setting, caller, to, attachment, beside);
    if (known) fill(attachment, known);
  }
  if (known && to.type === 'Media') fillMedia(kept as Media, known);
  const printed = contentOf(kept as unknown as Record<string, unknown>);
  if (printed.content === incoming.content) return incoming;
  return { resource: { ...JSON.parse(printed.content), id: incoming.resource.id }, ...printed };
}

/**
 * Data in the attachment itself: large data is put away, and a stand-in is in its place.
 *
 * @returns undefined where it stays as it came
 */
async function takeData(
  setting: Setting,
  caller: Caller,
  to: To,
  attachment: Attachment,
  asItIs: boolean,
): Promise<Known | undefined> {
  const bytes = Buffer.from(attachment.data as string, 'base64');
  if (bytes.length > LARGE && isApart(to.type) && attachment.url === undefined) {
    const { blob, contentType } = await putAway(
      setting,
      caller,
      Readable.from([bytes], { objectMode: false }),
      {
        asItIs,
      },
    );
    return { ...(await standFor(setting, to, attachment, blob, contentType)), contentType };
  }
  const { kind, facts, instead } = await looked(setting, {
    ...{ size: bytes.length, asItIs },
    open: async (range) => Readable.from([range ? bytes.subarray(range.start, range.end + 1) : bytes]),
  });
  if (!instead) return to.type === 'Media' ? { ...measured(bytes), kind, facts } : undefined;
  const kept = await buffer(streamOf(instead.bytes));
  attachment.data = kept.toString('base64');
  return { ...measured(kept), kind, facts, contentType: instead.contentType };
}

const measured = (bytes: Uint8Array): Pick<Known, 'size' | 'sha1'> => ({
  size: bytes.length,
  sha1: createHash('sha1').update(bytes).digest('base64'),
});

/** Puts the stand-in for data into an attachment: that of equal data, where the resource has it already. */
async function standFor(
  { store }: Setting,
  { type, id }: To,
  attachment: Attachment,
  blob: string,
  contentType = attachment.contentType,
): Promise<KnownBlob> {
  const resource = { type: store.catalog.typeNumber(type), id };
  const same = await sameAttachment(store.pool, blob, resource);
  const name = same ?? blob;
  if (!same) await addAttachment(store.pool, blob, { ...resource, media: contentType });
  attachment.data = standIn(name);
  return (await findBlob(store.pool, name)) as KnownBlob;
}

/** What is known of the bytes that a url leads to, as the caller may read them. */
async function follow(
  setting: Setting,
  caller: Caller,
  to: To,
  attachment: Attachment,
  beside: Beside,
): Promise<Known | undefined> {
  const { store, baseUrl, definitions } = setting;
  const { url = '' } = attachment;
  const own = partOf(url, to.type, to.id);
  if (own !== undefined) return takeBack(setting, caller, to, attachment, own);
  const target = url === '' ? undefined : parseReference(url, baseUrl, definitions.isResourceType);
  if (target?.kind !== 'local' || target.type !== 'Binary' || target.version !== undefined) return undefined;
  const written = beside.get(`Binary/${target.id}`);
  if (typeof written === 'string') return findBlob(store.pool, written);
  try {
    const { blob, content } = await read(setting, caller, 'Binary', target.id);
    const known = blob === null ? undefined : await findBlob(store.pool, blob);
    return known && { ...known, contentType: (JSON.parse(content) as Binary).contentType };
  } catch (fault) {
    // Who writes a reference to what he may not read learns nothing of it.
    if (isUnreadable(fault)) return undefined;
    throw fault;
  }
}

/** A url that stood for the data of this resource, when it was read among others: it becomes that data again. */
async function takeBack(
  setting: Setting,
  caller: Caller,
  { type, id }: To,
  attachment: Attachment,
  blob: string,
): Promise<Known | undefined> {
  const { store } = setting;
  const resource = { type: store.catalog.typeNumber(type), id };
  const isTheirs = caller.access.limited
    ? await mayRead(setting, caller, { type, id }, blob)
    : await findAttachment(store.pool, blob, resource);
  if (!isTheirs)
    throw invalid(
      'value',
      `${attachment.url} names no data that ${type}/${id} has, or had: send the data itself`,
    );
  delete attachment.url;
  attachment.data = standIn(blob);
  return findBlob(store.pool, blob);
}

/**
 * Finds large data of a resource as a caller may read it: what only older versions had, who may read one of these.
 *
 * @param current as the caller has read it
 * @throws        Refusal 404
 */
export async function readAttachment(
  setting: Setting,
  caller: Caller,
  current: Stored,
  blob: string,
): Promise<{ readonly version: Stored; readonly media: string | null }> {
  const { type, id, content } = current;
  const { store } = setting;
  const resource = { type: store.catalog.typeNumber(type), id };
  const known = isBlob(blob) ? await findAttachment(store.pool, blob, resource) : undefined;
  if (known && content.includes(`"${standIn(blob)}"`)) return { version: current, ...known };
  for (const version of known ? await versionsHaving(store.pool, blob, resource) : []) {
    const seen = await vread(setting, caller, type, id, String(version)).catch((fault) => {
      if (fault instanceof Refusal && fault.status === 404) return undefined;
      throw fault;
    });
    if (seen && known) return { version: seen, ...known };
  }
  throw refusal(404, 'not-found', `${type}/${id} has no content of that name`);
}

/** Whether a caller may read a version of a resource that has such data: who does not, does not get it by writing its url. */
async function mayRead(setting: Setting, caller: Caller, { type, id }: To, blob: string): Promise<boolean> {
  try {
    await readAttachment(setting, caller, await read(setting, caller, type, id), blob);
    return true;
  } catch (fault) {
    if (isUnreadable(fault)) return false;
    throw fault;
  }
}

const isUnreadable = (fault: unknown): boolean =>
  fault instanceof Refusal && [403, 404, 410].includes(fault.status);

function fill(attachment: Attachment, { size, sha1, contentType }: Known): void {
  attachment.size = size;
  if (sha1 !== null) attachment.hash = sha1;
  if (contentType !== undefined) attachment.contentType = contentType;
}

const TYPES = 'http://terminology.hl7.org/CodeSystem/media-type';
/** DICOM's controlled terms (PS3.16), of which CID 29 has the modalities. */
const DCM = 'http://dicom.nema.org/resources/ontology/DCM';
const MODALITIES = {
  camera: { system: DCM, code: 'XC', display: 'External-camera Photography' },
  audio: { system: DCM, code: 'AU', display: 'Audio' },
} as const;

/** What the uploader left out. */
function fillMedia(media: Media, { kind, facts }: Known): void {
  const { width, height, frames, duration, device } = facts ?? ({} as Facts);
  const type = /^(image|video|audio)\//.exec(kind ?? '')?.[1];
  if (type) media.type ??= { coding: [{ system: TYPES, code: type }] };
  // What names the camera that took it is a photograph or a film; a picture without may be anything, such as a scan.
  const modality = type === 'audio' ? MODALITIES.audio : type && device ? MODALITIES.camera : undefined;
  if (modality) media.modality ??= { coding: [modality] };
  if (width) media.width ??= width;
  if (height) media.height ??= height;
  if (frames) media.frames ??= frames;
  if (duration !== undefined) media.duration ??= duration;
  if (device) media.deviceName ??= device;
}
