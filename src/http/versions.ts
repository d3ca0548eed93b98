/** Versions and times of resources in HTTP headers (R4 http.html#concurrency and #cread; RFC 9110 §8.8 and §13). */
import type { IncomingHttpHeaders } from 'node:http';
import { invalid } from '../fhir/outcome.ts';

/** The ETag of a version. */
export function etagOf(version: number): string {
  return `W/"${version}"`;
}

/** The ETag of a version's bytes as they are served: equal bytes of other versions are told apart, too. */
export function bytesEtagOf(version: number, sha256: string): string {
  return `"${version}.${sha256}"`;
}

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/**
 * A FHIR instant in UTC as an HTTP date: `Tue, 15 Nov 1994 08:12:31 GMT` (RFC 9110 §5.6.7). Cut from the text,
 * since every read comes here.
 */
export function httpDate(instant: string): string {
  const year = Number(instant.slice(0, 4));
  const month = Number(instant.slice(5, 7));
  const day = instant.slice(8, 10);
  return `${DAYS[weekday(year, month, Number(day))]}, ${day} ${MONTHS[month - 1]} ${instant.slice(0, 4)} ${instant.slice(11, 19)} GMT`;
}

/** Days after Sunday (Sakamoto's rule): the year begins in March. */
function weekday(year: number, month: number, day: number): number {
  const y = month < 3 ? year - 1 : year;
  const leaps = Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400);
  return (y + leaps + [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4][month - 1]! + day) % 7;
}

/** What If-Match asks for: any version, or one of these; a tag that can be none of ours is NO_VERSION. */
export type Match = '*' | readonly number[];

/** No version of anything; 0 is taken by what is referred to but was never written. */
export const NO_VERSION = -1;

/** Longer than any header; in a Bundle it bounds the expression's work. */
const MAX_TAGS = 16 * 1024;
const TAGS = /^\s*(?:(?:W\/)?"[^"]*"\s*(?:,\s*(?=\S)|$))+$/;

/**
 * Reads a list of entity tags: `W/"3"`, `"3"`, `W/"3", W/"4"`, those of bytes, or `*`.
 *
 * @param name of the header, for the message
 * @throws     Refusal 400 where it is no such list
 */
export function readTags(text: string, name: string): Match {
  if (text.trim() === '*') return '*';
  if (text.length > MAX_TAGS || !TAGS.test(text))
    throw invalid('value', `${name} is a list of entity tags such as W/"3", or *: not ${text.slice(0, 80)}`);
  return [...text.matchAll(/"([^"]*)"/g)].map(([, tag = '']) => {
    const [, version] = VERSION.exec(tag) ?? [];
    return version === undefined ? NO_VERSION : Number(version);
  });
}

/** Nothing gets to a billion versions, and PostgreSQL's integer holds no more than twice that. */
const VERSION = /^([1-9]\d{0,8})(?:\.[0-9a-f]{64})?$/;

/**
 * Whether a conditional read finds what the client has already: If-None-Match decides, If-Modified-Since only
 * without it (RFC 9110 §13.1.3).
 */
export function notModified(
  headers: IncomingHttpHeaders,
  { version, updated }: { readonly version: number; readonly updated: string },
): boolean {
  const tags = headers['if-none-match'];
  if (tags !== undefined) {
    const match = readTags(tags, 'If-None-Match');
    return match === '*' || match.includes(version);
  }
  const since = headers['if-modified-since'];
  if (since === undefined) return false;
  const time = Date.parse(since);
  // the header has no fractions of a second
  return Math.floor(Date.parse(updated) / 1000) * 1000 <= time;
}
