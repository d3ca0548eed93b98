/** Writing what was decided: one statement each for all that is new and all that changes. */
import { setImmediate as turn } from 'node:timers/promises';
import type { Refusal } from '../../fhir/outcome.ts';
import type { Unit } from '../../search/units.ts';
import type { Executor } from '../../store/pool.ts';
import { readVersions, type VersionNumber } from '../../store/read/versions.ts';
import type { Change, Write } from '../../store/write/batch.ts';
import { Dangling } from '../../store/write/check.ts';
import type { Changed, Together } from '../../store/write/writer.ts';
import { checkEpoch } from '../callers.ts';
import { holdsOf, type Resolution, resolve } from '../conditions.ts';
import { note } from '../deferred.ts';
import { type Draft, dangling, writeOf } from '../draft.ts';
import type { Caller, Outcome, Written } from '../records.ts';
import { isSeen } from '../seen.ts';
import type { Setting } from '../setting.ts';
import { deletion, otherVersion, removedOf, translated, withLabels, writtenOf } from '../write.ts';
import { look, lookInside } from './look.ts';
import type { Plan } from './plan.ts';
import { notePostings } from './postings.ts';
import { CHUNK, type Decision, type Decisions, inEntry, inTurns, type Step } from './steps.ts';

/** Thrown where what was looked up has changed before it was written: the attempt is made again. */
export class Again extends Error {}

/** What entries that may only create find under their ids. */
export async function findExisting(
  { store }: Setting,
  steps: readonly Step[],
): Promise<ReadonlyMap<Step, VersionNumber>> {
  const asked = steps.flatMap((step) =>
    step.entry.method === 'PUT' && step.entry.ifNew && !step.entry.where
      ? [{ step, type: step.entry.type, id: step.entry.id }]
      : [],
  );
  if (asked.length === 0) return new Map();
  const rids = await store.numbers.find(asked);
  const versions = await readVersions(
    store.pool,
    rids.filter((rid) => rid !== undefined),
  );
  return new Map(
    asked.flatMap(({ step }, i) => {
      const known = versions.get(rids[i] as number);
      return known ? [[step, known] as const] : [];
    }),
  );
}

/** What goes to the store, and which entry each is of. */
interface Batch {
  readonly creates: { readonly step: Step; readonly write: Write }[];
  readonly changes: { readonly step: Step; readonly change: Change }[];
}

export async function writeAll(
  setting: Setting,
  caller: Caller,
  plan: Plan,
  decisions: Decisions,
  resolution: Resolution,
): Promise<Outcome[]> {
  const { store } = setting;
  const { entries, steps, conditions, postings, beside } = plan;
  const fresh = await giveNumbers(setting, decisions);
  const placesOf = await placesFor(setting, decisions);
  const { creates, changes } = await batchOf(setting, caller, steps, decisions, fresh, placesOf);
  const outcomes: Outcome[] = [];
  const reads = entries.some(({ method }) => method === 'GET');
  const found = (index: number, outcome: Outcome): void => {
    outcomes[index] = outcome;
  };
  if (creates.length + changes.length === 0) {
    // What is written is written under the caller's epoch; that nothing is to be done must not be told to others.
    checkEpoch(caller, await setting.callers.epoch());
    if (reads) for (const [i, outcome] of (await look(setting, caller, entries)).entries()) found(i, outcome);
  }
  const written = new Map([...fresh].map((step) => nameAndNumber(decisions.get(step) as Decision)));
  const around = {
    holds: holdsOf(setting, conditions),
    before: async (executor: Executor): Promise<void> => {
      await beside?.before(executor);
      if (conditions.length === 0) return;
      if (!isSame(resolution, await resolve(setting, caller, conditions, executor))) throw new Again();
    },
    after: async (executor: Executor): Promise<void> => {
      if (reads) await lookInside(setting, caller, entries, executor, written, found);
      if (postings) await notePostings(setting, caller, postings, executor);
      await beside?.after(executor, written);
      await note(caller, executor, 'done');
    },
  };
  const done: Together =
    creates.length + changes.length === 0
      ? { created: [], changed: [] }
      : await translated(undefined, [], () =>
          store.writer.together(
            creates.map(({ write }) => write),
            changes.map(({ change }) => change),
            conditions.length > 0 || reads || caller.job || postings || beside ? around : undefined,
          ),
        ).catch((fault) => {
          throw danglingIn(steps, decisions, placesOf, fault) ?? fault;
        });
  // The labels of all, before the first stops the attempt: the next attempt keeps every one.
  for (const [i, { step }] of changes.entries()) {
    const { status, labels } = done.changed[i] as Changed;
    if (status === 'labels') step.labels = labels as string;
  }
  for (const [i, { step, change }] of changes.entries())
    checkChanged(step, decisions, change, done.changed[i] as Changed);
  await inTurns([...fresh], (step) => {
    const { type, id, rid } = decisions.get(step) as Decision;
    store.numbers.remember(type, id, rid as number);
  });
  const results = new Map<Step, Outcome>();
  creates.forEach(({ step }, i) => {
    const decision = decisions.get(step) as Decision;
    const { type, id, made } = decision;
    const kept = { content: made?.content ?? '', blob: made?.blob ?? null };
    results.set(step, {
      kind: 'written',
      resource: writtenOf(type, id, kept, 1, done.created[i] as string, true),
    });
  });
  changes.forEach(({ step, change }, i) => {
    results.set(step, changedTo(step, decisions, change, done.changed[i] as Changed));
  });
  let at = 0;
  for (const [i, entry] of entries.entries()) {
    if (entry.method === 'GET') continue;
    const step = steps[at++] as Step;
    outcomes[i] = await outcomeOf(setting, caller, step, decisions, results);
  }
  return outcomes;
}

const nameAndNumber = ({ type, id, rid }: Decision): [string, number] => [`${type}/${id}`, rid as number];

/** Whether conditions find the same, at the same versions. */
function isSame(before: Resolution, now: Resolution): boolean {
  for (const [key, matches] of now) {
    const known = before.get(key) ?? [];
    if (known.length !== matches.length) return false;
    const versions = new Map(known.map(({ rid, version }) => [rid, version]));
    if (matches.some(({ rid, version }) => versions.get(rid) !== version)) return false;
  }
  return true;
}

async function batchOf(
  setting: Setting,
  caller: Caller,
  steps: readonly Step[],
  decisions: Decisions,
  fresh: ReadonlySet<Step>,
  placesOf: PlacesOf,
): Promise<Batch> {
  const batch: Batch = { creates: [], changes: [] };
  const codes: number[] = [];
  const units: Unit[] = [];
  await inTurns(steps, (step) => {
    const decision = decisions.get(step) as Decision;
    const { act, type, id, expected, made, rid } = decision;
    if (act === 'none') return;
    if (expected !== undefined && (rid === undefined || fresh.has(step)))
      throw otherVersion(type, id, expected, undefined);
    if (rid === undefined) return;
    if (act === 'delete') {
      batch.changes.push({ step, change: deletion(setting, caller, { type, id, ifMatch: expected }, rid) });
      for (const other of decision.also ?? [])
        batch.changes.push({
          step,
          change: deletion(setting, caller, { type, id: other.id, ifMatch: other.version }, other.rid),
        });
      return;
    }
    const draft = made as Draft;
    const { targets, paths } = placesOf(draft);
    const write = writeOf(setting, caller, { rid, type, id }, draft, targets, paths);
    for (const half of write.row?.codes ?? []) codes.push(half);
    for (const unit of write.row?.units ?? []) units.push(unit);
    if (fresh.has(step)) batch.creates.push({ step, write });
    else batch.changes.push({ step, change: changeOf(setting, step, decision, write) });
  });
  // In one order everywhere, so that two transactions with the same new ids do not wait for each other.
  batch.creates.sort(({ write: a }, { write: b }) => a.type - b.type || (a.id < b.id ? -1 : 1));
  await setting.store.codeKeys.add(codes);
  await setting.store.units.add(units);
  return batch;
}

function changeOf(
  setting: Setting,
  step: Step,
  { expected, fresh, made, revives }: Decision,
  write: Write,
): Change {
  // Version 0 is what is referred to but was never written.
  const wanted = revives === undefined ? (expected ?? null) : -revives;
  const change = { ...write, expected: fresh ? 0 : wanted, labels: null };
  return step.labels === undefined ? change : withLabels(setting, change, made as Draft, step.labels);
}

/**
 * Gives each entry the number of its resource.
 *
 * @returns the entries whose resources have no row yet; a DELETE of such keeps no number, as it has nothing to do
 */
async function giveNumbers({ store }: Setting, decisions: Decisions): Promise<ReadonlySet<Step>> {
  const active = [...decisions].filter(([, { act }]) => act !== 'none');
  const named = active.filter(([step, { id }]) => id !== step.newId);
  const known = await store.numbers.find(named.map(([, { type, id }]) => ({ type, id })));
  named.forEach(([, decision], i) => {
    decision.rid = known[i];
  });
  const fresh = new Set<Step>();
  for (const [step, decision] of active) {
    if (decision.rid !== undefined || decision.act === 'delete') continue;
    const next = store.numbers.next();
    decision.rid = typeof next === 'number' ? next : await next;
    fresh.add(step);
  }
  return fresh;
}

type PlacesOf = (made: Draft) => { readonly targets: readonly number[]; readonly paths: readonly number[] };

/** The numbers of all targets, those inside the transaction included, and of all paths. */
async function placesFor({ store }: Setting, decisions: Decisions): Promise<PlacesOf> {
  const rids = new Map<string, number>();
  for (const { type, id, rid } of decisions.values()) if (rid !== undefined) rids.set(`${type}/${id}`, rid);
  const outside = new Map<string, { readonly type: string; readonly id: string }>();
  const paths = new Map<string, number>();
  let n = 0;
  for (const { made } of decisions.values()) {
    if (++n % CHUNK === 0) await turn();
    for (const { type, id, path } of made?.analysis.edges ?? []) {
      const name = `${type}/${id}`;
      if (!rids.has(name)) outside.set(name, { type, id });
      paths.set(path, 0);
    }
  }
  const found = await store.numbers.resolve([...outside.values()]);
  [...outside.keys()].forEach((name, i) => {
    rids.set(name, found[i] as number);
  });
  const numbers = await store.catalog.pathNumbers([...paths.keys()]);
  [...paths.keys()].forEach((path, i) => {
    paths.set(path, numbers[i] as number);
  });
  return ({ analysis: { edges } }) => ({
    targets: edges.map(({ type, id }) => rids.get(`${type}/${id}`) as number),
    paths: edges.map(({ path }) => paths.get(path) as number),
  });
}

/** Whether the version that an entry's change expects was looked up, and not named by the client. */
function wasLookedUp({ entry }: Step, { judged }: Decision): boolean {
  if (entry.method === 'POST') return true;
  if (entry.where !== undefined) return true;
  return (judged === true || entry.method === 'PATCH') && entry.ifMatch === undefined;
}

/**
 * @throws Refusal 412 where it had another version than expected
 * @throws Again where the next attempt can go through
 */
function checkChanged(
  step: Step,
  decisions: Decisions,
  change: Change,
  { status, version, existed }: Changed,
): void {
  if (status === 'labels') throw new Again();
  if (status !== 'other version') return;
  const decision = decisions.get(step) as Decision;
  const { type, id, fresh, revives } = decision;
  if (fresh || revives !== undefined || wasLookedUp(step, decision)) throw new Again();
  throw inEntry(otherVersion(type, id, change.expected ?? undefined, { version, existed }), step);
}

function changedTo(step: Step, decisions: Decisions, change: Change, changed: Changed): Outcome {
  const { type, id, made } = decisions.get(step) as Decision;
  if (change.content === null)
    return { kind: 'removed', removed: removedOf(type, id, change.expected ?? undefined, changed) };
  const kept = { content: change.content, blob: made?.blob ?? null };
  return {
    kind: 'written',
    resource: writtenOf(type, id, kept, changed.version, changed.updated, !changed.existed),
  };
}

async function outcomeOf(
  setting: Setting,
  caller: Caller,
  step: Step,
  decisions: Decisions,
  results: ReadonlyMap<Step, Outcome>,
): Promise<Outcome> {
  const done = results.get(step);
  if (done) return done;
  const { type, id, matched, as } = decisions.get(step) as Decision;
  if (as) {
    const { resource } = results.get(as) as { readonly resource: Written };
    return { kind: 'unchanged', resource };
  }
  if (!matched) return { kind: 'removed', removed: { existed: false } };
  // Who may not read it is told that it is there, not what it holds.
  const isShown =
    caller.access.allows(type, 'r') && (await isSeen(setting, caller, 'r', { type, ...matched, id }));
  const content = isShown ? matched.content : '';
  const kept = { content, blob: content === '' ? null : matched.blob };
  const resource = writtenOf(type, id, kept, matched.version, matched.updated, false);
  return { kind: 'unchanged', resource: matched.rid ? { ...resource, rid: matched.rid } : resource };
}

/** With REFERENCES=check: which entry refers to what is not there. */
function danglingIn(
  steps: readonly Step[],
  decisions: Decisions,
  placesOf: PlacesOf,
  fault: unknown,
): Refusal | undefined {
  if (!(fault instanceof Dangling)) return undefined;
  for (const step of steps) {
    const { made } = decisions.get(step) as Decision;
    if (!made) continue;
    const { targets } = placesOf(made);
    if (targets.includes(fault.target)) return inEntry(dangling(made, targets, fault.target), step);
  }
  return undefined;
}
