/** The index rows of one resource, made from its search values and edges. */
import type { Resource } from 'fhir/r4.js';
import { clinicalDate } from '../../fhir/clinical-date.ts';
import type { Definitions, SearchParameter } from '../../fhir/definitions.ts';
import { compileEdges, type Edge } from '../../fhir/edges.ts';
import { compileExtractor, type Extracted, type SearchValue } from '../../fhir/extract.ts';
import { fold } from '../../fhir/fold.ts';
import { type Refusal, refusal } from '../../fhir/outcome.ts';
import { patientParameters } from '../../fhir/patient-parameters.ts';
import { parseReference } from '../../fhir/reference.ts';
import type { Key } from '../hash.ts';
import {
  codeKey,
  compartmentKey,
  identifierKey,
  isWalked,
  type Keys,
  localKey,
  ofTypeKey,
  pairKey,
  systemKey,
  tokenKey,
  unitKey,
  uriKey,
} from './keys.ts';

/** What is known of a resource before the numbers of its targets are: the part that needs no database. */
export interface Analysis {
  readonly resource: Resource;
  readonly extracted: readonly Extracted[];
  readonly edges: readonly Edge[];
}

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

export interface Indexer {
  analyse(resource: Resource, baseUrl: string): Analysis;
  /**
   * @param rid      the resource's own number
   * @param targets  numbers of the analysis's edges' targets, in their order
   * @param paths    numbers of the edges' paths, in their order
   */
  row(
    analysis: Analysis,
    rid: number,
    targets: readonly number[],
    paths: readonly number[],
    baseUrl: string,
  ): IndexRow;
}

/** A longer string is found by its beginning: PostgreSQL's btree entries are bounded. */
const LONGEST_STRING = 500;
/** More codes and categories than these, or pairs of them, no resource is searched by. */
const MOST_LINES = 10_000;
const MOST_PAIRS = 10_000;

/** Makes the indexer under a database's keys. */
export function makeIndexer(definitions: Definitions, keys: Keys): Indexer {
  const extractor = compileExtractor(definitions);
  const edges = compileEdges(definitions);
  const plans = new Map<string, TypePlan>();
  const planOf = (type: string): TypePlan => {
    let plan = plans.get(type);
    if (!plan) {
      plan = planFor(definitions, type);
      plans.set(type, plan);
    }
    return plan;
  };
  return {
    analyse: (resource, baseUrl) => ({
      resource,
      extracted: extractor.extract(resource),
      edges: edges(resource, baseUrl),
    }),
    row(analysis, rid, targets, paths, baseUrl) {
      const { resourceType } = analysis.resource;
      const plan = planOf(resourceType);
      const own = keys.type(resourceType);
      const made = {
        timeline: [own.high, own.low],
        codes: [] as number[],
        seen: new Set<string>(),
        others: [] as number[],
        patients: resourceType === 'Patient' ? [rid] : [],
        at: null as number | null,
        until: null as number | null,
        numbers: { keys: [], units: [], low: [], high: [] },
        strings: { keys: [], values: [] },
        dates: { keys: [], low: [], high: [] },
      } satisfies Making;
      const { extracted, edges } = analysis;
      const concerned = new Map<number, string>();
      const edgeOf = makeEdgeOf(edges);
      const found = new Set<number>();
      const addLocal = (parameter: SearchParameter, key: Key, reference = ''): void => {
        const parsed = parseReference(withoutVersion(reference), baseUrl, definitions.isResourceType);
        if (parsed.kind !== 'local') return;
        const { type, id } = parsed;
        const target = targets[edgeOf(type, id)] as number;
        found.add(target);
        // Timelines are kept by these parameters: they find what a key would.
        if (type === 'Patient' && plan.patient.has(parameter.code)) {
          if (!made.patients.includes(target)) made.patients.push(target);
          return;
        }
        push(made.others, localKey(key, type, id));
        if (type === 'Patient' && plan.compartment.has(parameter.code)) concerned.set(target, id);
      };
      for (let i = 0; i < extracted.length; i++) {
        const { parameter, value } = extracted[i]!;
        if (plan.left.has(parameter.code)) continue;
        const key = keys.parameter(resourceType, parameter);
        if (value.kind === 'date' && parameter === plan.clinical && made.at === null) {
          made.at = value.low;
          made.until = value.high;
        } else if (value.kind === 'token' && plan.walked.has(parameter.code)) walkedToken(made, key, value);
        else addValue(made, key, value, parameter.code === '_profile');
        if (value.kind === 'reference') addLocal(parameter, key, value.reference);
      }
      for (const [patient, id] of concerned)
        if (!made.patients.includes(patient)) push(made.others, compartmentKey(own, id));
      // What no parameter finds is found by its number.
      for (const target of targets) {
        if (found.has(target)) continue;
        found.add(target);
        made.others.push(Math.floor(target / 4294967296), target | 0);
      }
      return {
        patients: made.patients,
        at: made.at,
        until: made.until,
        timeline: made.timeline.length / 2,
        keys: made.timeline.concat(made.others),
        codes: made.codes,
        targets,
        paths,
        numbers: made.numbers,
        strings: made.strings,
        dates: made.dates,
      };
    },
  };
}

/** How the parameters of a type are indexed. */
interface TypePlan {
  readonly clinical: SearchParameter | undefined;
  /** parameters whose tokens have timeline rows */
  readonly walked: ReadonlySet<string>;
  /** parameters that say whom it is about */
  readonly patient: ReadonlySet<string>;
  /** parameters that put the resource into a Patient's compartment */
  readonly compartment: ReadonlySet<string>;
  /** parameters without rows: a search for them is one for others (search/expand) */
  readonly left: ReadonlySet<string>;
}

function planFor(definitions: Definitions, type: string): TypePlan {
  const parameters = definitions.searchParameters(type);
  return {
    clinical: clinicalDate(definitions, type),
    walked: new Set(parameters.filter(isWalked).map(({ code }) => code)),
    patient: patientParameters(definitions, type),
    compartment: new Set(definitions.patientCompartment(type)),
    // A btree row is what costs: combo-x is x or component-x, and a composite over the whole resource is both
    // of its parts, as each stands there once.
    left: new Set(
      parameters
        .filter(
          ({ code, type: kind, expression }) =>
            (type === 'Observation' && code.startsWith('combo-')) ||
            (kind === 'composite' && expression === type),
        )
        .map(({ code }) => code),
    ),
  };
}

interface Making {
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
function walkedToken(made: Making, parameter: Key, token: Value<'token'>): void {
  const { timeline, codes } = made;
  if (token.code === undefined) return;
  const key = tokenKey(parameter, token.system ?? '', token.code);
  if (isKnown(made, `t${key.high},${key.low}`)) return;
  if (timeline.length / 2 >= MOST_LINES) throw tooMany('codes and categories', MOST_LINES);
  push(timeline, key);
  push(codes, codeKey(parameter, token.code));
  push(codes, key);
  if (token.system === undefined) return;
  push(codes, systemKey(parameter, token.system));
  push(codes, key);
}

/** @param whole whether a uri is only ever searched for as a whole: each resource of a profile has the same */
function addValue(made: Making, parameter: Key, value: SearchValue, whole: boolean): void {
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

/** The place of an edge; most resources have a handful, a Group may have 100,000. */
function makeEdgeOf(edges: readonly Edge[]): (type: string, id: string) => number {
  if (edges.length <= 16)
    return (type, id) => edges.findIndex((edge) => edge.type === type && edge.id === id);
  const places = new Map<string, number>();
  edges.forEach(({ type, id }, i) => {
    const name = `${type}/${id}`;
    if (!places.has(name)) places.set(name, i);
  });
  return (type, id) => places.get(`${type}/${id}`) ?? -1;
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

/** A canonical may name a business version after a bar (R4 references.html#canonical). */
function withoutVersion(reference: string): string {
  const bar = reference.indexOf('|');
  return bar > 0 ? reference.slice(0, bar) : reference;
}

function push(to: number[], { high, low }: Key): void {
  to.push(high, low);
}
