/** Observations in groups by their code, of each group the newest (R4 observation-operation-lastn.html). */
import type { CodeableConcept, Observation } from 'fhir/r4.js';
import { readRange } from '../fhir/date.ts';
import { invalid } from '../fhir/outcome.ts';
import type { Stored } from '../records/records.ts';

/** So much is held at once, of all groups. */
const MOST_HELD = 10_000;
const MOST_CHARACTERS = 64 * 2 ** 20;

export interface Groups {
  /**
   * Takes an observation, which is quick where they come newest first.
   *
   * @throws Refusal 400 too-costly where there are too many to hold
   */
  add(stored: Stored, observation: Observation): void;
  /** Those of all groups, newest first. */
  all(): Stored[];
}

interface Held {
  /** milliseconds; -Infinity where the observation says no time */
  readonly effective: number;
  readonly stored: Stored;
}

const UNDATED = Number.NEGATIVE_INFINITY;

/**
 * Those of one subject that share a coding, or are joined by others that do, are one group (R4: "the grouping by code SHALL
 * follow the transitive property of equality").
 *
 * @param max so many of each group; of equally old ones all ("In case of a tie … both will be returned")
 */
export function makeGroups(max: number): Groups {
  /** newest first */
  const heldBy = new Map<string, Held[]>();
  const ids = new Set<string>();
  let characters = 0;

  function hold(group: Held[], one: Held): void {
    const last = group[group.length - 1];
    group.push(one);
    if (last && last.effective < one.effective) group.sort(newestFirst);
    ids.add(one.stored.id);
    characters += one.stored.content.length;
    if (ids.size > MOST_HELD || characters > MOST_CHARACTERS) throw tooMuch();
  }

  function drop(group: Held[], at: number): void {
    for (const { stored } of group.splice(at, 1)) {
      ids.delete(stored.id);
      characters -= stored.content.length;
    }
  }

  function trim(group: Held[]): void {
    while (group.length > max && !isTied(group, group[group.length - 1]?.effective))
      drop(group, group.length - 1);
  }

  /** Whether what was made at a time is no older than the last that is asked for. */
  const isTied = (group: readonly Held[], effective = UNDATED): boolean =>
    effective !== UNDATED && effective >= (group[max - 1]?.effective ?? UNDATED);

  /** All that has one of the names becomes one group. */
  function groupOf(names: readonly string[]): Held[] {
    const [group = [], ...others] = new Set(names.flatMap((name) => [heldBy.get(name)].filter(isThere)));
    if (others.length > 0) {
      group.push(...others.flat());
      group.sort(newestFirst);
      trim(group);
      for (const [name, one] of heldBy) if (others.includes(one)) heldBy.set(name, group);
    }
    for (const name of names) heldBy.set(name, group);
    return group;
  }

  return {
    add(stored, observation) {
      // What was written meanwhile may come once more.
      if (ids.has(stored.id))
        for (const group of new Set(heldBy.values())) {
          const at = group.findIndex((one) => one.stored.id === stored.id);
          if (at >= 0) drop(group, at);
        }
      const group = groupOf(namesOf(observation));
      const effective = effectiveOf(observation) ?? UNDATED;
      if (group.length >= max && !isTied(group, effective)) return;
      hold(group, { effective, stored });
      trim(group);
    },
    all: () =>
      [...new Set(heldBy.values())]
        .flat()
        .sort(newestFirst)
        .map(({ stored }) => stored),
  };
}

const isThere = (group: Held[] | undefined): group is Held[] => group !== undefined;

const newestFirst = (a: Held, b: Held): number =>
  a.effective === b.effective ? 0 : b.effective - a.effective;

const tooMuch = () =>
  invalid(
    'too-costly',
    `$lastn returns ${MOST_HELD} observations of ${MOST_CHARACTERS} characters at most: ask for fewer of each code with max, for fewer codes, or fewer subjects`,
  );

/** What an observation is grouped by: each of its codings, or the text of a code without any. */
function namesOf({ subject, code }: Observation): string[] {
  const codings = codingsOf(code).map(({ system = '', code: own }) => ['coding', system, own]);
  const names = codings.length > 0 ? codings : [['text', code.text]];
  return names.map((name) => JSON.stringify([subject?.reference, ...name]));
}

const codingsOf = ({ coding = [] }: CodeableConcept) => coding.filter(({ code }) => code !== undefined);

/** When an observation was made, or began to be; milliseconds. */
export function effectiveOf(observation: Observation): number | undefined {
  const { effectiveDateTime, effectiveInstant, effectivePeriod, effectiveTiming } = observation;
  const text = effectiveDateTime ?? effectiveInstant ?? effectivePeriod?.start ?? effectiveTiming?.event?.[0];
  return text === undefined ? undefined : readRange(text)?.low;
}
