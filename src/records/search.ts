/** search of a type, of several, of a compartment (R4 http.html#search). */
import { demand } from '../access/access.ts';
import { parseKeepingNumbers } from '../fhir/json.ts';
import { refusal } from '../fhir/outcome.ts';
import { postedIn } from '../search/posted.ts';
import type { Filter, SearchRequest } from '../search/request.ts';
import { widened } from '../search/widen.ts';
import { instantOf } from '../store/pool.ts';
import { cutPage } from '../store/read/page.ts';
import { containerTypes } from '../store/search/contained.ts';
import { snapshotNow } from '../store/search/snapshot.ts';
import type { Included } from '../store/search/versions.ts';
import { demandAnswering } from './answering.ts';
import { checkEpoch } from './callers.ts';
import { followByUrl } from './canonicals.ts';
import { changedPage } from './changed.ts';
import { makeFarEnds } from './far-ends.ts';
import { isIndexed, takeIndexed } from './found.ts';
import { inhabited } from './inhabited.ts';
import { searchMade } from './made.ts';
import { withMade } from './made-ends.ts';
import { makerOf, refuseMade } from './makers.ts';
import type { Found, Part, PartWithin } from './part.ts';
import { demandOwnPatient, permitted } from './permitted.ts';
import {
  type Began,
  changesSince,
  isUnchangedSince,
  type Position,
  readPosition,
  writePosition,
} from './position.ts';
import { provenancesAbout } from './provenances.ts';
import type { Caller, SearchPage, Stored } from './records.ts';
import { seenAmong } from './seen.ts';
import type { ReadSetting } from './setting.ts';
import { takeSorted } from './sorted.ts';
import { withCodes } from './terminology.ts';

export async function search(
  setting: ReadSetting,
  caller: Caller,
  request: SearchRequest,
): Promise<SearchPage> {
  const { store, callers } = setting;
  demandAnswering(setting.definitions, postedIn(request));
  const [only, ...others] = request.types;
  const maker = only !== undefined && others.length === 0 ? makerOf(setting, only) : undefined;
  if (maker && request.contained === undefined) return searchMade(setting, maker, caller, request);
  const position = request.after === undefined ? {} : readPosition(store.catalog, request.after);
  const parts = await inhabited(setting, await partsOf(setting, caller, request));
  const page =
    position.changes === undefined
      ? await matchesPage(setting, request, parts, position)
      : await lastPage(setting, request, parts, position, position.changes);
  // Read along with a page's matches; after a count, and where nothing matches, asked for.
  checkEpoch(caller, page.epoch ?? (await callers.epoch()));
  const { rows, next, previous } = page;
  const total = position.total ?? page.total;
  return {
    entries: rows.map((row) => (row.inner ? innerOf(row, row.inner) : storedOf(row))),
    ...(await include(setting, caller, request, rows)),
    total,
    next: next && writePosition({ ...next, total }),
    previous: previous && writePosition({ ...previous, total }),
  };
}

interface Page {
  readonly rows: readonly Shown[];
  readonly total?: number;
  readonly next?: Position;
  readonly previous?: Position;
  /** where it was read along with the rows */
  readonly epoch?: number;
}

type Shown = Found & { readonly content: string };

/** @throws Refusal 403 unless the caller may search them; of all types, one */
async function partsOf(setting: ReadSetting, caller: Caller, request: SearchRequest): Promise<Part[]> {
  const { access } = caller;
  const { definitions } = setting;
  const { each = [request], ofAllTypes } = request;
  const allowed = ofAllTypes ? each.filter(({ types: [type = ''] }) => access.allows(type, 's')) : each;
  if (allowed.length === 0)
    throw refusal(
      403,
      'forbidden',
      'This access token does not allow to search any type: it needs a scope such as system/*.rs',
    );
  if (!ofAllTypes && each.length > 1)
    for (const { types } of each)
      refuseMade(setting, types, 'are searched by themselves: ask for no other type');
  const codes = withCodes(setting, caller);
  const farEnds = makeFarEnds(setting);
  const parts = await Promise.all(
    allowed.map(async ({ types: [type = ''], filters, sort }): Promise<Part[]> => {
      demand(access, type, 's');
      const coded: Filter[] = [];
      for (const filter of await codes(
        type,
        filters.map((one) => permitted({ definitions, access }, one)),
      ))
        coded.push(setting.trail ? await withMade(setting, caller, farEnds.ends, type, filter) : filter);
      const limits = access.within(type, 's');
      demandOwnPatient(access, filters);
      const within: Part = { type, filters: [], judged: [], sort };
      const asked = { filters: coded, ends: farEnds.ends, shown: request.containedType ?? 'container' };
      if (request.contained === 'true') return [await partWithin(setting, caller, within, asked)];
      const own = await farEnds.resolved(type, [...coded, ...limits]);
      const part = { type, ...widened(setting.definitions, type, own), sort };
      if (request.contained === undefined) return [part];
      return [part, await partWithin(setting, caller, within, { ...asked, beside: part })];
    }),
  );
  return parts.flat();
}

/** The part of contained resources, in what the caller may search. */
async function partWithin(
  { store, definitions }: ReadSetting,
  { access }: Caller,
  part: Part,
  within: Omit<PartWithin, 'containers' | 'limits'>,
): Promise<Part> {
  const types = await containerTypes(store, [part.type], definitions.resourceTypes);
  const containers = [...(types.get(part.type) ?? [])].filter((type) => access.allows(type, 's'));
  return { ...part, within: { ...within, containers, limits: (type) => access.within(type, 's') } };
}

/** A page of matches, as long as they stay as they are. */
async function matchesPage(
  setting: ReadSetting,
  request: SearchRequest,
  parts: readonly Part[],
  { place, back = false, began: beganBefore, total: counted }: Position,
): Promise<Page> {
  const { store } = setting;
  const { count, sort } = request;
  const total = counted === undefined ? request.total : 'none';
  const indexed = count === 0 || isIndexed(sort);
  const single = indexed && parts.length === 1 && parts[0]?.judged.length === 0 && !parts[0].within;
  // One statement tells what it sees; before several it is asked, as their sights differ.
  const early = single || beganBefore || parts.every(isWithin) ? null : await snapshotNow(store.pool);
  const most = count === 0 ? 0 : count + 1;
  const taken = await (indexed ? takeIndexed : takeSorted)(setting, parts, { most, place, back, total });
  const epoch = single && total === 'none' ? taken.rows[0]?.epoch : undefined;
  const page = await cutPage(store.pool, taken.rows, count);
  const more = count > 0 && taken.rows.length > page.length;
  if (back) page.reverse();

  const snapshot = early ?? (single ? taken.rows[0]?.snapshot : undefined);
  const { feedBase: base } = store.catalog;
  const began = beganBefore ?? (snapshot ? { base, snapshot, at: Date.now() } : undefined);
  const isWalk = place !== undefined || back || beganBefore !== undefined;
  if (!isWalk && !more)
    return { rows: page, total: taken.total ?? (count > 0 ? page.length : undefined), epoch };

  const [first, last] = [page[0], page[page.length - 1]];
  let next: Position | undefined;
  if (back || more) next = { began, place: last?.place };
  else if (began) {
    const changes = changesSince(began);
    // Where nothing is left in its place, what has changed follows at once.
    if (!last) return lastPage(setting, request, parts, { began }, changes);
    const whole = parts.filter((part) => !isWithin(part));
    const changed = await changedPage(setting, whole, changes, 1);
    if (changed.page.length > 0 || changed.next) next = { began, changes };
  }
  const hasPrevious = back ? more : place !== undefined;
  return {
    rows: beganBefore ? page.filter(inItsPlace(beganBefore)) : page,
    total: total === 'none' ? undefined : taken.total,
    next,
    previous: hasPrevious && first ? { began, back: true, place: first.place } : undefined,
    epoch,
  };
}

/** What contains something stays where it is: among what has changed only whole resources are looked for. */
const isWithin = ({ within }: Part): boolean => within !== undefined;

function inItsPlace(began: Began): (row: Found) => boolean {
  const isUnchanged = isUnchangedSince(began);
  return (row) => row.within || isUnchanged(row);
}

/** A page of what has changed since the walk began. */
async function lastPage(
  setting: ReadSetting,
  { count }: SearchRequest,
  parts: readonly Part[],
  { began }: Position,
  changes: string,
): Promise<Page> {
  const { page, next } = await changedPage(
    setting,
    parts.filter((part) => !isWithin(part)),
    changes,
    count,
  );
  return {
    rows: page,
    next: next === undefined ? undefined : { began, changes: next },
    previous: { began, back: true },
  };
}

/** A contained resource, with the digits of its numbers. */
function innerOf(row: Shown, { n, type, id }: NonNullable<Found['inner']>): Stored {
  const { contained } = parseKeepingNumbers(row.content) as { contained: readonly unknown[] };
  const content = JSON.stringify(contained[n]);
  return { ...storedOf(row), type, id, content, blob: null, container: { type: row.type, id: row.id } };
}

function storedOf({ rid, type, id, version, updated, content, blob }: Included): Stored {
  return { rid, type, id, version, updated: instantOf(updated), deleted: false, content, blob };
}

/** What a page brings along. */
async function include(
  setting: ReadSetting,
  caller: Caller,
  { includes }: SearchRequest,
  rows: readonly Shown[],
): Promise<Pick<SearchPage, 'included' | 'cut'>> {
  if (includes.length === 0 || rows.length === 0) return { included: [], cut: false };
  const { included, more } = await setting.store.includer.include(rows, includes, {
    mayRead: (type) => caller.access.allows(type, 'r'),
    seen: (found) => seenAmong(setting, caller, 'r', found),
    byUrl: followByUrl(setting),
  });
  const made = setting.trail
    ? await provenancesAbout(setting, caller, includes, { matches: rows, included })
    : [];
  return { included: [...included.map(storedOf), ...made], cut: more };
}
