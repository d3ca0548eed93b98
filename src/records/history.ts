/** history of an instance, a type and the system (R4 http.html#history). */
import { demand } from '../access/access.ts';
import { invalid, refusal } from '../fhir/outcome.ts';
import { instantOf } from '../store/pool.ts';
import { type Position, readHistory } from '../store/read/history.ts';
import { readListed } from '../store/read/listed.ts';
import { cutPage } from '../store/read/page.ts';
import { checkEpoch } from './callers.ts';
import { notFound } from './read.ts';
import type { Caller, HistoryPage, HistoryRequest } from './records.ts';
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
  if (type !== undefined && id !== undefined && (total === 0 || rids?.length === 0)) {
    checkEpoch(caller, await callers.epoch());
    throw notFound(type, id);
  }
  const rows = await readHistory(store.pool, {
    types: types.map(store.catalog.typeNumber),
    rids,
    count: count + 1,
    since: request.since ?? Number.NEGATIVE_INFINITY,
    from: request.at?.low ?? Number.NEGATIVE_INFINITY,
    to: request.at?.high ?? Number.POSITIVE_INFINITY,
    before,
  });
  // Read along with the last of what is shown; where nothing is, asked after.
  checkEpoch(caller, rows[0]?.epoch ?? (await callers.epoch()));
  const page = await cutPage(store.pool, rows, count);
  const last = page[page.length - 1];
  const whole = request.since === undefined && request.at === undefined && request.list === undefined;
  return {
    entries: page.map((row) => ({
      type: store.catalog.typeName(row.type),
      id: row.id,
      version: row.version,
      updated: instantOf(row.updated),
      deleted: row.deleted,
      content: row.content,
      blob: row.blob,
      interaction: row.deleted ? 'delete' : row.created ? 'create' : 'update',
    })),
    total: whole ? total : undefined,
    next: rows.length > page.length && last ? writePosition(last) : undefined,
  };
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
  { store }: ReadSetting,
  { access }: Caller,
  { type, id, list }: HistoryRequest,
): Promise<readonly number[] | undefined> {
  let rids: number[] | undefined;
  if (type !== undefined && id !== undefined)
    rids = (await store.numbers.find([{ type, id }])).filter((rid) => rid !== undefined);
  if (list === undefined) return rids;
  demand(access, 'List', 'r');
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
