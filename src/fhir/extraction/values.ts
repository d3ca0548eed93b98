/** Elements as search values: what each type of parameter makes of each data type (R4 search.html#ptypes). */

import { type Range, readRange } from '../date.ts';
import type { SearchParameter } from '../definitions.ts';

/** A value that a search can be compared with. Texts are as written: folding of case is the index's business. */
export type SearchValue =
  | {
      readonly kind: 'token';
      readonly system?: string;
      readonly code?: string;
      /** for `:text`: the display, the CodeableConcept's text, the identifier's type */
      readonly text?: string;
      /** for `:of-type`: a coding of the identifier's type */
      readonly typeSystem?: string;
      readonly typeCode?: string;
    }
  | { readonly kind: 'string'; readonly text: string }
  /** milliseconds, low inclusive, high exclusive; ±Infinity where a period is open */
  | { readonly kind: 'date'; readonly low: number; readonly high: number }
  /** both ends inclusive; a plain number has low equal to high */
  | { readonly kind: 'number'; readonly low: number; readonly high: number }
  | {
      readonly kind: 'quantity';
      readonly low: number;
      readonly high: number;
      readonly system?: string;
      readonly code?: string;
      readonly unit?: string;
    }
  | {
      readonly kind: 'reference';
      /** as written: relative, absolute, canonical with its |version, `#id`, urn */
      readonly reference?: string;
      readonly identifier?: { readonly system?: string; readonly value?: string };
      readonly type?: string;
      /** of a canonical or another uri, where `|version` has a meaning; not of a Reference */
      readonly canonical?: true | undefined;
    }
  | { readonly kind: 'uri'; readonly uri: string }
  | { readonly kind: 'position'; readonly longitude: number; readonly latitude: number }
  /** of one element: the values of each component within that element */
  | { readonly kind: 'composite'; readonly parts: readonly (readonly SearchValue[])[] };

/** Adds the values that an element stands for; nothing where it is not what its type says. */
export type Convert = (element: unknown, out: SearchValue[]) => void;

/**
 * How elements of a data type become values of a parameter.
 *
 * @returns undefined where the standard gives the pair no meaning (a token of a Quantity)
 */
export function converterOf(parameter: SearchParameter, type: string): Convert | undefined {
  if (parameter.type === 'reference' && type === 'Resource') return referenceOfResource(parameter.target);
  if (parameter.caseless) return caseless;
  if (parameter.code === 'contenttype' && type === 'code') return mimeType;
  return CONVERTERS[parameter.type]?.[type];
}

/** An element known to be an object but for faults that validation has let through. */
type Element = Readonly<Record<string, unknown>>;

/** Adds a token. Absent members stay undefined members: all tokens then have one shape, which is quicker. */
function addToken(out: SearchValue[], system: unknown, code: unknown, label: unknown): void {
  const token = { kind: 'token' as const, system: text(system), code: text(code), text: text(label) };
  if (token.code !== undefined || token.system !== undefined || token.text !== undefined) out.push(token);
}

const coding: Convert = (element, out) => {
  const { system, code, display } = element as Element;
  addToken(out, system, code, display);
};

const codeableConcept: Convert = (element, out) => {
  const { coding: codings, text: label } = element as Element;
  if (Array.isArray(codings)) {
    for (let i = 0; i < codings.length; i++) if (codings[i]) coding(codings[i], out);
  }
  if (label !== undefined) addToken(out, undefined, undefined, label);
};

/** One token for each coding of the identifier's type, so that `:of-type` finds every one. */
const identifier: Convert = (element, out) => {
  const { system, value, type } = element as Element;
  const { coding: codings, text: label } = (type ?? {}) as Element;
  if (!Array.isArray(codings) || codings.length === 0) return addToken(out, system, value, label);
  for (const typed of codings as Element[]) {
    out.push({
      kind: 'token',
      system: text(system),
      code: text(value),
      text: text(label),
      typeSystem: text(typed?.system),
      typeCode: text(typed?.code),
    });
  }
};

/** R4 search.html#token gives a ContactPoint no system: its `system` and `use` are codes, not uris. */
const contactPoint: Convert = (element, out) =>
  addToken(out, undefined, (element as Element).value, undefined);

const code: Convert = (element, out) => {
  if (typeof element !== 'object') addToken(out, undefined, String(element), undefined);
};

const caseless: Convert = (element, out) => {
  if (typeof element === 'string') addToken(out, undefined, element.toLowerCase(), undefined);
};

/** What it begins with stands where others have a system: `:below` finds it by this (R4 search.html#mimetype). */
const mimeType: Convert = (element, out) => {
  code(element, out);
  const [kind, base] = /^([^/;\s]+)\/[^;\s]+/.exec(String(element))?.slice(0, 2).reverse() ?? [];
  addToken(out, kind, undefined, undefined);
  addToken(out, base, undefined, undefined);
};

const string: Convert = (element, out) => {
  if (typeof element === 'string') out.push({ kind: 'string', text: element });
};

/** A value for each of the named members that is a text or a list of texts. */
function strings(...names: string[]): Convert {
  return (element, out) => {
    for (let i = 0; i < names.length; i++) {
      const part = (element as Element)[names[i]!];
      if (Array.isArray(part)) for (const each of part) string(each, out);
      else string(part, out);
    }
  };
}

const date: Convert = (element, out) => addRange(out, range(element));

const period: Convert = (element, out) => addRange(out, rangeOfPeriod(element as Element));

/** Of a Timing "only the outer limits matter" (R4 search.html#date); without any there is nothing to find. */
const timing: Convert = (element, out) => {
  const { event, repeat } = element as { event?: unknown; repeat?: { boundsPeriod?: Element } };
  const bounds = repeat?.boundsPeriod ? rangeOfPeriod(repeat.boundsPeriod) : undefined;
  let low = bounds?.low ?? Infinity;
  let high = bounds?.high ?? -Infinity;
  for (const moment of Array.isArray(event) ? event : []) {
    const one = range(moment);
    if (one) {
      low = Math.min(low, one.low);
      high = Math.max(high, one.high);
    }
  }
  addRange(out, { low, high });
};

/** Low not before high is no period (invariant per-1), and PostgreSQL's ranges refuse it. */
function addRange(out: SearchValue[], found: Range | undefined): void {
  if (found && found.low < found.high) out.push({ kind: 'date', low: found.low, high: found.high });
}

function range(value: unknown): Range | undefined {
  return typeof value === 'string' ? readRange(value) : undefined;
}

function rangeOfPeriod({ start, end }: Element): Range | undefined {
  const first = range(start);
  const last = range(end);
  return first || last ? { low: first?.low ?? -Infinity, high: last?.high ?? Infinity } : undefined;
}

const number: Convert = (element, out) => {
  if (typeof element === 'number') out.push({ kind: 'number', low: element, high: element });
};

const numberOfRange: Convert = (element, out) => {
  const { low, high } = limits(element as Element);
  if (low <= high) out.push({ kind: 'number', low, high });
};

/** A comparator makes an open range of the value: "<=5" is anything up to 5, "<5" ends with the last number before it. */
const quantity: Convert = (element, out) => {
  const { value, comparator, system, code: unitCode, unit } = element as Element;
  if (typeof value !== 'number') return;
  const low =
    comparator === '<' || comparator === '<=' ? -Infinity : comparator === '>' ? next(value, 1) : value;
  const high =
    comparator === '>' || comparator === '>=' ? Infinity : comparator === '<' ? next(value, -1) : value;
  out.push({ kind: 'quantity', low, high, system: text(system), code: text(unitCode), unit: text(unit) });
};

/** The number next to another, of all that there are in 64 bits. */
function next(value: number, direction: 1 | -1): number {
  if (value === 0) return direction * Number.MIN_VALUE;
  const bits = new BigInt64Array(Float64Array.of(value).buffer);
  bits[0]! += BigInt(value > 0 ? direction : -direction);
  return new Float64Array(bits.buffer)[0]!;
}

const money: Convert = (element, out) => {
  const { value, currency } = element as Element;
  if (typeof value !== 'number') return;
  const currencies = 'urn:iso:std:iso:4217';
  out.push({
    kind: 'quantity',
    low: value,
    high: value,
    system: currencies,
    code: text(currency),
    unit: undefined,
  });
};

const quantityOfRange: Convert = (element, out) => {
  const { low, high } = element as Element;
  addQuantity(out, limits(element as Element), (low ?? high ?? {}) as Element);
};

/** "Just search on the bounds of the values" (Observation-value-quantity); E is no value, L and U are the limits. */
const sampledData: Convert = (element, out) => {
  const { origin, data, factor, lowerLimit, upperLimit } = element as Element;
  const { value: zero } = (origin ?? {}) as Element;
  if (typeof zero !== 'number' || typeof data !== 'string') return;
  const scale = typeof factor === 'number' ? factor : 1;
  let low = Infinity;
  let high = -Infinity;
  for (const sample of data.split(' ')) {
    if (sample === 'L')
      low = Math.min(low, typeof lowerLimit === 'number' ? zero + lowerLimit * scale : -Infinity);
    else if (sample === 'U')
      high = Math.max(high, typeof upperLimit === 'number' ? zero + upperLimit * scale : Infinity);
    else if (sample !== 'E' && sample !== '') {
      const value = zero + Number(sample) * scale;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  // samples all beyond one limit leave the other end at that limit
  if (low === Infinity) low = high;
  if (high === -Infinity) high = low;
  addQuantity(out, { low, high }, origin as Element);
};

function addQuantity(out: SearchValue[], { low, high }: Range, unit: Element): void {
  if (!(low <= high) || (low === high && !Number.isFinite(low))) return;
  out.push({
    kind: 'quantity',
    low,
    high,
    system: text(unit.system),
    code: text(unit.code),
    unit: text(unit.unit),
  });
}

/** The ends of a Range, an absent one open; both absent are no range. */
function limits({ low, high }: Element): Range {
  const from = (low as Element | undefined)?.value;
  const to = (high as Element | undefined)?.value;
  if (typeof from !== 'number' && typeof to !== 'number') return { low: Infinity, high: -Infinity };
  return { low: typeof from === 'number' ? from : -Infinity, high: typeof to === 'number' ? to : Infinity };
}

const reference: Convert = (element, out) => {
  const { reference: literal, identifier: logical, type } = element as Element;
  const { system, value } = (logical ?? {}) as Element;
  const known = text(system) !== undefined || text(value) !== undefined;
  if (typeof literal !== 'string' && !known) return;
  const named = known ? { system: text(system), value: text(value) } : undefined;
  out.push({
    kind: 'reference',
    reference: text(literal),
    identifier: named,
    type: text(type),
    canonical: undefined,
  });
};

const referenceOfUri: Convert = (element, out) => {
  if (typeof element !== 'string') return;
  out.push({
    kind: 'reference',
    reference: element,
    identifier: undefined,
    type: undefined,
    canonical: true,
  });
};

/** Bundle.entry[0].resource of documents and messages: the resource itself stands where a reference would. */
function referenceOfResource(targets: readonly string[] = []): Convert {
  return (element, out) => {
    const { resourceType, id } = element as Element;
    if (typeof resourceType !== 'string' || typeof id !== 'string' || !targets.includes(resourceType)) return;
    const reference = `${resourceType}/${id}`;
    out.push({
      kind: 'reference',
      reference,
      identifier: undefined,
      type: resourceType,
      canonical: undefined,
    });
  };
}

const uri: Convert = (element, out) => {
  if (typeof element === 'string') out.push({ kind: 'uri', uri: element });
};

const position: Convert = (element, out) => {
  const { longitude, latitude } = element as Element;
  if (typeof longitude === 'number' && typeof latitude === 'number')
    out.push({ kind: 'position', longitude, latitude });
};

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

const uris = ['uri', 'url', 'canonical', 'oid', 'uuid'];
const texts = ['string', 'markdown', 'code', 'id'];
const integers = ['integer', 'positiveInt', 'unsignedInt'];
const quantities = ['Quantity', 'SimpleQuantity', 'MoneyQuantity', 'Age', 'Count', 'Distance', 'Duration'];

/** By parameter type, then data type. */
const CONVERTERS: Readonly<Partial<Record<SearchParameter['type'], Readonly<Record<string, Convert>>>>> = {
  token: {
    Coding: coding,
    CodeableConcept: codeableConcept,
    Identifier: identifier,
    ContactPoint: contactPoint,
    ...each([...texts, ...uris, ...integers, 'boolean'], code),
  },
  string: {
    ...each([...texts, ...uris], string),
    HumanName: strings('text', 'family', 'given', 'prefix', 'suffix'),
    Address: strings('text', 'line', 'city', 'district', 'state', 'postalCode', 'country'),
  },
  date: { ...each(['date', 'dateTime', 'instant'], date), Period: period, Timing: timing },
  number: { ...each([...integers, 'decimal'], number), Range: numberOfRange },
  quantity: {
    ...each(quantities, quantity),
    Money: money,
    Range: quantityOfRange,
    SampledData: sampledData,
  },
  reference: { Reference: reference, ...each(uris, referenceOfUri) },
  uri: each(uris, uri),
  special: { 'Location.position': position },
};

function each(types: readonly string[], convert: Convert): Record<string, Convert> {
  return Object.fromEntries(types.map((type) => [type, convert]));
}
