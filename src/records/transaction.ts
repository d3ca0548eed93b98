/** A transaction (R4 http.html#transaction): all of it is written, in one database transaction, or nothing. */
import { setImmediate as turn } from 'node:timers/promises';
import { demand } from '../access/access.ts';
import { prepare } from '../fhir/content.ts';
import { parseJson } from '../fhir/json.ts';
import { invalid, Refusal } from '../fhir/outcome.ts';
import { isDeadlock } from '../store/pool.ts';
import { readVersions } from '../store/read/versions.ts';
import type { Change, Write } from '../store/write/batch.ts';
import { Dangling } from '../store/write/check.ts';
import { type Changed, isTaken } from '../store/write/writer.ts';
import { takeIn } from './binary.ts';
import { checkEpoch } from './callers.ts';
import { checkId, type Draft, dangling, draft, judge, writeOf } from './draft.ts';
import type { Caller, Removed, TransactionEntry, Written } from './records.ts';
import type { Setting } from './setting.ts';
import { deletion, otherVersion, removedOf, translated, withLabels, writtenOf } from './write.ts';

/** An entry with the id it gets, and what is made of it on the way. */
interface Step {
  readonly entry: TransactionEntry;
  readonly type: string;
  readonly id: string;
  made?: Draft;
  rid?: number;
  /** what a PUT with `create` has found */
  found?: Written;
  /** the content with labels that would have been lost */
  labelled?: Pick<Change, 'content' | 'security' | 'row' | 'labels'>;
}

/** So many entries are prepared before other requests have their turn. */
const CHUNK = 25;

export async function transaction(
  setting: Setting,
  caller: Caller,
  entries: readonly TransactionEntry[],
): Promise<(Written | Removed)[]> {
  const steps = entries.map((entry): Step => {
    const id = entry.method === 'POST' ? setting.nextId() : entry.id;
    return { entry, type: entry.type, id };
  });
  await inTurns(steps, (step) => demandStep(caller, step));
  checkIdentities(steps);
  const names = namesOf(steps);
  for (let attempt = 0; ; attempt++) {
    try {
      await findExisting(setting, steps);
      await inTurns(steps, (step) => makeDraft(setting, step, names));
      return await writeAll(setting, caller, steps);
    } catch (fault) {
      // An id was given away between looking and writing, or two writers waited for each other.
      const passing = fault instanceof Again || isTaken(fault) || isDeadlock(fault);
      if (!passing || attempt === 4) throw fault;
    }
  }
}

/** Runs over the entries, yields between chunks, and says which entry a refusal is about. */
async function inTurns(steps: readonly Step[], work: (step: Step) => void | Promise<void>): Promise<void> {
  for (let i = 0; i < steps.length; i++) {
    if (i % CHUNK === CHUNK - 1) await turn();
    try {
      await work(steps[i] as Step);
    } catch (fault) {
      throw fault instanceof Refusal ? inEntry(fault, i, steps[i] as Step) : fault;
    }
  }
}

/** The refusal, with expressions from the Bundle on. */
function inEntry(fault: Refusal, index: number, { entry, type }: Step): Refusal {
  const place = `Bundle.entry[${index}]`;
  const resource = entry.method === 'DELETE' ? place : `${place}.resource`;
  const issues = fault.issues.map((issue) => {
    const { expression } = issue;
    const within = expression?.startsWith(`${type}.`)
      ? `${resource}${expression.slice(type.length)}`
      : resource;
    return { ...issue, expression: within };
  });
  return new Refusal(fault.status, issues, fault.headers);
}

function demandStep({ access }: Caller, { entry, type }: Step): void {
  if (entry.method === 'DELETE') demand(access, type, 'd');
  // Whether a PUT creates is known only in the end, and a transaction is not refused half-way for want of leave.
  else demand(access, type, 'c');
  if (entry.method === 'PUT' && !entry.create) demand(access, type, 'u');
}

/** @throws Refusal 400 where two entries mean one resource (R4 http.html#trules) */
function checkIdentities(steps: readonly Step[]): void {
  const first = new Map<string, number>();
  steps.forEach(({ type, id }, i) => {
    const name = `${type}/${id}`;
    const other = first.get(name);
    if (other !== undefined)
      throw invalid(
        'invalid',
        `Bundle.entry[${other}] and Bundle.entry[${i}] both mean ${name}: a transaction may change a resource once`,
        `Bundle.entry[${i}]`,
      );
    first.set(name, i);
  });
}

/** Looks which PUTs with `create` have nothing left to do, before anything is made of them. */
async function findExisting({ store }: Setting, steps: readonly Step[]): Promise<void> {
  const asked = steps.filter(({ entry }) => entry.method === 'PUT' && entry.create);
  if (asked.length === 0) return;
  const rids = await store.numbers.find(asked.map(({ type, id }) => ({ type, id })));
  const versions = await readVersions(
    store.pool,
    rids.filter((rid) => rid !== undefined),
  );
  asked.forEach((step, i) => {
    const known = versions.get(rids[i] as number);
    if (!known) return;
    const { type, id } = step;
    const content = { content: '', blob: null };
    step.found = writtenOf(type, id, content, known.version, known.updated, false);
  });
}

/**
 * What the entries call each other, as references will call them.
 *
 * @throws Refusal 400 where two have one fullUrl (R4 bundle.html, bdl-7)
 */
function namesOf(steps: readonly Step[]): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  steps.forEach(({ entry, type, id }, i) => {
    if (entry.method === 'DELETE' || !entry.fullUrl?.startsWith('urn:')) return;
    if (names.has(entry.fullUrl))
      throw invalid(
        'invalid',
        'Another entry has this fullUrl: give each its own',
        `Bundle.entry[${i}].fullUrl`,
      );
    names.set(entry.fullUrl, `${type}/${id}`);
  });
  return names;
}

async function makeDraft(setting: Setting, step: Step, names: ReadonlyMap<string, string>): Promise<void> {
  const { entry, type, id } = step;
  if (entry.method === 'DELETE' || step.found || step.made) return;
  const incoming = prepare(parseJson(entry.body), entry.body, (resource) => setting.rewrite(resource, names));
  if (entry.method === 'PUT' && !entry.create) checkId(incoming.resource, id);
  if (type === 'Binary') judge(setting, incoming.resource, type);
  const { incoming: kept, blob } =
    type === 'Binary' ? await takeIn(setting, incoming) : { incoming, blob: null };
  step.made = draft(setting, kept, type, blob);
}

/** Thrown where what was looked up has changed before it was written: the attempt is made again. */
class Again extends Error {}

async function writeAll(
  setting: Setting,
  caller: Caller,
  steps: readonly Step[],
): Promise<(Written | Removed)[]> {
  const { store } = setting;
  const active = steps.filter(({ found }) => !found);
  const fresh = await giveNumbers(setting, active);
  const placesOf = await placesFor(setting, active);
  const creates: Write[] = [];
  const changes: Change[] = [];
  const changed = new Map<Step, number>();
  const codes: number[] = [];
  await inTurns(steps, (step) => {
    const { entry, type, id, made, rid, found } = step;
    if (found) return;
    const ifMatch = ifMatchOf(entry);
    if (ifMatch !== undefined && (rid === undefined || fresh.has(step)))
      throw otherVersion(type, id, ifMatch, undefined);
    if (rid === undefined) return;
    if (!made) {
      changed.set(step, changes.push(deletion(setting, caller, { type, id, ifMatch }, rid)) - 1);
      return;
    }
    const { targets, paths } = placesOf(made);
    const write = writeOf(setting, caller, { rid, type, id }, made, targets, paths);
    for (const half of write.row?.codes ?? []) codes.push(half);
    if (fresh.has(step)) creates.push(write);
    else changed.set(step, changes.push(changeOf(step, write)) - 1);
  });
  // In one order everywhere, so that two transactions with the same new ids do not wait for each other.
  creates.sort((a, b) => a.type - b.type || (a.id < b.id ? -1 : 1));
  await store.codeKeys.add(codes);
  // What is written is written under the caller's epoch; that nothing is to be done must not be told to others.
  if (creates.length + changes.length === 0) checkEpoch(caller, await setting.callers.epoch());
  const done = await translated(undefined, [], () => store.writer.together(creates, changes)).catch(
    (fault) => {
      throw danglingIn(steps, placesOf, fault) ?? fault;
    },
  );
  await inTurns(steps, (step) => {
    const at = changed.get(step);
    if (at !== undefined) checkChanged(setting, step, changes[at] as Change, done.changed[at] as Changed);
  });
  for (const step of fresh) store.numbers.remember(step.type, step.id, step.rid as number);
  return steps.map((step) => {
    const { entry, type, id, made, found } = step;
    if (found) return found;
    const at = changed.get(step);
    const one = at === undefined ? undefined : (done.changed[at] as Changed);
    if (entry.method === 'DELETE') return one ? removedOf(type, id, entry.ifMatch, one) : { existed: false };
    const kept = {
      content: (at === undefined ? made?.content : changes[at]?.content) ?? '',
      blob: made?.blob ?? null,
    };
    if (!one) return writtenOf(type, id, kept, 1, done.created as string, true);
    return writtenOf(type, id, kept, one.version, one.updated, !one.existed);
  });
}

const ifMatchOf = (entry: TransactionEntry): number | undefined =>
  entry.method === 'POST' ? undefined : entry.ifMatch;

/**
 * Gives each entry the number of its resource.
 *
 * @returns the entries whose resources have no row yet; a DELETE of such keeps no number, as it has nothing to do
 */
async function giveNumbers({ store }: Setting, active: readonly Step[]): Promise<ReadonlySet<Step>> {
  const named = active.filter(({ entry }) => entry.method !== 'POST');
  const known = await store.numbers.find(named.map(({ type, id }) => ({ type, id })));
  const rids = new Map(named.map((step, i) => [step, known[i]]));
  const fresh = new Set<Step>();
  for (const step of active) {
    step.rid = rids.get(step);
    if (step.rid !== undefined || step.entry.method === 'DELETE') continue;
    step.rid = await store.numbers.next();
    fresh.add(step);
  }
  return fresh;
}

type PlacesOf = (made: Draft) => { readonly targets: readonly number[]; readonly paths: readonly number[] };

/** The numbers of all targets, those inside the transaction included, and of all paths. */
async function placesFor({ store }: Setting, active: readonly Step[]): Promise<PlacesOf> {
  const rids = new Map<string, number>();
  for (const { type, id, rid } of active) if (rid !== undefined) rids.set(`${type}/${id}`, rid);
  const outside = new Map<string, { readonly type: string; readonly id: string }>();
  const paths = new Map<string, number>();
  for (const { made } of active)
    for (const { type, id, path } of made?.analysis.edges ?? []) {
      const name = `${type}/${id}`;
      if (!rids.has(name)) outside.set(name, { type, id });
      paths.set(path, 0);
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

function changeOf({ entry, labelled }: Step, write: Write): Change {
  // Version 0 is what is referred to but was never written.
  const expected = entry.method === 'PUT' && entry.create ? 0 : (ifMatchOf(entry) ?? null);
  return { ...write, expected, labels: null, ...labelled };
}

/**
 * @throws Refusal 412 where it had another version than expected
 * @throws Again where the next attempt can go through
 */
function checkChanged(
  setting: Setting,
  step: Step,
  change: Change,
  { status, version, existed, labels }: Changed,
): void {
  const { entry, type, id, made } = step;
  if (status === 'labels' && made) {
    const { content, security, row, labels: replaced } = withLabels(setting, change, made, labels as string);
    step.labelled = { content, security, row, labels: replaced };
    throw new Again();
  }
  if (status !== 'other version') return;
  if (entry.method === 'PUT' && entry.create) throw new Again();
  throw otherVersion(type, id, ifMatchOf(entry), { version, existed });
}

/** With REFERENCES=check: which entry refers to what is not there. */
function danglingIn(steps: readonly Step[], placesOf: PlacesOf, fault: unknown): Refusal | undefined {
  if (!(fault instanceof Dangling)) return undefined;
  const { target: missing } = fault;
  const at = steps.findIndex(({ made }) => made && placesOf(made).targets.includes(missing));
  const { made } = steps[at] as Step;
  return made && inEntry(dangling(made, placesOf(made).targets, missing), at, steps[at] as Step);
}
