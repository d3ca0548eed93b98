import fc from 'fast-check';
import { once } from '../../src/http/parameters.ts';
import { readReturn } from '../../src/http/prefer.ts';
import { readRanges } from '../../src/http/range.ts';
import { httpDate, NO_VERSION, notModified, readTags } from '../../src/http/versions.ts';
import { readParameters, writeParameters } from '../../src/search/query-string.ts';

test('RFC 9110 5.6.7: the HTTP date of every instant is that of Date', () => {
  const time = fc.integer({ min: Date.parse('0001-01-01'), max: Date.parse('9999-12-31') });
  fc.assert(
    fc.property(time, (ms) => {
      const date = new Date(ms);
      expect(httpDate(date.toISOString())).toBe(date.toUTCString());
    }),
    { numRuns: 1000 },
  );
});

describe('RFC 9110 13.1.1: lists of entity tags', () => {
  test.each([
    ['W/"3"', [3]],
    ['"3"', [3]],
    [' W/"1" , "2",W/"30" ', [1, 2, 30]],
    ['*', '*'],
    ['W/"999999999"', [999_999_999]],
    ['W/"1000000000"', [NO_VERSION]],
    ['W/"abc", W/"2"', [NO_VERSION, 2]],
    ['W/""', [NO_VERSION]],
    ['W/"007"', [NO_VERSION]],
    ['W/"0"', [NO_VERSION]],
  ])('%s', (text, match) => {
    expect(readTags(text, 'If-Match')).toEqual(match);
  });

  test.each(['', '3', 'W/3', 'W/"3', '"1" "2"', '"1",', 'w/"1"', '"1", *'])('%s is malformed', (text) => {
    expect(() => readTags(text, 'If-Match')).toThrow('If-Match is a list of entity tags');
  });
});

describe('R4 http.html#cread: conditional reads', () => {
  const stored = { version: 3, updated: '2026-01-02T03:04:05.678Z' };
  test.each([
    [{}, false],
    [{ 'if-none-match': 'W/"3"' }, true],
    [{ 'if-none-match': '"1", "3"' }, true],
    [{ 'if-none-match': '*' }, true],
    [{ 'if-none-match': 'W/"2"' }, false],
    [{ 'if-modified-since': 'Fri, 02 Jan 2026 03:04:05 GMT' }, true],
    [{ 'if-modified-since': 'Fri, 02 Jan 2026 03:04:04 GMT' }, false],
    [{ 'if-modified-since': 'yesterday' }, false],
    [{ 'if-none-match': 'W/"2"', 'if-modified-since': 'Fri, 02 Jan 2026 03:04:05 GMT' }, false],
  ])('%j: not modified is %s', (headers, expected) => {
    expect(notModified(headers, stored)).toBe(expected);
  });
});

test.each([
  [undefined, 'representation'],
  ['return=minimal', 'minimal'],
  ['return=representation', 'representation'],
  ['return=OperationOutcome', 'OperationOutcome'],
  ['handling=strict, return=minimal', 'minimal'],
  ['return="minimal"; x=y', 'minimal'],
  ['respond-async', 'representation'],
  ['return=everything', 'representation'],
])('R4 http.html#ops: Prefer %s gets %s', (prefer, expected) => {
  expect(readReturn(prefer)).toBe(expected);
});

describe('RFC 9110 14.1.2: ranges of 10 bytes', () => {
  test.each([
    ['bytes=0-3', [{ start: 0, end: 3 }]],
    ['bytes=4-', [{ start: 4, end: 9 }]],
    ['bytes=-3', [{ start: 7, end: 9 }]],
    ['bytes=-30', [{ start: 0, end: 9 }]],
    ['bytes=8-100', [{ start: 8, end: 9 }]],
    ['bytes=10-', 'unsatisfiable'],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=10-, -0', 'unsatisfiable'],
    ['bytes=5-4', undefined],
    ['bytes=0-1,5-4', undefined],
    [
      'bytes=7-8, 0-1',
      [
        { start: 7, end: 8 },
        { start: 0, end: 1 },
      ],
    ],
    ['bytes=0-1,20-', [{ start: 0, end: 1 }]],
    // RFC 9110 17.15: what overlaps or touches is sent once
    ['bytes=0-2,4-5,3-3,2-9', [{ start: 0, end: 9 }]],
    [`bytes=${'0-0,'.repeat(51)}`, undefined],
    ['items=0-1', undefined],
    ['bytes=-', undefined],
    [undefined, undefined],
  ])('%s', (header, expected) => {
    expect(readRanges(header, 10)).toEqual(expected);
  });
});

describe('R4 http.html#parameters: queries', () => {
  test('plus is a space, escapes are UTF-8, order and repetition stay', () => {
    expect(readParameters('name=a+b%2Bc&&code=%C3%A9&code=x=y&flag')).toEqual([
      ['name', 'a b+c'],
      ['code', 'é'],
      ['code', 'x=y'],
      ['flag', ''],
    ]);
  });

  test('a bad escape is refused by the name of its parameter, without its value', () => {
    expect(() => readParameters('name=%C3%28')).toThrow('The parameter "name" holds a bad percent escape');
  });

  test('what is written is read again', () => {
    const text = fc.string({ unit: 'grapheme' });
    fc.assert(
      fc.property(fc.array(fc.tuple(text, text)), (parameters) => {
        const filled = parameters.filter(([name, value]) => name !== '' || value !== '');
        expect(readParameters(writeParameters(filled))).toEqual(filled);
      }),
    );
  });

  test('unknown and repeated ones are refused', () => {
    expect(once([['_count', '3']], ['_count'])).toEqual({ _count: '3' });
    expect(() => once([['__proto__', '3']], ['_count'])).toThrow('"__proto__" is no parameter here');
    expect(() =>
      once(
        [
          ['_count', '3'],
          ['_count', '3'],
        ],
        ['_count'],
      ),
    ).toThrow('given twice');
  });
});
