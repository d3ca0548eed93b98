/** $reindex: the index rows of all resources made anew, in the background; and how far that is. */
import { demandDefining, mayDefine } from '../access/access.ts';
import { error, Refusal, refusal } from '../fhir/outcome.ts';
import type { JobProgress } from '../jobs/job.ts';
import {
  addReindex,
  forgetReindex,
  lookAtReindex,
  openReindexes,
  type ReindexResult,
} from '../jobs/reindex-queue.ts';
import { madeBy } from '../store/index/row.ts';
import { type Executor, transaction } from '../store/pool.ts';
import { retry } from '../store/search-parameters.ts';
import { checkEpoch } from './callers.ts';
import { read } from './read.ts';
import type { Caller } from './records.ts';
import type { Setting } from './setting.ts';

/** Of what, where it is not of all. */
export interface ReindexWanted {
  readonly type?: string;
  /** id of a SearchParameter: all that it is for */
  readonly parameter?: string;
}

/** So many may be under way. */
const MOST = 20;

/**
 * Begins it.
 *
 * @returns the id by which it is looked at
 * @throws  Refusal 403; 404, 410, and 422 where the SearchParameter does not act; 429
 */
export async function reindex(
  setting: Setting,
  caller: Caller,
  { type, parameter }: ReindexWanted,
): Promise<string> {
  const { definitions, store, callers, reindexing } = setting;
  demandDefining(caller.access);
  checkEpoch(caller, await callers.epoch());
  const posted = definitions.posted.parameters.filter(({ id }) => id === parameter);
  if (parameter !== undefined && posted.length === 0) {
    await read(setting, caller, 'SearchParameter', parameter);
    throw refusal(
      422,
      'business-rule',
      `SearchParameter/${parameter} does not act, so nothing is indexed by it: it is a draft, or retired`,
    );
  }
  const mine =
    parameter === undefined ? definitions.resourceTypes : store.typesOf(posted.map((one) => one.parameter));
  const types = mine.filter((one) => type === undefined || one === type);
  if (types.length === 0)
    throw refusal(422, 'business-rule', `SearchParameter/${parameter} is not for ${type}: leave type out`);
  if ((await openReindexes(store.pool)).length >= MOST) throw tooMany();
  const request = {
    agent: caller.agent,
    types: types.map(store.catalog.typeNumber),
    made: madeBy(definitions.posted.version),
    whole: true,
  };
  const id = await transaction(store.transacting, async (executor) => {
    const job = await addReindex(executor, request);
    if (parameter !== undefined && type === undefined) await retry(executor, parameter, job);
    return job;
  });
  reindexing.wake();
  return id;
}

function tooMany(): Refusal {
  const issue = error('throttled', `${MOST} reindexings wait or are under way: ask again when some are done`);
  return new Refusal(429, [issue], { 'Retry-After': '30' });
}

/** How far one is, for whoever asked for it, or may ask for one. */
export async function lookAt(
  executor: Executor,
  { agent, access }: Caller,
  id: string,
): Promise<JobProgress | undefined> {
  const found = await lookAtReindex(executor, id);
  if (!found || (found.agent !== agent && !mayDefine(access))) return undefined;
  const { progress } = found;
  if (progress.state !== 'done') return progress;
  return {
    state: 'done',
    answer: { status: 200, about: false },
    body: bodyOf(progress.result),
    expires: progress.expires,
  };
}

/** Forgets what came of one, or ends one that was asked for; what searches wait for goes on. */
export async function forget(executor: Executor, caller: Caller, id: string): Promise<boolean> {
  if (!(await lookAt(executor, caller, id))) return false;
  if (await forgetReindex(executor, id)) return true;
  throw refusal(
    409,
    'conflict',
    'Searches wait for this: retire the SearchParameter instead, or let it be finished',
  );
}

async function* bodyOf({ counts, rebuilt, rounds, whole, fault }: ReindexResult): AsyncGenerator<Buffer> {
  const parameter = [
    { name: 'verified', valueBoolean: whole },
    { name: 'rebuilt', valueDecimal: rebuilt },
    { name: 'repeated', valueInteger: rounds },
    ...(fault === undefined ? [] : [{ name: 'fault', valueString: fault }]),
    ...counts.map(({ type, resources, rows, current }) => ({
      name: 'type',
      part: [
        { name: 'code', valueCode: type },
        { name: 'resources', valueDecimal: resources },
        { name: 'indexed', valueDecimal: rows },
        { name: 'current', valueDecimal: current },
      ],
    })),
  ];
  yield Buffer.from(JSON.stringify({ resourceType: 'Parameters', parameter }));
}
