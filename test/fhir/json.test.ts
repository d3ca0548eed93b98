/** JSON in and out: R4 json.html, and what RFC 8259 leaves open. */
import fc from 'fast-check';
import { readIncoming, render } from '../../src/fhir/content.ts';
import { MAX_DEPTH, parseJson, parseKeepingNumbers } from '../../src/fhir/json.ts';
import type { Refusal } from '../../src/fhir/outcome.ts';

const identity = { type: 'Basic', id: 'x', version: 3, updated: '2026-11-25T00:00:00.000Z' };

/** What a client reads back of a resource with this member. */
function readBack(member: string): string {
  const text = render(readIncoming(`{"resourceType":"Basic",${member}}`).content, identity);
  const prefix =
    '{"resourceType":"Basic","id":"x","meta":{"versionId":"3","lastUpdated":"2026-11-25T00:00:00.000Z"},';
  expect(text.startsWith(prefix)).toBe(true);
  return text.slice(prefix.length, -1);
}

describe('R4 json.html#primitive: the precision of numbers is kept', () => {
  test.each([
    ...[
      '0',
      '-0',
      '0.0',
      '-0.0',
      '1.00',
      '1e-3',
      '1E+2',
      '1.0e0',
      '100',
      '1000000000000000',
      '9007199254740993',
    ],
    ...[
      '12345678901234567890',
      '0.1',
      '0.10',
      '0.0000001',
      '0.00000010',
      '-0.0000001',
      '77.83099353',
      '1e400',
    ],
    ...['76.96300000000001', '3.141592653589793238462643', '-123456789.123456', '10.5', '1e21', '1e-7'],
  ])('%s', (digits) => {
    expect(readBack(`"value":${digits}`)).toBe(`"value":${digits}`);
    expect(readBack(`"a":[{"b":[1,${digits}]}]`)).toBe(`"a":[{"b":[1,${digits}]}]`);
  });

  test('any number, by properties: what is said to print as it was read does', () => {
    const digits = fc
      .tuple(
        fc.boolean(),
        fc.bigInt({ min: 0n, max: 10n ** 22n }),
        fc.option(fc.stringMatching(/^\d{1,20}$/), { nil: undefined }),
        fc.option(fc.integer({ min: -400, max: 400 }), { nil: undefined }),
      )
      .map(
        ([minus, whole, fraction, exponent]) =>
          `${minus ? '-' : ''}${whole}${fraction ? `.${fraction}` : ''}${exponent === undefined ? '' : `e${exponent}`}`,
      );
    fc.assert(
      fc.property(digits, (text) => {
        const { value, riskyNumber } = parseJson(`{"n":${text}}`);
        const printed = JSON.stringify(value);
        expect(riskyNumber).toBe(printed !== `{"n":${text}}`);
        expect(JSON.stringify(parseKeepingNumbers(`{"n":${text}}`))).toBe(`{"n":${text}}`);
      }),
      { numRuns: 3000 },
    );
  });
});

test('texts that look like numbers, escapes and scripts stay as they are', () => {
  for (const member of [
    '"a":"1.00"',
    '"a":"\\"1.00\\""',
    '"a":"\\\\"',
    '"a":"Söndergård 王秀英 👩🏽‍⚕️"',
    '"z":1,"a":2,"m":3',
  ])
    expect(readBack(member)).toBe(member);
  for (const written of ['"a":"\\u00e9\\/"', ' "a" : "\\u00e9\\/"'])
    expect(JSON.parse(`{${readBack(written)}}`)).toEqual({ a: 'é/' });
});

test('white space between tokens is not kept, inside of strings it is', () => {
  expect(readBack(' "a" : [ 1 , { "b" : "x  y" } ]\n\t')).toBe('"a":[1,{"b":"x  y"}]');
});

test("id, versionId and lastUpdated are the server's; the rest of meta stays", () => {
  const { content } = readIncoming(
    '{"id":"theirs","meta":{"versionId":"9","profile":["http://p"],"lastUpdated":"1990-01-01T00:00:00Z"},"resourceType":"Basic","a":1}',
  );
  expect(content).toBe('{"resourceType":"Basic","meta":{"profile":["http://p"]},"a":1}');
  expect(render(content, identity)).toBe(
    '{"resourceType":"Basic","id":"x","meta":{"versionId":"3","lastUpdated":"2026-11-25T00:00:00.000Z","profile":["http://p"]},"a":1}',
  );
});

describe('what is kept does not depend on how it was written', () => {
  test.each([
    '{"resourceType":"Basic","id":"t","meta":{"profile":["http://p"]},"a":1}',
    '{"resourceType":"Basic","id":"t","a":1,"meta":{"profile":["http://p"]}}',
    '{"id":"t","resourceType":"Basic","meta":{"profile":["http://p"]},"a":1}',
    '{"resourceType":"Basic","meta":{"profile":["http://p"]},"id":"t","a":1}',
    '{"resourceType":"Basic","meta":{"versionId":"1","profile":["http://p"]},"a":1}',
    '{"resourceType":"Basic","id":"\\u0074","meta":{"profile":["http://p"]},"a":1}',
    '{ "resourceType":"Basic","id":"t","meta":{"profile":["http://p"]},"a":1}',
  ])('%s', (text) => {
    expect(readIncoming(text).content).toBe('{"resourceType":"Basic","meta":{"profile":["http://p"]},"a":1}');
  });

  test.each(['{}', '{"lastUpdated":"2020-01-01T00:00:00Z"}', 'null'])('meta %s leaves nothing', (meta) => {
    for (const text of [
      `{"resourceType":"Basic","meta":${meta},"a":1}`,
      `{"resourceType":"Basic", "meta":${meta},"a":1}`,
    ])
      expect(readIncoming(text).content).toBe('{"resourceType":"Basic","a":1}');
  });

  test('labels are found either way', () => {
    for (const space of ['', ' '])
      expect(
        readIncoming(`{"resourceType":"Basic",${space}"meta":{"security":[{"code":"R"}]}}`).security,
      ).toBe('[{"code":"R"}]');
  });
});

describe('what is refused, and where', () => {
  test.each([
    ['{"a":1,"b":{"a":1,"a":2}}', /"a" stands twice.*line 1 column 19/],
    ['{"a":1,"\\u0061":2}', /"a" stands twice/],
    ['{"a":1,}', /line 1 column 8/],
    ['{\n  "a": tru\n}', /line 2 column 8/],
    ['{"a":01}', /line 1 column/],
    ['{"a":+1}', /line 1 column 6/],
    ['{"a":.5}', /line 1 column 6/],
    ['{"a":"\u0001"}', /line 1 column 6/],
    ['{"a":1} x', /more text after the end.*column 9/],
    ['', /ends too soon/],
    ['{"a"', /line 1 column 5/],
    ['[1]', /one JSON object/],
    ['"text"', /one JSON object/],
    ['null', /one JSON object/],
    ["{'a':1}", /double quotes/],
    ['\ufeff{}', /line 1 column 1/],
    [`{"a":${'['.repeat(MAX_DEPTH)}${']'.repeat(MAX_DEPTH)}}`, /deeper than 100/],
  ])('%j', (text, says) => {
    let refused: Refusal | undefined;
    try {
      parseJson(text);
    } catch (fault) {
      refused = fault as Refusal;
    }
    expect(refused).toMatchObject({ status: 400 });
    expect(refused?.message).toMatch(says);
  });

  describe('after a string of 12 MB', () => {
    const data = `{"resourceType":"Media",\n"content":{"data":"\\n\\\\${'A'.repeat(12e6)}"`;
    const column = data.length - data.indexOf('\n');
    test.each([
      ['a comma too many', `${data},}}`, /double quotes, at line 2 column (\d+)/, 1],
      ['a duplicate key', `${data},"a":1,"a":2}}`, /"a" stands twice.* at line 2 column (\d+)/, 7],
      ['a bad escape', `${data},"a":"\\x"}}`, /bad escape .*, at line 2 column (\d+)/, 5],
      ['a string without end', `${data},"a":"\\"}}`, /does not end.* at line 2 column (\d+)/, 5],
      ['an end too soon', data, /expected "," or "}", at line 2 column (\d+)/, 0],
    ])('%s', (_what, text, says, after) => {
      let message = '';
      try {
        parseJson(text);
      } catch (fault) {
        expect(fault).toMatchObject({ status: 400 });
        ({ message } = fault as Refusal);
      }
      expect(message).toMatch(says);
      expect(Number(says.exec(message)?.[1])).toBe(column + after);
    });
  });

  test('what JSON allows in a string is not what is wrong', () => {
    expect(() => parseJson('{"a":"\u007f\u0085","a":1}')).toThrow(/"a" stands twice/);
  });

  test('__proto__ is a member like others: it changes nothing, and is seen by who looks for unknown ones', () => {
    const { value } = parseJson('{"__proto__":{"polluted":true},"constructor":1}');
    expect(Object.keys(value)).toEqual(['__proto__', 'constructor']);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    expect(readBack('"__proto__":{"polluted":true}')).toBe('"__proto__":{"polluted":true}');
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  test('a megabyte of brackets, of quotes and of backslashes is refused in time', () => {
    for (const text of [
      '['.repeat(1e6),
      '{"a":'.repeat(2e5),
      '"'.repeat(1e6),
      `{"a":"${'\\'.repeat(999_999)}`,
    ]) {
      const started = performance.now();
      expect(() => parseJson(text)).toThrow();
      expect(performance.now() - started).toBeLessThan(1000);
    }
  });
});

test('any JSON object comes back equal, by properties', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 5 })), (object) => {
      const resource = { ...object, resourceType: 'Basic', id: 'x', meta: undefined };
      const text = render(readIncoming(JSON.stringify(resource)).content, identity);
      const { meta, ...rest } = JSON.parse(text);
      expect(meta.versionId).toBe('3');
      expect(rest).toEqual(JSON.parse(JSON.stringify(resource)));
    }),
    { numRuns: 500 },
  );
});
