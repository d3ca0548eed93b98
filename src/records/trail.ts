/**
 * The audit trail as AuditEvents (R4 auditevent.html; IHE Basic Audit Log Patterns): made when they are asked for, found by
 * all parameters of AuditEvent, beside those that clients have posted.
 */
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
import { auditEventOf } from './audit-event.ts';
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
  const stretches = [1, 60, 1440, 43_200, Number.POSITIVE_INFINITY].map((minutes) => now - minutes * 60_000);
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
  const resource = auditEventOf(baseUrl, log, entry);
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
  const { id: _id, ...event } = auditEventOf(setting.baseUrl, log, entry);
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
