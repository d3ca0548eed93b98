/** Judging on their own values what the index has found: it answers some filters in part only (search/widen.ts). */
import { setImmediate as turn } from 'node:timers/promises';
import { invalid } from '../fhir/outcome.ts';
import { innerOf } from '../search/inner.ts';
import { type Facts, matches } from '../search/match.ts';
import type { Filter } from '../search/request.ts';
import { widened } from '../search/widen.ts';
import { cutPage } from '../store/read/page.ts';
import { type After, type Match, NEWEST_FIRST, type Sought } from '../store/search/search.ts';
import { factsOf } from './facts.ts';
import type { ReadSetting } from './setting.ts';

/** So many candidates are judged for one answer. */
const MOST_JUDGED = 20_000;
/** And so many are read at a time. */
const STRIDE = 500;

/** How many may be judged still. */
export interface Budget {
  left: number;
}

export const newBudget = (): Budget => ({ left: MOST_JUDGED });

/** @throws Refusal too-costly */
export function spend(budget: Budget, candidates: number): void {
  budget.left -= candidates;
  if (budget.left < 0)
    throw invalid(
      'too-costly',
      `This search has more than ${MOST_JUDGED} candidates, which must be looked at one by one: add a parameter that narrows it, such as a patient or a code`,
    );
}

/** A resource with its content. */
export interface Candidate {
  readonly rid: number;
  readonly id: string;
  readonly updated: string;
  readonly content: string;
}

/** So many matches as are in memory together. */
export interface Stride {
  /** as they were found: those at the same places in `read`, and maybe more */
  readonly found: readonly Match[];
  /** with all contents */
  readonly read: readonly (Match & Candidate)[];
}

/**
 * All that the index finds, stride by stride.
 *
 * @param from only what comes after this
 */
export async function* strides(
  { store }: ReadSetting,
  sought: Omit<Sought, 'count'>,
  from?: After,
): AsyncGenerator<Stride> {
  for (let after = from; ; ) {
    const found = await store.searcher.find({ ...sought, count: STRIDE }, after);
    const read = await cutPage(store.pool, found, STRIDE);
    yield { found, read };
    after = read[read.length - 1];
    if (found.length <= read.length || !after) return;
    await turn();
  }
}

/** All that the index finds of a type, so many at a time as are in memory together. */
export async function* candidates(
  setting: ReadSetting,
  type: string,
  filters: readonly Filter[],
  budget: Budget,
): AsyncGenerator<Stride['read']> {
  for await (const { read } of strides(setting, { type, filters, sort: NEWEST_FIRST })) {
    spend(budget, read.length);
    yield read;
  }
}

/** Which of some candidates of a type pass, in their order. */
export async function judge(
  setting: ReadSetting,
  type: string,
  judged: readonly Filter[],
  candidates: readonly Candidate[],
): Promise<readonly boolean[]> {
  if (judged.length === 0 || candidates.length === 0) return candidates.map(() => true);
  const joined = await joinedAmong(setting, type, judged, candidates);
  return candidates.map((candidate) =>
    matches(judged, factsOf(setting, { type, ...candidate }, joined(candidate))),
  );
}

/**
 * All of a type that pass a filter.
 *
 * @param filter with joins that the index answers
 */
export async function* passingAt(
  setting: ReadSetting,
  type: string,
  filter: Filter,
  budget: Budget,
): AsyncGenerator<readonly (Match & Candidate)[]> {
  const { filters, judged } = widened(setting.definitions, type, [filter]);
  for await (const stride of candidates(setting, type, filters, budget)) {
    const passed = await judge(setting, type, judged, stride);
    yield stride.filter((_, i) => passed[i]);
  }
}

/** What is told of a candidate by other resources. */
export type Joined = (candidate: Candidate) => Facts['joined'];

/** Asks once for all of them which pass the filters that other resources decide. */
export async function joinedAmong(
  { store }: ReadSetting,
  type: string,
  judged: readonly Filter[],
  candidates: readonly Candidate[],
): Promise<Joined> {
  const rids = candidates.map(({ rid }) => rid);
  const passing = new Map<Filter, ReadonlySet<number>>();
  for (const join of judged.flatMap(joinsIn)) passing.set(join, await store.searcher.among(type, join, rids));
  return ({ rid }) =>
    (join) =>
      passing.get(join)?.has(rid) ?? false;
}

/** The filters that other resources decide. */
export function joinsIn(filter: Filter): readonly Filter[] {
  switch (filter.kind) {
    case 'chain':
    case 'has':
    case 'list':
      return [filter];
    default:
      return innerOf(filter).flatMap(joinsIn);
  }
}
