/** Search values as the keys and value rows of an index row in the making. */
import type { SearchValue } from '../../fhir/extract.ts';
import { fold } from '../../fhir/fold.ts';
import { type Refusal, refusal } from '../../fhir/outcome.ts';
import { withoutVersion } from '../../fhir/reference.ts';
import type { Key } from '../hash.ts';
import { codeKey, identifierKey, ofTypeKey, pairKey, systemKey, tokenKey, unitKey, uriKey } from './keys.ts';

/** The rows of one resource. Keys are flat: high and low halves by turns. */
export interface IndexRow {
  /** numbers of the patients of its parameter `patient`, the first of which leads; of a Patient its own */
  readonly patients: readonly number[];
  /** milliseconds; null without a clinical date */
  readonly at: number | null;
  readonly until: number | null;
  /** so many keys at the beginning have timeline rows */
  readonly timeline: number;
  readonly keys: readonly number[];
  /** of the timeline keys made from a token: hash of its code or system alone, then the key */
  readonly codes: readonly number[];
  readonly targets: readonly number[];
  readonly paths: readonly number[];
  readonly numbers: {
    readonly keys: number[];
    /** NaN halves where there is no unit */
    readonly units: number[];
    readonly low: number[];
    readonly high: number[];
  };
  readonly strings: { readonly keys: number[]; readonly values: string[] };
  readonly dates: { readonly keys: number[]; readonly low: number[]; readonly high: number[] };
}

/** A longer string is found by its beginning: PostgreSQL's btree entries are bounded. */
const LONGEST_STRING = 500;
/** More codes and categories than these, or pairs of them, no resource is searched by. */
const MOST_LINES = 10_000;
const MOST_PAIRS = 10_000;

/** A row in the making. */
export interface Making {
  readonly timeline: number[];
  readonly codes: number[];
  /** lines and strings that there are already */
  readonly seen: Set<string>;
  readonly others: number[];
  readonly patients: number[];
  at: number | null;
  until: number | null;
  readonly numbers: IndexRow['numbers'];
  readonly strings: IndexRow['strings'];
  readonly dates: IndexRow['dates'];
}

type Value<Kind extends SearchValue['kind']> = Extract<SearchValue, { readonly kind: Kind }>;

/**
 * A code or category has a timeline key and no other: searches by the code or the system alone look up which
 * timeline keys these have.
 */
export function walkedToken(made: Making, parameter: Key, token: Value<'token'>): void {
  const { timeline, codes } = made;
  const { system, code = '' } = token;
  if (system === undefined && code === '') return;
  const key = tokenKey(parameter, system ?? '', code);
  if (isKnown(made, `t${key.high},${key.low}`)) return;
  if (timeline.length / 2 >= MOST_LINES) throw tooMany('codes and categories', MOST_LINES);
  push(timeline, key);
  if (code !== '') {
    push(codes, codeKey(parameter, code));
    push(codes, key);
  }
  if (system !== undefined) {
    push(codes, systemKey(parameter, system));
    push(codes, key);
  }
}

/** @param whole whether a uri is only ever searched for as a whole: each resource of a profile has the same */
export function addValue(made: Making, parameter: Key, value: SearchValue, whole: boolean): void {
  const { others } = made;
  switch (value.kind) {
    case 'token':
      if (value.code !== undefined) {
        push(others, tokenKey(parameter, value.system ?? '', value.code));
        // Without a system the key is that of the code alone, too: a search by code looks for both.
        if (value.system !== undefined) push(others, codeKey(parameter, value.code));
        if (value.typeCode !== undefined)
          push(others, ofTypeKey(parameter, value.typeSystem ?? '', value.typeCode, value.code));
      }
      if (value.system !== undefined) push(others, systemKey(parameter, value.system));
      return;
    case 'string':
      addString(made, parameter, fold(value.text));
      return;
    case 'uri':
      push(others, uriKey(parameter, value.uri));
      if (!whole) addString(made, parameter, value.uri);
      return;
    case 'number':
    case 'quantity':
      addNumber(made, parameter, parameter, value);
      return;
    case 'date':
      addDate(made, parameter, value);
      return;
    case 'reference':
      addReference(made, parameter, value);
      return;
    case 'position':
      addNumber(made, pairKey(parameter, parameter), parameter, {
        kind: 'number',
        low: value.longitude,
        high: value.longitude,
      });
      addNumber(made, parameter, parameter, { kind: 'number', low: value.latitude, high: value.latitude });
      return;
    case 'composite':
      addComposite(made, parameter, value);
  }
}

function addString(made: Making, key: Key, text: string): void {
  const { strings } = made;
  if (text === '') return;
  const kept =
    text.length > LONGEST_STRING ? text.slice(0, LONGEST_STRING).replace(/[\ud800-\udbff]$/, '') : text;
  if (isKnown(made, `s${key.high},${key.low},${kept}`)) return;
  push(strings.keys, key);
  strings.values.push(kept);
}

/** Whether this was asked before. */
function isKnown({ seen }: Making, what: string): boolean {
  const before = seen.size;
  return seen.add(what).size === before;
}

function tooMany(what: string, most: number): Refusal {
  return refusal(
    422,
    'too-costly',
    `The resource has more than ${most} ${what} to be searched by: divide it`,
  );
}

function addNumber(
  { numbers }: Making,
  key: Key,
  parameter: Key,
  value: Value<'number'> | Value<'quantity'>,
): void {
  push(numbers.keys, key);
  if (value.kind === 'quantity' && (value.code ?? value.unit) !== undefined)
    push(numbers.units, unitKey(parameter, value.system ?? '', (value.code ?? value.unit) as string));
  else numbers.units.push(Number.NaN, Number.NaN);
  numbers.low.push(value.low);
  numbers.high.push(value.high);
}

function addDate({ dates }: Making, key: Key, value: Value<'date'>): void {
  push(dates.keys, key);
  dates.low.push(value.low);
  dates.high.push(value.high);
}

/** Local targets are found by their number; here is what cannot be: foreign urls, canonicals, identifiers. */
function addReference({ others }: Making, parameter: Key, value: Value<'reference'>): void {
  const { reference, identifier } = value;
  if (reference !== undefined && /^[a-z][a-z0-9+.-]*:/i.test(reference)) {
    push(others, uriKey(parameter, reference));
    const bare = withoutVersion(reference);
    if (bare !== reference) push(others, uriKey(parameter, bare));
  }
  if (identifier) {
    const { system = '', value: code = '' } = identifier;
    push(others, identifierKey(parameter, system, code));
  }
}

/**
 * Values that belong together within one element. The first part is a token: two tokens make a key, a token and
 * something else a value row. A third part is judged on the resource itself.
 */
function addComposite(made: Making, parameter: Key, { parts }: Value<'composite'>): void {
  const [firsts = [], seconds = []] = parts;
  // Each with each: a few thousand on either side would be millions.
  if (firsts.length * seconds.length > MOST_PAIRS)
    throw tooMany('pairs of values in one element', MOST_PAIRS);
  for (const first of firsts) {
    const names = partKeys(parameter, first);
    for (const second of seconds) {
      const others = partKeys(parameter, second);
      for (const name of names)
        for (const other of others) push(made.others, pairKey(parameter, name, other));
      // Value rows are dear: one, under the code alone; a search that names the system looks at the keys too.
      const name = names[names.length - 1];
      if (others.length > 0 || !name) continue;
      const key = pairKey(parameter, name);
      if (second.kind === 'quantity' || second.kind === 'number') addNumber(made, key, parameter, second);
      else if (second.kind === 'date') addDate(made, key, second);
      else if (second.kind === 'string') addString(made, key, fold(second.text));
    }
  }
}

/** The keys of a part that has keys: a token's with its system, then without. */
function partKeys(parameter: Key, part: SearchValue): Key[] {
  if (part.kind === 'token' && part.code !== undefined)
    return [tokenKey(parameter, part.system ?? '', part.code), codeKey(parameter, part.code)];
  if (part.kind === 'reference' && part.reference !== undefined) return [uriKey(parameter, part.reference)];
  return [];
}

/** Adds a key. */
export function push(to: number[], { high, low }: Key): void {
  to.push(high, low);
}
