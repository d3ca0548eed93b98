/** Consents of patients, or that somebody is named in: those that may decide what they see. */

import type { SearchParameter } from '../../fhir/definitions.ts';
import { keyArray } from '../arrays.ts';
import type { Catalog } from '../catalog.ts';
import { type Keys, keyText, localKey } from '../index/keys.ts';
import { type Executor, run } from '../pool.ts';

// By patients on timeline_patient; by the names, wherever they stand in it, on the GIN index of keys.
const CONSENTS = {
  name: 'consents_for',
  text: `select r.content from (
           select t.rid from timeline t where t.key = $1 and t.patient = any ($2::bigint[])
           union
           select i.rid from resource_index i where i.type = $3 and i.keys && $4::bigint[]) f
         join resource r on r.rid = f.rid and not r.deleted`,
};
const ALL = {
  name: 'consents_of_all',
  text: `select r.content from timeline t join resource r on r.rid = t.rid and not r.deleted where t.key = $1 and t.lead`,
};

export interface NamedIn {
  readonly rid: number;
  readonly type: string;
  readonly id: string;
}

/**
 * @param patients   numbers; undefined: all
 * @param names      who may be named
 * @param references the reference parameters of Consent
 * @returns          contents
 */
export async function readConsents(
  executor: Executor,
  { keys, catalog }: { readonly keys: Keys; readonly catalog: Pick<Catalog, 'typeNumber'> },
  patients: readonly number[] | undefined,
  names: readonly NamedIn[],
  references: readonly SearchParameter[],
): Promise<readonly string[]> {
  const key = keyText(keys.type('Consent'));
  if (!patients) return (await run(executor, ALL, [key])).map(([content]) => content as string);
  const wanted = names.flatMap(({ rid, type, id }) => [
    // What no parameter finds is found by its number.
    Math.floor(rid / 2 ** 32),
    rid | 0,
    ...references.flatMap((parameter) => {
      const { high, low } = localKey(keys.parameter('Consent', parameter), type, id);
      return [high, low];
    }),
  ]);
  const values = [key, patients, catalog.typeNumber('Consent'), keyArray(wanted)];
  return (await run(executor, CONSENTS, values)).map(([content]) => content as string);
}
