/** What makes a document (R4 documents.html#content): what its Composition refers to, and what these refer to in turn. */
import { int2Array, int8Array } from '../arrays.ts';
import { type Executor, run } from '../pool.ts';
import { numbered } from '../write/statement.ts';
import { ownAlone } from './everything.ts';

export interface DocumentWanted {
  /** the Composition */
  readonly rid: number;
  /** what it refers to itself */
  readonly direct: readonly number[];
  /** types of what these refer to in turn */
  readonly types: readonly number[];
  /** number of the type Patient */
  readonly patient: number;
  readonly count: number;
}

const TYPES = {
  rid: 'bigint',
  direct: 'bigint[]',
  types: 'smallint[]',
  patient: 'smallint',
  count: 'integer',
} as const;

/** What is deleted, or was never there, has no index row. Who refers to another patient's resource does not bring that patient along. */
const PARTS = numbered(
  TYPES,
  'document_parts',
  `with recursive own as (
     select patients from resource_index where rid = $rid
   ), part (rid) as (
     select i.rid from unnest($direct) e (rid) join resource_index i on i.rid = e.rid
     union
     select t.rid from part p
     join resource_index i on i.rid = p.rid
     cross join unnest(i.targets) e (rid)
     join resource_index t on t.rid = e.rid
     where t.type = any ($types) and t.rid <> $rid and ${ownAlone('t')}
   )
   select (select value from epoch), p.rid from (select rid from part limit $count) p
   order by array_position($direct, p.rid), p.rid`,
);

export interface Part {
  readonly epoch: number;
  readonly rid: number;
}

/** So many parts of it as are wanted: first what it refers to itself, in its order. */
export async function findParts(executor: Executor, wanted: DocumentWanted): Promise<Part[]> {
  const { rid, direct, types, patient, count } = wanted;
  const values = { rid, direct: int8Array(direct), types: int2Array(types), patient, count };
  const rows = await run(
    executor,
    PARTS,
    PARTS.parameters.map((name) => values[name]),
  );
  return rows.map(([epoch, part]) => ({ epoch, rid: part }) as Part);
}
