/**
 * Reindexing: the index rows of all resources of some types, made anew by what they are to be indexed by. Each process
 * takes parts of it, in strides; what a process that dies was doing is undone by PostgreSQL, and taken by another.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { EXTRACTOR_VERSION } from '../fhir/extract.ts';
import { Unindexable } from '../store/index/rebuild.ts';
import { madeBy } from '../store/index/row.ts';
import { type Executor, isDeadlock, run, transaction } from '../store/pool.ts';
import { answerFrom } from '../store/search-parameters.ts';
import type { Store } from '../store/store.ts';
import {
  addReindex,
  advancePart,
  closePart,
  endReindex,
  failReindex,
  finishReindex,
  openReindexes,
  type Reindex,
  splitReindex,
  takePart,
} from './reindex-queue.ts';

export interface Reindexing {
  /** Looks for work now, and not only after a while. */
  wake(): void;
  /** Works from now on. */
  start(log: Logger): void;
  close(): Promise<void>;
}

/** How often it is looked for work, in ms. */
const PAUSE = 1000;

/** @param baseUrl FHIR base that local references are read under */
export function openReindexing(store: Store, baseUrl: string): Reindexing {
  let log: Logger | undefined;
  let working: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let woken = false;

  const told = (fault: unknown): void =>
    log?.warn({ code: (fault as { code?: unknown }).code, fault: String(fault) }, 'could not reindex');

  function wake(): void {
    woken = true;
    if (!log) return;
    working ??= workAll()
      .catch(told)
      .finally(() => {
        working = undefined;
        if (woken && log) wake();
      });
  }

  async function workAll(): Promise<void> {
    woken = false;
    for (const job of await openReindexes(store.pool)) {
      while (log) {
        const began = performance.now();
        if ((await workOn(store, baseUrl, job)) !== 'more') break;
        // Half of the time belongs to those who wait for answers.
        await sleep(performance.now() - began);
      }
    }
  }

  return {
    wake,
    start(where) {
      log = where;
      timer = setInterval(wake, PAUSE).unref();
      upgrade(store).then(wake, told);
    },
    async close() {
      log = undefined;
      clearInterval(timer);
      await working;
    },
  };
}

/**
 * One step of a job, in a transaction of its own.
 *
 * @returns `more` where there may be another
 */
async function workOn(store: Store, baseUrl: string, job: Reindex): Promise<'more' | 'none'> {
  if (!job.isSplit && !(await splitReindex(store.pool, job))) return 'none';
  try {
    return (await stride(store, baseUrl, job)) ? 'more' : await end(store, job);
  } catch (fault) {
    // It waited for a writer that waited for it.
    if (isDeadlock(fault)) return 'more';
    if (!(fault instanceof Unindexable)) throw fault;
    await failReindex(store.pool, job.id, fault.message);
    return 'none';
  }
}

/** The next rows of a part; false where there is no part that nobody works on. */
async function stride(store: Store, baseUrl: string, { id, types, made, whole }: Reindex): Promise<boolean> {
  let outdated = false;
  const worked = await transaction(store.transacting, async (executor) => {
    const part = await takePart(executor, id);
    if (!part) return false;
    const rest = { after: part.at, last: part.last, types, made, whole };
    const rebuilt = await store.rebuilder.rebuild(executor, rest, baseUrl);
    if (!rebuilt) {
      outdated = true;
      return true;
    }
    await advancePart(executor, id, part, rebuilt);
    if (rebuilt.at < part.last) return true;
    const all = { ...rest, after: part.first };
    await closePart(executor, id, part, await store.rebuilder.count(executor, all));
    return true;
  });
  if (outdated) await store.parameters.refresh();
  return worked;
}

/** Where all parts are done: says so, and lets the parameters answer that waited for it. */
async function end(store: Store, { id, agent }: Reindex): Promise<'none'> {
  await transaction(store.transacting, async (executor) => {
    const result = await endReindex(executor, id);
    if (!result) return;
    if (result.whole) await answer(store, executor, id, agent);
    await finishReindex(executor, id, result);
  });
  await store.parameters.refresh();
  return 'none';
}

/** What those that answer now take the place of goes from the index as well, by work of its own. */
async function answer(store: Store, executor: Executor, job: string, agent: number): Promise<void> {
  const { replaced, version } = await answerFrom(executor, job);
  if (replaced.length === 0) return;
  const types = store.typesOf(replaced).map(store.catalog.typeNumber);
  await addReindex(executor, { agent, types, made: madeBy(version), whole: false });
}

const NOTE = {
  name: 'note_extractor',
  text: `insert into setting (name, value) values ('extractor', $1)
         on conflict (name) do update set value = excluded.value
         where setting.value::integer < excluded.value::integer returning value`,
};

/** Has all rows made anew where extractors of an earlier version have made them: searches go by these until then. */
async function upgrade(store: Store): Promise<void> {
  await transaction(store.transacting, async (executor) => {
    if ((await run(executor, NOTE, [String(EXTRACTOR_VERSION)])).length === 0) return;
    const [row] = await run(executor, VERSION, []);
    const types = store.catalog.typeNumbers;
    await addReindex(executor, { agent: 0, types, made: madeBy(row?.[0] as number), whole: false });
  });
}

const VERSION = { name: 'parameters_version', text: 'select parameters from epoch' };
