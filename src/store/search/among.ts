/** What passes a filter, by its number, in no order. */
import type { Filter } from '../../search/request.ts';
import type { Catalog } from '../catalog.ts';
import type { Keys } from '../index/keys.ts';
import type { Executor, Row } from '../pool.ts';
import { condition } from './conditions.ts';
import { withUnits } from './numbers.ts';
import type { Plans } from './plans.ts';
import { type Sql, sql } from './sql.ts';

export interface Among {
  /** Which of some resources of a type pass a filter, by their numbers. */
  among(type: string, filter: Filter, rids: readonly number[]): Promise<ReadonlySet<number>>;
  /** All patients whom resources of a type are about that pass a filter. */
  patientsOf(type: string, filter: Filter): Promise<readonly { readonly rid: number; readonly id: string }[]>;
}

export function makeAmong(
  executor: Executor,
  {
    catalog,
    keys,
    settingOf,
  }: {
    readonly catalog: Pick<Catalog, 'typeNumber'>;
    readonly keys: Keys;
    readonly settingOf: Plans['settingOf'];
  },
): Among {
  const query = async (text: string, { values }: Sql): Promise<Row[]> =>
    (await executor.query({ text, values, rowMode: 'array' })).rows;
  return {
    async among(type, filter, rids) {
      const s = sql();
      const given = s.bind(rids);
      const [known = filter] = await withUnits(executor, keys.units, [filter]);
      const text = `select i.rid from resource_index i where i.rid = any (${given}::bigint[])
        and ${condition(s, known, settingOf(type))}`;
      return new Set((await query(text, s)).map(([rid]) => rid as number));
    },
    async patientsOf(type, filter) {
      const s = sql();
      const text = `select r.rid, r.id from (
          select distinct unnest(i.patients) as rid from resource_index i
          where i.type = ${s.bind(catalog.typeNumber(type))} and ${condition(s, filter, settingOf(type))}) p
        join resource r on r.rid = p.rid where r.version > 0 and not r.deleted`;
      return (await query(text, s)).map(([rid, id]) => ({ rid: rid as number, id: id as string }));
    },
  };
}
