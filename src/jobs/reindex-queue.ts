/** Work on the index of all resources of some types: what is kept of it, one statement for each thing that can happen. */
import { randomUUID } from 'node:crypto';
import { int2Array } from '../store/arrays.ts';
import type { Count } from '../store/index/rebuild.ts';
import { type Executor, run } from '../store/pool.ts';
import { PERCENT } from '../store/search-parameters.ts';

export interface ReindexRequest {
  /** number of the access token; 0: the server itself */
  readonly agent: number;
  /** numbers of types */
  readonly types: readonly number[];
  /** what all index rows must say they were made by, or something later */
  readonly made: number;
  /** whether rows that say so are made anew too */
  readonly whole: boolean;
}

export interface Reindex extends ReindexRequest {
  readonly id: string;
  /** whether it is known since when only what is up to date is written */
  readonly isFenced: boolean;
  readonly isSplit: boolean;
}

/** A stretch of resource numbers, whose row is locked until the transaction ends. */
export interface ReindexPart {
  readonly first: number;
  readonly last: number;
  /** up to this number it is done */
  readonly at: number;
}

export interface ReindexResult {
  /** of each type, in the parts as each was done */
  readonly counts: readonly Count[];
  /** resources whose rows were made anew */
  readonly rebuilt: number;
  /** parts that had to be done again */
  readonly rounds: number;
  /** whether each resource has its index row, made as it should be */
  readonly whole: boolean;
  /** why it ended before all was done */
  readonly fault?: string;
}

export type ReindexProgress =
  | { readonly state: 'waiting' | 'running'; readonly seconds: number; readonly percent: number }
  /** `expires` in milliseconds */
  | { readonly state: 'done'; readonly result: ReindexResult; readonly expires: number };

/** Parts that it is split into: several for each process there may be, each of a thousand numbers at least. */
const PARTS = 64;
const LEAST_PART = 1000;

/** So often a part is done again whose counts are not as they should be. */
export const ROUNDS = 3;

const ADD = {
  name: 'add_reindex',
  text: `insert into reindex (id, agent, types, made, whole) values ($1, $2, $3::smallint[], $4, $5)`,
};
const OPEN = {
  name: 'open_reindexes',
  text: `select id, agent, types, made, whole, barrier is not null, total is not null from reindex
         where finished is null order by created`,
};
const FENCE = {
  name: 'fence_reindex',
  text: `update reindex set barrier = pg_snapshot_xmax(pg_current_snapshot()) where id = $1 and barrier is null`,
};
// Whoever may still write by what was before holds a transaction number, or a snapshot, from before the barrier.
const PASSED = {
  name: 'reindex_passed',
  text: `select pg_snapshot_xmin(pg_current_snapshot()) >= barrier and not exists (
           select from pg_stat_activity a
           where a.datname = current_database() and a.application_name = current_setting('application_name')
             and a.pid <> pg_backend_pid() and a.backend_xmin is not null
             and age(a.backend_xmin) > age(j.barrier::xid))
         from reindex j where id = $1`,
};
const SPLIT = {
  name: 'split_reindex',
  text: `with job as (
           select id, types from reindex where id = $1 and total is null for update skip locked
         ), counted as (
           select count(*) as total from job, resource r where r.type = any (job.types) and r.version > 0 and not r.deleted
         ), bounds as (
           select coalesce(min(rid), 0) - 1 as low, coalesce(max(rid), 0) as high from resource
         ), width as (
           select low, high, greatest(${LEAST_PART}, (high - low) / ${PARTS} + 1) as width from bounds
         ), parts as (
           insert into reindex_part (job, first, last, at)
           select job.id, first, least(first + width, high), first
           from job, counted, width, generate_series(low, high - 1, width) first where total > 0
         )
         update reindex j set total = counted.total from job, counted where j.id = job.id`,
};
const TAKE = {
  name: 'take_reindex_part',
  text: `select first, last, at from reindex_part where job = $1 and counts is null
         order by first limit 1 for update skip locked`,
};
const ADVANCE = {
  name: 'advance_reindex_part',
  text: `update reindex_part set at = $3, done = done + $4 where job = $1 and first = $2`,
};
const CLOSE = {
  name: 'close_reindex_part',
  text: `update reindex_part set counts = $3 where job = $1 and first = $2`,
};
const AGAIN = {
  name: 'repeat_reindex_part',
  text: `with part as (update reindex_part set at = first, done = 0 where job = $1 and first = $2)
         update reindex set rounds = rounds + 1 where id = $1 and rounds < ${ROUNDS} returning rounds`,
};
const LOCK = {
  name: 'lock_reindex',
  text: `select rounds from reindex j where id = $1 and finished is null and total is not null
           and not exists (select from reindex_part p where p.job = j.id and p.counts is null)
         for update skip locked`,
};
const COUNTS = { name: 'reindex_counts', text: 'select counts, done from reindex_part where job = $1' };
const FINISH = {
  name: 'finish_reindex',
  text: `update reindex set finished = now(), result = $2 where id = $1`,
};
const LOOK = {
  name: 'look_at_reindex',
  text: `select agent, finished is not null, barrier is not null, extract(epoch from now() - created)::integer,
           least(99, coalesce((select ${PERCENT}), 0))::integer,
           result, (extract(epoch from finished + interval '1 day') * 1000)::bigint
         from reindex j where id = $1`,
};
const UNWANTED = 'not exists (select from search_parameter s where s.job = reindex.id)';
const FORGET = {
  name: 'forget_reindex',
  text: `delete from reindex where id = $1 and (finished is not null or whole) and ${UNWANTED} returning id`,
};
const SWEEP = {
  name: 'sweep_reindexes',
  text: `delete from reindex where finished < now() - interval '1 day' and ${UNWANTED}`,
};

export async function addReindex(executor: Executor, request: ReindexRequest): Promise<string> {
  const id = randomUUID();
  const { agent, types, made, whole } = request;
  await run(executor, ADD, [id, agent, int2Array(types), made, whole]);
  return id;
}

/** What is not finished, the eldest first. */
export async function openReindexes(executor: Executor): Promise<readonly Reindex[]> {
  const rows = await run(executor, OPEN, []);
  return rows.map(
    ([id, agent, types, made, whole, isFenced, isSplit]) =>
      ({ id, agent, types, made, whole, isFenced, isSplit }) as Reindex,
  );
}

/** Splits it into parts; whether nothing stands in the way of that any more. */
export async function splitReindex(executor: Executor, { id, isFenced }: Reindex): Promise<boolean> {
  if (!isFenced) await run(executor, FENCE, [id]);
  const [passed] = await run(executor, PASSED, [id]);
  if (!passed?.[0]) return false;
  await run(executor, SPLIT, [id]);
  return true;
}

/** A part that nobody works on, for as long as the transaction lasts. */
export async function takePart(executor: Executor, job: string): Promise<ReindexPart | undefined> {
  const [row] = await run(executor, TAKE, [job]);
  return row && ({ first: row[0], last: row[1], at: row[2] } as ReindexPart);
}

export async function advancePart(
  executor: Executor,
  job: string,
  { first }: ReindexPart,
  { at, count }: { readonly at: number; readonly count: number },
): Promise<void> {
  await run(executor, ADVANCE, [job, first, at, count]);
}

/** Keeps the counts of a part that is done; or has it done again, where they are wrong and it was not too often. */
export async function closePart(
  executor: Executor,
  job: string,
  { first }: ReindexPart,
  counts: readonly Count[],
): Promise<void> {
  if (!counts.every(isWhole) && (await run(executor, AGAIN, [job, first])).length > 0) return;
  await run(executor, CLOSE, [job, first, JSON.stringify(counts)]);
}

const isWhole = ({ resources, rows, current }: Count): boolean => resources === rows && rows === current;

/** What came of all parts, locked until the transaction ends; undefined where some are not done, or others ask too. */
export async function endReindex(executor: Executor, id: string): Promise<ReindexResult | undefined> {
  const [job] = await run(executor, LOCK, [id]);
  if (!job) return undefined;
  const byType = new Map<string, Count>();
  let rebuilt = 0;
  for (const [counts, done] of await run(executor, COUNTS, [id])) {
    rebuilt += done as number;
    for (const one of counts as Count[]) {
      const sum = byType.get(one.type) ?? { type: one.type, resources: 0, rows: 0, current: 0 };
      byType.set(one.type, {
        type: one.type,
        resources: sum.resources + one.resources,
        rows: sum.rows + one.rows,
        current: sum.current + one.current,
      });
    }
  }
  const counts = [...byType.values()].sort((a, b) => (a.type < b.type ? -1 : 1));
  return { counts, rebuilt, rounds: job[0] as number, whole: counts.every(isWhole) };
}

export async function finishReindex(executor: Executor, id: string, result: ReindexResult): Promise<void> {
  await run(executor, FINISH, [id, JSON.stringify(result)]);
}

/** Ends it before all is done. */
export async function failReindex(executor: Executor, id: string, fault: string): Promise<void> {
  await finishReindex(executor, id, { counts: [], rebuilt: 0, rounds: 0, whole: false, fault });
}

/** How far it is, and whose it is. */
export async function lookAtReindex(
  executor: Executor,
  id: string,
): Promise<{ readonly agent: number; readonly progress: ReindexProgress } | undefined> {
  const [row] = await run(executor, LOOK, [id]);
  if (!row) return undefined;
  const [agent, isDone, isFenced, seconds, percent, result, expires] = row;
  const progress = isDone
    ? { state: 'done', result, expires }
    : { state: isFenced ? 'running' : 'waiting', seconds, percent };
  return { agent: agent as number, progress: progress as ReindexProgress };
}

/** Forgets it, unless searches wait for it. */
export async function forgetReindex(executor: Executor, id: string): Promise<boolean> {
  return (await run(executor, FORGET, [id])).length > 0;
}

export async function sweepReindexes(executor: Executor): Promise<void> {
  await run(executor, SWEEP, []);
}
