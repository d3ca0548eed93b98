/** Resources that have one of some keys, with their contents: what a condition is judged on. */
import { int2Array, keyArray } from '../arrays.ts';
import type { Key } from '../hash.ts';
import { type Executor, run } from '../pool.ts';

/** What is looked for: a key, and the number of the type that has it. */
export interface Wanted {
  readonly key: Key;
  readonly type: number;
}

export interface Candidate {
  readonly rid: number;
  readonly id: string;
  readonly version: number;
  readonly updated: string;
  readonly content: string;
  readonly blob: string | null;
}

/** So many are read for each key: values that more resources share identify nothing. */
export const MOST_CANDIDATES = 100;

// Rides on the GIN index of resource_index, once for each key.
const CANDIDATES = {
  name: 'candidates',
  text: `select e.n, r.rid, r.id, r.version, r.updated, r.content, r.blob
         from unnest($1::bigint[], $2::smallint[]) with ordinality e (key, type, n)
         cross join lateral (
           select i.rid from resource_index i where i.keys @> array[e.key] and i.type = e.type
           limit ${MOST_CANDIDATES + 1}
         ) i
         join resource r on r.rid = i.rid`,
};

/** The candidates for each key, at most one more than MOST_CANDIDATES. */
export async function readCandidates(
  executor: Executor,
  wanted: readonly Wanted[],
): Promise<readonly (readonly Candidate[])[]> {
  const found = wanted.map((): Candidate[] => []);
  if (wanted.length === 0) return found;
  const rows = await run(executor, CANDIDATES, [
    keyArray(wanted.flatMap(({ key }) => [key.high, key.low])),
    int2Array(wanted.map(({ type }) => type)),
  ]);
  for (const [n, rid, id, version, updated, content, blob] of rows)
    found[(n as number) - 1]?.push({ rid, id, version, updated, content, blob } as Candidate);
  return found;
}
