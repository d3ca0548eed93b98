/**
 * What becomes of written SearchParameters: those that act are checked before they are written, and noted in the same
 * transaction. It raises the epoch, so that what others write from then on is indexed by them; what is there already is
 * indexed in the background, and searches are answered when that is done.
 */
import type { SearchParameter as Resource } from 'fhir/r4.js';
import { demandDefining } from '../../access/access.ts';
import type { SearchParameter } from '../../fhir/definitions.ts';
import { Refusal, refusal } from '../../fhir/outcome.ts';
import { addReindex } from '../../jobs/reindex-queue.ts';
import { readDefinition } from '../../search/define.ts';
import { MOST_SETS, madeBy } from '../../store/index/row.ts';
import type { Executor } from '../../store/pool.ts';
import { type Posting, post, raise } from '../../store/search-parameters.ts';
import type { Caller } from '../records.ts';
import type { Setting } from '../setting.ts';
import { type Decisions, inEntry, type Step } from './steps.ts';

export interface Postings {
  readonly each: readonly Posting[];
  /** whose resources are to be indexed anew */
  readonly types: readonly string[];
}

/**
 * What a transaction changes of the parameters that act; undefined where nothing.
 *
 * @throws Refusal 422 naming the element where one cannot act; 403 where the caller may not let it
 */
export function postingsOf(setting: Setting, caller: Caller, decisions: Decisions): Postings | undefined {
  const { definitions, store } = setting;
  const written = [...decisions].filter(([, { type, act }]) => type === 'SearchParameter' && act !== 'none');
  if (written.length === 0) return undefined;
  const { parameters, version } = definitions.posted;
  const touched = new Set(written.flatMap(([, { id, also = [] }]) => [id, ...also.map((other) => other.id)]));
  const others: SearchParameter[] = parameters
    .filter(({ id }) => !touched.has(id))
    .map(({ parameter }) => parameter);
  const each: Posting[] = [];
  const concerned: SearchParameter[] = [];

  const change = (step: Step, id: string, definition: SearchParameter | undefined): void => {
    const now = parameters.filter((one) => one.id === id);
    const [answering, coming] = [now.find(({ answers }) => answers), now.find(({ answers }) => !answers)];
    if (definition) others.push(definition);
    const latest = coming ?? answering;
    if (definition ? isSame(latest?.parameter, definition) : !latest) return;
    inStep(step, () => demandDefining(caller.access));
    const reverts = definition !== undefined && isSame(answering?.parameter, definition);
    each.push({ id, definition: reverts ? undefined : definition, keeps: definition !== undefined });
    // What goes on answering is looked after when it ends.
    for (const one of now) if (!definition || one === coming) concerned.push(one.parameter);
    if (definition && !reverts) concerned.push(definition);
  };

  for (const [step, { act, id, also = [], made }] of written) {
    if (act === 'delete')
      for (const one of [id, ...also.map((other) => other.id)]) change(step, one, undefined);
    else {
      const resource = made?.resource as unknown as Resource;
      change(
        step,
        id,
        inStep(step, () => readDefinition(definitions, resource, others)),
      );
    }
  }
  if (each.length === 0) return undefined;
  if (version + 2 > MOST_SETS) throw tooMany();
  return { each, types: store.typesOf(concerned) };
}

/** Notes it, when all is written and not yet committed. */
export async function notePostings(
  { store: { catalog } }: Setting,
  caller: Caller,
  { each, types }: Postings,
  executor: Executor,
): Promise<void> {
  const version = await raise(executor, caller.epoch);
  const job = await addReindex(executor, {
    agent: caller.agent,
    types: types.map(catalog.typeNumber),
    made: madeBy(version),
    whole: false,
  });
  await post(executor, each, job);
}

function inStep<T>(step: Step, work: () => T): T {
  try {
    return work();
  } catch (fault) {
    throw fault instanceof Refusal ? inEntry(fault, step) : fault;
  }
}

/** Whether two define the same: they are made member by member in one order. */
function isSame(one: SearchParameter | undefined, other: SearchParameter): boolean {
  return one !== undefined && JSON.stringify({ ...one, posted: undefined }) === JSON.stringify(other);
}

function tooMany(): Refusal {
  return refusal(
    422,
    'too-costly',
    `What resources are indexed by has changed ${MOST_SETS} times, which is all that this database can tell apart`,
  );
}
