/** What answers tell of conditions: how many resources matched, at the moment of the answer. */
import type { Choice, Edge, Trial } from './checker.ts';
import { hasEffect, outcomeOf } from './history.ts';
import type { Placed } from './makers.ts';
import { sees } from './readings.ts';

/** While it lasts, a resource matches a condition. */
interface Period {
  readonly resource: string;
  readonly from: number;
  readonly to?: number;
}

export function conditionChoices(trial: Trial): Choice[] {
  const periods = findPeriods(trial);
  const choices: Choice[] = [];
  for (const operation of trial.history.operations)
    for (const step of operation.steps) {
      if (!step.condition && !step.refers) continue;
      const outcome = outcomeOf(operation, step);
      const placed = { operation, step };
      if (outcome === 'done') choices.push(...choicesOfDone(trial, periods, placed));
      else if (outcome === 'refused' && operation.kind !== 'transaction')
        choices.push(...choicesOfRefused(trial, periods, placed));
    }
  return choices;
}

type Periods = ReadonlyMap<string, readonly Period[]>;

function findPeriods(trial: Trial): Periods {
  const periods = new Map<string, Period[]>();
  for (const [resource, versions] of trial.history.resources) {
    let identifier: string | undefined;
    let from: number | undefined;
    for (const { version, content } of [...versions, { version: versions.length + 1, content: undefined }]) {
      if (content && content.identifier === identifier) continue;
      const to = trial.madeAt(resource, version);
      if (identifier !== undefined && from !== undefined) {
        const list = periods.get(identifier) ?? [];
        list.push({ resource, from, to });
        periods.set(identifier, list);
      }
      identifier = content?.identifier;
      from = to;
    }
  }
  return periods;
}

function choicesOfDone(trial: Trial, periods: Periods, placed: Placed): Choice[] {
  const { step } = placed;
  const { condition, refers, answer, action } = step;
  const choices: Choice[] = [];
  if (condition && hasEffect(step))
    choices.push(...alone(trial, periods, placed, condition, madeBy(trial, placed)));
  else if (condition && action === 'delete') choices.push(...alone(trial, periods, placed, condition));
  else if (condition && answer?.resource) {
    const { resource, version = 0 } = answer;
    if (trial.contentAt(resource, version)?.identifier !== condition)
      trial.tell('condition', `${resource} at ${version} does not match ?${condition}`, placed.operation);
    sees(trial, placed, resource, version);
    choices.push(...alone(trial, periods, placed, condition, resource));
  }
  const link = refers && linkOf(trial, placed);
  if (refers && link) choices.push(matching(trial, periods, placed, refers, link));
  if (refers && link) choices.push(...alone(trial, periods, placed, refers, link));
  return choices;
}

function choicesOfRefused(trial: Trial, periods: Periods, placed: Placed): Choice[] {
  const { condition, ifMatch, answer } = placed.step;
  if (!condition) return [];
  if (answer?.status === 404) return alone(trial, periods, placed, condition);
  if (answer?.status !== 412 || ifMatch !== undefined) return [];
  const event = trial.eventOf(placed);
  const near = (periods.get(condition) ?? []).filter(({ from, to }) => trial.mayMeet(event, from, to));
  const alternatives = near.flatMap((one, i) =>
    near.slice(i + 1).flatMap((other) => {
      if (other.resource === one.resource) return [];
      return [[...within(event, one), ...within(event, other)]];
    }),
  );
  return [{ event, kind: 'condition', text: `?${condition} never matched several`, alternatives }];
}

/** The resource that a conditional write has written. */
function madeBy(trial: Trial, { step }: Placed): string | undefined {
  return step.answer?.resource ?? trial.placeOf(step)?.resource;
}

function linkOf(trial: Trial, { step }: Placed): string | undefined {
  const place = trial.placeOf(step);
  return place && trial.contentAt(place.resource, place.version)?.link;
}

/** Nothing but `resource` matched. */
function alone(
  trial: Trial,
  periods: Periods,
  placed: Placed,
  condition: string,
  resource?: string,
): Choice[] {
  const event = trial.eventOf(placed);
  return (periods.get(condition) ?? []).flatMap((period) => {
    const { from, to } = period;
    const own = period.resource === resource || from === event || to === event;
    if (own || !trial.mayMeet(event, from, to)) return [];
    const alternatives: Edge[][] = [[[event, from]]];
    if (to !== undefined) alternatives.push([[to, event]]);
    const text = `${resource ?? 'nothing'} was taken for all that matches ?${condition}, and ${period.resource} was there`;
    return [{ event, kind: 'condition' as const, text, alternatives }];
  });
}

/** The resource matched. */
function matching(
  trial: Trial,
  periods: Periods,
  placed: Placed,
  condition: string,
  resource: string,
): Choice {
  const event = trial.sightOf(placed);
  const alternatives = (periods.get(condition) ?? [])
    .filter((period) => period.resource === resource && trial.mayMeet(event, period.from, period.to))
    .map((period) => within(event, period));
  return { event, kind: 'condition', text: `${resource} did not match ?${condition}`, alternatives };
}

function within(event: number, { from, to }: Period): Edge[] {
  return to === undefined
    ? [[from, event]]
    : [
        [from, event],
        [event, to],
      ];
}
