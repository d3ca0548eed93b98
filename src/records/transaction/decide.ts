/**
 * What is to be done for each entry, by what its condition finds (R4 http.html#trules). Deletions come first, then
 * creations, then updates: each kind sees what those before it leave. Within a kind the order of entries plays no part.
 */
import { demand } from '../../access/access.ts';
import { render } from '../../fhir/content.ts';
import { error, invalid, Refusal, refusal } from '../../fhir/outcome.ts';
import { applyPatch } from '../../fhir/patch/patch.ts';
import type { Condition } from '../../search/condition.ts';
import { instantOf } from '../../store/pool.ts';
import type { VersionNumber } from '../../store/read/versions.ts';
import { checkEpoch } from '../callers.ts';
import { type Matched, type Resolution, severalMatch } from '../conditions.ts';
import { refuseOfTrail } from '../draft.ts';
import { demandMatched, demandWhole } from '../leave.ts';
import { notFound } from '../not-found.ts';
import { gone } from '../read.ts';
import type { Caller } from '../records.ts';
import type { Setting } from '../setting.ts';
import { otherVersion } from '../write.ts';
import { type Contents, makeContents, type ValuesOf } from './contents.ts';
import { type Decision, type Decisions, inEntry, type Named, type Step, twice } from './steps.ts';

type OfMethod<M extends Step['entry']['method']> = Step & {
  readonly entry: Extract<Step['entry'], { readonly method: M }>;
};

const of = <M extends Step['entry']['method']>(steps: readonly Step[], method: M): OfMethod<M>[] =>
  steps.filter(({ entry }) => entry.method === method) as OfMethod<M>[];

/**
 * Decides.
 *
 * @throws Refusal, which says which entry it is about
 */
export async function decide(
  setting: Setting,
  caller: Caller,
  steps: readonly Step[],
  resolution: Resolution,
  known: {
    readonly valuesOf: ValuesOf;
    readonly existing: ReadonlyMap<Step, VersionNumber>;
    /** undefined: the caller may do it to all of a type */
    readonly named: Named | undefined;
  },
): Promise<Decisions> {
  const decisions: Decisions = new Map();
  const budget = { compared: 0 };
  const contents = (): Contents =>
    makeContents(setting, known.valuesOf, (step) => (decisions.get(step) as Decision).id, budget);
  const deleted = new Set<string>();
  const created = contents();
  const world: World = {
    before: (condition) =>
      (resolution.get(condition.key) ?? []).filter(({ id }) => !deleted.has(`${condition.type}/${id}`)),
    created: created.meeting,
  };

  await each(of(steps, 'DELETE'), async (step) => {
    decisions.set(step, await decideDelete(setting, caller, step, world, known.named));
  });
  for (const { type, id, also = [] } of decisions.values())
    for (const one of [id, ...also.map((other) => other.id)]) deleted.add(`${type}/${one}`);

  const posts = of(steps, 'POST');
  for (const step of posts.filter(({ condition }) => !condition)) {
    decisions.set(step, { act: 'write', type: step.entry.type, id: step.newId });
    created.add(step);
  }
  const conditional = posts.filter(({ condition }) => condition);
  decideConditionalPosts(conditional, world, (step, decision) => {
    decisions.set(step, decision);
    if (decision.act === 'write') created.add(step);
  });

  const updated = contents();
  const puts = of(steps, 'PUT');
  await each([...puts, ...of(steps, 'PATCH')], async (step) => {
    const existing = known.existing.get(step);
    const { id = '' } = step.entry;
    decisions.set(
      step,
      existing
        ? decideExisting(step, id, existing)
        : await decideUpdate(setting, caller, step, world, known.named),
    );
  });
  for (const step of puts) updated.add(step);
  checkIdentities(decisions, updated);
  return decisions;
}

async function each<S extends Step>(
  steps: readonly S[],
  work: (step: S) => void | Promise<void>,
): Promise<void> {
  for (const step of steps) {
    try {
      await work(step);
    } catch (fault) {
      throw fault instanceof Refusal ? inEntry(fault, step) : fault;
    }
  }
}

/** What there is after the entries that are decided already. */
interface World {
  /** of what was there before, what is left */
  before(condition: Condition): readonly Matched[];
  /** of what entries create, those that meet a condition */
  created(condition: Condition): readonly Step[];
}

async function decideDelete(
  setting: Setting,
  caller: Caller,
  step: OfMethod<'DELETE'>,
  world: World,
  named: Named | undefined,
): Promise<Decision> {
  const { mostDeleted } = setting;
  const { entry } = step;
  const { type, ifMatch } = entry;
  if (!entry.where) {
    refuseOfTrail(type, entry.id);
    if (!named) return { act: 'delete', type, id: entry.id, expected: ifMatch };
    const there = named.get(step);
    if (there && !there.deleted)
      return { act: 'delete', type, id: entry.id, expected: ifMatch ?? there.version, judged: true };
    if (ifMatch !== undefined) throw otherVersion(type, entry.id, ifMatch, undefined);
    return { act: 'none', type, id: '' };
  }
  const found = world.before(entry.where);
  const [first, ...also] = found;
  if (!first) return { act: 'none', type, id: '' };
  if (found.length > mostDeleted) throw severalMatch(entry.where, found.length);
  if (ifMatch !== undefined && found.some(({ version }) => version !== ifMatch))
    throw otherVersion(type, first.id, ifMatch, { version: first.version, existed: true });
  for (const one of found) await demandMatched(setting, caller, 'd', { type, ...one });
  return { act: 'delete', type, id: first.id, expected: first.version, also };
}

/** A PUT that may only create. By itself it may bring back what was deleted, whose version is no current one. */
function decideExisting({ index, entry: { type } }: Step, id: string, existing: VersionNumber): Decision {
  const { version, deleted } = existing;
  if (deleted && index === undefined) return { act: 'write', type, id, revives: version };
  return { act: 'none', type, id, matched: { ...existing, content: '', blob: null } };
}

/**
 * Each condition is looked at once; equal ones share what comes of it. They come in the order of their texts, and of
 * entries with one condition that creates whose text is the first: so the order of entries plays no part.
 */
function decideConditionalPosts(
  steps: readonly OfMethod<'POST'>[],
  world: World,
  done: (step: Step, decision: Decision) => void,
): void {
  const groups = new Map<string, OfMethod<'POST'>[]>();
  for (const step of steps) {
    const { key } = step.condition as Condition;
    const group = groups.get(key);
    if (group) group.push(step);
    else groups.set(key, [step]);
  }
  for (const [, group] of [...groups].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const [first, ...others] = group.sort((a, b) => (a.entry.body < b.entry.body ? -1 : 1));
    if (!first) continue;
    const decision = decideConditionalPost(first, world);
    done(first, decision);
    const same: Decision = decision.act === 'write' ? { ...decision, act: 'none', as: first } : decision;
    for (const other of others) done(other, same);
  }
}

function decideConditionalPost(step: OfMethod<'POST'>, world: World): Decision {
  const { type } = step.entry;
  const condition = step.condition as Condition;
  const [before, created] = [world.before(condition), world.created(condition)];
  const count = before.length + created.length;
  if (count > 1) throw inEntry(severalMatch(condition, count), step);
  const [found] = before;
  if (found) return { act: 'none', type, id: found.id, matched: found };
  const [maker] = created;
  if (maker) return { act: 'none', type, id: maker.newId, as: maker };
  return { act: 'write', type, id: step.newId };
}

async function decideUpdate(
  setting: Setting,
  caller: Caller,
  step: OfMethod<'PUT'> | OfMethod<'PATCH'>,
  world: World,
  named: Named | undefined,
): Promise<Decision> {
  const { entry } = step;
  const { type, where, ifMatch } = entry;
  if (!where) {
    const there = named?.get(step);
    const seen = there && { expected: ifMatch ?? there.version, judged: true, before: there };
    if (there && entry.method === 'PUT') demandWhole(caller, there);
    if (entry.method === 'PUT')
      return { act: 'write', type, id: entry.id, expected: ifMatch, fresh: entry.ifNew, ...seen };
    if (named && !there) throw notFound(type, entry.id);
    return { ...patched(setting, entry, await current(setting, caller, type, entry.id)), ...seen };
  }
  const [maker] = world.created(where);
  if (maker) throw twice(maker, step, `what matches ${where.text}`);
  const found = world.before(where);
  const [matched] = found;
  if (found.length > 1) throw severalMatch(where, found.length);
  if (entry.method === 'PATCH') {
    if (!matched)
      throw refusal(404, 'not-found', `Nothing matches ${where.text}, so there is nothing to patch`);
    for (const letter of ['r', 'u'] as const)
      await demandMatched(setting, caller, letter, { type, ...matched });
    return { ...patched(setting, entry, matched), before: { type, ...matched } };
  }
  const { id: own } = step.resource();
  if (matched) {
    if (own !== undefined && own !== matched.id)
      throw invalid(
        'value',
        `The body's id differs from that of what matches ${where.text}, ${type}/${matched.id}: make it the same, or leave it out`,
        `${type}.id`,
      );
    if (ifMatch !== undefined && ifMatch !== matched.version)
      throw otherVersion(type, matched.id, ifMatch, { version: matched.version, existed: true });
    await demandMatched(setting, caller, 'u', { type, ...matched });
    demandWhole(caller, { type, ...matched });
    return { act: 'write', type, id: matched.id, expected: matched.version, before: { type, ...matched } };
  }
  demand(caller.access, type, 'c');
  if (ifMatch !== undefined)
    throw refusal(
      412,
      'conflict',
      `Nothing matches ${where.text}, so it does not have the version that If-Match names`,
    );
  if (own === undefined) return { act: 'write', type, id: step.newId };
  if (named)
    throw refusal(
      403,
      'forbidden',
      'This access token does not allow to choose ids: leave the id out, and the server gives one',
    );
  await checkFree(setting, type, own, where);
  return { act: 'write', type, id: own };
}

/** The current version, as far as a patch needs it. */
async function current(setting: Setting, caller: Caller, type: string, id: string): Promise<Matched> {
  const { store } = setting;
  const found = await store.read({ type: store.catalog.typeNumber(type), id });
  checkEpoch(caller, found.epoch);
  if (found.version === 0) throw notFound(type, id);
  if (found.deleted) throw gone(type, id, found);
  return { ...found, rid: 0, id, content: found.content ?? '' };
}

function patched(
  { maxContent }: Setting,
  { type, ifMatch, patch }: OfMethod<'PATCH'>['entry'],
  { id, version, updated, content }: Matched,
): Decision {
  if (type === 'Binary')
    throw refusal(
      405,
      'not-supported',
      'A Binary is not patched (R4 binary.html): replace it as a whole, with PUT',
    );
  if (ifMatch !== undefined && ifMatch !== version)
    throw otherVersion(type, id, ifMatch, { version, existed: true });
  const text = applyPatch(patch, render(content, { type, id, version, updated: instantOf(updated) }));
  if (text.length > maxContent)
    throw refusal(
      413,
      'too-long',
      `The patch makes ${type}/${id} longer than ${maxContent} characters, the limit of this server (MAX_BODY)`,
    );
  return { act: 'write', type, id, expected: version, patched: { text } };
}

/** @throws Refusal 409 where a conditional update would create under an id that is taken */
async function checkFree({ store }: Setting, type: string, id: string, { text }: Condition): Promise<void> {
  const { version, deleted } = await store.read({ type: store.catalog.typeNumber(type), id });
  if (version === 0 || deleted) return;
  throw new Refusal(409, [
    error(
      'conflict',
      `Nothing matches ${text}, and ${type}/${id} is there already and does not match: leave the id out to create another`,
      `${type}.id`,
    ),
  ]);
}

/**
 * @param updated what updates bring
 * @throws        Refusal 400 where two entries mean one resource
 */
function checkIdentities(decisions: Decisions, updated: Contents): void {
  const changing = new Map<string, Step>();
  const found = new Map<string, Step>();
  const making = new Map<string, Step>();
  for (const [step, { act, type, id, as, also = [] }] of decisions) {
    if (as || id === '') continue;
    for (const one of [id, ...also.map((other) => other.id)]) {
      const name = `${type}/${one}`;
      if (act === 'none') {
        found.set(name, step);
        continue;
      }
      const other = changing.get(name);
      if (other) throw twice(other, step, name);
      changing.set(name, step);
    }
  }
  for (const [name, step] of found) {
    const other = changing.get(name);
    if (other) throw twice(other, step, name);
  }
  // Of what updates by condition create, none may be what another update's condition would have found.
  for (const [step, { expected }] of decisions) {
    const { entry, condition } = step;
    if (entry.method !== 'PUT' || !condition || expected !== undefined) continue;
    const key = condition.key;
    const other = making.get(key) ?? updated.meeting(condition).find((one) => one !== step);
    if (other) throw twice(other, step, `what matches ${condition.text}`);
    making.set(key, step);
  }
}
