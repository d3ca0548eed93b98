/**
 * The posted SearchParameters that act: read with the epoch that they belong to, changed together with it. So whoever
 * was judged in the present epoch, and asks here first, writes by the parameters that there are.
 */
import { nameOf, type OpenDefinitions, type SearchParameter } from '../fhir/definitions.ts';
import { isFor } from '../fhir/posted-parameters.ts';
import type { Catalog } from './catalog.ts';
import { type Executor, type Row, run } from './pool.ts';
import { StaleEpoch } from './write/writer.ts';

export interface SearchParameters {
  /**
   * Makes the definitions those of an epoch, or of a later one.
   *
   * @returns undefined where they are already
   */
  upTo(epoch: number): Promise<void> | undefined;
  /** Makes them those of now, with how far what is to come is. */
  refresh(): Promise<void>;
}

/** A posted SearchParameter that acts from now on, or, without a definition, does not act any more. */
export interface Posting {
  /** id of its resource */
  readonly id: string;
  readonly definition?: SearchParameter;
  /** whether what acts now goes on until the definition does */
  readonly keeps: boolean;
}

/** How far a job `j` is, by the numbers of resources. */
export const PERCENT =
  'floor(100.0 * sum(p.at - p.first) / nullif(sum(p.last - p.first), 0)) from reindex_part p where p.job = j.id';

const LOAD = {
  name: 'load_search_parameters',
  text: `select e.value, e.parameters, s.number, s.id, s.job, s.definition,
           case when j.finished is null then least(99, coalesce((select ${PERCENT}), 0))::integer end
         from epoch e left join search_parameter s on true left join reindex j on j.id = s.job
         order by s.number`,
};
const RAISE = {
  name: 'raise_parameters',
  text: `update epoch set value = value + 1, parameters = parameters + 1 where value = $1 returning parameters`,
};
const REMOVE = {
  name: 'remove_search_parameters',
  text: `delete from search_parameter where id = any ($1) and (job is not null or id <> all ($2))`,
};
const ADD = {
  name: 'add_search_parameters',
  text: `insert into search_parameter (id, job, definition) select id, $1, definition::json
         from unnest($2::text[], $3::text[]) with ordinality e (id, definition, n) order by n`,
};

const ANSWERS = {
  name: 'answer_search_parameters',
  text: `with fresh as (
           update search_parameter set job = null where job = $1 returning id, number
         )
         delete from search_parameter s using fresh where s.id = fresh.id and s.number < fresh.number
         returning s.definition`,
};
const LET = {
  name: 'let_answer',
  text: `update epoch set value = value + 1, parameters = parameters + case when $1 then 1 else 0 end returning parameters`,
};
// The epoch first, as who posts does.
const LOCK = { name: 'lock_epoch', text: 'select parameters from epoch for no key update' };
const WAITING = { name: 'waiting_search_parameters', text: 'select from search_parameter where job = $1' };

export function openSearchParameters(
  pool: Executor,
  definitions: OpenDefinitions,
  catalog: Pick<Catalog, 'addParameters'>,
): SearchParameters {
  let seen = -1;

  async function refresh(): Promise<void> {
    const rows = await run(pool, LOAD, []);
    const [epoch, version] = rows[0] as [number, number];
    const parameters = rows.flatMap(postedOf);
    await catalog.addParameters(
      parameters.flatMap(({ parameter }) =>
        definitions.resourceTypes
          .filter((type) => isFor(definitions, parameter, type))
          .map((type) => [type, nameOf(parameter)] as const),
      ),
    );
    // Another look may have been quicker, and seen more.
    if (epoch < seen) return;
    seen = epoch;
    definitions.adopt({ version, parameters });
  }

  async function until(epoch: number): Promise<void> {
    while (seen < epoch) await refresh();
  }

  return { refresh, upTo: (epoch) => (epoch <= seen ? undefined : until(epoch)) };
}

function postedOf([, , posted, id, job, definition, percent]: Row) {
  if (posted === null) return [];
  const parameter = { ...(definition as SearchParameter), posted: posted as number };
  return [
    {
      id: id as string,
      parameter,
      answers: job === null,
      job: String(job),
      percent: (percent ?? undefined) as number | undefined,
    },
  ];
}

/**
 * Raises the epoch, and with it the version of what resources are indexed by, until the transaction ends.
 *
 * @param epoch that must still be
 * @returns     the version
 * @throws      StaleEpoch
 */
export async function raise(executor: Executor, epoch: number): Promise<number> {
  const [row] = await run(executor, RAISE, [epoch]);
  if (!row) throw new StaleEpoch();
  return row[0] as number;
}

/** Notes what acts from now on. @param job that indexes by it */
export async function post(executor: Executor, postings: readonly Posting[], job: string): Promise<void> {
  const kept = postings.filter(({ keeps }) => keeps).map(({ id }) => id);
  await run(executor, REMOVE, [postings.map(({ id }) => id), kept]);
  const fresh = postings.filter(({ definition }) => definition);
  if (fresh.length === 0) return;
  const definitionTexts = fresh.map(({ definition }) => JSON.stringify(definition));
  await run(executor, ADD, [job, fresh.map(({ id }) => id), definitionTexts]);
}

const RETRY = {
  name: 'retry_search_parameter',
  text: `update search_parameter set job = $1
         where id = $2 and job in (select id from reindex where finished is not null)`,
};

/** Lets a posted parameter wait for another job, where the one that it waited for did not get there. */
export async function retry(executor: Executor, id: string, job: string): Promise<void> {
  await run(executor, RETRY, [job, id]);
}

/**
 * Lets the parameters answer that waited for a job.
 *
 * @returns what they take the place of, and the version of what resources are indexed by then
 */
export async function answerFrom(
  executor: Executor,
  job: string,
): Promise<{ readonly replaced: readonly SearchParameter[]; readonly version: number }> {
  await run(executor, LOCK, []);
  if ((await run(executor, WAITING, [job])).length === 0) return { replaced: [], version: 0 };
  const replaced = (await run(executor, ANSWERS, [job])).map(([definition]) => definition as SearchParameter);
  const [row] = await run(executor, LET, [replaced.length > 0]);
  return { replaced, version: row?.[0] as number };
}
