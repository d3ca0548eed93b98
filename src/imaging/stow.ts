/** STOW-RS (PS3.18 §10.5): files stream into the blob store, and are in their study when the answer says so. */
import { Readable } from 'node:stream';
import { Refusal, refusal } from '../fhir/outcome.ts';
import { Aborted } from '../http/body.ts';
import type { Arrival, Arrived } from '../records/imaging/imaging.ts';
import type { Caller } from '../records/records.ts';
import { readMediaType } from './accept.ts';
import { answer, DICOM_JSON, demandJson } from './answers.ts';
import { type ImagingContext, namedBy, type Visit } from './context.ts';
import { Malformed, textOf } from './dicom/parse.ts';
import { passing } from './dicom/read.ts';
import { type Instance, instanceOf, REASONS, Unacceptable } from './instance.ts';
import { mediaOf } from './key-images.ts';
import type { OpenFile } from './layout.ts';
import { readParts } from './multipart.ts';
import { ENDPOINT, endpointOf, imagingStudyOf, patientIdentifier, patientOf } from './study.ts';
import { observationsOf } from './waveforms.ts';

/** So many are written at once, at most: their attributes are in memory until then. */
const MOST_WAITING = 200;
/** So many are on their way to the disk at once. */
const MOST_UNDER_WAY = 16;

/** What became of a file. */
export interface Result {
  readonly sopClass?: string | undefined;
  readonly uid?: string | undefined;
  readonly study?: string | undefined;
  readonly series?: string | undefined;
  /** why it was not stored */
  readonly reason?: number;
  readonly comment?: string;
}

/** Stores what a request brings, to any study or to the one that its path names. */
export async function store(context: ImagingContext, visit: Visit): Promise<void> {
  demandJson(visit);
  const { caller, request } = visit;
  const { study } = namedBy(visit);
  const results: Result[] = [];
  let taken: Promise<Instance | Result>[] = [];
  // A quota counts what is there: with one, each waits for the one before.
  const most = context.config.bytesQuota > 0 ? 1 : MOST_UNDER_WAY;
  const flush = async (): Promise<void> => {
    const files = await Promise.all(taken);
    taken = [];
    for (const one of files) if (!('instance' in one)) results.push(one);
    results.push(
      ...(await storeAll(
        context,
        caller,
        files.filter((one) => 'instance' in one),
      )),
    );
  };
  try {
    for await (const file of filesOf(visit)) {
      const one = takeAlong(context, caller, file, study === '' ? undefined : study);
      taken.push(one.taken);
      await one.passed;
      // Files go down to the disk while the next come in; the last few of them may fail.
      await taken.at(-most);
      if (taken.length >= MOST_WAITING) await flush();
    }
    await flush();
  } finally {
    await Promise.allSettled(taken);
  }
  if (!request.complete) throw new Aborted();
  answerResults(context, visit, results);
}

/** @throws Refusal 415 */
async function* filesOf({ request }: Visit): AsyncGenerator<AsyncIterable<Uint8Array> | Result> {
  const { type, parameters } = readMediaType(request.headers['content-type'] ?? '');
  // A file that is refused early must not end the connection: the rest of it is passed over.
  const body = (): AsyncIterable<Uint8Array> => request.iterator({ destroyOnReturn: false });
  if (type === 'application/dicom') {
    yield body();
    for await (const _ of body()) void _;
    return;
  }
  const { boundary } = parameters;
  const isDicom =
    type === 'multipart/related' && (parameters.type ?? 'application/dicom') === 'application/dicom';
  if (!isDicom || !boundary)
    throw refusal(
      415,
      'not-supported',
      'Send Content-Type: multipart/related; type="application/dicom"; boundary=…, each part a DICOM file, or one file as application/dicom',
    );
  for await (const { headers, body: file } of readParts(body(), boundary)) {
    const partType = readMediaType(headers['content-type'] ?? 'application/dicom').type;
    if (partType === 'application/dicom') yield file;
    else yield { reason: REASONS.notUnderstood, comment: 'The part is not of the type application/dicom' };
  }
}

/** A file on its way: `passed` when all of it was read, or is not going to be. */
function takeAlong(
  context: ImagingContext,
  caller: Caller,
  file: AsyncIterable<Uint8Array> | Result,
  study: string | undefined,
): { readonly taken: Promise<Instance | Result>; readonly passed: Promise<unknown> } {
  if (!(Symbol.asyncIterator in file)) return { taken: Promise.resolve(file), passed: Promise.resolve() };
  let pass = (): void => {};
  const passed = new Promise<void>((resolve) => {
    pass = resolve;
  });
  async function* bytes(): AsyncGenerator<Uint8Array> {
    try {
      yield* file as AsyncIterable<Uint8Array>;
    } finally {
      pass();
    }
  }
  const taken = takeFile(context, caller, bytes(), study);
  // whoever waits for it hears of what goes wrong
  taken.catch(() => {});
  return { taken, passed: Promise.race([passed, taken]) };
}

/** Puts one file away, and reads what it is. */
async function takeFile(
  { records, dictionary }: ImagingContext,
  caller: Caller,
  file: AsyncIterable<Uint8Array>,
  study: string | undefined,
): Promise<Instance | Result> {
  const { chunks, parsed } = passing(file, dictionary);
  try {
    const blob = await records.imaging.putAway(caller, Readable.from(chunks, { objectMode: false }));
    const part10 = parsed();
    try {
      const instance = instanceOf(part10, blob);
      if (study !== undefined && instance.study.uid !== study)
        throw new Unacceptable(REASONS.mismatch, 'it is of another study than the path names');
      return instance;
    } catch (fault) {
      if (!(fault instanceof Unacceptable)) throw fault;
      return {
        sopClass: textOf(part10.meta, 0x00020002),
        uid: textOf(part10.meta, 0x00020003),
        reason: fault.reason,
        comment: fault.message,
      };
    }
  } catch (fault) {
    if (fault instanceof Malformed) return { reason: REASONS.notUnderstood, comment: fault.message };
    const reason = fault instanceof Refusal ? UNTAKEN[fault.status] : undefined;
    if (reason === undefined) throw fault;
    return { reason, comment: (fault as Refusal).issues[0]?.diagnostics ?? '' };
  }
}

/** Of one file: too large, or found to be harmful; or there is no room for it, or none left for its sender. */
const UNTAKEN: Readonly<Record<number, number>> = {
  413: REASONS.outOfResources,
  422: REASONS.processing,
  507: REASONS.outOfResources,
};

/** Stores one file that comes by another way than STOW. */
export async function storeFile(
  context: ImagingContext,
  caller: Caller,
  file: AsyncIterable<Uint8Array>,
): Promise<Result> {
  const taken = await takeFile(context, caller, file, undefined);
  if (!('instance' in taken)) return taken;
  const [result] = await storeAll(context, caller, [taken]);
  return result as Result;
}

/** Brings instances into their studies. */
async function storeAll(
  context: ImagingContext,
  caller: Caller,
  instances: readonly Instance[],
): Promise<readonly Result[]> {
  if (instances.length === 0) return [];
  await ensureEndpoint(context);
  const results = new Map<Instance, Result>();
  for (const group of groups(instances)) {
    const outcomes = await storeGroup(context, caller, group);
    group.forEach((instance, i) => {
      results.set(instance, resultOf(instance, outcomes[i] as Arrived | Refusal));
    });
  }
  return instances.map((instance) => results.get(instance) as Result);
}

/** Instances that say to be of one study, and of one patient: what an odd one is refused for must not stop the others. */
export const groups = (instances: readonly Instance[]): Iterable<readonly Instance[]> =>
  Map.groupBy(instances, ({ study: { uid, patientId, issuer } }) =>
    [uid, patientId, issuer].join('\\'),
  ).values();

/** Such instances, on their way in. */
export function arrivalOf(
  { config, base, records }: Pick<ImagingContext, 'config' | 'base' | 'records'>,
  group: readonly Instance[],
): Arrival {
  const { study } = group[0] as Instance;
  const identifier = patientIdentifier(study, config.dicomIssuers, base);
  return {
    study,
    series: [...new Map(group.map(({ series }) => [series.uid, series])).values()],
    instances: group.map(({ instance }) => instance),
    patient: identifier && { ...identifier, resource: patientOf(study.attributes, identifier) },
    resourceOf: (contents) => imagingStudyOf(study, contents),
    derived: group.flatMap((one) => {
      const { uid, blob } = one.instance;
      const open: OpenFile = (range) => records.imaging.reopen(blob, range);
      const made = [...observationsOf(one, base, open), ...mediaOf(one, base)];
      return made.map((derived) => ({ ...derived, instance: uid }));
    }),
  };
}

async function storeGroup(
  context: ImagingContext,
  caller: Caller,
  group: readonly Instance[],
): Promise<readonly (Arrived | Refusal)[]> {
  try {
    return await context.records.imaging.store(caller, arrivalOf(context, group));
  } catch (fault) {
    if (!(fault instanceof Refusal) || fault.status >= 500 || fault.status === 401) throw fault;
    return group.map(() => fault);
  }
}

/** What came of an instance, as an answer says it. */
export function resultOf({ study, series, instance }: Instance, outcome: Arrived | Refusal): Result {
  const of = { sopClass: instance.class, uid: instance.uid, study: study.uid, series: series.uid };
  if (outcome instanceof Refusal)
    return { ...of, reason: REASONS.processing, comment: outcome.issues[0]?.diagnostics ?? '' };
  switch (outcome.kind) {
    case 'stored':
    case 'unchanged':
      return of;
    case 'duplicate':
      return {
        ...of,
        reason: REASONS.duplicate,
        comment: 'Another instance of this UID is here already, and stays as it is',
      };
    case 'held':
      return {
        ...of,
        reason: REASONS.processing,
        comment:
          'It is not of one patient that is known here by its ID, or whose study this is: kept for review',
      };
    case 'forbidden':
      return {
        ...of,
        reason: REASONS.notAuthorized,
        comment: 'This access token does not allow to bring it into this study',
      };
  }
}

/** The answer (PS3.18 §10.5.3): 200 where all are stored, 202 where some are, 409 where none is. */
function answerResults({ base }: ImagingContext, visit: Visit, results: readonly Result[]): void {
  const failed = results.filter(({ reason }) => reason !== undefined);
  const stored = results.filter(({ reason }) => reason === undefined);
  if (results.length === 0)
    throw refusal(400, 'required', 'The request has no part: send at least one DICOM file');
  const studies = new Set(stored.map(({ study }) => study));
  const [study] = studies;
  const body = {
    ...(studies.size === 1 ? { '00081190': { vr: 'UR', Value: [`${base}/studies/${study}`] } } : {}),
    ...(failed.length > 0 ? { '00081198': { vr: 'SQ', Value: failed.map(failedItem) } } : {}),
    ...(stored.length > 0
      ? { '00081199': { vr: 'SQ', Value: stored.map((one) => storedItem(base, one)) } }
      : {}),
  };
  const status = failed.length === 0 ? 200 : stored.length > 0 ? 202 : 409;
  answer(visit, status, DICOM_JSON, JSON.stringify(body));
}

const uidAttribute = (uid: string | undefined) => ({ vr: 'UI', ...(uid ? { Value: [uid] } : {}) });

const storedItem = (base: string, { sopClass, uid, study, series }: Result) => ({
  '00081150': uidAttribute(sopClass),
  '00081155': uidAttribute(uid),
  '00081190': { vr: 'UR', Value: [`${base}/studies/${study}/series/${series}/instances/${uid}`] },
});

const failedItem = ({ sopClass, uid, reason, comment = '' }: Result) => ({
  '00000902': { vr: 'LO', Value: [comment] },
  '00081150': uidAttribute(sopClass),
  '00081155': uidAttribute(uid),
  '00081197': { vr: 'US', Value: [reason] },
});

/** The Endpoint that studies name is there before the first of them is. */
async function ensureEndpoint({ records, base }: ImagingContext): Promise<void> {
  const operator = await records.operator();
  const target = { type: 'Endpoint', id: ENDPOINT };
  const there = await records.read(operator, 'Endpoint', ENDPOINT).catch((fault) => {
    if (fault instanceof Refusal && (fault.status === 404 || fault.status === 410)) return undefined;
    throw fault;
  });
  if (there) return;
  await records.update(operator, target, JSON.stringify(endpointOf(base)));
}
