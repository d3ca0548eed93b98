/** Instances of a study come in: index, ImagingStudy and Patient in one transaction. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ImagingStudy } from 'fhir/r4.js';
import { v7 as uuid } from 'uuid';
import { Refusal, refusal } from '../../fhir/outcome.ts';
import { letGo } from '../../store/imaging/held.ts';
import {
  addDerived,
  addInstances,
  findInstances,
  findStudy,
  type InstanceRow,
  type KnownStudy,
  lockStudy,
  readContents,
  type SeriesContents,
} from '../../store/imaging/rows.ts';
import type { Executor } from '../../store/pool.ts';
import { read } from '../read.ts';
import type { Caller, Entry, Stored } from '../records.ts';
import type { Setting } from '../setting.ts';
import { transaction } from '../transaction/transaction.ts';
import { holdAll } from './held.ts';
import type { Arrival, Arrived, Decided } from './imaging.ts';
import { findByIdentifier, identifierCondition, ofStudy } from './lookups.ts';

/** Thrown where a study has changed between being looked at and being written. */
class Overtaken extends Error {}

/** So often it is tried: others of this process wait for their turn, so only other processes come between. */
const ATTEMPTS = 20;

/** Whom a study is about. */
type Subject =
  | { readonly kind: 'known'; readonly reference: string }
  /** to be made along with it */
  | { readonly kind: 'new' }
  /** nobody that can be told */
  | { readonly kind: 'unclear'; readonly reason: string };

/**
 * Brings them in.
 *
 * @param operator who may look everywhere: whether a study is another patient's is told alike, seen by the sender or not
 * @throws         Refusal 422 where a study is not of the patient that was decided, 410 where somebody else has decided
 */
export async function storeInstances(
  setting: Setting,
  caller: Caller,
  operator: () => Promise<Caller>,
  arrival: Arrival,
  decided?: Decided,
): Promise<readonly Arrived[]> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await setting.callers.asOf(caller, async (current) =>
        attemptOnce(setting, current, await operator(), arrival, decided),
      );
    } catch (fault) {
      if (!isOvertaken(fault) || attempt === ATTEMPTS) throw fault;
      await sleep(Math.random() * 20 * attempt);
    }
  }
}

/** The ImagingStudy has another version than was read, or the index another revision. */
const isOvertaken = (fault: unknown): boolean =>
  fault instanceof Overtaken || (fault instanceof Refusal && (fault.status === 412 || fault.status === 409));

async function attemptOnce(
  setting: Setting,
  caller: Caller,
  operator: Caller,
  arrival: Arrival,
  decided: Decided | undefined,
): Promise<readonly Arrived[]> {
  const { store } = setting;
  const { study } = arrival;
  const instances = new Map<string, InstanceRow>();
  for (const one of arrival.instances) if (!instances.has(one.uid)) instances.set(one.uid, one);
  const known = await findStudy(store.pool, study.uid);
  const same = await findInstances(store.pool, [...instances.keys()]);
  const existing = known
    ? await read(setting, operator, 'ImagingStudy', known.id)
    : // Somebody may have written one before its images came.
      (await findByIdentifier(setting, operator, { type: 'ImagingStudy', ...ofStudy(study.uid) }))[0];
  const subject = decided
    ? decidedSubject(decided, existing)
    : await subjectOf(setting, caller, operator, arrival, known, existing);
  if (subject.kind === 'unclear') return holdAll(setting, caller, operator, arrival, same, subject.reason);

  const results = arrival.instances.map((instance): Arrived => {
    // Of several of one UID in one request the first is it.
    const first = instances.get(instance.uid) as InstanceRow;
    const before =
      same.get(instance.uid) ??
      (first === instance ? undefined : { study: study.uid, sha256: first.blob.sha256 });
    if (!before) return { kind: 'stored' };
    return before.study === study.uid && before.sha256 === instance.blob.sha256
      ? { kind: 'unchanged' }
      : { kind: 'duplicate' };
  });
  const fresh = arrival.instances.filter((_, i) => results[i]?.kind === 'stored');
  if (fresh.length === 0) return results;
  try {
    const held = decided?.held.filter((_, i) => results[i]?.kind === 'stored');
    await write(setting, caller, { arrival, fresh, known, existing, subject, held });
  } catch (fault) {
    if (!(fault instanceof Refusal && FORBIDDEN.has(fault.status))) throw fault;
    return results.map((one) => (one.kind === 'stored' ? { kind: 'forbidden' } : one));
  }
  return results;
}

/** 404 is what a study is that the caller cannot see. */
const FORBIDDEN = new Set([403, 404]);

interface Writing {
  readonly arrival: Arrival;
  /** what is not there yet */
  readonly fresh: readonly InstanceRow[];
  readonly known: KnownStudy | undefined;
  readonly existing: Stored | undefined;
  readonly subject: Exclude<Subject, { kind: 'unclear' }>;
  /** ids by which they were kept apart until now */
  readonly held?: readonly string[] | undefined;
}

async function write(
  setting: Setting,
  caller: Caller,
  { arrival, fresh, known, existing, subject, held }: Writing,
): Promise<void> {
  const { store } = setting;
  const { study, series, patient } = arrival;
  const before = known ? await readContents(store.pool, study.uid) : [];
  const patientUrl = `urn:uuid:${uuid()}`;
  const studyUrl = `urn:uuid:${uuid()}`;
  const subjectReference = subject.kind === 'known' ? subject.reference : patientUrl;
  const resource = arrival.resourceOf({
    ...(existing ? { existing: JSON.parse(existing.content) as ImagingStudy } : {}),
    subject: subjectReference,
    series: together(before, arrival, fresh),
  });
  const entries: Entry[] = [];
  if (subject.kind === 'new' && patient)
    entries.push({
      method: 'POST',
      type: 'Patient',
      fullUrl: patientUrl,
      body: JSON.stringify(patient.resource),
      ifNoneExist: identifierCondition(setting, {
        type: 'Patient',
        system: patient.system,
        value: patient.value,
      }),
    });
  if (existing)
    entries.push({
      method: 'PUT',
      type: 'ImagingStudy',
      id: existing.id,
      ifMatch: existing.version,
      body: JSON.stringify({ ...resource, id: existing.id }),
    });
  else
    entries.push({
      method: 'POST',
      type: 'ImagingStudy',
      fullUrl: studyUrl,
      body: JSON.stringify(resource),
    });
  const uids = new Set(fresh.map(({ uid }) => uid));
  const derived = arrival.derived.filter(
    ({ instance, type }) => uids.has(instance) && caller.access.allows(type, 'c'),
  );
  for (const { type, identifier, make } of derived) {
    const study = existing ? `ImagingStudy/${existing.id}` : studyUrl;
    entries.push({
      method: 'POST',
      type,
      fullUrl: `urn:uuid:${uuid()}`,
      body: JSON.stringify(await make({ subject: subjectReference, study })),
      ifNoneExist: identifierCondition(setting, { type, ...identifier }),
    });
  }
  await transaction(setting, caller, entries, true, {
    async before(executor) {
      await lockStudy(executor, study.uid);
      const now = await findStudy(executor, study.uid);
      if (now?.revision !== known?.revision || now?.rid !== known?.rid) throw new Overtaken();
    },
    async after(executor, created) {
      const rid = known?.rid ?? (await ridOf(setting, executor, created, existing));
      const wanted = series.filter(({ uid }) => fresh.some((one) => one.series === uid));
      if (!(await addInstances(executor, { ...study, rid }, wanted, fresh))) throw new Overtaken();
      await addDerived(
        executor,
        study.uid,
        [...created].flatMap(([name, made]) => (/^(?:Observation|Media)\//.test(name) ? [made] : [])),
      );
      if (held && !(await letGo(executor, held))) throw decidedOtherwise();
    },
  });
}

/** A study that is there is of one patient, and no decision makes it two. */
function decidedSubject(
  { subject }: Decided,
  existing: Stored | undefined,
): Exclude<Subject, { kind: 'unclear' }> {
  const current = existing && (JSON.parse(existing.content) as ImagingStudy).subject.reference;
  if (current !== undefined && current !== subject)
    throw refusal(
      422,
      'business-rule',
      'The study of these instances is here already, about another patient: a study is of one patient, so reject them, and have them sent again in a study of their own',
    );
  return { kind: 'known', reference: subject };
}

const decidedOtherwise = () =>
  refusal(410, 'deleted', 'Somebody else has released or rejected some of these meanwhile: look again');

async function ridOf(
  { store }: Setting,
  executor: Executor,
  created: ReadonlyMap<string, number>,
  existing: Stored | undefined,
): Promise<number> {
  if (!existing) {
    const [, rid] = [...created].find(([name]) => name.startsWith('ImagingStudy/')) ?? [];
    if (rid === undefined) throw new Error('an ImagingStudy was not written');
    return rid;
  }
  const { rows } = await executor.query({
    text: 'select rid from resource where type = $1 and id = $2',
    values: [store.catalog.typeNumber('ImagingStudy'), existing.id],
  });
  return rows[0].rid as number;
}

/** All that a study has, with what comes. */
function together(
  before: readonly SeriesContents[],
  { series }: Arrival,
  fresh: readonly InstanceRow[],
): readonly SeriesContents[] {
  const all = new Map(before.map((one) => [one.uid, { ...one, instances: [...one.instances] }]));
  for (const { uid, attributes } of series)
    if (!all.has(uid)) all.set(uid, { uid, attributes, instances: [] });
  for (const { series: of, uid, class: sopClass, number } of fresh)
    all.get(of)?.instances.push({ uid, class: sopClass, number });
  const filled = [...all.values()].filter(({ instances }) => instances.length > 0);
  for (const { instances } of filled)
    instances.sort((a, b) => (a.number ?? Infinity) - (b.number ?? Infinity) || (a.uid < b.uid ? -1 : 1));
  return filled;
}

/** Whom it is about: of a study that is there its patient, else whoever has the identifier. */
async function subjectOf(
  setting: Setting,
  caller: Caller,
  operator: Caller,
  { study, patient }: Arrival,
  known: KnownStudy | undefined,
  existing: Stored | undefined,
): Promise<Subject> {
  const current = existing && (JSON.parse(existing.content) as ImagingStudy).subject.reference;
  if (known) {
    const isSame = known.patientId === study.patientId && known.issuer === study.issuer;
    return isSame && current ? { kind: 'known', reference: current } : { kind: 'unclear', reason: ANOTHER };
  }
  const matched = await matchPatient(setting, caller, operator, patient);
  // An ImagingStudy that came before its images says whom it is about.
  if (existing && (matched.kind !== 'known' || matched.reference !== current))
    return { kind: 'unclear', reason: ANOTHER };
  return matched;
}

async function matchPatient(
  setting: Setting,
  caller: Caller,
  operator: Caller,
  patient: Arrival['patient'],
): Promise<Subject> {
  if (!patient) {
    // Images that name nobody are of whoever brings in his own.
    const { patient: own } = caller.access;
    return own === undefined
      ? { kind: 'unclear', reason: 'no Patient ID' }
      : { kind: 'known', reference: `Patient/${own}` };
  }
  const found = await findByIdentifier(setting, operator, {
    type: 'Patient',
    system: patient.system,
    value: patient.value,
  });
  if (found.length > 1) return { kind: 'unclear', reason: 'several patients of that ID' };
  const [one] = found;
  return one ? { kind: 'known', reference: `Patient/${one.id}` } : { kind: 'new' };
}

/** Why instances are kept apart whose study is there already, about somebody else. */
const ANOTHER = 'of another patient than their study';
