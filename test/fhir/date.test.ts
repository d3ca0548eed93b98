import fc from 'fast-check';
import { type Range, rangeOf, readRange } from '../../src/fhir/date.ts';
import { Refusal } from '../../src/fhir/outcome.ts';

/** The range in ISO texts, which say more than numbers when a test fails. */
function isoOf({ low, high }: Range): [string, string] {
  return [new Date(low).toISOString(), new Date(high).toISOString()];
}

describe('R4 datatypes 2.24.0.1: the instants that a date stands for', () => {
  test.each([
    ['1990', '1990-01-01T00:00:00.000Z', '1991-01-01T00:00:00.000Z'],
    ['0001', '0001-01-01T00:00:00.000Z', '0002-01-01T00:00:00.000Z'],
    ['9999', '9999-01-01T00:00:00.000Z', '+010000-01-01T00:00:00.000Z'],
    ['1990-12', '1990-12-01T00:00:00.000Z', '1991-01-01T00:00:00.000Z'],
    ['1990-04-30', '1990-04-30T00:00:00.000Z', '1990-05-01T00:00:00.000Z'],
    ['2020-02', '2020-02-01T00:00:00.000Z', '2020-03-01T00:00:00.000Z'],
    ['2020-02-29', '2020-02-29T00:00:00.000Z', '2020-03-01T00:00:00.000Z'],
    ['2000-02-29', '2000-02-29T00:00:00.000Z', '2000-03-01T00:00:00.000Z'],
    ['2020-01-02T03:04:05Z', '2020-01-02T03:04:05.000Z', '2020-01-02T03:04:06.000Z'],
    ['2020-01-02T03:04:05', '2020-01-02T03:04:05.000Z', '2020-01-02T03:04:06.000Z'],
    ['2020-01-02T03:04:05+02:00', '2020-01-02T01:04:05.000Z', '2020-01-02T01:04:06.000Z'],
    ['2020-01-01T03:04:05+05:45', '2019-12-31T21:19:05.000Z', '2019-12-31T21:19:06.000Z'],
    ['2019-12-31T23:04:05-14:00', '2020-01-01T13:04:05.000Z', '2020-01-01T13:04:06.000Z'],
    ['2020-01-02T03:04:05-00:00', '2020-01-02T03:04:05.000Z', '2020-01-02T03:04:06.000Z'],
    ['2020-01-02T03:04:05.1Z', '2020-01-02T03:04:05.100Z', '2020-01-02T03:04:05.101Z'],
    ['2020-01-02T03:04:05.123Z', '2020-01-02T03:04:05.123Z', '2020-01-02T03:04:05.124Z'],
    ['2020-01-02T03:04:05.123999999Z', '2020-01-02T03:04:05.123Z', '2020-01-02T03:04:05.124Z'],
    ['1969-12-31T23:59:59.999+00:00', '1969-12-31T23:59:59.999Z', '1970-01-01T00:00:00.000Z'],
    // a leap second stays within its minute and its day
    ['2016-12-31T23:59:60Z', '2016-12-31T23:59:59.000Z', '2017-01-01T00:00:00.000Z'],
  ])('%s is from %s until %s', (text, low, high) => {
    expect(isoOf(rangeOf(text))).toEqual([low, high]);
  });

  test.each([
    '',
    '0000',
    '199',
    '19900',
    '1990-',
    '1990-00',
    '1990-13',
    '1990-1',
    '1990/01',
    '1990-01-00',
    '1990-01-32',
    '1990-04-31',
    '2021-02-30',
    '2021-02-29',
    '1900-02-29',
    '1990-01-1',
    '1990-01-01T',
    '1990-01-01T01',
    '1990-01-01T01:02',
    '1990-01-01T01:02Z',
    '1990-01-01T24:00:00Z',
    '1990-01-01T23:60:00Z',
    '1990-01-01T23:00:61Z',
    '1990-01-01 01:02:03Z',
    '1990-01-01t01:02:03Z',
    '1990-01-01T01:02:03.Z',
    '1990-01-01T01:02:03z',
    '1990-01-01T01:02:03ZZ',
    '1990-01-01T01:02:03+1',
    '1990-01-01T01:02:03+01',
    '1990-01-01T01:02:03+0100',
    '1990-01-01T01:02:03+14:01',
    '1990-01-01T01:02:03+01:60',
    '1990-01-01T01:02:03 01:00',
    ' 1990',
    '1990 ',
    '-1990',
    '１９９０',
  ])('"%s" is refused, naming it', (text) => {
    expect(readRange(text)).toBeUndefined();
    expect(() => rangeOf(text)).toThrow(Refusal);
    expect(() => rangeOf(text)).toThrow(`"${text}"`);
  });

  test('R4 search 3.1.1.4.7: a search value may stop at minutes', () => {
    const minute = ['2020-01-02T03:04:00.000Z', '2020-01-02T03:05:00.000Z'];
    expect(isoOf(rangeOf('2020-01-02T03:04Z', 'search'))).toEqual(minute);
    expect(isoOf(rangeOf('2020-01-02T04:04+01:00', 'search'))).toEqual(minute);
    expect(isoOf(rangeOf('2020-01-02T03:04', 'search'))).toEqual(minute);
    expect(() => rangeOf('2020-01-02T03', 'search')).toThrow(Refusal);
  });

  test('agrees with Date on every day that there is and none that there is not', () => {
    const year = fc.integer({ min: 1, max: 9999 });
    fc.assert(
      fc.property(year, fc.nat(13), fc.nat(32), (y, m, d) => {
        const text = `${digits(y, 4)}-${digits(m, 2)}-${digits(d, 2)}`;
        const date = new Date(`${text}T00:00:00Z`);
        // Date takes 2021-02-30 for the second of March
        const exists = !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
        const day = 24 * 3600 * 1000;
        expect(readRange(text)).toEqual(
          exists ? { low: date.getTime(), high: date.getTime() + day } : undefined,
        );
      }),
      { numRuns: 2000 },
    );
  });

  test('agrees with Date on every millisecond and zone', () => {
    const instant = fc.integer({ min: Date.parse('0002-01-01'), max: Date.parse('9998-01-01') });
    fc.assert(
      fc.property(instant, fc.integer({ min: -14 * 60, max: 14 * 60 }), (low, offset) => {
        const local = new Date(low + offset * 60_000).toISOString().slice(0, -1);
        const size = Math.abs(offset);
        const zone = `${offset < 0 ? '-' : '+'}${digits(Math.floor(size / 60), 2)}:${digits(size % 60, 2)}`;
        expect(rangeOf(local + zone)).toEqual({ low, high: low + 1 });
      }),
      { numRuns: 2000 },
    );
  });
});

function digits(value: number, count: number): string {
  return String(value).padStart(count, '0');
}
