/** Search values as the keys and value rows of an index row in the making. */
import type { SearchValue } from '../../fhir/extract.ts';
import { fold } from '../../fhir/fold.ts';
import { type Refusal, refusal } from '../../fhir/outcome.ts';
import { withoutVersion } from '../../fhir/reference.ts';
import type { Unit } from '../../search/units.ts';
import type { Key } from '../hash.ts';
import { codeKey, ofTypeKey, pairKey, systemKey, tokenKey, unitKey, uriKey } from './keys.ts';

/** The rows of one resource. Keys are flat: high and low halves by turns. */
export interface IndexRow {
  /** of what it was indexed by: `PostedSet.version` */
  readonly parameters: number;
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
  /** units of its quantities */
  readonly units: readonly Unit[];
  readonly targets: readonly number[];
  readonly paths: readonly number[];
  /** the parameters that it has a value for, by their bits */
  readonly present: Uint8Array;
  readonly numbers: {
    readonly keys: number[];
    /** NaN halves where there is no unit */
    readonly units: number[];
    readonly low: number[];
    readonly high: number[];
  };
  readonly strings: {
    readonly keys: number[];
    readonly values: string[];
    /** as they are written; null where that is the value */
    readonly wholes: (string | null)[];
  };
  readonly dates: { readonly keys: number[]; readonly low: number[]; readonly high: number[] };
}

/**
 * PostgreSQL's btree entries are bounded: of a longer string there is a row of its beginning, and one for each piece of
 * this length, so that whatever is searched for within it stands in one of them whole.
 */
const LONGEST_STRING = 500;
/** What is searched for in a string is no longer than pieces overlap (search/values.ts). */
const STEP = LONGEST_STRING / 2;
/** Of fewer characters than these a row is a whole string; of more, where it ends is told by a row that has a mark. */
export const SHORT = 250;
/** No text has it, once folded. */
export const END = '\n';
/** More codes and categories than these, or pairs of them, no resource is searched by. */
const MOST_LINES = 10_000;
const MOST_PAIRS = 10_000;

/** A row in the making. */
export interface Making {
  readonly timeline: number[];
  readonly codes: number[];
  readonly units: Map<string, Unit>;
  /** the key that those of units are made from */
  readonly unitBase: Key;
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
      addString(made, parameter, value.text, fold(value.text));
      return;
    case 'uri':
      addUri(others, parameter, value.uri);
      if (!whole) addString(made, parameter, value.uri, value.uri);
      return;
    case 'number':
    case 'quantity':
      addNumber(made, parameter, value);
      return;
    case 'date':
      addDate(made, parameter, value);
      return;
    case 'reference':
      addReference(made, parameter, value);
      return;
    case 'position':
      // Two numbers in one row: within a distance are those of some latitudes, and of these some.
      addNumber(made, parameter, { kind: 'number', low: value.latitude, high: value.longitude });
      return;
    case 'composite':
      addComposite(made, parameter, value);
  }
}

function addString(made: Making, key: Key, written: string, text: string): void {
  if (isKnown(made, `s${key.high},${key.low},${written}`)) return;
  const value = beginningOf(text);
  addRow(made, key, value, value === written ? null : written);
  if (isShort(text)) return;
  const pieces = pairKey(key, key);
  for (let at = STEP; at < text.length - STEP; at += STEP) addRow(made, pieces, pieceOf(text, at), null);
  addRow(made, pieces, pieceOf(text, Math.max(0, text.length - LONGEST_STRING)) + END, null);
}

const isShort = (text: string): boolean => text.length < SHORT || [...text].length < SHORT;

function addRow({ strings }: Making, key: Key, value: string, whole: string | null): void {
  push(strings.keys, key);
  strings.values.push(value);
  strings.wholes.push(whole);
}

/** What of a string is the value of its row. */
export const beginningOf = (text: string): string => pieceOf(text, 0);

/** Without halves of characters at its ends. */
const pieceOf = (text: string, at: number): string =>
  text.slice(at, at + LONGEST_STRING).replace(/^[\udc00-\udfff]|[\ud800-\udbff]$/g, '');

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
  { numbers, units, unitBase }: Making,
  key: Key,
  value: Value<'number'> | Value<'quantity'>,
): void {
  push(numbers.keys, key);
  if (value.kind === 'quantity' && (value.system ?? value.code ?? value.unit) !== undefined) {
    const unit = unitKey(unitBase, value);
    push(numbers.units, unit);
    units.set(`${unit.high},${unit.low}`, value);
  } else numbers.units.push(Number.NaN, Number.NaN);
  numbers.low.push(value.low);
  numbers.high.push(value.high);
}

function addDate({ dates }: Making, key: Key, value: Value<'date'>): void {
  push(dates.keys, key);
  dates.low.push(value.low);
  dates.high.push(value.high);
}

/** A canonical is found without its version, too. */
function addUri(others: number[], parameter: Key, uri: string): void {
  push(others, uriKey(parameter, uri));
  const bare = withoutVersion(uri);
  if (bare !== uri) push(others, uriKey(parameter, bare));
}

/** Local targets are found by their number; here is what cannot be: foreign urls, canonicals, identifiers. */
function addReference(made: Making, parameter: Key, value: Value<'reference'>): void {
  const { others } = made;
  const { reference, identifier } = value;
  if (reference !== undefined && /^[a-z][a-z0-9+.-]*:/i.test(reference)) {
    addUri(others, parameter, reference);
  }
  if (identifier) {
    const { system, value: code } = identifier;
    addValue(made, parameter, { kind: 'token', system, code }, true);
  }
}

/**
 * Values that belong together within one element, as far as `isIndexed` (search/composites.ts) says. Two tokens make
 * keys, a token and something else a value row under the token's pair, which a code or system alone is led to by the
 * dictionary; two numbers share a row. Anything else is judged on the resource itself.
 */
function addComposite(made: Making, parameter: Key, { parts }: Value<'composite'>): void {
  const [firsts = [], seconds = [], thirds] = parts;
  // Each with each: a few thousand on either side would be millions.
  if (firsts.length * seconds.length * (thirds?.length ?? 1) > MOST_PAIRS)
    throw tooMany('pairs of values in one element', MOST_PAIRS);
  for (const first of firsts) {
    if (first.kind !== 'token' || (first.code === undefined && first.system === undefined)) continue;
    for (const second of seconds) {
      if (thirds) {
        for (const third of thirds)
          if (second.kind === 'number' && third.kind === 'number') {
            const both = { kind: 'number', low: second.low, high: third.high } as const;
            addNumber(made, walkedPair(made, parameter, first), both);
          }
        continue;
      }
      if (second.kind === 'token') {
        for (const name of partKeys(parameter, first))
          for (const other of partKeys(parameter, second)) push(made.others, pairKey(parameter, name, other));
        continue;
      }
      const key = walkedPair(made, parameter, first);
      if (second.kind === 'quantity' || second.kind === 'number') addNumber(made, key, second);
      else if (second.kind === 'date') addDate(made, key, second);
      else if (second.kind === 'string') addString(made, key, second.text, fold(second.text));
    }
  }
}

/** The key of value rows under a token. */
function walkedPair({ codes }: Making, parameter: Key, { system, code }: Value<'token'>): Key {
  const key = pairKey(parameter, tokenKey(parameter, system ?? '', code ?? ''));
  if (code !== undefined) {
    push(codes, pairKey(parameter, codeKey(parameter, code)));
    push(codes, key);
  }
  if (system !== undefined) {
    push(codes, pairKey(parameter, systemKey(parameter, system)));
    push(codes, key);
  }
  return key;
}

/** The keys of a token that is part of a pair: with its system, then without. */
function partKeys(parameter: Key, { system, code }: Value<'token'>): Key[] {
  if (code === undefined) return [];
  return [tokenKey(parameter, system ?? '', code), codeKey(parameter, code)];
}

/** Adds a key. */
export function push(to: number[], { high, low }: Key): void {
  to.push(high, low);
}
