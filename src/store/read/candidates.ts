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

/** And so many bytes of contents at once. */
const MOST_BYTES = 64 * 2 ** 20;

/** Thrown where the candidates hold more. */
export class TooMuch extends Error {}

// Rides on the GIN index of resource_index, once for each key. Many keys may lead to one resource, whose content is
// sent once.
const CANDIDATES = {
  name: 'candidates',
  text: `select n, rid, id, version, updated, blob, case when first and bytes <= ${MOST_BYTES} then content end, first
         from (
           select *, sum(case when first then octet_length(content) end) over (order by n, rid) as bytes
           from (
             select e.n, r.*, row_number() over (partition by r.rid order by e.n) = 1 as first
             from unnest($1::bigint[], $2::smallint[]) with ordinality e (key, type, n)
             cross join lateral (
               select i.rid from resource_index i where i.keys @> array[e.key] and i.type = e.type
               limit ${MOST_CANDIDATES + 1}
             ) i
             join resource r on r.rid = i.rid
           ) found
         ) counted
         order by n, rid`,
};

/**
 * The candidates for each key, at most one more than MOST_CANDIDATES.
 *
 * @throws TooMuch
 */
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
  const contents = new Map<unknown, string>();
  for (const [, rid, , , , , content, first] of rows) {
    if (!first) continue;
    if (content === null) throw new TooMuch();
    contents.set(rid, content as string);
  }
  for (const [n, rid, id, version, updated, blob] of rows) {
    const content = contents.get(rid);
    found[(n as number) - 1]?.push({ rid, id, version, updated, content, blob } as Candidate);
  }
  return found;
}
