/**
 * Value sets as the codes that are in them, and codes as those above and below (R4 valueset.html#compositions,
 * codesystem.html#hierarchy). What cannot be told is refused with the reason, never guessed.
 */
import { invalid, type Refusal } from './outcome.ts';

/** A part of a value set (R4 ValueSet.compose.include). */
export interface Include {
  readonly system?: string;
  readonly concept?: readonly { readonly code: string }[];
  readonly filter?: readonly { readonly property: string; readonly op: string; readonly value: string }[];
  readonly valueSet?: readonly string[];
}

export interface ValueSet {
  readonly version?: string;
  readonly include: readonly Include[];
  readonly exclude?: readonly Include[];
}

export interface CodeSystem {
  /** whether it has all of its codes */
  readonly complete: boolean;
  /** its codes, each with those directly above it */
  readonly above: ReadonlyMap<string, readonly string[]>;
}

/** What is held. */
export interface Terminology {
  /** @param canonical with a version or without, or the `ValueSet/id` of one held here */
  valueSet(canonical: string): Promise<ValueSet | undefined>;
  codeSystem(url: string): Promise<CodeSystem | undefined>;
}

/** By system; `all`: whatever code it has. */
export type Codes = ReadonlyMap<string, ReadonlySet<string> | 'all'>;

/** So deep value sets may name others. */
const DEEPEST = 10;
/** And so many parts may be looked at. */
const MOST_PARTS = 1000;

/**
 * The codes of a value set.
 *
 * @throws Refusal 400 where it is not held, or cannot be enumerated
 */
export function codesOf(terminology: Terminology, canonical: string): Promise<Codes> {
  let parts = 0;
  return ofValueSet(canonical, 0);

  async function ofValueSet(name: string, depth: number): Promise<Codes> {
    if (depth > DEEPEST) throw unknown(canonical, `it names value sets ${DEEPEST} deep`);
    const found = await terminology.valueSet(name);
    if (!found) throw unknown(name, 'it is not held here');
    const codes = new Map<string, Set<string> | 'all'>();
    for (const part of found.include)
      for (const [system, more] of await ofPart(part, depth)) {
        const known = codes.get(system);
        codes.set(system, known === 'all' || more === 'all' ? 'all' : new Set([...(known ?? []), ...more]));
      }
    for (const part of found.exclude ?? [])
      for (const [system, less] of await ofPart(part, depth)) {
        const known = codes.get(system);
        if (less === 'all') codes.delete(system);
        else if (known === 'all') throw unknown(name, `what is left of ${system} cannot be enumerated`);
        else for (const code of less) known?.delete(code);
      }
    return codes;
  }

  /** What is in the part's system and, where it names value sets, in all of these. */
  async function ofPart(part: Include, depth: number): Promise<Codes> {
    if (++parts > MOST_PARTS) throw unknown(canonical, 'it is made of too many parts');
    const { system, valueSet = [] } = part;
    const each: Codes[] = system === undefined ? [] : [new Map([[system, await ofSystem(system, part)]])];
    for (const name of valueSet) each.push(await ofValueSet(name, depth + 1));
    const [first = new Map(), ...others] = each;
    return others.reduce(both, first);
  }

  async function ofSystem(
    system: string,
    { concept, filter }: Include,
  ): Promise<ReadonlySet<string> | 'all'> {
    if (concept?.length) return new Set(concept.map(({ code }) => code));
    const held = await terminology.codeSystem(system);
    if (!filter?.length) return held?.complete ? new Set(held.above.keys()) : 'all';
    if (!held?.complete) throw unknown(canonical, `the code system ${system} is not held here as a whole`);
    let codes: ReadonlySet<string> = new Set(held.above.keys());
    for (const { property, op, value } of filter) {
      const passing = passingOf(held, property, op, value);
      if (!passing) throw unknown(canonical, `its filter "${property} ${op}" is not supported`);
      codes = codes.intersection(passing);
    }
    return codes;
  }
}

function passingOf(held: CodeSystem, property: string, op: string, value: string): Set<string> | undefined {
  if (property === 'parent' && op === '=')
    return new Set([...held.above].filter(([, parents]) => parents.includes(value)).map(([code]) => code));
  if (property !== 'concept' && property !== 'code') return undefined;
  const within = descendantsOf(held, value);
  switch (op) {
    case '=':
      return new Set(held.above.has(value) ? [value] : []);
    case 'is-a':
      return new Set(held.above.has(value) ? [value, ...within] : []);
    case 'descendent-of':
      return within;
    case 'is-not-a':
      return new Set([...held.above.keys()].filter((code) => code !== value && !within.has(code)));
    case 'in':
      return new Set(value.split(',').filter((code) => held.above.has(code)));
    default:
      return undefined;
  }
}

function both(one: Codes, other: Codes): Codes {
  const codes = new Map<string, ReadonlySet<string> | 'all'>();
  for (const [system, mine] of one) {
    const its = other.get(system);
    if (its === undefined) continue;
    codes.set(system, mine === 'all' ? its : its === 'all' ? mine : mine.intersection(its));
  }
  return codes;
}

/**
 * A code with those above or below it.
 *
 * @throws Refusal 400 where its system is not held, or has no such code
 */
export async function hierarchyOf(
  terminology: Terminology,
  system: string,
  code: string,
  direction: 'above' | 'below',
): Promise<ReadonlySet<string>> {
  const held = await terminology.codeSystem(system);
  if (!held)
    throw invalid(
      'not-found',
      `The code system ${system} is not held here: nothing is known ${direction} its codes`,
    );
  if (!held.above.has(code)) throw invalid('not-found', `The code system ${system} has no code ${code}`);
  return new Set([code, ...(direction === 'below' ? descendantsOf(held, code) : ancestorsOf(held, code))]);
}

const ancestorsOf = ({ above }: CodeSystem, code: string): Set<string> => reached(above, code);

function descendantsOf({ above }: CodeSystem, code: string): Set<string> {
  const below = new Map<string, string[]>();
  for (const [each, parents] of above)
    for (const parent of parents) {
      const known = below.get(parent);
      if (known) known.push(each);
      else below.set(parent, [each]);
    }
  return reached(below, code);
}

/** All that steps lead to, from a code on; itself only where they lead back to it. */
function reached(steps: ReadonlyMap<string, readonly string[]>, code: string): Set<string> {
  const found = new Set<string>();
  const todo = [...(steps.get(code) ?? [])];
  for (let next = todo.pop(); next !== undefined; next = todo.pop())
    if (!found.has(next)) {
      found.add(next);
      todo.push(...(steps.get(next) ?? []));
    }
  return found;
}

/** 400: a value set, and why its codes cannot be told. */
const unknown = (name: string, why: string): Refusal =>
  invalid('not-supported', `The codes of the value set ${name.slice(0, 200)} cannot be told: ${why}`);
