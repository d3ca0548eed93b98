/** Instances of a study come in: index, ImagingStudy and Patient in one transaction. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ImagingStudy, Task } from 'fhir/r4.js';
import { v7 as uuid } from 'uuid';
import { readIncoming } from '../../fhir/content.ts';
import { Refusal } from '../../fhir/outcome.ts';
import { type Condition, parseCondition } from '../../search/condition.ts';
import { parseSearch } from '../../search/parse.ts';
import {
  addInstances,
  findInstances,
  findStudy,
  hold,
  type InstanceRow,
  type KnownStudy,
  lockStudy,
  readContents,
  type SeriesContents,
} from '../../store/imaging/rows.ts';
import type { Executor } from '../../store/pool.ts';
import { read } from '../read.ts';
import type { Caller, Entry, Stored } from '../records.ts';
import { search } from '../search.ts';
import type { Setting } from '../setting.ts';
import { transaction } from '../transaction/transaction.ts';
import { create } from '../write.ts';
import { type Arrival, type Arrived, DICOM_UID } from './imaging.ts';

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
 */
export async function storeInstances(
  setting: Setting,
  caller: Caller,
  operator: () => Promise<Caller>,
  arrival: Arrival,
): Promise<readonly Arrived[]> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await setting.callers.asOf(caller, async (current) =>
        attemptOnce(setting, current, await operator(), arrival),
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
): Promise<readonly Arrived[]> {
  const { store } = setting;
  const { study } = arrival;
  const instances = new Map<string, InstanceRow>();
  for (const one of arrival.instances) if (!instances.has(one.uid)) instances.set(one.uid, one);
  const known = await findStudy(store.pool, study.uid);
  const same = await findInstances(store.pool, [...instances.keys()]);
  const existing = known
    ? await read(setting, operator, 'ImagingStudy', known.id)
    : await findImagingStudy(setting, operator, study.uid);
  const subject = await subjectOf(setting, caller, operator, arrival, known, existing);
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
    await write(setting, caller, { arrival, fresh, known, existing, subject });
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
}

async function write(
  setting: Setting,
  caller: Caller,
  { arrival, fresh, known, existing, subject }: Writing,
): Promise<void> {
  const { store } = setting;
  const { study, series, patient } = arrival;
  const before = known ? await readContents(store.pool, study.uid) : [];
  const patientUrl = `urn:uuid:${uuid()}`;
  const resource = arrival.resourceOf({
    ...(existing ? { existing: JSON.parse(existing.content) as ImagingStudy } : {}),
    subject: subject.kind === 'known' ? subject.reference : patientUrl,
    series: together(before, arrival, fresh),
  });
  const entries: Entry[] = [];
  if (subject.kind === 'new' && patient)
    entries.push({
      method: 'POST',
      type: 'Patient',
      fullUrl: patientUrl,
      body: JSON.stringify(patient.resource),
      ifNoneExist: identifierCondition(setting, 'Patient', patient.system, patient.value),
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
      fullUrl: `urn:uuid:${uuid()}`,
      body: JSON.stringify(resource),
    });
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
    },
  });
}

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
  const found = await findByIdentifier(setting, operator, 'Patient', patient.system, patient.value);
  if (found.length > 1) return { kind: 'unclear', reason: 'several patients of that ID' };
  const [one] = found;
  return one ? { kind: 'known', reference: `Patient/${one.id}` } : { kind: 'new' };
}

/** An ImagingStudy that somebody has written before its images came. */
async function findImagingStudy(
  setting: Setting,
  operator: Caller,
  uid: string,
): Promise<Stored | undefined> {
  const found = await findByIdentifier(setting, operator, 'ImagingStudy', DICOM_UID, `urn:oid:${uid}`);
  return found[0];
}

async function findByIdentifier(
  setting: Setting,
  operator: Caller,
  type: string,
  system: string,
  value: string,
): Promise<readonly Stored[]> {
  const parameters = [
    ['identifier', `${escaped(system)}|${escaped(value)}`],
    ['_count', '2'],
    ['_total', 'none'],
  ] as const;
  const request = parseSearch(setting.definitions, type, parameters, setting.baseUrl);
  return (await search(setting, operator, request)).entries;
}

const escaped = (text: string): string => text.replace(/[\\$,|]/g, '\\$&');

function identifierCondition(
  { definitions, baseUrl }: Setting,
  type: string,
  system: string,
  value: string,
): Condition {
  const query = new URLSearchParams([['identifier', `${escaped(system)}|${escaped(value)}`]]);
  return parseCondition(definitions, type, query.toString(), baseUrl);
}

/** Why instances are kept apart whose study is there already, about somebody else. */
const ANOTHER = 'of another patient than their study';

/** Keeps instances apart, once each, and asks for a review. */
async function holdAll(
  setting: Setting,
  caller: Caller,
  operator: Caller,
  { study, instances }: Arrival,
  same: Awaited<ReturnType<typeof findInstances>>,
  reason: string,
): Promise<readonly Arrived[]> {
  let held = 0;
  for (const { uid, blob } of instances) {
    if (same.get(uid)?.sha256 === blob.sha256) continue;
    const row = { id: uuid(), agent: caller.agent, reason, uid, study: study.uid, blob };
    if (await hold(setting.store.pool, row)) held++;
  }
  if (held > 0) {
    const body = JSON.stringify(review(study.uid, reason));
    await create(setting, operator, 'Task', readIncoming(body));
  }
  return instances.map(() => ({ kind: 'held' }));
}

/** What the organization is asked to look at; it says nothing of the patient, as it is not known who that is. */
function review(study: string, reason: string): Task {
  return {
    resourceType: 'Task',
    identifier: [{ system: DICOM_UID, value: `urn:oid:${study}` }],
    status: 'requested',
    intent: 'order',
    code: { text: 'Review of DICOM instances that were kept apart' },
    description: `Instances were brought in that cannot be assigned: ${reason}`,
    authoredOn: new Date().toISOString(),
  };
}
