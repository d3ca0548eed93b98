/**
 * The matches of a search in an order that no index has (R4 search.html#sort): all are read, up to a bound, and sorted
 * by their own values.
 */
import { clinicalDate } from '../fhir/clinical-date.ts';
import { nameOf } from '../fhir/definitions.ts';
import type { SearchValue } from '../fhir/extract.ts';
import { fold } from '../fhir/fold.ts';
import { invalid, type Refusal } from '../fhir/outcome.ts';
import { type Facts, matches } from '../search/match.ts';
import type { SortKey } from '../search/request.ts';
import { NEWEST_FIRST } from '../store/search/search.ts';
import { factsOf } from './facts.ts';
import { joinedAmong, newBudget, strides } from './judge.ts';
import type { Found, Order, Part, Taken, Wanted } from './part.ts';
import type { Place } from './position.ts';
import type { ReadSetting } from './setting.ts';
import { takeWithin } from './within.ts';

/** So many matches are sorted. */
const MOST_SORTED = 10_000;

/** Takes matches in the order of their keys. */
export async function takeSorted(
  setting: ReadSetting,
  parts: readonly Part[],
  wanted: Wanted,
): Promise<Taken> {
  const { definitions } = setting;
  const { most, place: from, back } = wanted;
  const [{ sort: keys } = { sort: [] as readonly SortKey[] }] = parts;
  const direction = back ? -1 : 1;
  const inOrder = (one: Place, other: Place): number => direction * compare(keys, one, other);
  let rows: Found[] = [];
  let [looked, total] = [0, 0];
  const first = (all: Found[]): Found[] => all.sort((a, b) => inOrder(a.place, b.place)).slice(0, most);
  for (const part of parts) {
    const { type, filters, judged, sort } = part;
    const clinical = clinicalDate(definitions, type)?.code;
    if (part.within) {
      const order: Order = {
        compare: (one, other) => inOrder(one.place, other.place),
        at: (facts, { updated }, number) => ({
          at: updated,
          place: [...sort.map((key) => sortValue(key, facts, clinical)), number],
        }),
      };
      const taken = await takeWithin(setting, part, part.within, order, wanted, newBudget());
      rows = first([...rows, ...taken.rows]);
      total += taken.total ?? 0;
      continue;
    }
    for await (const { read } of strides(setting, { type, filters, sort: NEWEST_FIRST })) {
      const joined = await joinedAmong(setting, type, judged, read);
      for (const candidate of read) {
        if (++looked > MOST_SORTED) throw tooMany();
        const facts = factsOf(setting, { type, ...candidate }, joined(candidate));
        if (!matches(judged, facts)) continue;
        total++;
        const place = [...sort.map((key) => sortValue(key, facts, clinical)), candidate.rid];
        if (from && inOrder(place, from) <= 0) continue;
        // Without its content, which is read again if it is shown: what waits here may be all there is.
        rows.push({ ...candidate, content: null, type, place });
      }
      rows = first(rows);
    }
  }
  return { rows, total };
}

/** The least value where it ascends, the greatest where it descends. */
function sortValue(
  key: SortKey,
  { id, updated, values }: Facts,
  clinical: string | undefined,
): string | number | null {
  if (key.by === '_lastUpdated') return updated;
  if (key.by === '_id') return id;
  const name = 'parameter' in key ? nameOf(key.parameter) : clinical;
  let best: string | number | null = null;
  for (const { parameter, value } of values) {
    if (nameOf(parameter) !== name) continue;
    const own = scalarOf(value, key.descending);
    if (own === null) continue;
    if (best === null || (key.descending ? own > best : own < best)) best = own;
  }
  return best;
}

function scalarOf(value: SearchValue, descending: boolean): string | number | null {
  switch (value.kind) {
    case 'string':
      return fold(value.text);
    case 'token':
      return value.code ?? value.text ?? null;
    case 'date':
      // By its beginning, as in the timelines; without one it has no place there either.
      return Number.isFinite(value.low) ? value.low : null;
    case 'number':
    case 'quantity':
      // An open end is kept in places as JSON, which has no infinity.
      return Math.max(-Number.MAX_VALUE, Math.min(descending ? value.high : value.low, Number.MAX_VALUE));
    case 'uri':
      return value.uri;
    case 'reference':
      return value.reference ?? null;
    default:
      return null;
  }
}

/** Absent values come last, whichever way it goes; equal places by number. */
function compare(sort: readonly SortKey[], one: Place, other: Place): number {
  for (const [i, { descending }] of sort.entries()) {
    const [a = null, b = null] = [one[i], other[i]];
    if (a === b) continue;
    if (a === null) return 1;
    if (b === null) return -1;
    return a < b === descending ? 1 : -1;
  }
  return (one[sort.length] as number) - (other[sort.length] as number);
}

function tooMany(): Refusal {
  return invalid(
    'too-costly',
    `This order takes all matches to be read, and there are more than ${MOST_SORTED}: narrow the search, or sort by the clinical date or _lastUpdated`,
  );
}
