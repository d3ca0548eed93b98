/** Elements that meet often: all are drawn from the same few values, written in all the ways there are. */
import fc from 'fast-check';
import { BASE_URL } from '../../support/records.ts';

/** A list of the elements that came out, absent where none did. */
export function list<T>(element: fc.Arbitrary<T>, maxLength = 3): fc.Arbitrary<T[] | undefined> {
  return fc.array(element, { maxLength }).map((all) => (all.length > 0 ? all : undefined));
}

export const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(value, { nil: undefined });

/** An object of some of these members, one at least. */
export function some(members: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<object> {
  return fc
    .record(members, { requiredKeys: [] })
    .filter((made) => Object.values(made).some((value) => value !== undefined));
}

export const systems = ['http://a', 'http://a/b', 'urn:oid:1.2'];
const system = fc.constantFrom(undefined, ...systems);
export const codes = ['x', 'X', 'y', 'a|b,c$d\\e'];
export const code = fc.constantFrom('x', 'X', 'y');

export const coding = fc.record({ system, code, display: fc.constantFrom(undefined, 'Display') });
export const concept = some({ coding: list(coding), text: fc.constantFrom(undefined, 'Text', 'x') });
export const identifier = fc
  .record({ system, value: fc.constantFrom(undefined, ...codes), type: maybe(concept) })
  .filter((made) => made.system !== undefined || made.value !== undefined);

/** Few days, at every precision, in several zones. */
export const moment = fc
  .record({
    year: fc.constantFrom('2019', '2020', '2021'),
    month: fc.constantFrom('01', '02', '12'),
    day: fc.constantFrom('01', '15', '28'),
    time: fc.constantFrom('00:00:00', '10:30:00', '23:59:59'),
    fraction: fc.constantFrom('', '.5', '.123456'),
    zone: fc.constantFrom('Z', '+02:00', '-11:30'),
  })
  .map(({ year, month, day, time, fraction, zone }) => ({
    year,
    month: `${year}-${month}`,
    day: `${year}-${month}-${day}`,
    minute: `${year}-${month}-${day}T${time.slice(0, 5)}${zone}`,
    instant: `${year}-${month}-${day}T${time}${fraction}${zone}`,
  }));
/** Where calendars and zones end. */
const farDays = ['0001', '0001-01-01', '9999', '9999-12-31', '2020-02-29', '1970-01-01'];
const farMoments = [
  '0001-01-01T00:00:00+14:00',
  '9999-12-31T23:59:59-12:00',
  '2016-12-31T23:59:60Z',
  '1969-12-31T23:59:59.999Z',
];
export const date = fc.oneof(
  {
    weight: 19,
    arbitrary: fc
      .tuple(moment, fc.constantFrom('year', 'month', 'day'))
      .map(([made, to]) => made[to as 'day']),
  },
  { weight: 1, arbitrary: fc.constantFrom(...farDays) },
);
export const dateTime = fc.oneof(
  { weight: 10, arbitrary: date },
  { weight: 9, arbitrary: moment.map(({ instant }) => instant) },
  { weight: 1, arbitrary: fc.constantFrom(...farMoments) },
);
/** As searches write them, also to the minute. */
export const searchedDate = fc.oneof(
  {
    weight: 19,
    arbitrary: fc
      .tuple(moment, fc.constantFrom('year', 'month', 'day', 'minute', 'instant'))
      .map(([made, to]) => made[to as 'day']),
  },
  { weight: 1, arbitrary: fc.constantFrom(...farDays, ...farMoments) },
);
export const period = fc
  .tuple(maybe(dateTime), maybe(dateTime))
  .filter(([start, end]) => start !== undefined || end !== undefined)
  // by the year: which of two dates is the earlier is not what is tested here
  .filter(([start = '0', end = '9']) => start.slice(0, 4) < end.slice(0, 4))
  .map(([start, end]) => ({ start, end }));

export const names = [
  'Søren',
  'soren',
  'SÖREN Æ',
  'Łuka  Ðor',
  'İbrahim',
  'Straße',
  '王秀英',
  "O'Brien, Jr|$\\",
  'Anne-Marie',
  '-',
  'Παπαδάκης',
  '😀b',
  // longer than what the index keeps together, and the same but for its end
  `${'Äb😀 '.repeat(150)}Ende`,
  `${'Äb😀 '.repeat(150)}ende`,
];
export const name = fc.constantFrom(...names);
export const humanName = some({ family: maybe(name), given: list(name, 2), text: maybe(name) });
export const address = some({ city: maybe(name), line: list(name, 2), country: maybe(name) });
export const narrative = fc
  .constantFrom('Søren', 'Text of <b>Anne-Marie</b>', 'x &amp; y', 'Straße &#252;ber')
  .map((inner) => ({ status: 'generated', div: `<div xmlns="http://www.w3.org/1999/xhtml">${inner}</div>` }));

export const urls = [
  'http://a/q',
  'http://a/q|1',
  'http://a/Q',
  'http://a/',
  'urn:uuid:c757873d-ec9a-4326-a141-556f43239520',
];
export const url = fc.constantFrom(...urls);

/** What ids begin with: each world puts its own name in its place. */
export const WORLD = 'w0-';
/** Of those that refer to each other; of any type. */
export const ids = ['1', '11', 'p.1'].map((id) => `${WORLD}${id}`);
export const id = fc.constantFrom(...ids);

export const numbers = [0, 5, 5.35, 5.4, 5.45, 99.5, 100, 100.4999, 1000, -5.4];
export const number = fc.constantFrom(...numbers);
export const units = ['mg', 'g', 'kg', 'Cel', 'K', '[degF]', '[pH]', '[iU]', 'milligrams'];
export const quantity = fc.record({
  value: fc.constantFrom(...numbers, 5400, 0.0054, 278.55, 278.5, 41.72),
  comparator: fc.constantFrom(undefined, undefined, undefined, '<', '<=', '>', '>='),
  system: fc.constantFrom(undefined, 'http://unitsofmeasure.org', 'http://unitsofmeasure.org', 'http://a'),
  code: fc.constantFrom(undefined, ...units),
  unit: fc.constantFrom(undefined, ...units),
});
/** Both ends, or one. */
export const range = fc
  .tuple(maybe(number), maybe(fc.nat(20)))
  .filter(([low, more]) => low !== undefined || more !== undefined)
  .map(([low, more]) => ({
    low: low === undefined ? undefined : { value: low, unit: 'mg' },
    high: more === undefined ? undefined : { value: (low ?? 0) + more, unit: 'mg' },
  }));
export const sampled = fc.record({
  origin: fc.record({ value: number, unit: fc.constant('mg') }),
  period: fc.constant(10),
  dimensions: fc.constant(1),
  factor: fc.constantFrom(undefined, 0.5),
  data: fc.constantFrom('0 1 2', '5', 'L 1', '2 E U', 'E'),
  upperLimit: fc.constantFrom(undefined, 7),
});

/** Every way to say a target, and ways to say none. */
export function reference(...types: string[]): fc.Arbitrary<object> {
  return fc
    .record({ type: fc.constantFrom(...types), id, logical: maybe(identifier) })
    .chain(({ type, id, logical }) => {
      const usual = { reference: `${type}/${id}` };
      return fc
        .constantFrom<object>(
          usual,
          usual,
          usual,
          usual,
          { reference: `${BASE_URL}/${type}/${id}` },
          { reference: `${type}/${id}/_history/2` },
          { reference: `${type}/${id}/_history/3` },
          { reference: `${BASE_URL}/${type}/${id}/_history/2` },
          { reference: `http://elsewhere/fhir/${type}/${id}` },
          // a version as only canonicals have it
          { reference: `${type}/${id}|2` },
          { reference: `http://elsewhere/fhir/${type}/${id}/_history/2` },
          { reference: urls[4] },
          { type },
          { type, display: `${type}/${id}` },
        )
        .map((made) => ({ ...made, identifier: logical }));
    });
}

export const canonical = fc.oneof(
  url,
  id.map((one) => `Questionnaire/${one}|2`),
  id.map((one) => `${BASE_URL}/Questionnaire/${one}`),
);

export const meta = some({
  tag: list(coding),
  security: list(coding),
  profile: list(url),
  source: maybe(url),
});
