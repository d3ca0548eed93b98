/** What the entries of a transaction bring, as its conditions see it. */

import type { Extracted } from '../../fhir/extract.ts';
import { refusal } from '../../fhir/outcome.ts';
import type { Condition } from '../../search/condition.ts';
import { identifying } from '../../store/locks.ts';
import { meetsValues } from '../conditions.ts';
import type { Setting } from '../setting.ts';
import type { Step } from './steps.ts';

/** The search values of a step's resource. */
export type ValuesOf = (step: Step) => readonly Extracted[];

export interface Contents {
  add(step: Step): void;
  /** The steps whose resources meet a condition. */
  meeting(condition: Condition): readonly Step[];
}

/** So many resources are compared with conditions that name no identifier, one by one. */
const MOST_COMPARED = 100_000;

/**
 * Makes an index of what is brought. A condition on an identifier looks up its value, so that thousands of entries
 * with a condition each are not compared each with each. Nothing is looked at before a condition asks.
 *
 * @param idOf   the id that a step's resource gets
 * @param budget shared by all indexes of an attempt
 */
export function makeContents(
  setting: Setting,
  valuesOf: ValuesOf,
  idOf: (step: Step) => string,
  budget: { compared: number },
): Contents {
  const byType = new Map<string, Step[]>();
  const byValue = new Map<string, Step[]>();
  let fresh: Step[] = [];

  function index(): void {
    for (const step of fresh) {
      const { type } = step.entry;
      push(byType, type, step);
      for (const text of new Set(identifying.values(valuesOf(step)))) push(byValue, `${type}|${text}`, step);
    }
    fresh = [];
  }

  function candidates({ type, filters }: Condition): readonly Step[] {
    const texts = identifying.texts(filters);
    if (texts) return [...new Set(texts.flatMap((text) => byValue.get(`${type}|${text}`) ?? []))];
    const all = byType.get(type) ?? [];
    budget.compared += all.length;
    if (budget.compared > MOST_COMPARED)
      throw refusal(
        413,
        'too-costly',
        'This Bundle has too many conditions that name no identifier: name one in each, or split the Bundle',
      );
    return all;
  }

  return {
    add(step) {
      fresh.push(step);
    },
    meeting(condition) {
      index();
      const { type, filters } = condition;
      return candidates(condition).filter((step) =>
        meetsValues(setting, filters, { type, id: idOf(step), values: valuesOf(step) }),
      );
    },
  };
}

function push(to: Map<string, Step[]>, key: string, step: Step): void {
  const known = to.get(key);
  if (known) known.push(step);
  else to.set(key, [step]);
}
