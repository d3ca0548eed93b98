/**
 * The lexical rules of R4's primitive types (datatypes.html#primitive), each as a predicate over a JSON value.
 * The generated validators call them. All take linear time: they search for what is forbidden, as a regular
 * expression that repeats over megabytes overflows its stack.
 */

const MAX_INTEGER = 2_147_483_647;
const MAX_STRING = 1_048_576;

export function boolean(value: unknown): boolean {
  return value === true || value === false;
}

export function integer(value: unknown): boolean {
  return typeof value === 'number' && (value | 0) === value;
}

export function unsignedInt(value: unknown): boolean {
  return integer(value) && (value as number) >= 0;
}

export function positiveInt(value: unknown): boolean {
  return integer(value) && (value as number) > 0 && (value as number) <= MAX_INTEGER;
}

export function decimal(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value);
}

/** Not empty, at most 1 MB (R4 datatypes.html#string), and text that PostgreSQL can keep. */
export function string(value: unknown): boolean {
  return isText(value) && value.length <= MAX_STRING;
}
export { string as markdown };

/** White space is refused anywhere, and so is an empty one. */
export function uri(value: unknown): boolean {
  return isText(value) && !/\s/.test(value);
}
export { uri as canonical, uri as url };

/** No white space at either end and none but single spaces inside. */
export function code(value: unknown): boolean {
  return isText(value) && !/^\s|\s\s|\s$/.test(value);
}

export function id(value: unknown): boolean {
  return typeof value === 'string' && /^[A-Za-z0-9.-]{1,64}$/.test(value);
}

export function oid(value: unknown): boolean {
  return (
    typeof value === 'string' && value.length <= MAX_OID && /^urn:oid:[0-2](\.(0|[1-9]\d*))+$/.test(value)
  );
}
/** Bounds the expression's work; an OID in use has some dozens of characters. */
const MAX_OID = 4096;

export function uuid(value: unknown): boolean {
  return (
    typeof value === 'string' &&
    /^urn:uuid:[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/.test(value)
  );
}

/** Groups of four, padded at the end; white space may stand anywhere. */
export function base64Binary(value: unknown): boolean {
  if (typeof value !== 'string' || /[^A-Za-z0-9+/= \t\r\n]/.test(value)) return false;
  const padding = value.indexOf('=');
  if (padding >= 0 && !isPadding(value.slice(padding))) return false;
  const characters = /\s/.test(value) ? withoutSpace(value) : value.length;
  return characters > 0 && characters % 4 === 0;
}

/** One or two "=", with nothing else but white space. */
function isPadding(text: string): boolean {
  const second = text.indexOf('=', 1);
  const third = second > 0 ? text.indexOf('=', second + 1) : -1;
  return third < 0 && !/[^=\s]/.test(text);
}

function withoutSpace(text: string): number {
  let count = 0;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 32) count++;
  return count;
}

const DATE = /^\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?$/;
const INSTANT =
  /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?(Z|[+-]((0\d|1[0-3]):[0-5]\d|14:00))$/;
const TIME = /^([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?$/;
/** More digits of a second than anybody measures; bounds the expressions' work. */
const MAX_DATE = 64;

export function date(value: unknown): boolean {
  return typeof value === 'string' && value.length <= 10 && DATE.test(value) && isDay(value);
}

export function instant(value: unknown): boolean {
  return typeof value === 'string' && value.length <= MAX_DATE && INSTANT.test(value) && isDay(value);
}

export function dateTime(value: unknown): boolean {
  return typeof value === 'string' && value.length <= 10 ? date(value) : instant(value);
}

export function time(value: unknown): boolean {
  return typeof value === 'string' && value.length <= MAX_DATE && TIME.test(value);
}

/** A narrative's div (R4 narrative.html#xhtml); what is inside it is judged elsewhere. */
export function xhtml(value: unknown): boolean {
  return isText(value) && /^\s*<div[\s>/]/.test(value);
}

/**
 * Not empty, no NUL and no half of a surrogate pair: these PostgreSQL refuses or alters.
 */
function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && !value.includes('\0') && value.isWellFormed();
}

/** Whether a text of the date's form, with or without a day, names a day that exists; there is no year 0. */
function isDay(text: string): boolean {
  if (text.startsWith('0000')) return false;
  // Only days past the 28th may be missing from a month
  if (text.length < 10 || text.charCodeAt(8) < 50 || (text.charCodeAt(8) === 50 && text.charCodeAt(9) < 57))
    return true;
  const [year, month, day] = [+text.slice(0, 4), +text.slice(5, 7), +text.slice(8, 10)];
  if (month === 2) return day === 29 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return day < 31 || ![4, 6, 9, 11].includes(month);
}
