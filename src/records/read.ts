/** read and vread (R4 http.html#read, #vread). */
import { demand } from '../access/access.ts';
import { error, Refusal, refusal } from '../fhir/outcome.ts';
import { isId } from '../fhir/reference.ts';
import { isOfTrail } from '../store/audit/trail.ts';
import { instantOf } from '../store/pool.ts';
import type { Current } from '../store/read/current.ts';
import { readVersion } from '../store/read/version.ts';
import { checkEpoch } from './callers.ts';
import { readMade } from './made.ts';
import { makerOf } from './makers.ts';
import { notFound } from './not-found.ts';
import type { Caller, Stored } from './records.ts';
import { isSeen, newestSeen } from './seen.ts';
import type { ReadSetting } from './setting.ts';

/** @throws Refusal 404, 410 */
export async function read(setting: ReadSetting, caller: Caller, type: string, id: string): Promise<Stored> {
  const { store } = setting;
  const maker = isOfTrail(type, id) ? makerOf(setting, type) : undefined;
  if (maker) return readMade(setting, maker, caller, id);
  demand(caller.access, type, 'r');
  const current = await store.read({ type: store.catalog.typeNumber(type), id });
  checkEpoch(caller, current.epoch);
  if (current.version === 0 || !(await isSeenNow(setting, caller, type, id, current)))
    throw notFound(type, id);
  if (current.deleted) throw gone(type, id, current);
  return storedOf(type, id, current);
}

/** Of resources of a type those that the caller may read, by their ids; the others are as if they were not there. */
export async function readAll(
  setting: ReadSetting,
  caller: Caller,
  type: string,
  ids: readonly string[],
): Promise<ReadonlyMap<string, Stored>> {
  demand(caller.access, type, 'r');
  const seen = await newestSeen(
    setting,
    caller,
    'r',
    ids.map((id) => ({ type, id })),
  );
  checkEpoch(caller, await setting.callers.epoch());
  return new Map(
    [...seen.values()].filter(({ deleted }) => !deleted).map((one) => [one.id, storedOf(type, one.id, one)]),
  );
}

/** @throws Refusal 404; 410 where the version is a deletion */
export async function vread(
  setting: ReadSetting,
  caller: Caller,
  type: string,
  id: string,
  version: string,
): Promise<Stored> {
  const { store } = setting;
  const maker = version === '1' && isOfTrail(type, id) ? makerOf(setting, type) : undefined;
  if (maker) return readMade(setting, maker, caller, id);
  demand(caller.access, type, 'r');
  const number = /^[1-9]\d{0,8}$/.test(version) ? Number(version) : 0;
  const found = await readVersion(store.pool, { type: store.catalog.typeNumber(type), id, version: number });
  checkEpoch(caller, found.epoch);
  // The version's own values decide, and those of the newest.
  const isSeenThen = found.deleted || (await isSeen(setting, caller, 'r', { type, id, ...found }));
  const newest = { updated: found.updated, content: null };
  if (found.version === 0 || !isSeenThen || !(await isSeenNow(setting, caller, type, id, newest)))
    throw refusal(
      404,
      'not-found',
      `There is no version ${isId(version) ? version : 'of this name'} of ${type}/${id}`,
    );
  if (found.deleted) throw gone(type, id, found);
  return storedOf(type, id, found);
}

/** Whether the caller may see it as it is, or was before it was deleted. */
async function isSeenNow(
  setting: ReadSetting,
  caller: Caller,
  type: string,
  id: string,
  { updated, content }: Pick<Current, 'updated' | 'content'>,
): Promise<boolean> {
  if (content !== null) return isSeen(setting, caller, 'r', { type, id, updated, content });
  return !caller.access.limited || (await newestSeen(setting, caller, 'r', [{ type, id }])).size === 1;
}

/** 410 */
export function gone(type: string, id: string, { version, updated }: Current): Refusal {
  const when = instantOf(updated);
  return new Refusal(
    410,
    [error('deleted', `${type}/${id} was deleted at ${when}; its history is at ${type}/${id}/_history`)],
    { ETag: `W/"${version}"` },
  );
}

function storedOf(type: string, id: string, current: Omit<Current, 'epoch'>): Stored {
  const { rid, version, updated, content, blob } = current;
  return {
    type,
    id,
    version,
    updated: instantOf(updated),
    deleted: false,
    content: content ?? '',
    blob,
    rid,
  };
}
