/** read and vread (R4 http.html#read, #vread). */
import { demand } from '../access/access.ts';
import { error, Refusal, refusal } from '../fhir/outcome.ts';
import { isId } from '../fhir/reference.ts';
import { instantOf } from '../store/pool.ts';
import type { Current } from '../store/read/current.ts';
import { readVersion } from '../store/read/version.ts';
import { checkEpoch } from './callers.ts';
import type { Caller, Stored } from './records.ts';
import type { ReadSetting } from './setting.ts';

/** @throws Refusal 404, 410 */
export async function read(
  { store }: ReadSetting,
  caller: Caller,
  type: string,
  id: string,
): Promise<Stored> {
  demand(caller.access, type, 'r');
  const current = await store.read({ type: store.catalog.typeNumber(type), id });
  checkEpoch(caller, current.epoch);
  if (current.version === 0) throw notFound(type, id);
  if (current.deleted) throw gone(type, id, current);
  return storedOf(type, id, current);
}

/** @throws Refusal 404; 410 where the version is a deletion */
export async function vread(
  { store }: ReadSetting,
  caller: Caller,
  type: string,
  id: string,
  version: string,
): Promise<Stored> {
  demand(caller.access, type, 'r');
  const number = /^[1-9]\d{0,8}$/.test(version) ? Number(version) : 0;
  const found = await readVersion(store.pool, { type: store.catalog.typeNumber(type), id, version: number });
  checkEpoch(caller, found.epoch);
  if (found.version === 0)
    throw refusal(
      404,
      'not-found',
      `There is no version ${isId(version) ? version : 'of this name'} of ${type}/${id}`,
    );
  if (found.deleted) throw gone(type, id, found);
  return storedOf(type, id, found);
}

export function notFound(type: string, id: string): Refusal {
  return refusal(404, 'not-found', `${type}/${id} is not known here`);
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

function storedOf(type: string, id: string, { version, updated, content, blob }: Current): Stored {
  return { type, id, version, updated: instantOf(updated), deleted: false, content: content ?? '', blob };
}
