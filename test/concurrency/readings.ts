/** What answers tell of one resource: which version was there, or none. */
import type { Choice, Edge, Trial } from './checker.ts';
import { hasEffect, isRead, outcomeOf, type Step, sameContent } from './history.ts';
import type { Placed } from './makers.ts';

/** Orders what is sure, and returns what is not. */
export function readings(trial: Trial): Choice[] {
  const choices: Choice[] = [];
  for (const operation of trial.history.operations)
    for (const step of operation.steps) {
      const outcome = outcomeOf(operation, step);
      const placed = { operation, step };
      if (outcome === 'done') choices.push(...readingOfDone(trial, placed));
      // of a transaction that was refused it is not known which entry failed
      else if (outcome === 'refused' && operation.kind !== 'transaction')
        choices.push(...readingOfRefused(trial, placed));
    }
  return choices;
}

function readingOfDone(trial: Trial, placed: Placed): Choice[] {
  const { step } = placed;
  const { action, resource, condition, ifNew, answer } = step;
  if (action === 'vread') {
    exists(trial, placed, resource!, step.version!);
    return [];
  }
  if (action === 'read') {
    sees(trial, placed, answer?.resource ?? resource!, answer!.version!);
    return [];
  }
  if (hasEffect(step) || condition) return [];
  if (action === 'delete') return [absent(trial, placed, resource!)];
  // a PUT that may only create, in a Bundle, and found something
  return ifNew ? [everThere(trial, placed, resource!)] : [];
}

function readingOfRefused(trial: Trial, placed: Placed): Choice[] {
  const { action, resource, condition, ifMatch, ifNew, answer, version: wanted } = placed.step;
  if (!resource || condition) return [];
  const event = trial.eventOf(placed);
  const { status, version } = answer!;
  if (status === 404)
    return [choice(event, placed, [[[event, trial.madeAt(resource, action === 'vread' ? wanted! : 1)]]])];
  if (status === 410 && action === 'vread') exists(trial, placed, resource, wanted!);
  else if (status === 410 && version !== undefined) sees(trial, placed, resource, version);
  else if (status === 410) return [absent(trial, placed, resource)];
  if (status !== 412) return [];
  if (ifNew) return [everThere(trial, placed, resource)];
  // 412 tells which version there is
  if (version !== undefined) sees(trial, placed, resource, version);
  // a deletion is no version that If-Match may mean
  if (ifMatch === undefined || !trial.contentAt(resource, ifMatch)) return [];
  const after = trial.madeAt(resource, ifMatch + 1);
  const before: Loose[] = [[event, trial.madeAt(resource, ifMatch)]];
  return [choice(event, placed, after === undefined ? [before] : [before, [[after, event]]])];
}

/** The version was the current one. */
export function sees(trial: Trial, placed: Placed, resource: string, version: number): void {
  const { operation, step } = placed;
  if (!exists(trial, placed, resource, version)) return;
  const own = operation.steps.find(
    (other) => other.answer?.resource === resource && !isRead(other) && hasEffect(other),
  );
  if (operation.kind === 'transaction' && isRead(step) && own && own.answer?.version !== version)
    trial.tell(
      'content',
      `${resource} at ${version} is read beside its own version ${own.answer?.version}`,
      operation,
    );
  const next = trial.madeAt(resource, version + 1);
  if (next !== undefined) trial.edge(trial.sightOf(placed), next);
}

/** The version was there. @returns false where there is no such */
function exists(trial: Trial, placed: Placed, resource: string, version: number): boolean {
  const { operation, step } = placed;
  const maker = trial.madeAt(resource, version);
  if (maker === undefined) {
    trial.tell('ghost', `${resource} was seen at version ${version}, which nobody made`, operation);
    return false;
  }
  const content = trial.contentAt(resource, version);
  const { status, content: seen } = step.answer!;
  if ((status === 410) !== (content === undefined) || (content && seen && !sameContent(content, seen)))
    trial.tell('content', `${resource} at ${version} is ${JSON.stringify(content)}`, operation);
  trial.edge(maker, trial.sightOf(placed));
  return true;
}

/** Nothing was there: before the first version, or after a deletion. */
function absent(trial: Trial, placed: Placed, resource: string): Choice {
  const event = trial.sightOf(placed);
  const alternatives: Loose[][] = [];
  const versions = trial.history.resources.get(resource) ?? [];
  if (placed.step.answer?.status !== 410) alternatives.push([[event, trial.madeAt(resource, 1)]]);
  for (const { version, content } of versions) {
    if (content) continue;
    const [from, to] = [trial.madeAt(resource, version), trial.madeAt(resource, version + 1)];
    if (trial.mayMeet(event, from, to))
      alternatives.push([
        [from, event],
        [event, to],
      ]);
  }
  return choice(event, placed, alternatives);
}

/** Something was written before. */
function everThere(trial: Trial, placed: Placed, resource: string): Choice {
  const event = trial.sightOf(placed);
  const first = trial.madeAt(resource, 1);
  return choice(event, placed, first === undefined ? [] : [[[first, event]]]);
}

type Loose = readonly [before: number | undefined, after: number | undefined];

/** What is not known to have happened orders nothing. */
function choice(event: number, placed: Placed, alternatives: readonly (readonly Loose[])[]): Choice {
  return {
    event,
    kind: 'order',
    text: `${describe(placed.step)} does not fit to what was there`,
    alternatives: alternatives.map((edges) =>
      edges.filter((edge): edge is Edge => edge[0] !== undefined && edge[1] !== undefined),
    ),
  };
}

const describe = ({ action, resource, answer }: Step): string => `${action} ${resource} → ${answer?.status}`;
