/** Of which types there is anything: a search over many types asks only these. */
import type { SearchParameter } from '../../fhir/definitions.ts';
import { keyArray } from '../arrays.ts';
import type { Catalog } from '../catalog.ts';
import { compartmentKey, type Keys, localKey } from '../index/keys.ts';
import { type Executor, run } from '../pool.ts';

// From each type to the next in resource_updated, passing over all rows between.
const PRESENT = {
  name: 'present_types',
  text: `with recursive present (type) as (
           (select type from resource where version > 0 and not deleted order by type limit 1)
           union all
           select (select r.type from resource r where r.type > present.type and r.version > 0 and not r.deleted
                   order by r.type limit 1)
           from present where present.type is not null
         )
         select type from present where type is not null`,
};
// What is about the patient has a line in timeline_patient, what refers to him otherwise a key.
const IN_COMPARTMENT = {
  name: 'compartment_types',
  text: `select e.type
         from unnest($3::smallint[], $4::bigint[]) e (type, key)
         where exists (select from timeline t
                       where t.patient = (select rid from resource where type = $1 and id = $2) and t.key = e.key)
         union
         select x.type from resource_index x where x.keys && $5::bigint[]`,
};

// Of many that refer to one, as to a practitioner, this many tell enough.
const MOST_REFERRING = 10_000;
const REFERRING = {
  name: 'referring_types',
  text: `select type, count(*)::int from (
           select type from resource_index where keys && $1::bigint[] limit ${MOST_REFERRING}) r group by type`,
};

/** Where types are looked for. */
export interface Types {
  readonly pool: Executor;
  readonly catalog: Pick<Catalog, 'typeNumber' | 'typeName'>;
  readonly keys: Keys;
}

/** All types of which there are resources. */
export async function presentTypes({ pool, catalog }: Types): Promise<ReadonlySet<string>> {
  const rows = await run(pool, PRESENT, []);
  return new Set(rows.map(([type]) => catalog.typeName(type as number)));
}

/** Of these types those of which there is something in the compartment of a resource. */
export async function typesInCompartment(
  { pool, catalog, keys }: Types,
  { id }: { readonly id: string },
  types: readonly string[],
): Promise<ReadonlySet<string>> {
  const own = types.map(keys.type);
  const rows = await run(pool, IN_COMPARTMENT, [
    catalog.typeNumber('Patient'),
    id,
    types.map(catalog.typeNumber),
    keyArray(own.flatMap(({ high, low }) => [high, low])),
    keyArray(own.map((key) => compartmentKey(key, id)).flatMap(({ high, low }) => [high, low])),
  ]);
  return new Set(rows.map(([number]) => catalog.typeName(number as number)));
}

/** References of resources of a type, by a parameter, to one resource. */
export interface Referring {
  readonly type: string;
  readonly parameter: SearchParameter;
  readonly to: { readonly type: string; readonly id: string };
}

/**
 * Of which types there is something that refers to others than patients.
 *
 * @returns undefined where that is so much that only a part was looked at
 */
export async function typesReferring(
  { pool, catalog, keys }: Types,
  references: readonly Referring[],
): Promise<ReadonlySet<string> | undefined> {
  const wanted = references.map(({ type, parameter, to }) =>
    localKey(keys.parameter(type, parameter), to.type, to.id),
  );
  const rows = await run(pool, REFERRING, [keyArray(wanted.flatMap(({ high, low }) => [high, low]))]);
  if (rows.reduce((sum, [, count]) => sum + (count as number), 0) >= MOST_REFERRING) return undefined;
  return new Set(rows.map(([number]) => catalog.typeName(number as number)));
}
