/** The values of search parameters, by type (R4 search.html#ptypes). */
import { readRange } from '../fhir/date.ts';
import type { Definitions, SearchParameter } from '../fhir/definitions.ts';
import { fold } from '../fhir/fold.ts';
import { isId } from '../fhir/reference.ts';
import { splitEscaped, withoutEscapes } from './escapes.ts';
import { parameterFault, short } from './faults.ts';
import type {
  ComponentValue,
  CompositeValue,
  DateValue,
  NearValue,
  NumberValue,
  Prefix,
  QuantityValue,
  ReferenceValue,
  TokenValue,
  TypedValue,
} from './request.ts';

const PREFIX = /^(eq|ne|gt|lt|ge|le|sa|eb|ap)(?=[\d.+-])/;

function prefixOf(text: string): { readonly prefix: Prefix; readonly rest: string } {
  const prefix = PREFIX.exec(text)?.[1] as Prefix | undefined;
  return { prefix: prefix ?? 'eq', rest: prefix ? text.slice(2) : text };
}

/** A prefix and a date of any precision (R4 search.html#date). */
export function readDate(code: string, text: string): DateValue {
  const { prefix, rest } = prefixOf(text);
  const range = readRange(rest, 'search');
  if (!range)
    throw parameterFault(
      code,
      'must be a date that exists, after a prefix or none: 2024, 2024-05, 2024-05-31, 2024-05-31T10:00Z, ge2024 (prefixes: eq ne gt lt ge le sa eb ap)',
    );
  return { prefix, range };
}

const NUMBER = /^([+-]?)(\d{1,100})(?:\.(\d{1,100}))?(?:[eE]([+-]?\d{1,3}))?$/;

/** A prefix and a number, whose digits say how exact it is (R4 search.html#number). */
export function readNumber(code: string, text: string): NumberValue {
  const { prefix, rest } = prefixOf(text);
  const [, sign, whole = '', fraction = '', exponent = '0'] = NUMBER.exec(rest) ?? [];
  const exact = Number(rest);
  if (whole === '' || !Number.isFinite(exact))
    throw parameterFault(
      code,
      'must be a number, after a prefix or none: 100, 100.00, 1e2, lt5.4 (prefixes: eq ne gt lt ge le sa eb ap)',
    );
  // Half a unit of the last digit on either side, 100 being [99.5, 100.5): reckoned in decimal digits, as 5.4 - 0.05
  // is not quite 5.35 in binary ones.
  const tenths = BigInt(`${whole}${fraction}0`) * (sign === '-' ? -1n : 1n);
  const power = Number(exponent) - fraction.length - 1;
  const at = (n: bigint): number => Number(`${n}e${power}`);
  return { prefix, exact, range: { low: at(tenths - 5n), high: at(tenths + 5n) } };
}

/** `number`, `number|system|code`, `number||code` (R4 search.html#quantity). */
export function readQuantity(code: string, text: string): QuantityValue {
  const parts = splitEscaped(text, '|').map(withoutEscapes);
  const [number = '', system, unit] = parts;
  if (parts.length !== 1 && parts.length !== 3)
    throw parameterFault(
      code,
      'must be number, number|system|code or number||code: 5.4|http://unitsofmeasure.org|mg',
    );
  const value = readNumber(code, number);
  return { ...value, system: system || undefined, code: unit || undefined };
}

/** `code`, `system|code`, `|code` or `system|` (R4 search.html#token). */
export function readToken(code: string, text: string): TokenValue {
  const parts = splitEscaped(text, '|').map(withoutEscapes);
  const [first = '', second] = parts;
  if (parts.length > 2 || (first === '' && !second))
    throw parameterFault(code, 'must be code, system|code, |code or system|');
  if (second === undefined) return { code: first };
  return second === '' ? { system: first } : { system: first, code: second };
}

/**
 * What a token of a parameter is in the index: codes are there without the system that all of them have, and strings
 * without case (R4 search.html#token).
 */
export function readTokenOf(parameter: SearchParameter, text: string): TokenValue {
  const { systems, caseless } = parameter;
  const { system, code } = readToken(parameter.code, text);
  if (system && systems?.includes(system)) return code === undefined ? {} : { code };
  return caseless && code !== undefined ? { system, code: code.toLowerCase() } : { system, code };
}

/** `system|code`: what is above or below a code is said by its system. */
export function readCoding(code: string, text: string): Required<TokenValue> {
  const { system, code: wanted } = readToken(code, text);
  if (!system || !wanted) throw parameterFault(code, 'must be system|code: the system has the hierarchy');
  return { system, code: wanted };
}

/** The url of a value set, perhaps with a version, or the id of one that is held here: `ValueSet/id`. */
export function readValueSet(code: string, text: string, baseUrl: string): string {
  const local = text.startsWith(`${baseUrl}/`) ? text.slice(baseUrl.length + 1) : text;
  const [type, id = '', ...more] = local.split('/');
  if (/^[a-z][a-z0-9+.-]*:/i.test(local) || (type === 'ValueSet' && isId(id) && more.length === 0))
    return local;
  throw parameterFault(code, 'must be the url of a value set, or ValueSet/id');
}

/** `system|code|value` (R4 search.html#modifiers, of-type). */
export function readTyped(code: string, text: string): TypedValue {
  const [system = '', typeCode = '', value = '', ...more] = splitEscaped(text, '|').map(withoutEscapes);
  if (more.length > 0 || typeCode === '' || value === '')
    throw parameterFault(
      `${code}:of-type`,
      'must be system|code|value: the type of the identifier, and its value',
    );
  return { system, code: typeCode, value };
}

/** So long may be what is searched for at the beginning of a string, and anywhere in it: the index has so much together. */
const LONGEST_BEGINNING = 500;
const LONGEST_PART = 250;

/** A text (R4 search.html#string); as a whole, `exact`, it may be of any length. */
export function readString(code: string, text: string, modifier?: 'exact' | 'contains'): string {
  const value = withoutEscapes(text);
  if (modifier !== 'exact')
    demandText(code, value, modifier === 'contains' ? LONGEST_PART : LONGEST_BEGINNING);
  return value;
}

/** @returns the text as it is searched for */
function demandText(code: string, text: string, most: number): string {
  const folded = fold(text);
  if (folded.length > most) throw parameterFault(code, `must be a text of ${most} characters at most`);
  // Everything begins with nothing: that is asked for by :missing=false.
  if (folded === '' && /\p{P}/u.test(text))
    throw parameterFault(code, 'holds punctuation alone, which is of no matter: give a letter or digit');
  return folded;
}

/** A text without case and accents, to be compared as a whole or with a part: the index has so much together. */
export const readFolded = (code: string, text: string): string => demandText(code, text, LONGEST_PART);

/** The url that is above or below: URNs have no hierarchy (R4 search.html#uri). */
export function readHierarchicalUri(code: string, text: string): string {
  const uri = withoutEscapes(text);
  if (/^urn:/i.test(uri))
    throw parameterFault(code, 'must be a url: :above and :below have no meaning for URNs');
  return uri;
}

/** An id, `Type/id`, `Type/id/_history/n`, or a url (R4 search.html#reference). */
export function readReference(
  definitions: Definitions,
  parameter: SearchParameter,
  text: string,
  modifier: string | undefined,
  baseUrl: string,
): ReferenceValue {
  const { code } = parameter;
  const local = text.startsWith(`${baseUrl}/`) ? text.slice(baseUrl.length + 1) : text;
  if (/^[a-z][a-z0-9+.-]*:/i.test(local)) return { kind: 'absolute', url: local };
  const parts = local.split('/');
  const [type, id = '', history, version] = parts.length === 1 ? [modifier, parts[0]] : parts;
  const targets = parameter.target ?? [];
  const versioned = parts.length === 4 && history === '_history' && isId(version ?? '');
  if ((parts.length > 2 && !versioned) || !isId(id))
    throw parameterFault(code, 'must be an id, Type/id, Type/id/_history/version or a url');
  if (type === undefined) return { kind: 'local', id };
  if (modifier !== undefined && type !== modifier)
    throw parameterFault(code, `names ${short(type)}, and its modifier says ${modifier}`);
  if (!definitions.isResourceType(type) || (targets.length > 0 && !targets.includes(type)))
    throw parameterFault(code, `cannot refer to ${short(type)}: possible are ${targets.join(', ')}`);
  return { kind: 'local', type, id, ...(versioned && { version }) };
}

export function readId(code: string, id: string): string {
  if (!isId(id)) throw parameterFault(code, 'must be an id: 1 to 64 of A-Z, a-z, 0-9, "-" and "."');
  return id;
}

/** Meters in the units that a distance may have: of UCUM and, for people, mi. */
const METERS: Readonly<Record<string, number>> = {
  m: 1,
  km: 1000,
  '[mi_i]': 1609.344,
  '[mi_us]': 1609.347219,
  mi: 1609.344,
  '[ft_i]': 0.3048,
  '[nmi_i]': 1852,
};
const NEARBY = 50;

/** `latitude|longitude`, `latitude|longitude|distance|units` (R4 location.html#search). */
export function readNear(code: string, text: string): NearValue {
  const [latitude = '', longitude = '', distance = String(NEARBY), units = 'km', ...more] = splitEscaped(
    text,
    '|',
  ).map(withoutEscapes);
  const meters = METERS[units === '' ? 'km' : units];
  const numbers = [latitude, longitude, distance].map((part) =>
    NUMBER.test(part) ? Number(part) : Number.NaN,
  );
  const [lat = Number.NaN, long = Number.NaN, far = Number.NaN] = numbers;
  if (
    more.length > 0 ||
    !(Math.abs(lat) <= 90) ||
    !(Math.abs(long) <= 180) ||
    !(far >= 0) ||
    meters === undefined
  )
    throw parameterFault(
      code,
      `must be latitude|longitude|distance|units, such as 42.36|-71.06|10|km: degrees, and a distance in ${Object.keys(METERS).join(', ')}`,
    );
  return { latitude: lat, longitude: long, meters: far * meters };
}

/** The values of a composite's parts, apart by `$` (R4 search.html#composite). */
export function readComposite(
  definitions: Definitions,
  parameter: SearchParameter,
  parts: readonly SearchParameter[],
  text: string,
  baseUrl: string,
): CompositeValue {
  const texts = splitEscaped(text, '$');
  if (texts.length !== parts.length)
    throw parameterFault(
      parameter.code,
      `must be ${parts.map(({ type }) => type).join('$')}: the values of ${parts.map(({ code }) => code).join(' and ')}`,
    );
  return parts.map((part, i) =>
    readComponent(definitions, part, texts[i] as string, parameter.code, baseUrl),
  );
}

/** The value of one part of a composite. */
export function readComponent(
  definitions: Definitions,
  part: SearchParameter,
  text: string,
  code: string,
  baseUrl: string,
): ComponentValue {
  switch (part.type) {
    case 'token':
      return { kind: 'token', value: readToken(code, text) };
    case 'date':
      return { kind: 'date', value: readDate(code, text) };
    case 'number':
      return { kind: 'number', value: readNumber(code, text) };
    case 'quantity':
      return { kind: 'quantity', value: readQuantity(code, text) };
    case 'reference':
      return {
        kind: 'reference',
        value: readReference(definitions, part, withoutEscapes(text), undefined, baseUrl),
      };
    case 'uri':
      return { kind: 'uri', value: withoutEscapes(text) };
    default:
      return { kind: 'string', value: readString(code, text) };
  }
}
