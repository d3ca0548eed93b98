/**
 * Resource numbers. A resource is a number to everything in the store; (type, id) is looked up once and then
 * remembered, as it never changes. What is referred to but not there has a number too, with version 0.
 */
import type pg from 'pg';
import { int2Array, int8Array, textArray } from './arrays.ts';
import { cache } from './cache.ts';
import type { Catalog } from './catalog.ts';
import { lane } from './lane.ts';
import { isDeadlock, run } from './pool.ts';

export interface ResourceName {
  readonly type: string;
  readonly id: string;
}

export interface Numbers {
  /** A number that nobody has; waits only when a new block must be taken. */
  next(): number | Promise<number>;
  /** The number that is remembered for a name. */
  known(type: string, id: string): number | undefined;
  /** The numbers of names, given to those that have none. */
  resolve(names: readonly ResourceName[]): Promise<readonly number[]>;
  /** The numbers of names that have one. */
  find(names: readonly ResourceName[]): Promise<readonly (number | undefined)[]>;
  /** Remembers what was just committed. */
  remember(type: string, id: string, rid: number): void;
}

const BLOCK = 1024;

const TAKE_BLOCK = { name: 'take_block', text: `select nextval('rid_block')` };
// The row itself is looked at, not only its index: a hash could not decide whose reference this is.
const FIND = {
  name: 'find_rids',
  text: `select r.rid from unnest($1::smallint[], $2::text[]) with ordinality e (type, id, n)
         left join resource r on r.type = e.type and r.id = e.id order by e.n`,
};
const ADD = {
  name: 'add_rids',
  text: `insert into resource (rid, type, id)
         select * from unnest($1::bigint[], $2::smallint[], $3::text[]) on conflict (type, id) do nothing`,
};

/** Makes the numbers of this process. */
export function makeNumbers(pool: pg.Pool, catalog: Catalog): Numbers {
  const remembered = cache<string, number>(500_000);
  let free = 0;
  let end = 0;
  let taking: Promise<void> | undefined;

  const next = (): number | Promise<number> => {
    if (free < end) return free++;
    taking ??= run(pool, TAKE_BLOCK, []).then(
      ([row]) => {
        free = (row?.[0] as number) * BLOCK;
        end = free + BLOCK;
        taking = undefined;
      },
      (fault) => {
        taking = undefined;
        throw fault;
      },
    );
    return taking.then(next);
  };

  const nameOf = (type: string, id: string): string => `${type}/${id}`;
  const remember = (type: string, id: string, rid: number): void => {
    // Copied: an id that was sliced out of a request's text would keep the whole of it in memory.
    remembered.set(Buffer.from(nameOf(type, id), 'latin1').toString('latin1'), rid);
  };

  const look = lane<readonly ResourceName[], readonly (number | undefined)[]>(
    { width: 2, most: 32, heaviest: 5000, weigh: (names) => names.length },
    async (batch) => {
      const names = batch.flat();
      const rows = await run(pool, FIND, [
        int2Array(names.map(({ type }) => catalog.typeNumber(type))),
        textArray(names.map(({ id }) => id)),
      ]);
      let at = 0;
      return batch.map((one) =>
        one.map(({ type, id }) => {
          const rid = (rows[at++]?.[0] ?? undefined) as number | undefined;
          if (rid !== undefined) remember(type, id, rid);
          return rid;
        }),
      );
    },
  );

  async function find(names: readonly ResourceName[]): Promise<(number | undefined)[]> {
    const rids = names.map(({ type, id }) => remembered.get(nameOf(type, id)));
    const missing = names.filter((_, i) => rids[i] === undefined);
    if (missing.length === 0) return rids;
    const found = await look(missing);
    let at = 0;
    return rids.map((rid) => rid ?? found[at++]);
  }

  return {
    next,
    find,
    known: (type, id) => remembered.get(nameOf(type, id)),
    remember,
    async resolve(names) {
      for (;;) {
        const rids = await find(names);
        const missing = new Map<string, ResourceName>();
        names.forEach((name, i) => {
          if (rids[i] === undefined) missing.set(nameOf(name.type, name.id), name);
        });
        if (missing.size === 0) return rids as number[];
        // In one order everywhere: two processes that add the same names in two orders would wait for each other.
        const sorted = [...missing].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, name]) => name);
        const fresh: number[] = [];
        for (const _ of sorted) fresh.push(await next());
        await run(pool, ADD, [
          int8Array(fresh),
          int2Array(sorted.map(({ type }) => catalog.typeNumber(type))),
          textArray(sorted.map(({ id }) => id)),
        ]).catch((fault) => {
          // Transactions add names too; who gave way looks again.
          if (!isDeadlock(fault)) throw fault;
        });
      }
    },
  };
}
