/** Which step has made which version, and whether it made what it was asked for. */
import {
  type Content,
  type History,
  hasEffect,
  isRead,
  type Operation,
  outcomeOf,
  type Step,
  sameContent,
  type Version,
} from './history.ts';

/** A step in its place. */
export interface Placed {
  readonly operation: Operation;
  readonly step: Step;
}

/** By `Type/id`: for each version, from the first on, the step that made it, where one is known. */
export type Makers = ReadonlyMap<string, readonly (Placed | undefined)[]>;

export type FaultKind =
  /** an answer that no client should get, such as 500 */
  | 'answer'
  /** version numbers that do not count up by one */
  | 'gap'
  /** acknowledged, and not there */
  | 'lost'
  /** there, and nobody asked for it */
  | 'ghost'
  /** one write, and two versions of it */
  | 'twice'
  /** there, though the answer says that it was not done */
  | 'refused'
  /** content that is not what was written, or read */
  | 'content'
  /** done though what it depends on did not hold, or the other way round */
  | 'condition'
  /** a transaction of which only a part is there */
  | 'half'
  /** no order of all that happened explains the answers: something was stale, or seen half done */
  | 'order';

export type Tell = (kind: FaultKind, text: string, ...operations: readonly Operation[]) => void;

/** @returns who made what; what does not fit is told */
export function findMakers({ operations, resources }: History, tell: Tell): Makers {
  const byMark = new Map<string, Placed>();
  for (const operation of operations)
    for (const step of operation.steps) if (step.mark) byMark.set(step.mark, { operation, step });
  const makers = new Map<string, (Placed | undefined)[]>();
  const places = new Map<Step, string>();
  const deletions: Deletion[] = [];
  for (const [resource, versions] of resources) {
    const made: (Placed | undefined)[] = [];
    makers.set(resource, made);
    for (const [i, { version, content }] of versions.entries()) {
      if (version !== i + 1) {
        tell('gap', `${resource} has a version ${version} where ${i + 1} is next`);
        break;
      }
      const name = `${resource}/_history/${version}`;
      const mark = content?.marks.at(-1);
      const maker = mark === undefined ? undefined : byMark.get(mark);
      made.push(maker);
      if (!content) deletions.push({ resource, version: versions[i]!, before: versions[i - 1]?.content });
      else if (!maker) tell('ghost', `${name} has the content "${content.marks.join('+')}" of nobody`);
      else if (places.has(maker.step))
        tell('twice', `${places.get(maker.step)} and ${name} are of one write`, maker.operation);
      else {
        places.set(maker.step, name);
        checkMade(maker, name, { version, content, before: versions[i - 1]?.content }, tell);
      }
    }
  }
  matchDeletions(operations, deletions, ({ resource, version: { version }, before }, maker) => {
    const name = `${resource}/_history/${version}`;
    if (!before) tell('ghost', `${name} deletes what was not there`);
    if (!maker) {
      tell('ghost', `${name} is a deletion of nobody`);
      return;
    }
    makers.get(resource)![version - 1] = maker;
    places.set(maker.step, name);
    checkDepends(maker, name, version, before, tell);
  });
  for (const operation of operations) checkDone(operation, places, tell);
  return makers;
}

interface Deletion {
  readonly resource: string;
  readonly version: Version;
  readonly before: Content | undefined;
}

/** So far, in ms, the time stamp of a deletion may lie outside of its call: it is never before that of the version before. */
const SLACK = 30;

/** So exact, in ms, is the servers' time on the clients' clock. */
const CLOCK = 2;

const fits = ({ operation: { invoked, returned } }: Placed, at: number, slack: number): boolean =>
  invoked - slack <= at && at <= returned + slack;

/**
 * Finds who made each deletion. Acknowledged ones by id are known; what a condition found is not told, and what had
 * no answer may be any: they are given to the deletions that fit in time, the first to be over first.
 */
function matchDeletions(
  operations: readonly Operation[],
  deletions: readonly Deletion[],
  found: (deletion: Deletion, maker: Placed | undefined) => void,
): void {
  const exact = new Map<string, Placed>();
  const loose = new Map<string, Placed[]>();
  for (const operation of operations)
    for (const step of operation.steps) {
      const { action, resource, condition, answer } = step;
      if (action !== 'delete') continue;
      const outcome = outcomeOf(operation, step);
      const placed = { operation, step };
      if (outcome === 'unknown') push(loose, resource ?? `?${condition}`, placed);
      else if (outcome === 'done' && hasEffect(step)) {
        if (resource) exact.set(`${resource}@${answer?.version}`, placed);
        else push(loose, `?${condition}@${answer?.version}`, placed);
      }
    }
  const taken = new Set<Step>();
  for (const deletion of deletions.toSorted((a, b) => a.version.updated - b.version.updated)) {
    const { resource, version, before } = deletion;
    const condition = `?${before?.identifier}`;
    const known = exact.get(`${resource}@${version.version}`);
    const names = [`${condition}@${version.version}`, condition, resource];
    const maker =
      known ??
      names
        .flatMap((name) => loose.get(name) ?? [])
        .filter((one) => !taken.has(one.step) && fits(one, version.updated, SLACK))
        // one that is out of time by a little is the maker only where no other can be
        .sort(
          (a, b) =>
            Number(fits(b, version.updated, CLOCK)) - Number(fits(a, version.updated, CLOCK)) ||
            a.operation.returned - b.operation.returned,
        )[0];
    if (maker) taken.add(maker.step);
    found(deletion, maker);
  }
}

function push<K, V>(to: Map<K, V[]>, key: K, value: V): void {
  const list = to.get(key);
  if (list) list.push(value);
  else to.set(key, [value]);
}

interface MadeContent {
  readonly version: number;
  readonly content: Content;
  /** of the version before; undefined where there is none, or it is a deletion */
  readonly before: Content | undefined;
}

function checkMade(maker: Placed, name: string, { version, content, before }: MadeContent, tell: Tell): void {
  const { operation, step } = maker;
  const { action, mark = '', identifier, refers, answer } = step;
  if (step.resource && !name.startsWith(`${step.resource}/`))
    tell('ghost', `${name} was written to ${step.resource}`, operation);
  if (action === 'patch' && !before) {
    tell('content', `${name} patches nothing`, operation);
    return;
  }
  const link = refers === undefined ? undefined : content.link;
  const expected: Content =
    action === 'patch' && before
      ? { ...before, marks: [...before.marks, mark] }
      : { marks: [mark], identifier, link };
  if (!sameContent(expected, content) || (refers && !link))
    tell('content', `${name} is ${said(content)}, and should be ${said(expected)}`, operation);
  if (answer && answer.status < 300 && (action === 'create' || action === 'update'))
    if ((answer.status === 201) !== (before === undefined))
      tell('answer', `${name} was answered ${answer.status}`, operation);
  if (answer?.content && !sameContent(answer.content, content))
    tell('content', `${name} is ${said(content)}, and was answered as ${said(answer.content)}`, operation);
  checkDepends(maker, name, version, before, tell);
}

const said = (content: Content): string => JSON.stringify(content);

function checkDepends(
  { operation, step }: Placed,
  name: string,
  version: number,
  before: Content | undefined,
  tell: Tell,
): void {
  const { action, ifMatch, ifNew, condition } = step;
  if (ifMatch !== undefined && (version !== ifMatch + 1 || !before))
    tell('condition', `${name} was to follow version ${ifMatch}`, operation);
  if (ifNew && before) tell('condition', `${name} was to be made only where nothing was`, operation);
  if (!condition) return;
  const creates = action === 'create' || (action === 'update' && version === 1);
  if (creates ? version !== 1 : before?.identifier !== condition)
    tell('condition', `${name} follows what does not match ?${condition}`, operation);
}

/** What was acknowledged is there, what was refused is not, and a transaction is there as a whole. */
function checkDone(operation: Operation, places: ReadonlyMap<Step, string>, tell: Tell): void {
  const { kind, steps } = operation;
  const half = kind === 'transaction' && steps.some((step) => places.has(step));
  for (const step of steps) {
    if (isRead(step)) continue;
    const outcome = outcomeOf(operation, step);
    const place = places.get(step);
    if (outcome === 'unknown') {
      const needed = step.action !== 'delete' && !(step.action === 'create' && step.condition) && !step.ifNew;
      if (half && needed && !place) tell('half', `${step.mark} is not there, but others are`, operation);
    } else if (outcome === 'refused' || !hasEffect(step)) {
      if (place) tell('refused', `${place} is there`, operation);
    } else {
      const { resource = step.resource, version } = step.answer!;
      const said = resource === undefined ? place : `${resource}/_history/${version}`;
      if (place === undefined || place !== said)
        tell('lost', `${said} is not what was acknowledged${place ? `, which is ${place}` : ''}`, operation);
    }
  }
}
