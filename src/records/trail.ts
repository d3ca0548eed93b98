/**
 * The audit trail as AuditEvents (R4 auditevent.html; IHE Basic Audit Log Patterns): made when they are asked for, found by
 * all parameters of AuditEvent, beside those that clients have posted.
 */
import type { AuditEvent, AuditEventAgent, AuditEventEntity } from 'fhir/r4.js';
import { demand } from '../access/access.ts';
import { invalid } from '../fhir/outcome.ts';
import { innerOf, withInner } from '../search/inner.ts';
import { matches } from '../search/match.ts';
import type { Filter, ReferenceValue, SearchRequest } from '../search/request.ts';
import { widened } from '../search/widen.ts';
import type { AuditLog } from '../store/audit/log.ts';
import { type Entry, type Place, readEntry, readTrail } from '../store/audit/trail.ts';
import { instantOf } from '../store/pool.ts';
import { timestampText } from '../store/read/history.ts';
import { cutPage } from '../store/read/page.ts';
import { boundsOf } from '../store/search/dates.ts';
import { checkEpoch } from './callers.ts';
import type { Ends } from './contained.ts';
import { makeFarEnds } from './far-ends.ts';
import { compareTimes, takeIndexed } from './found.ts';
import { newBudget, passingAt, spend } from './judge.ts';
import { notFound } from './not-found.ts';
import { demandOwnPatient, permitted } from './permitted.ts';
import type { Place as RecordPlace } from './position.ts';
import type { Caller, SearchPage, Stored } from './records.ts';
import type { ReadSetting } from './setting.ts';
import { withCodes } from './terminology.ts';

/** So many are read at a time. */
const STRIDE = 200;

/** What opens the queries of entries. */
export type Opening = Pick<AuditLog, 'open'>;

/** @throws Refusal 404 */
export async function readOfTrail(
  setting: ReadSetting,
  log: Opening,
  caller: Caller,
  id: string,
): Promise<Stored> {
  demand(caller.access, 'AuditEvent', 'r');
  const entry = await readEntry(setting.store.pool, id);
  checkEpoch(caller, await setting.callers.epoch());
  if (!entry || !passes(setting, log, entry, caller.access.within('AuditEvent', 'r')))
    throw notFound('AuditEvent', id);
  return storedOf(setting, log, entry);
}

/** Searches AuditEvents, newest first: those made of the trail, and those that were posted. */
export async function searchTrail(
  setting: ReadSetting,
  log: Opening,
  caller: Caller,
  request: SearchRequest,
): Promise<SearchPage> {
  const { access } = caller;
  demand(access, 'AuditEvent', 's');
  demandPlain(request);
  demandOwnPatient(access, request.filters);
  const { definitions } = setting;
  const allowed = request.filters.map((filter) => permitted({ definitions, access }, filter));
  const filters = [
    ...(await withCodes(setting, caller)('AuditEvent', allowed)),
    ...access.within('AuditEvent', 's'),
  ];
  const farEnds = makeFarEnds(setting);
  const plain: Filter[] = [];
  for (const filter of filters) plain.push(await withoutChains(setting, farEnds.ends, filter));
  const { count, total: counting } = request;
  const { made, posted } = readPlaces(request.after);
  // Told on the first page.
  const isCounted = request.after === undefined && (count === 0 || counting !== 'none');
  const own: Found[] = [];
  let total = 0;
  for await (const found of entriesOf(setting, log, plain, made)) {
    total++;
    if (own.length <= count) own.push(found);
    if (own.length > count && !isCounted) break;
  }
  const part = {
    type: 'AuditEvent',
    ...widened(definitions, 'AuditEvent', await farEnds.resolved('AuditEvent', filters)),
    sort: NEWEST,
  };
  const taken = await takeIndexed(setting, [part], {
    most: count === 0 ? 0 : count + 1,
    place: posted,
    back: false,
    total: isCounted ? 'accurate' : 'none',
  });
  checkEpoch(caller, await setting.callers.epoch());
  const page = await cutPage(setting.store.pool, taken.rows, count + 1);
  const others = page.map(
    (row): Found => ({
      at: row.at,
      stored: { ...row, updated: instantOf(row.updated), deleted: false },
      theirs: row.place,
    }),
  );
  const merged = [...own, ...others]
    .sort((one, other) => -compareTimes(one.at, other.at, true))
    .slice(0, count);
  const more = own.length + others.length > merged.length;
  const lastOwn = merged.findLast((one) => one.place)?.place ?? made;
  const lastOther = merged.findLast((one) => one.theirs)?.theirs ?? posted;
  return {
    entries: merged.map(({ stored }) => stored),
    included: [],
    cut: false,
    total: isCounted ? total + (taken.total ?? 0) : undefined,
    next: more && count > 0 ? writePlaces(lastOwn, lastOther) : undefined,
  };
}

interface Found {
  readonly at: string;
  readonly stored: Stored;
  /** of an entry of the trail */
  readonly place?: Place;
  /** of a posted one */
  readonly theirs?: RecordPlace;
}

const NEWEST = [{ by: 'date', descending: true }] as const;

/** @throws Refusal 400 for what cannot be asked of the trail: nothing of it is left out unsaid */
function demandPlain({ sort, includes }: SearchRequest): void {
  const refuse = (what: string): never => {
    throw invalid('not-supported', `AuditEvents of this server's own trail ${what}`);
  };
  if (includes.length > 0) refuse('bring nothing along: leave _include and _revinclude out');
  const [key, ...others] = sort;
  const isByDate =
    key === undefined ||
    (key.descending && (key.by === 'date' || key.by === '_lastUpdated' || isOfDate(key)));
  if (!isByDate || others.length > 0) refuse('come newest first: _sort takes -date only');
}

const isOfDate = (key: SearchRequest['sort'][number]): boolean =>
  key.by === 'parameter' && key.parameter.code === 'date';

/** A filter with the references that its chains lead to in their place, as each entry is judged by itself. */
async function withoutChains(setting: ReadSetting, ends: Ends, filter: Filter): Promise<Filter> {
  if (filter.kind === 'chain') {
    const budget = newBudget();
    const values: ReferenceValue[] = [];
    for (const { type, filter: end } of filter.targets)
      for await (const stride of passingAt(setting, type, await ends.at(type, end), budget))
        for (const { id } of stride) values.push({ kind: 'local', type, id });
    return { kind: 'reference', parameter: filter.parameter, values };
  }
  const inner = new Map<Filter, Filter>();
  for (const one of innerOf(filter)) inner.set(one, await withoutChains(setting, ends, one));
  return withInner(filter, (one) => inner.get(one) ?? one);
}

/** Entries that pass, newest first. */
async function* entriesOf(
  setting: ReadSetting,
  log: Opening,
  filters: readonly Filter[],
  from: Place | undefined,
): AsyncGenerator<Found> {
  const { store } = setting;
  const budget = newBudget();
  const patients = await patientsIn(setting, filters);
  const bounds = filters.reduce(
    ({ low, high }, filter) => {
      if (filter.kind !== 'date' || filter.parameter.code !== 'date') return { low, high };
      const { from: least, to: most } = boundsOf(filter.values);
      return { low: Math.max(low, least), high: Math.min(high, most) };
    },
    { low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY },
  );
  // The trail is in no order but that in which it came: it is looked through from now on backwards, in growing stretches.
  const now = Date.now() + 60_000;
  const stretches = [1, 30, Number.POSITIVE_INFINITY].map((days) => now - days * 86_400_000);
  let to = bounds.high;
  for (const begin of stretches) {
    const low = Math.max(begin, bounds.low);
    if (low >= to) continue;
    for (let before = from; ; ) {
      const rows = await readTrail(store.pool, {
        patients,
        from: timestampText(low),
        to: timestampText(to),
        before,
        count: STRIDE,
      });
      spend(budget, rows.length);
      for (const { entry, place } of rows)
        if (passes(setting, log, entry, filters))
          yield { at: entry.at, stored: storedOf(setting, log, entry), place };
      before = rows.at(-1)?.place;
      if (rows.length < STRIDE) break;
    }
    to = low;
  }
}

/** Numbers of the patients whom a search is about, where it says so. */
async function patientsIn(
  { store }: ReadSetting,
  filters: readonly Filter[],
): Promise<readonly number[] | undefined> {
  for (const filter of filters) {
    if (filter.kind === 'patients') return [...filter.patients.values()];
    const ids =
      filter.kind === 'compartment'
        ? [filter.id]
        : filter.kind === 'reference' && filter.parameter.code === 'patient'
          ? filter.values.flatMap((value) => (value.kind === 'local' ? value.id : []))
          : undefined;
    if (!ids) continue;
    const rids = await store.numbers.find(ids.map((id) => ({ type: 'Patient', id })));
    return rids.filter((rid) => rid !== undefined);
  }
  return undefined;
}

function passes(setting: ReadSetting, log: Opening, entry: Entry, filters: readonly Filter[]): boolean {
  if (filters.length === 0) return true;
  const { store, baseUrl, definitions } = setting;
  const resource = eventOf(setting, log, entry);
  const { extracted: values } = store.indexer.analyse(resource, baseUrl);
  const { isResourceType } = definitions;
  const updated = Date.parse(instantOf(entry.at));
  return matches(filters, {
    type: 'AuditEvent',
    id: entry.id,
    updated,
    values,
    resource,
    baseUrl,
    isResourceType,
    // Nothing lists an entry, or refers to it.
    joined: () => false,
  });
}

function storedOf(setting: ReadSetting, log: Opening, entry: Entry): Stored {
  const { id: _id, ...event } = eventOf(setting, log, entry);
  const updated = instantOf(entry.at);
  return {
    type: 'AuditEvent',
    id: entry.id,
    version: 1,
    updated,
    deleted: false,
    content: JSON.stringify(event),
    blob: null,
  };
}

const RESTFUL = 'http://hl7.org/fhir/restful-interaction';
const DICOM = 'http://dicom.nema.org/resources/ontology/DCM';

/** The interaction (restful-interaction), and the code of AuditEvent.action. */
const ACTIONS: Readonly<Record<string, readonly [interaction: string, action: AuditEvent['action']]>> = {
  r: ['read', 'R'],
  v: ['vread', 'R'],
  s: ['search', 'E'],
  h: ['history', 'R'],
  e: ['operation', 'E'],
  d: ['operation', 'E'],
  g: ['operation', 'E'],
  c: ['create', 'C'],
  u: ['update', 'U'],
};

function eventOf({ baseUrl }: ReadSetting, log: Opening, entry: Entry): AuditEvent {
  const { action, client, fhirUser, purpose, status, type, resource, version, patients, query, found } =
    entry;
  if (action === 'l') return signIn(entry, log, baseUrl);
  // A write's d is a deletion, an access's d a document.
  const [interaction, code] =
    entry.id.startsWith('w') && action === 'd'
      ? (['delete', 'D'] as const)
      : (ACTIONS[action] ?? ['read', 'R']);
  const agents: AuditEventAgent[] = [
    {
      type: { coding: [{ system: DICOM, code: '110153', display: 'Source Role ID' }] },
      who: { identifier: { value: client ?? 'command line' }, display: client ?? 'command line' },
      requestor: fhirUser === null,
    },
  ];
  if (fhirUser !== null)
    agents.push({
      type: {
        coding: [{ system: 'http://terminology.hl7.org/CodeSystem/v3-ParticipationType', code: 'IRCP' }],
      },
      who: { reference: fhirUser },
      requestor: true,
    });
  const entities: AuditEventEntity[] = patients.map((id) => ({
    what: { reference: `Patient/${id}` },
    type: { system: 'http://terminology.hl7.org/CodeSystem/audit-entity-type', code: '1', display: 'Person' },
    role: { system: 'http://terminology.hl7.org/CodeSystem/object-role', code: '1', display: 'Patient' },
  }));
  if (type !== null && resource !== null && !(type === 'Patient' && patients.includes(resource)))
    entities.push({
      what: { reference: `${type}/${resource}${version === null ? '' : `/_history/${version}`}` },
      type: {
        system: 'http://terminology.hl7.org/CodeSystem/audit-entity-type',
        code: '2',
        display: 'System Object',
      },
      role: {
        system: 'http://terminology.hl7.org/CodeSystem/object-role',
        code: '4',
        display: 'Domain Resource',
      },
    });
  if (query !== null)
    entities.push({
      type: {
        system: 'http://terminology.hl7.org/CodeSystem/audit-entity-type',
        code: '2',
        display: 'System Object',
      },
      role: { system: 'http://terminology.hl7.org/CodeSystem/object-role', code: '24', display: 'Query' },
      query: Buffer.from(log.open(query)).toString('base64'),
      detail: [{ type: 'found', valueString: String(found) }],
    });
  return {
    resourceType: 'AuditEvent',
    id: entry.id,
    type: {
      system: 'http://terminology.hl7.org/CodeSystem/audit-event-type',
      code: 'rest',
      display: 'RESTful Operation',
    },
    subtype: [{ system: RESTFUL, code: interaction }],
    action: code as AuditEvent['action'],
    recorded: instantOf(entry.at),
    outcome: status < 400 ? '0' : '4',
    ...(status < 400 ? {} : { outcomeDesc: String(status) }),
    ...(purpose === null
      ? {}
      : {
          purposeOfEvent: [
            { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/v3-ActReason', code: purpose }] },
          ],
        }),
    agent: agents,
    source: {
      observer: { display: baseUrl },
      type: [
        {
          system: 'http://terminology.hl7.org/CodeSystem/security-source-type',
          code: '4',
          display: 'Application Server',
        },
      ],
    },
    ...(entities.length > 0 ? { entity: entities } : {}),
  };
}

/** Somebody who has signed in, or tried to (IHE Basic Audit Log Patterns, user authentication). */
function signIn({ id, at, status, fhirUser, query }: Entry, log: Opening, baseUrl: string): AuditEvent {
  const name = query === null ? undefined : log.open(query);
  return {
    resourceType: 'AuditEvent',
    id,
    type: { system: DICOM, code: '110114', display: 'User Authentication' },
    subtype: [{ system: DICOM, code: '110122', display: 'Login' }],
    action: 'E',
    recorded: instantOf(at),
    outcome: status < 400 ? '0' : '4',
    agent: [
      {
        who: fhirUser === null ? { identifier: { value: name ?? '' } } : { reference: fhirUser },
        ...(name ? { altId: name } : {}),
        requestor: true,
      },
    ],
    source: { observer: { display: baseUrl } },
  };
}

const writePlaces = (made: Place | undefined, posted: RecordPlace | undefined): string =>
  Buffer.from(JSON.stringify([made ?? null, posted ?? null])).toString('base64url');

function readPlaces(after: string | undefined): { readonly made?: Place; readonly posted?: RecordPlace } {
  if (after === undefined) return {};
  try {
    const [made, posted] = JSON.parse(Buffer.from(after, 'base64url').toString()) as [
      Place | null,
      RecordPlace | null,
    ];
    return { ...(made ? { made } : {}), ...(posted ? { posted } : {}) };
  } catch {
    throw invalid('value', 'This page link is damaged: begin again with the first page');
  }
}
