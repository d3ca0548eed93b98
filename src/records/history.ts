/** history of an instance, a type and the system (R4 http.html#history). */
import { demand } from '../access/access.ts';
import { invalid, refusal } from '../fhir/outcome.ts';
import { isOfTrail } from '../store/audit/trail.ts';
import { instantOf } from '../store/pool.ts';
import { type HistoryRow, type HistoryWanted, type Position, readHistory } from '../store/read/history.ts';
import { readListed } from '../store/read/listed.ts';
import { cutPage } from '../store/read/page.ts';
import { checkEpoch } from './callers.ts';
import { readMade } from './made.ts';
import { makerOf, refuseMade } from './makers.ts';
import { notFound } from './not-found.ts';
import type { Caller, HistoryPage, HistoryRequest } from './records.ts';
import { newestSeen, numbersSeen, seenAmong } from './seen.ts';
import type { ReadSetting } from './setting.ts';

export async function history(
  setting: ReadSetting,
  caller: Caller,
  request: HistoryRequest,
): Promise<HistoryPage> {
  const { store, callers } = setting;
  const { type, id, count } = request;
  if (type !== undefined && id === undefined)
    refuseMade(setting, [type], 'have one version each, and no history: search them, newest first');
  const maker = type !== undefined && isOfTrail(type, id ?? '') ? makerOf(setting, type) : undefined;
  if (maker && id !== undefined) {
    const made = await readMade(setting, maker, caller, id);
    return { entries: [{ ...made, interaction: 'create' }], total: 1, next: undefined };
  }
  const types = typesOf(setting, caller, request);
  const before = request.after === undefined ? undefined : readPosition(request.after);
  const [rids, total] = await Promise.all([resourcesOf(setting, caller, request), totalOf(setting, request)]);
  if (type !== undefined && id !== undefined) {
    const isSeen =
      !caller.access.limited || (await newestSeen(setting, caller, 'r', [{ type, id }])).size === 1;
    if (total === 0 || rids?.length === 0 || !isSeen) {
      checkEpoch(caller, await callers.epoch());
      throw notFound(type, id);
    }
  }
  const wanted = {
    types: types.map(store.catalog.typeNumber),
    rids,
    since: request.since ?? Number.NEGATIVE_INFINITY,
    from: request.at?.low ?? Number.NEGATIVE_INFINITY,
    to: request.at?.high ?? Number.POSITIVE_INFINITY,
  };
  const letter = id === undefined ? 's' : 'r';
  const { page, hidden, last } = await pageSeen(setting, caller, letter, { ...wanted, before }, count);
  const whole = request.since === undefined && request.at === undefined && request.list === undefined;
  return {
    entries: page.map((row) => ({
      rid: row.rid,
      type: store.catalog.typeName(row.type),
      id: row.id,
      version: row.version,
      updated: instantOf(row.updated),
      deleted: row.deleted,
      content: row.content,
      blob: row.blob,
      interaction: row.deleted ? 'delete' : row.created ? 'create' : 'update',
    })),
    // Of those that one may see it is not told how many others there are.
    total: whole && !hidden ? total : undefined,
    next: last && writePosition(positionOf(last)),
  };
}

/** So many versions are looked at at once where some may be hidden, and so many for one page, which then is short. */
const STRIDE = 200;
const MOST = 20 * STRIDE;

type Row = HistoryRow & { readonly content: string };

/**
 * A page of versions that the caller may see. What is hidden is passed over, so that pages are full, and there is no next one
 * without anything on it.
 *
 * @returns `last` is where the next page goes on
 */
async function pageSeen(
  setting: ReadSetting,
  caller: Caller,
  letter: 'r' | 's',
  wanted: Omit<HistoryWanted, 'count'>,
  count: number,
): Promise<{ readonly page: readonly Row[]; readonly hidden: boolean; readonly last?: Row | undefined }> {
  const { store, callers } = setting;
  const { limited } = caller.access;
  const stride = limited ? Math.max(count, STRIDE) : count;
  const page: Row[] = [];
  for (let { before } = wanted, looked = 0; ; ) {
    const rows = await readHistory(store.pool, { ...wanted, count: stride + 1, before });
    // Read along with the rows; where there are none, asked after.
    checkEpoch(caller, rows[0]?.epoch ?? (await callers.epoch()));
    const read = await cutPage(store.pool, rows, stride);
    page.push(...(await versionsSeen(setting, caller, letter, read)));
    looked += read.length;
    const hidden = page.length < looked;
    if (page.length > count) return { page: page.slice(0, count), hidden, last: page[count - 1] };
    const last = read[read.length - 1];
    if (rows.length === read.length || !last) return { page, hidden };
    if (!limited || looked >= MOST) return { page, hidden, last };
    before = positionOf(last);
  }
}

/** Versions that the caller may see by their own values and by the newest ones; deletions by the latter. */
async function versionsSeen<T extends Row>(
  setting: ReadSetting,
  caller: Caller,
  letter: 'r' | 's',
  rows: readonly T[],
): Promise<readonly T[]> {
  const { access } = caller;
  if (!access.limited) return rows;
  const { catalog } = setting.store;
  const named = rows.map((row) => ({ row, ...row, type: catalog.typeName(row.type) }));
  const newest = await numbersSeen(setting, caller, letter, [...new Set(rows.map(({ rid }) => rid))]);
  const current = named.filter(({ rid }) => newest.has(rid));
  const seen = new Set(
    await seenAmong(
      setting,
      caller,
      letter,
      current.filter(({ deleted }) => !deleted),
    ),
  );
  return current.filter((one) => one.deleted || seen.has(one)).map(({ row }) => row);
}

function typesOf(
  { definitions }: ReadSetting,
  { access }: Caller,
  { type, id }: HistoryRequest,
): readonly string[] {
  if (type !== undefined) {
    demand(access, type, id === undefined ? 's' : 'r');
    return [type];
  }
  const types = definitions.resourceTypes.filter((each) => access.allows(each, 's'));
  if (types.length === 0)
    throw refusal(
      403,
      'forbidden',
      'This access token does not allow to search any type: it needs a scope such as system/*.rs',
    );
  return types;
}

/** The numbers of the resources that the history is limited to. */
async function resourcesOf(
  setting: ReadSetting,
  caller: Caller,
  { type, id, list }: HistoryRequest,
): Promise<readonly number[] | undefined> {
  const { store } = setting;
  const { access } = caller;
  let rids: number[] | undefined;
  if (type !== undefined && id !== undefined)
    rids = (await store.numbers.find([{ type, id }])).filter((rid) => rid !== undefined);
  if (list === undefined) return rids;
  demand(access, 'List', 'r');
  const isSeen =
    !access.limited || (await newestSeen(setting, caller, 'r', [{ type: 'List', id: list }])).size === 1;
  if (!isSeen) return [];
  const listed = new Set(await readListed(store.pool, { type: store.catalog.typeNumber('List'), id: list }));
  return rids ? rids.filter((rid) => listed.has(rid)) : [...listed];
}

/** Versions are numbered without gaps, so the newest number is how many there are. */
async function totalOf({ store }: ReadSetting, { type, id }: HistoryRequest): Promise<number | undefined> {
  if (type === undefined || id === undefined) return undefined;
  return (await store.read({ type: store.catalog.typeNumber(type), id })).version;
}

const positionOf = ({ updated, rid, version }: Row): Position => ({
  updated: Date.parse(instantOf(updated)),
  rid,
  version,
});

const writePosition = ({ updated, rid, version }: Position): string => `${updated}-${rid}-${version}`;

/** @throws Refusal 400 where it is none of ours */
function readPosition(text: string): Position {
  const found = /^(\d{1,15})-(\d{1,16})-(\d{1,9})$/.exec(text);
  if (!found) throw invalid('value', 'This page link is damaged: begin again with the first page');
  return { updated: Number(found[1]), rid: Number(found[2]), version: Number(found[3]) };
}
