/**
 * What apps and systems have written as Provenances (R4 provenance.html), one for each request: made of the change feed when
 * they are asked for, so that they cost the writes nothing. They are seen by whoever may read what they are about, and name
 * nothing else.
 */
import type { Provenance, ProvenanceAgent } from 'fhir/r4.js';
import type { Filter, Include } from '../search/request.ts';
import {
  placesByTime,
  transactionsOf,
  type Writing,
  type WritingPlace,
  type WrittenVersion,
  writingsOf,
} from '../store/audit/writes.ts';
import { instantOf } from '../store/pool.ts';
import { newBudget, spend } from './judge.ts';
import { boundsIn, type Made, type Maker, passesMade, patientsIn, storedAs, stretches } from './made.ts';
import type { Caller, Stored } from './records.ts';
import { newestSeen } from './seen.ts';
import type { ReadSetting } from './setting.ts';

const TYPE = 'Provenance';
/** Of these nobody asks who wrote them. */
const UNTOLD = ['Provenance', 'AuditEvent'];
/** So many are read at a time. */
const STRIDE = 200;

export interface Provenances extends Maker {
  /** Those about some resources, by their numbers, that pass. */
  about(caller: Caller, rids: readonly number[], filters: readonly Filter[]): AsyncGenerator<Made>;
}

export function provenances(setting: ReadSetting): Provenances {
  const { catalog, pool } = setting.store;
  const untold = UNTOLD.map(catalog.typeNumber);

  async function one(caller: Caller, id: string): Promise<Stored | undefined> {
    const tx = Number(id.split('-')[1]);
    const writing = (await writingsOf(pool, [tx], untold)).find((each) => idOf(each) === id);
    return writing && shownOf(writing, await seenOf(caller, [writing]), caller.access.within(TYPE, 'r'));
  }

  /** What a caller may read of what was written, by `Type/id`. */
  async function seenOf(caller: Caller, writings: readonly Writing[]): Promise<ReadonlySet<string>> {
    const { access } = caller;
    const versions = writings.flatMap((one) => one.versions).filter(({ type }) => access.allows(type, 'r'));
    if (!access.limited) return new Set(versions.map(({ type, id }) => `${type}/${id}`));
    return new Set((await newestSeen(setting, caller, 'r', versions)).keys());
  }

  /** As far as the caller may see it; undefined where that is nothing, or it does not pass. */
  function shownOf(
    writing: Writing,
    seen: ReadonlySet<string>,
    filters: readonly Filter[],
  ): Stored | undefined {
    const { versions } = writing;
    const shown = versions.filter(({ type, id }) => seen.has(`${type}/${id}`));
    if (shown.length === 0) return undefined;
    const resource = provenanceOf({ ...writing, versions: shown }, idOf(writing));
    if (!passes(setting, resource, shown, filters)) return undefined;
    return storedAs(resource, resource.recorded);
  }

  /** Of writings, those that pass and come after a place, newest first. */
  async function* passing(
    caller: Caller,
    writings: readonly Writing[],
    filters: readonly Filter[],
    isNext: (place: WritingPlace) => boolean,
  ): AsyncGenerator<Made> {
    const placed = writings.map((writing) => ({ writing, place: placeOf(writing) }));
    placed.sort((one, other) => -compare(one.place, other.place));
    for (const some of inBatches(placed.filter(({ place }) => isNext(place)))) {
      const seen = await seenOf(
        caller,
        some.map(({ writing }) => writing),
      );
      for (const { writing, place } of some) {
        const stored = shownOf(writing, seen, filters);
        if (stored) yield { at: place[0], stored, place };
      }
    }
  }

  async function* ofTargets(
    caller: Caller,
    rids: readonly number[],
    filters: readonly Filter[],
    from: WritingPlace | undefined,
  ): AsyncGenerator<Made> {
    const budget = newBudget();
    const known = new Set<number>();
    for (let upTo = from?.[0] ?? 'infinity'; ; ) {
      const found = await transactionsOf(pool, rids, upTo, STRIDE);
      spend(budget, found.length);
      const fresh = found.filter(({ tx }) => !known.has(tx));
      for (const { tx } of fresh) known.add(tx);
      const writings = await writingsOf(
        pool,
        fresh.map(({ tx }) => tx),
        untold,
      );
      const wanted = writings.filter(({ versions }) => versions.some(({ rid }) => rids.includes(rid)));
      yield* passing(caller, wanted, filters, (place) => !from || compare(place, from) < 0);
      if (found.length < STRIDE || fresh.length === 0) return;
      upTo = found.at(-1)?.at as string;
    }
  }

  async function* all(
    caller: Caller,
    filters: readonly Filter[],
    from: WritingPlace | undefined,
  ): AsyncGenerator<Made> {
    const targets = await targetsIn(setting, filters);
    if (targets) return yield* ofTargets(caller, targets, filters, from);
    const patients = await patientsIn(setting, filters);
    const budget = newBudget();
    for (const bounds of stretches(boundsIn(filters, 'recorded')))
      for (let before = from; ; ) {
        const places = await placesByTime(pool, { patients, ...bounds, before, untold }, STRIDE);
        spend(budget, places.length);
        const transactions = [...new Set(places.map(([, tx]) => tx))];
        const writings = await writingsOf(pool, transactions, untold);
        // Each comes with the newest that it has written.
        const here = new Set(places.map(String));
        yield* passing(caller, writings, filters, (place) => here.has(String(place)));
        before = places.at(-1) ?? before;
        if (places.length < STRIDE) break;
      }
  }

  return {
    type: TYPE,
    one,
    about: (caller, rids, filters) => ofTargets(caller, rids, filters, undefined),
    all: (caller, filters, from) => all(caller, filters, from as WritingPlace | undefined),
  };
}

/** Contents of about so many resources are looked at together. */
const LOOKED_AT = 500;

function* inBatches<T extends { readonly writing: Writing }>(all: readonly T[]): Generator<readonly T[]> {
  let batch: T[] = [];
  let versions = 0;
  for (const one of all) {
    batch.push(one);
    versions += one.writing.versions.length;
    if (versions < LOOKED_AT) continue;
    yield batch;
    batch = [];
    versions = 0;
  }
  if (batch.length > 0) yield batch;
}

/** So many are brought along at most. */
const MOST = 1000;

/**
 * Those about what is on a page, where they are to be included: of the matches (_revinclude=Provenance:target), and of what is
 * included itself (_revinclude:iterate).
 */
export async function provenancesAbout(
  setting: ReadSetting,
  caller: Caller,
  includes: readonly Include[],
  page: Readonly<Record<'matches' | 'included', readonly { readonly rid: number; readonly type: string }[]>>,
): Promise<readonly Stored[]> {
  const { access } = caller;
  const asked = includes.filter(
    ({ reverse, source, parameter }) =>
      reverse &&
      (source === TYPE || source === '*') &&
      (parameter === undefined || parameter.code === 'target'),
  );
  if (asked.length === 0) return [];
  const about = asked.some(({ iterate }) => iterate) ? [...page.matches, ...page.included] : page.matches;
  const rids = about
    .filter(({ type }) => asked.some(({ target }) => target === undefined || target === type))
    .map(({ rid }) => rid);
  if (rids.length === 0 || !access.allows(TYPE, 'r')) return [];
  const found: Stored[] = [];
  for await (const { stored } of provenances(setting).about(caller, rids, access.within(TYPE, 'r'))) {
    if (found.length === MOST) break;
    found.push(stored);
  }
  return found;
}

const first = ({ versions }: Writing): WrittenVersion => versions[0] as WrittenVersion;

function idOf(writing: Writing): string {
  const { tx, rid, version } = first(writing);
  return `w-${tx}-${rid}-${version}`;
}

/** Of the newest that was written. */
const placeOf = ({ versions }: Writing): WritingPlace =>
  versions
    .map(({ at, tx, rid, version }): WritingPlace => [at, tx, rid, version])
    .reduce((newest, place) => (compare(place, newest) > 0 ? place : newest));

function compare(one: WritingPlace, other: WritingPlace): number {
  const [at, ...numbers] = one;
  const [otherAt, ...others] = other;
  // PostgreSQL's texts of time stamps compare as the times do: '+' comes before '.', and that before digits.
  if (at !== otherAt) return at < otherAt ? -1 : 1;
  for (const [i, number] of numbers.entries()) {
    const difference = number - (others[i] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Numbers of the resources that are asked about, where a search says so. */
async function targetsIn(
  { store }: ReadSetting,
  filters: readonly Filter[],
): Promise<readonly number[] | undefined> {
  for (const filter of filters) {
    if (filter.kind !== 'reference' || filter.parameter.code !== 'target') continue;
    const names = filter.values.flatMap((value) => (value.kind === 'local' ? [value] : []));
    if (names.length < filter.values.length || names.some(({ type }) => type === undefined)) return undefined;
    const rids = await store.numbers.find(names.map(({ type, id }) => ({ type: type as string, id })));
    return rids.filter((rid) => rid !== undefined);
  }
  return undefined;
}

/**
 * By its own values; but that the patients whom what was written is about are those of the Provenance, too, though it only
 * names the resources.
 */
function passes(
  setting: ReadSetting,
  resource: Provenance,
  versions: readonly WrittenVersion[],
  filters: readonly Filter[],
): boolean {
  if (filters.length === 0) return true;
  const { store, baseUrl } = setting;
  const patients = new Set(versions.flatMap((one) => one.patients));
  const more = [...patients].map((id) => ({ reference: `Patient/${id}` }));
  const own = store.indexer.analyse(resource, baseUrl);
  const withPatients: Provenance = { ...resource, target: [...resource.target, ...more] };
  const ofPatients = store.indexer
    .analyse(withPatients, baseUrl)
    .extracted.filter(({ parameter }) => parameter.code === 'patient');
  const extracted = [...own.extracted, ...ofPatients];
  return passesMade(setting, filters, { resource, extracted }, resource.recorded);
}

const TERMINOLOGY = 'http://terminology.hl7.org/CodeSystem/';
const ACTIVITIES = { c: 'CREATE', u: 'UPDATE', d: 'DELETE' } as const;

function provenanceOf({ versions, client, fhirUser }: Writing, id: string): Provenance {
  const [activity, ...others] = new Set(versions.map(({ interaction }) => ACTIVITIES[interaction]));
  const as = (code: string) => ({ coding: [{ system: `${TERMINOLOGY}provenance-participant-type`, code }] });
  const agents: ProvenanceAgent[] = [];
  if (fhirUser !== null) agents.push({ type: as('author'), who: { reference: fhirUser } });
  const name = client ?? 'unknown';
  agents.push({ type: as('transmitter'), who: { identifier: { value: name }, display: name } });
  return {
    resourceType: TYPE,
    id,
    target: versions.map((one) => ({ reference: `${one.type}/${one.id}/_history/${one.version}` })),
    recorded: instantOf(placeOf({ versions, client, fhirUser })[0]),
    ...(activity !== undefined && others.length === 0
      ? { activity: { coding: [{ system: `${TERMINOLOGY}v3-DataOperation`, code: activity }] } }
      : {}),
    agent: agents,
  };
}
