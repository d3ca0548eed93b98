/** history of an instance, a type and the system (R4 http.html#history). */
import { demand } from '../access/access.ts';
import { invalid, refusal } from '../fhir/outcome.ts';
import { instantOf } from '../store/pool.ts';
import { type HistoryRow, type Position, readHistory } from '../store/read/history.ts';
import { readListed } from '../store/read/listed.ts';
import { cutPage } from '../store/read/page.ts';
import { checkEpoch } from './callers.ts';
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
  const rows = await readHistory(store.pool, { ...wanted, count: count + 1, before });
  // Read along with the last of what is shown; where nothing is, asked after.
  checkEpoch(caller, rows[0]?.epoch ?? (await callers.epoch()));
  const read = await cutPage(store.pool, rows, count);
  const last = read[read.length - 1];
  const page = await versionsSeen(setting, caller, id === undefined ? 's' : 'r', read);
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
    total: whole && page.length === read.length ? total : undefined,
    next: rows.length > read.length && last ? writePosition(last) : undefined,
  };
}

/** Versions that the caller may see by their own values and by the newest ones; deletions by the latter. */
async function versionsSeen<T extends HistoryRow & { readonly content: string }>(
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

function writePosition({ updated, rid, version }: { updated: string; rid: number; version: number }): string {
  return `${Date.parse(instantOf(updated))}-${rid}-${version}`;
}

/** @throws Refusal 400 where it is none of ours */
function readPosition(text: string): Position {
  const found = /^(\d{1,15})-(\d{1,16})-(\d{1,9})$/.exec(text);
  if (!found) throw invalid('value', 'This page link is damaged: begin again with the first page');
  return { updated: Number(found[1]), rid: Number(found[2]), version: Number(found[3]) };
}
