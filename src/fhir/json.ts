/**
 * JSON text in and out (R4 json.html): numbers keep their digits, duplicate keys and faults are refused with
 * line and column. The ordinary way is V8's own parser and printer beside one quick scan; only a text in which
 * a number would change on that way, or in which something is wrong, is looked at more closely.
 */
import { invalid } from './outcome.ts';

/** Deepest nesting of objects and arrays that is taken. */
export const MAX_DEPTH = 100;

/** What one pass over a text, outside its strings, has counted. */
interface Scan {
  /** colons: members of all objects, as written */
  readonly members: number;
  readonly depth: number;
  /** a number that JSON.stringify would write in other digits: 1.00, 1e-3, -0, 20 digits */
  readonly riskyNumber: boolean;
  /** no white space between tokens */
  readonly compact: boolean;
}

const QUOTE = 34;
const COLON = 58;
const BACKSLASH = 92;

function scan(text: string): Scan {
  let members = 0;
  let depth = 0;
  let deepest = 0;
  let riskyNumber = false;
  let compact = true;
  const length = text.length;
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) {
      const end = endOfString(text, i);
      if (end < 0) break;
      i = end;
    } else if (code === COLON) members++;
    else if (code <= 32) compact = false;
    else if (code === 123 || code === 91) {
      if (++depth > deepest) deepest = depth;
    } else if (code === 125 || code === 93) depth--;
    else if (code === 45 || (code >= 48 && code <= 57)) {
      const start = i;
      let point = -1;
      let other = false;
      for (; i < length; i++) {
        const c = text.charCodeAt(i);
        if (c === 46) point = i;
        else if (c < 48 || c > 57) {
          if (c === 101 || c === 69) other = true;
          else if (c !== 45 && c !== 43) break;
        }
      }
      // Fifteen digits print as they were read, unless they end in 0, are -0, or so small that they get an exponent.
      const suspicious =
        other ||
        i - start > 15 ||
        (point > 0 && (text.charCodeAt(i - 1) === 48 || text.startsWith('0.000000', point - 1))) ||
        (code === 45 && text.charCodeAt(start + 1) === 48);
      if (suspicious && !riskyNumber) {
        const written = text.slice(start, i);
        riskyNumber = String(Number(written)) !== written;
      }
      i--;
    }
  }
  return { members, depth: deepest, riskyNumber, compact };
}

/** Where the quote is that ends the string beginning at `start`, or -1. */
export function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (end > 0 && text.charCodeAt(end - 1) === BACKSLASH) {
    let slashes = 1;
    while (text.charCodeAt(end - 1 - slashes) === BACKSLASH) slashes++;
    if (slashes % 2 === 0) break;
    end = text.indexOf('"', end + 1);
  }
  return end;
}

function countMembers(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  let count = 0;
  if (Array.isArray(value)) {
    for (const element of value) if (typeof element === 'object') count += countMembers(element);
    return count;
  }
  for (const key in value) {
    count++;
    const child = (value as Record<string, unknown>)[key];
    if (typeof child === 'object') count += countMembers(child);
  }
  return count;
}

/**
 * Finds what is wrong with a text that was refused, and where: a strict reader that is only slow.
 *
 * @throws Refusal 400 with line and column
 */
function diagnose(text: string): never {
  let at = 0;
  const fail = (what: string, where = at): never => {
    const before = text.slice(0, where);
    const line = before.split('\n').length;
    const column = where - before.lastIndexOf('\n');
    throw invalid('structure', `${what}, at line ${line} column ${column} of the body`);
  };
  const space = (): void => {
    while (at < text.length && ' \t\r\n'.includes(text[at] as string)) at++;
  };
  // V8 judges what is inside: a regular expression that repeats over megabytes overflows its stack
  const string = (): string => {
    const end = endOfString(text, at);
    if (end < 0) fail('This is not JSON: a string that does not end');
    try {
      const read = JSON.parse(text.slice(at, end + 1)) as string;
      at = end + 1;
      return read;
    } catch {
      return fail('This is not JSON: a string that holds a bad escape or a control character');
    }
  };
  const value = (depth: number): void => {
    if (depth > MAX_DEPTH) fail(`Nested deeper than ${MAX_DEPTH} levels`);
    space();
    const start = text[at];
    if (start === '{' || start === '[') {
      const close = start === '{' ? '}' : ']';
      const keys = new Set<string>();
      at++;
      space();
      if (text[at] === close) {
        at++;
        return;
      }
      for (;;) {
        space();
        if (start === '{') {
          const where = at;
          if (text[at] !== '"') fail(`This is not JSON: expected a member name in double quotes`);
          const key = string();
          if (keys.has(key))
            fail(`The member "${key.slice(0, 60)}" stands twice in one object; keep one of them`, where);
          keys.add(key);
          space();
          if (text[at] !== ':') fail('This is not JSON: expected ":"');
          at++;
        }
        value(depth + 1);
        space();
        if (text[at] === close) {
          at++;
          return;
        }
        if (text[at] !== ',') fail(`This is not JSON: expected "," or "${close}"`);
        at++;
      }
    }
    if (start === '"') {
      string();
      return;
    }
    const literal = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.+-])/y;
    literal.lastIndex = at;
    const match =
      literal.exec(text) ??
      fail(`This is not JSON: ${at < text.length ? 'unexpected text' : 'it ends too soon'}`);
    at += match[0].length;
  };
  value(1);
  space();
  fail(at < text.length ? 'This is not JSON: more text after the end' : 'This is not JSON');
  throw new Error('unreachable');
}

/** A JSON text as read. */
export interface ReadJson<T> extends Pick<Scan, 'riskyNumber' | 'compact'> {
  readonly value: T;
}

export type ParsedJson = ReadJson<Record<string, unknown>>;

/**
 * Reads any JSON text.
 *
 * @throws Refusal 400: bad JSON or a duplicate key with line and column; nested too deep
 */
export function readJson(text: string): ReadJson<unknown> {
  const { members, depth, riskyNumber, compact } = scan(text);
  if (depth > MAX_DEPTH) diagnose(text);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    diagnose(text);
  }
  if (countMembers(value) !== members) diagnose(text);
  return { value, riskyNumber, compact };
}

/**
 * Reads a JSON object.
 *
 * @throws Refusal 400 as readJson; not an object
 */
export function parseJson(text: string): ParsedJson {
  const { value, ...scanned } = readJson(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid('structure', 'The body must be one JSON object, a resource');
  return { value: value as Record<string, unknown>, ...scanned };
}

/** Reads a text that was checked before, with every number as the text it was written as (for printing only). */
export function parseKeepingNumbers(text: string): Record<string, unknown> {
  return JSON.parse(text, (_key, value, context?: { source: string }) =>
    typeof value === 'number' && context ? rawJSON(context.source) : value,
  );
}

// of ES2026, which TypeScript's library does not describe yet
const rawJSON = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON;
