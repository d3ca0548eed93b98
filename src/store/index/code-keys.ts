/** Which timeline keys a code or a system has: a dictionary that only grows, so that what is remembered never goes stale. */
import type pg from 'pg';
import { keyArray } from '../arrays.ts';
import { cache } from '../cache.ts';
import { run } from '../pool.ts';

export interface CodeKeys {
  /**
   * Makes sure that the pairs are known, before the rows that they lead to are written.
   *
   * @param pairs of IndexRow.codes: halves of the code's or system's hash, then of the key
   * @returns     undefined where all are known already
   */
  add(pairs: readonly number[]): Promise<void> | undefined;
}

// In key order: two processes that add the same pairs in two orders would wait for each other.
const ADD = {
  name: 'add_code_keys',
  text: `insert into code_key (code, key)
         select * from unnest($1::bigint[], $2::bigint[]) e (code, key) order by code, key on conflict do nothing`,
};

export function makeCodeKeys(pool: pg.Pool): CodeKeys {
  const known = cache<string, true>(200_000);
  return {
    add(pairs) {
      const fresh: number[] = [];
      for (let i = 0; i < pairs.length; i += 4) if (!known.get(nameOf(pairs, i))) fresh.push(i);
      if (fresh.length === 0) return undefined;
      const codes = fresh.flatMap((i) => [pairs[i] as number, pairs[i + 1] as number]);
      const keys = fresh.flatMap((i) => [pairs[i + 2] as number, pairs[i + 3] as number]);
      return run(pool, ADD, [keyArray(codes), keyArray(keys)]).then(() => {
        for (const i of fresh) known.set(nameOf(pairs, i), true);
      });
    },
  };
}

const nameOf = (pairs: readonly number[], i: number): string =>
  `${pairs[i]},${pairs[i + 1]},${pairs[i + 2]},${pairs[i + 3]}`;
