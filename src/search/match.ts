/**
 * Judges a search on one resource's values: what the store answers in SQL, but by the values themselves and not by
 * their keys. For what is about to be written, and for what the index has found, as two values may have one key.
 */
import type { SearchParameter } from '../fhir/definitions.ts';
import type { Extracted, SearchValue } from '../fhir/extract.ts';
import { fold } from '../fhir/fold.ts';
import { parseReference, withoutVersion } from '../fhir/reference.ts';
import { dateMatches } from './dates.ts';
import { isVersionBelow } from './hierarchies.ts';
import { distance, numberMatches } from './numbers.ts';
import type {
  ComponentValue,
  CompositeValue,
  DateValue,
  Filter,
  NearValue,
  QuantityValue,
  ReferenceValue,
  StringModifier,
  TokenValue,
  TypedValue,
} from './request.ts';
import { inUnit } from './units.ts';
import { hasWords, textsOf } from './words.ts';

/** What is known of the resource that is judged. */
export interface Facts {
  readonly type: string;
  readonly id: string;
  /** milliseconds since the epoch */
  readonly updated: number;
  /** as the extractor gives them */
  readonly values: readonly Extracted[];
  /** itself, for searches of its texts */
  readonly resource?: object;
  /** this server's FHIR base, for absolute references to it */
  readonly baseUrl: string;
  readonly isResourceType: (type: string) => boolean;
  /** whether it passes a filter that other resources decide: as it was found */
  readonly joined?: (filter: Filter) => boolean;
}

/**
 * Whether a resource passes all filters; no filter at all is passed by everything.
 *
 * @param filters of a search of the resource's type
 */
export function matches(filters: readonly Filter[], facts: Facts): boolean {
  for (let i = 0; i < filters.length; i++) if (!passes(filters[i] as Filter, facts)) return false;
  return true;
}

/** One of the filter's values is one of the resource's, within the parameter (R4 search.html#combining). */
function passes(filter: Filter, facts: Facts): boolean {
  switch (filter.kind) {
    case 'id':
      return filter.ids.includes(facts.id);
    case 'updated':
      // An instant in milliseconds lasts one.
      return isDate(filter.values, { low: facts.updated, high: facts.updated + 1 });
    case 'date':
      return some(facts, filter.parameter, 'date', filter.values, isDate);
    case 'token':
      return some(facts, filter.parameter, 'token', filter.values, isToken);
    case 'token-other':
      return some(facts, filter.parameter, 'token', filter.values, isOther);
    case 'uri':
      return some(facts, filter.parameter, 'uri', filter.values, URIS[filter.modifier ?? 'eq']);
    case 'string': {
      const { parameter } = filter;
      if (filter.modifier === 'exact') return some(facts, parameter, 'string', filter.values, isExact);
      const is = STRINGS[filter.modifier ?? 'begins'];
      return some(facts, parameter, 'string', filter.values.map(fold), (wanted, { text }) =>
        isText(wanted, text, is),
      );
    }
    case 'number':
      return some(facts, filter.parameter, 'number', filter.values, (values, value) =>
        values.some((wanted) => numberMatches(wanted, value)),
      );
    case 'quantity':
      return some(facts, filter.parameter, 'quantity', filter.values, isQuantity);
    case 'of-type':
      return some(facts, filter.parameter, 'token', filter.values, isTyped);
    case 'reference-identifier':
      return some(facts, filter.parameter, 'reference', filter.values, isIdentified);
    case 'token-text':
      return some(
        facts,
        filter.parameter,
        'token',
        filter.values.map(fold),
        (beginnings, { text = '' }) =>
          // What is only white space or marks is no label to be found.
          fold(text) !== '' && isText(beginnings, text),
      );
    case 'words': {
      if (!facts.resource) throw new Error('words are looked for in the resource itself');
      const texts = textsOf(facts.resource, filter.within);
      return filter.values.some((words) => hasWords(words, texts));
    }
    case 'missing':
      return filter.missing !== facts.values.some(({ parameter }) => isSame(parameter, filter.parameter));
    case 'composite': {
      return some(facts, filter.parameter, 'composite', filter.values, (values, value) =>
        isComposed(values, value, facts),
      );
    }
    case 'near':
      return some(facts, filter.parameter, 'position', filter.values, isNear);
    case 'not':
      return !passes(filter.filter, facts);
    case 'all':
      return filter.filters.every((one) => passes(one, facts));
    case 'any':
      return filter.filters.some((one) => passes(one, facts));
    case 'compartment':
      return isAbout(filter.by, facts, (id) => id === filter.id);
    case 'patients':
      return isAbout(filter.by, facts, (id) => filter.patients.has(id));
    case 'chain':
    case 'has':
    case 'list':
      if (!facts.joined) throw new Error(`${filter.kind} is not judged on one resource alone`);
      return facts.joined(filter);
    case 'reference': {
      const { parameter } = filter;
      const { target = [] } = parameter;
      return some(facts, parameter, 'reference', filter.values, (values, value) =>
        isReference(values, value, target, facts),
      );
    }
    default:
      throw new Error(`${filter.kind} is not judged on one resource alone`);
  }
}

/** Whether a resource refers to such a patient by one of the parameters, or is one. */
function isAbout(by: readonly SearchParameter[], facts: Facts, is: (patient: string) => boolean): boolean {
  if (facts.type === 'Patient' && is(facts.id)) return true;
  const { baseUrl, isResourceType } = facts;
  return by.some((parameter) =>
    some(facts, parameter, 'reference', PATIENT, (_, { reference = '', canonical }) => {
      const literal = canonical ? withoutVersion(reference) : reference;
      const parsed = parseReference(literal, baseUrl, isResourceType);
      return parsed.kind === 'local' && parsed.type === 'Patient' && is(parsed.id);
    }),
  );
}

const PATIENT = ['Patient'] as const;

type Value<Kind extends SearchValue['kind']> = Extract<SearchValue, { readonly kind: Kind }>;

/** Whether one of the resource's values of a parameter is one of the wanted ones. */
function some<Kind extends SearchValue['kind'], Wanted>(
  { values }: Facts,
  wantedOf: SearchParameter,
  kind: Kind,
  wanted: readonly Wanted[],
  is: (wanted: readonly Wanted[], value: Value<Kind>) => boolean,
): boolean {
  for (let i = 0; i < values.length; i++) {
    const { parameter, value } = values[i] as Extracted;
    if (value.kind === kind && isSame(parameter, wantedOf) && is(wanted, value as Value<Kind>)) return true;
  }
  return false;
}

/** By name: the other end may be made up (store/search/combined.ts), or be of another definition of one code. */
const isSame = (one: SearchParameter, other: SearchParameter): boolean =>
  one.code === other.code && one.posted === other.posted;

function isDate(
  wanted: readonly DateValue[],
  date: { readonly low: number; readonly high: number },
): boolean {
  for (let i = 0; i < wanted.length; i++) if (dateMatches(wanted[i] as DateValue, date)) return true;
  return false;
}

/** An absent system is what `|code` asks for; `system|` asks for any code (R4 search.html#token). */
function isToken(wanted: readonly TokenValue[], token: Value<'token'>): boolean {
  for (let i = 0; i < wanted.length; i++) {
    const { system, code } = wanted[i] as TokenValue;
    if (code === undefined) {
      if (token.system === system) return true;
    } else if (token.code === code && (system === undefined || (token.system ?? '') === system)) return true;
  }
  return false;
}

/** One of them it is not; a text alone is no token. */
const isOther = (wanted: readonly TokenValue[], token: Value<'token'>): boolean =>
  (token.code !== undefined || token.system !== undefined) && wanted.some((one) => !isToken([one], token));

function isQuantity(wanted: readonly QuantityValue[], quantity: Value<'quantity'>): boolean {
  return wanted.some((one) => {
    const how = inUnit(one, quantity);
    return how !== undefined && numberMatches(one, quantity, how === 'same' ? undefined : how);
  });
}

const isExact = (wanted: readonly string[], { text }: Value<'string'>): boolean => wanted.includes(text);

/** Each part has one of its values within the same element (R4 search.html#composite). */
function isComposed(wanted: readonly CompositeValue[], { parts }: Value<'composite'>, facts: Facts): boolean {
  return wanted.some((value) =>
    value.every((component, i) => (parts[i] ?? []).some((part) => isComponent(component, part, facts))),
  );
}

function isComponent(wanted: ComponentValue, value: SearchValue, facts: Facts): boolean {
  switch (wanted.kind) {
    case 'token':
      return value.kind === 'token' && isToken([wanted.value], value);
    case 'date':
      return value.kind === 'date' && dateMatches(wanted.value, value);
    case 'number':
      return value.kind === 'number' && numberMatches(wanted.value, value);
    case 'quantity':
      return value.kind === 'quantity' && isQuantity([wanted.value], value);
    case 'string':
      return value.kind === 'string' && isText([fold(wanted.value)], value.text);
    case 'uri':
      return value.kind === 'uri' && value.uri === wanted.value;
    case 'reference':
      return value.kind === 'reference' && isReference([wanted.value], value, [], facts);
  }
}

const isTyped = (wanted: readonly TypedValue[], token: Value<'token'>): boolean =>
  wanted.some(
    ({ system, code, value }) =>
      token.code === value && token.typeCode === code && (token.typeSystem ?? '') === system,
  );

const isIdentified = (wanted: readonly TokenValue[], { identifier }: Value<'reference'>): boolean =>
  identifier !== undefined &&
  isToken(wanted, { kind: 'token', system: identifier.system, code: identifier.value });

const isNear = (wanted: readonly NearValue[], place: Value<'position'>): boolean =>
  wanted.some((value) => distance(value, place) <= value.meters);

function isAbove(wanted: readonly string[], { uri }: Value<'uri'>): boolean {
  return wanted.some((one) => one.startsWith(uri));
}

function isBelow(wanted: readonly string[], { uri }: Value<'uri'>): boolean {
  return wanted.some((one) => uri.startsWith(one));
}

/** Uris are the same or not: no case, no beginning (R4 search.html#uri); canonicals also without their version. */
const URIS = {
  eq: (wanted: readonly string[], { uri }: Value<'uri'>): boolean =>
    wanted.includes(uri) || wanted.includes(withoutVersion(uri)),
  ne: (wanted: readonly string[], { uri }: Value<'uri'>): boolean => wanted.some((one) => one !== uri),
  above: isAbove,
  below: isBelow,
};

/** Folded texts against each other, by how they are searched for. */
const STRINGS: Readonly<
  Record<Exclude<StringModifier, 'exact'> | 'begins', (text: string, wanted: string) => boolean>
> = {
  begins: (text, wanted) => text.startsWith(wanted),
  contains: (text, wanted) => text.includes(wanted),
  ends: (text, wanted) => text.endsWith(wanted),
  eq: (text, wanted) => text === wanted,
  ne: (text, wanted) => text !== wanted,
  gt: (text, wanted) => inOrder(text, wanted) > 0,
  lt: (text, wanted) => inOrder(text, wanted) < 0,
  ge: (text, wanted) => inOrder(text, wanted) >= 0,
  le: (text, wanted) => inOrder(text, wanted) <= 0,
};

/** By code points: the order of UTF-8, and not that of JavaScript. */
const inOrder = (one: string, other: string): number => Buffer.compare(Buffer.from(one), Buffer.from(other));

/** @param wanted folded */
function isText(wanted: readonly string[], text: string, is = STRINGS.begins): boolean {
  const folded = fold(text);
  return wanted.some((one) => is(folded, one));
}

function isReference(
  wanted: readonly ReferenceValue[],
  { reference, canonical }: Value<'reference'>,
  targets: readonly string[],
  facts: Facts,
): boolean {
  if (reference === undefined) return false;
  // In a Reference `|version` has no meaning: it leads nowhere.
  const literal = canonical ? withoutVersion(reference) : reference;
  for (let i = 0; i < wanted.length; i++) {
    const value = wanted[i] as ReferenceValue;
    if (value.kind === 'absolute') {
      if (isUrl(reference, value)) return true;
    } else if (literal.includes(value.id) && isLocal(literal, value, targets, facts)) return true;
  }
  return false;
}

/** A url of another server as it is written; of a canonical also without its version. */
const isUrl = (
  reference: string,
  { url, below, bare }: Extract<ReferenceValue, { readonly kind: 'absolute' }>,
): boolean => {
  if (!reference.startsWith(url)) return false;
  if (bare) return reference.length === url.length || reference[url.length] === '#';
  if (below === undefined) return reference.length === url.length || withoutVersion(reference) === url;
  return reference[url.length] === '|' && isVersionBelow(reference.slice(url.length + 1), below);
};

/** A reference to a resource of this server, relative or not, to the version that is asked for, or to whichever. */
function isLocal(
  reference: string,
  { type, id, version }: Extract<ReferenceValue, { readonly kind: 'local' }>,
  targets: readonly string[],
  { baseUrl, isResourceType }: Facts,
): boolean {
  const parsed = parseReference(reference, baseUrl, isResourceType);
  if (parsed.kind !== 'local' || parsed.id !== id) return false;
  if (version !== undefined && parsed.version !== version) return false;
  return type === undefined ? targets.includes(parsed.type) : parsed.type === type;
}
