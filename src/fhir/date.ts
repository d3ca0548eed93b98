/** Instants that FHIR dates of any precision stand for (R4 datatypes.html#dateTime, search.html#date). */
import { invalid } from './outcome.ts';

/** Milliseconds since the epoch: low inclusive, high exclusive; ±Infinity where an end is open. */
export interface Range {
  readonly low: number;
  readonly high: number;
}

/**
 * Where the text was written: elements of a resource have either a whole date or seconds, while search values
 * may also stop at minutes (R4 search.html#date).
 */
export type Written = 'element' | 'search';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/**
 * The half-open range of instants that a FHIR date stands for: "1990" is all of that year.
 *
 * Without a zone the text is taken as UTC. Seconds without a fraction last a second; with a fraction a
 * millisecond, further digits being cut off. A leap second (:60) counts as the second before it, so that it stays
 * within its minute and day.
 *
 * @param text     a date, dateTime or instant (R4 datatypes.html#primitive)
 * @param written  'search' allows times that stop at minutes
 * @returns        milliseconds since the epoch, low inclusive, high exclusive
 * @throws         Refusal 400 'value', naming the text, where it is no such date (2021-02-30)
 */
export function rangeOf(text: string, written: Written = 'element'): Range {
  const range = readRange(text, written);
  if (range) return range;
  const forms = 'YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with optional fraction and zone';
  throw invalid('value', `"${text}" is not a possible date: give ${forms}`);
}

/**
 * As rangeOf, but undefined where the text is no possible date: for writers, which must not fail on one.
 */
export function readRange(text: string, written: Written = 'element'): Range | undefined {
  // Character codes instead of a regular expression or Date.parse: every dated element of every write comes here.
  const length = text.length;
  const century = twoDigits(text, 0);
  const ofCentury = twoDigits(text, 2);
  if (century < 0 || ofCentury < 0) return undefined;
  const year = century * 100 + ofCentury;
  if (year === 0) return undefined;
  if (length === 4) return { low: dayNumber(year, 1, 1) * DAY, high: dayNumber(year + 1, 1, 1) * DAY };

  const month = twoDigits(text, 5);
  if (text.charCodeAt(4) !== 45 || month < 1 || month > 12) return undefined;
  if (length === 7) {
    const first = dayNumber(year, month, 1);
    return { low: first * DAY, high: (first + daysIn(year, month)) * DAY };
  }

  const day = twoDigits(text, 8);
  if (text.charCodeAt(7) !== 45 || day < 1 || day > daysIn(year, month)) return undefined;
  const midnight = dayNumber(year, month, day) * DAY;
  if (length === 10) return { low: midnight, high: midnight + DAY };
  return readTime(text, midnight, written);
}

function readTime(text: string, midnight: number, written: Written): Range | undefined {
  const hour = twoDigits(text, 11);
  const minute = twoDigits(text, 14);
  if (text.charCodeAt(10) !== 84 || text.charCodeAt(13) !== 58) return undefined;
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59) return undefined;

  let low = midnight + hour * HOUR + minute * MINUTE;
  let lasts = MINUTE;
  let at = 16;
  if (text.charCodeAt(16) === 58) {
    const second = twoDigits(text, 17);
    if (second < 0 || second > 60) return undefined;
    low += (second === 60 ? 59 : second) * SECOND;
    lasts = SECOND;
    at = 19;
    if (text.charCodeAt(19) === 46) {
      lasts = 1;
      let scale = 100;
      for (at = 20; ; at++, scale /= 10) {
        const digit = text.charCodeAt(at) - 48;
        if (!(digit >= 0 && digit <= 9)) break;
        if (scale >= 1) low += digit * scale;
      }
      if (at === 20) return undefined;
    }
  } else if (written !== 'search') return undefined;

  const offset = readZone(text, at);
  return offset === undefined ? undefined : { low: low - offset, high: low - offset + lasts };
}

/** Milliseconds that the zone at this place is ahead of UTC; none at all is UTC. */
function readZone(text: string, at: number): number | undefined {
  const rest = text.length - at;
  if (rest === 0) return 0;
  const sign = text.charCodeAt(at);
  if (sign === 90) return rest === 1 ? 0 : undefined;
  const hours = twoDigits(text, at + 1);
  const minutes = twoDigits(text, at + 4);
  if (rest !== 6 || text.charCodeAt(at + 3) !== 58 || hours < 0 || minutes < 0) return undefined;
  if (minutes > 59 || hours * 60 + minutes > 14 * 60) return undefined;
  if (sign === 43) return hours * HOUR + minutes * MINUTE;
  return sign === 45 ? -(hours * HOUR + minutes * MINUTE) : undefined;
}

/** The number that two digits write, or -1. */
function twoDigits(text: string, at: number): number {
  const tens = text.charCodeAt(at) - 48;
  const ones = text.charCodeAt(at + 1) - 48;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : -1;
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** Days since 1970-01-01 in the proleptic Gregorian calendar, whose years are taken to begin in March. */
function dayNumber(year: number, month: number, day: number): number {
  const shifted = month > 2 ? year : year - 1;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  const leapDays = Math.floor(shifted / 4) - Math.floor(shifted / 100) + Math.floor(shifted / 400);
  return shifted * 365 + leapDays + dayOfYear - 719_468;
}
