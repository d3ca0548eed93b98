/** Values of resources against those that searches ask for, as R4 search.html tells each type of parameter. */
import { createRequire } from 'node:module';
import type { SearchParameter } from '../../src/fhir/definitions.ts';
import { type Exact, exactly, meant, minus, order, plus, times } from './exact.ts';
import { parseReference } from './references.ts';
import { type End, spanOf, type Value } from './values.ts';

/** The parts between separators that no backslash is before. */
export const split = (text: string, separator: ',' | '|' | '$'): string[] => {
  const parts = [''];
  for (const [piece] of text.matchAll(/\\.|./gsu))
    if (piece === separator) parts.push('');
    else parts[parts.length - 1] += piece;
  return parts;
};

export const plainText = (text: string): string => text.replace(/\\([,|$\\])/g, '$1');

/** Whether a value is the one that is asked for. */
export function compare(parameter: SearchParameter, wanted: string, value: Value): boolean {
  switch (value.is) {
    case 'token':
      return isToken(parameter, wanted, value);
    case 'string':
      return begins(value.text, plainText(wanted));
    case 'date':
      return isDate(wanted, value);
    case 'number':
      return isNumber(parameter, wanted, value);
    case 'reference':
      return isReference(parameter, plainText(wanted), value);
    case 'uri':
      return isUri(plainText(wanted), value.text);
    case 'place':
      return isNear(wanted, value);
  }
}

/** Tokens (R4 search.html#token). Codes have the systems of their value sets without saying so. */
function isToken(
  { systems, caseless }: SearchParameter,
  wanted: string,
  value: Value & { is: 'token' },
): boolean {
  const parts = split(wanted, '|').map(plainText);
  const [system, code] = parts.length === 1 ? [undefined, parts[0]] : parts;
  if (value.code === undefined && value.system === undefined) return false;
  const isSystem =
    system === undefined || (value.system ?? '') === system || (systems ?? []).includes(system);
  const same = caseless ? code?.toLowerCase() : code;
  return isSystem && (code === '' || value.code === same);
}

export function isOfType(wanted: string, { code, types = [] }: Value & { is: 'token' }): boolean {
  const [system, type, value] = split(wanted, '|').map(plainText);
  return code === value && types.some((one) => (one.system ?? '') === system && one.code === type);
}

/** Without case, accents, surplus blanks, and punctuation: some as if it were not there, some as blanks (R4 search.html#string). */
export function folded(text: string): string {
  const kept = letters(text).replaceAll(/['’ʼ`´.]/g, '');
  return kept
    .split(/[\s\p{Pd},;:/]+/u)
    .filter(Boolean)
    .join(' ');
}

/** Without case and accents. */
export function letters(text: string): string {
  let plain = '';
  for (const sign of text.normalize('NFKD').toLowerCase().normalize('NFKD'))
    if (!/\p{M}/u.test(sign)) plain += LETTERS.get(sign) ?? sign;
  return plain;
}

const LETTERS = new Map(
  Object.entries({ ø: 'o', ł: 'l', đ: 'd', ð: 'd', þ: 'th', æ: 'ae', œ: 'oe', ß: 'ss', ı: 'i', ς: 'σ' }),
);

export const begins = (text: string, wanted: string): boolean => folded(text).startsWith(folded(wanted));

const PREFIXED = /^(eq|ne|gt|lt|ge|le|sa|eb|ap)?(.*)$/s;

/** Dates (R4 search.html#prefix, #date): the range that is asked for against the range of the value. */
function isDate(wanted: string, { low, high }: Value & { is: 'date' }): boolean {
  const [, prefix = 'eq', text = ''] = PREFIXED.exec(wanted) ?? [];
  const asked = spanOf(text);
  const isWithin = asked.low <= low && high <= asked.high;
  const isBefore = low < asked.low;
  const isAfter = high > asked.high;
  // A tenth of the time between now and the date.
  const gap = Math.abs(Date.now() - asked.low) / 10;
  switch (prefix) {
    case 'ne':
      return !isWithin;
    case 'gt':
      return isAfter;
    case 'lt':
      return isBefore;
    case 'ge':
      return isAfter || isWithin;
    case 'le':
      return isBefore || isWithin;
    case 'sa':
      return low >= asked.high;
    case 'eb':
      return high <= asked.low;
    case 'ap':
      return low < asked.high + gap && high > asked.low - gap;
    default:
      return isWithin;
  }
}

/** Numbers and quantities (R4 search.html#number, #quantity, #prefix). */
function isNumber(parameter: SearchParameter, wanted: string, value: Value & { is: 'number' }): boolean {
  const [number = '', system, code] = split(wanted, '|').map(plainText);
  const ends = parameter.type === 'number' ? value : inUnit(value, system || undefined, code || undefined);
  return ends !== undefined && isWithinReach(number, ends);
}

interface Ends {
  readonly low: End;
  readonly high: End;
}

function isWithinReach(wanted: string, { low, high }: Ends): boolean {
  const [, prefix = 'eq', text = ''] = PREFIXED.exec(wanted) ?? [];
  const asked = exactly(text);
  // Below, at and above a number: whether the value goes there.
  const goesAbove = (at: Exact): boolean => high.at === undefined || order(high.at, at) > 0;
  const goesBelow = (at: Exact): boolean => low.at === undefined || order(low.at, at) < 0;
  const reaches = (at: Exact): boolean => high.at === undefined || order(high.at, at) > (high.open ? 0 : -1);
  const reachesDown = (at: Exact): boolean => low.at === undefined || order(low.at, at) < (low.open ? 0 : 1);
  const tenth = times(asked, { top: asked.top < 0n ? -1n : 1n, bottom: 10n });
  switch (prefix) {
    case 'gt':
      return goesAbove(asked);
    case 'lt':
      return goesBelow(asked);
    case 'ge':
      return reaches(asked);
    case 'le':
      return reachesDown(asked);
    case 'sa':
      return !reachesDown(asked);
    case 'eb':
      return !reaches(asked);
    case 'ap':
      return reaches(minus(asked, tenth)) && reachesDown(plus(asked, tenth));
    default: {
      // 100 is from 99.5 on and below 100.5
      const half = halfOfLastDigit(text);
      const [from, to] = [minus(asked, half), plus(asked, half)];
      const isWithin = !goesBelow(from) && !reaches(to);
      return prefix === 'ne' ? !isWithin : isWithin;
    }
  }
}

function halfOfLastDigit(text: string): Exact {
  const [, part = '', power = '0'] = /^[+-]?\d+(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  return exactly(`5e${Number(power) - part.length - 1}`);
}

const UCUM = 'http://unitsofmeasure.org';

/** The value in the unit that is asked for; undefined where it is in none that can be that. */
function inUnit(
  value: Value & { is: 'number' },
  system: string | undefined,
  code: string | undefined,
): Ends | undefined {
  const isSystem = system === undefined || value.system === system;
  if (code === undefined) return isSystem ? value : undefined;
  // Without a system the unit may be meant as people read it.
  if (isSystem && (value.code === code || (system === undefined && value.unit === code))) return value;
  const isUcum = value.system === UCUM && (system === undefined || system === UCUM);
  const conversion = isUcum && value.code !== undefined ? conversionOf(value.code, code) : undefined;
  if (!conversion) return undefined;
  const convert = ({ at, open }: End): End => ({
    at: at && plus(times(at, conversion.factor), conversion.shift),
    open,
  });
  return { low: convert(value.low), high: convert(value.high) };
}

interface Conversion {
  readonly factor: Exact;
  readonly shift: Exact;
}

/** What is used of @lhncbc/ucum-lhc, which has no types. */
interface Ucum {
  readonly UcumLhcUtils: {
    getInstance(): {
      convertUnitTo(from: string, value: number, to: string): { readonly toVal: number | null };
    };
  };
}
const ucum: Ucum = createRequire(import.meta.url)('@lhncbc/ucum-lhc');

const conversions = new Map<string, Conversion | undefined>();

function conversionOf(from: string, to: string): Conversion | undefined {
  const key = `${from} ${to}`;
  if (!conversions.has(key)) {
    const utils = ucum.UcumLhcUtils.getInstance();
    const converted = (value: number): number | undefined =>
      utils.convertUnitTo(from, value, to).toVal ?? undefined;
    const [zero, one, two] = [converted(0), converted(1), converted(2)];
    const isStraight =
      zero !== undefined &&
      one !== undefined &&
      two !== undefined &&
      Math.abs(two - one - (one - zero)) < 1e-9;
    conversions.set(
      key,
      isStraight
        ? { factor: meant(Number((one - zero).toPrecision(12))), shift: meant(Number(zero.toPrecision(12))) }
        : undefined,
    );
  }
  return conversions.get(key);
}

/** References (R4 search.html#reference): relative or absolute, of this server they are the same. */
function isReference(
  { target = [] }: SearchParameter,
  wanted: string,
  { text, canonical }: Value & { is: 'reference' },
): boolean {
  if (text === undefined) return false;
  const [url = '', version] = text.split('|');
  const found = parseReference(canonical ? url : text);
  if (!wanted.includes('/') && !wanted.includes(':'))
    return found?.here === true && found.id === wanted && target.includes(found.type);
  const asked = parseReference(wanted);
  if (asked?.here)
    return (
      found?.here === true &&
      found.type === asked.type &&
      found.id === asked.id &&
      (asked.version === undefined || found.version === asked.version)
    );
  // A url of elsewhere; of a canonical with any version, or the one that is asked for.
  return text === wanted || (version !== undefined && url === wanted);
}

/** Urls as a whole (R4 search.html#uri). */
function isUri(wanted: string, text: string): boolean {
  return text === wanted || text.split('|')[0] === wanted;
}

/** `latitude|longitude|distance|units` on the sphere (R4 location.html#search). */
function isNear(wanted: string, { latitude, longitude }: Value & { is: 'place' }): boolean {
  const [north = '0', east = '0', far = '50', unit = 'km'] = wanted.split('|');
  const vector = (lat: number, long: number): number[] => {
    const [a, b] = [(lat * Math.PI) / 180, (long * Math.PI) / 180];
    return [Math.cos(a) * Math.cos(b), Math.cos(a) * Math.sin(b), Math.sin(a)];
  };
  const [one, other] = [vector(Number(north), Number(east)), vector(latitude, longitude)];
  const chord = Math.hypot(...one.map((part, i) => part - (other[i] as number)));
  const meters = 2 * 6_371_008.8 * Math.asin(Math.min(1, chord / 2));
  return meters <= Number(far) * (unit === 'km' ? 1000 : 1);
}
