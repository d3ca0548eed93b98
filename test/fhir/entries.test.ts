import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { readBundle, type SplitBundle } from '../../src/fhir/entries.ts';
import { MAX_DEPTH, parseJson } from '../../src/fhir/json.ts';
import { Refusal } from '../../src/fhir/outcome.ts';

const SYNTHEA = join(import.meta.dirname, '../../../shared/data/synthea/smart-r4');

/** The whole Bundle again, from skeleton and texts. */
function whole({ bundle, entries }: SplitBundle): unknown {
  const entry = bundle.entry?.map((each, i) => {
    const { resource } = entries[i]!;
    return resource === undefined ? each : { ...each, resource: JSON.parse(resource) };
  });
  return entry === undefined ? bundle : { ...bundle, entry };
}

function refusalOf(text: string): Refusal {
  try {
    readBundle(text);
  } catch (fault) {
    if (fault instanceof Refusal) return fault;
    throw fault;
  }
  throw new Error('not refused');
}

describe('the text of a Bundle as skeleton and the texts of its resources', () => {
  test('R4 bundle: resources are their exact text, with their offset; the rest is parsed', () => {
    const patient = '{ "resourceType" : "Patient",\n "multipleBirthInteger": 1 }';
    const observation = '{"valueQuantity":{"value":1.00},"note":[{"text":"}] \\" {"}]}';
    const text = `{"resourceType":"Bundle","type":"transaction","entry":[
      {"fullUrl":"urn:uuid:1","resource":${patient},"request":{"method":"POST","url":"Patient"}},
      {"request":{"method":"DELETE","url":"Patient/1"}},
      {"resource" : ${observation}}]}`;
    const { bundle, entries } = readBundle(text);
    expect(bundle).toEqual({
      resourceType: 'Bundle',
      type: 'transaction',
      entry: [
        { fullUrl: 'urn:uuid:1', request: { method: 'POST', url: 'Patient' } },
        { request: { method: 'DELETE', url: 'Patient/1' } },
        {},
      ],
    });
    expect(entries).toEqual([
      { ...bundle.entry![0], resource: patient, offset: text.indexOf(patient) },
      bundle.entry![1],
      { resource: observation, offset: text.indexOf(observation) },
    ]);
  });

  test.each([
    ['any order of members', '{"entry":[{"resource":{"a":1},"fullUrl":"u"}],"resourceType":"Bundle"}'],
    ['white space anywhere', ' {\r\n"entry"\t:\n[ { "resource" \n:\t { "a" : 1 } , "fullUrl":"u"} ]\n}\n'],
    ['names written with escapes', '{"\\u0065ntry":[{"\\u0072esource":{"a":1},"fullUrl":"u"}]}'],
  ])('%s', (_what, text) => {
    expect(readBundle(text).entries).toMatchObject([
      { fullUrl: 'u', resource: expect.stringMatching(/^\{ ?"a" ?: ?1 ?\}$/) },
    ]);
  });

  test.each([
    ['a Bundle within a resource', '{"entry":[{"resource":{"entry":[{"resource":{}}]}}]}', 1],
    ['the outcome of a response', '{"entry":[{"response":{"outcome":{"resource":{}},"resource":{}}}]}', 0],
    ['"entry" deeper in the Bundle', '{"signature":{"entry":[{"resource":{}}]},"link":[{"resource":{}}]}', 0],
    ['entries of entries', '{"entry":[[{"resource":{}}],{"entry":[{"resource":{}}]}]}', 0],
    ['strings that look like it', '{"entry":[{"fullUrl":"\\"resource\\":{}"},{"x":"resource","y":{}}]}', 0],
  ])('not split: %s', (_what, text, count) => {
    const split = readBundle(text);
    expect(split.entries.filter(({ resource }) => resource !== undefined)).toHaveLength(count);
    expect(whole(split)).toEqual(JSON.parse(text));
  });

  test.each(['"{}"', 'null', '[{}]', '5', 'true'])(
    'a resource that is %s is left for the validator',
    (value) => {
      const { bundle, entries } = readBundle(`{"entry":[{"resource":${value}}]}`);
      expect(bundle.entry).toEqual([{ resource: JSON.parse(value) }]);
      expect(entries).toEqual([{}]);
    },
  );

  test('entries that are no objects are left, and counted', () => {
    const { bundle, entries } = readBundle('{"entry":[null,5,"ab",[1,2],{"resource":{"a":1}}]}');
    expect(bundle.entry).toEqual([null, 5, 'ab', [1, 2], {}]);
    expect(entries).toHaveLength(5);
    expect(entries[4]).toMatchObject({ resource: '{"a":1}' });
    for (const entry of entries.slice(0, 4)) expect(entry.resource).toBeUndefined();
  });

  test.each(['{"a":1}', 'null', '"x"'])('entry that is %s is refused', (value) => {
    const { status, issues } = refusalOf(`{"resourceType":"Bundle","entry":${value}}`);
    expect(status).toBe(400);
    expect(issues).toMatchObject([{ code: 'structure', expression: 'Bundle.entry' }]);
  });

  test('a Bundle without entries has none', () => {
    expect(readBundle('{"type":"batch"}')).toEqual({ bundle: { type: 'batch' }, entries: [] });
  });

  test('R4 json 2.6.2: faults and duplicate keys have their line and column in the whole text', () => {
    const resource = '{\n"a":\n{"b":"c"}\n}';
    const at = (tail: string) => refusalOf(`{"entry":[{"resource":${resource}${tail}`).message;
    expect(at(']}')).toMatch(/at line 4 column 2 /);
    expect(at('}],}')).toMatch(/at line 4 column 5 /);
    expect(at(',"resource":{}}]}')).toMatch(/"resource" stands twice .* at line 4 column 3 /);
    expect(at('}],"x":1,"x":2}')).toMatch(/"x" stands twice .* at line 4 column 11 /);
    expect(at('}],"entry":[]}')).toMatch(/"entry" stands twice/);
    expect(refusalOf('{"entry":[{"resource":{"a":1').message).toMatch(/line 1 column 29/);
    expect(refusalOf('{"entry":[{"resource":{"a":"1').message).toMatch(/string that does not end/);
    expect(refusalOf('\uFEFF{"entry":[]}').message).toMatch(/line 1 column 1 /);
    expect(refusalOf('[]').message).toMatch(/one JSON object/);
    expect(refusalOf('').message).toMatch(/ends too soon/);
  });

  test('the depth of the whole is bounded', () => {
    const deep = (levels: number) => `{"a":${'['.repeat(levels - 1)}${']'.repeat(levels - 1)}}`;
    const text = (levels: number) => `{"entry":[{"resource":${deep(levels)}}]}`;
    expect(readBundle(text(MAX_DEPTH - 3)).entries).toHaveLength(1);
    expect(refusalOf(text(MAX_DEPTH - 2)).message).toMatch(/Nested deeper/);
    expect(refusalOf(text(1_000_000)).message).toMatch(/Nested deeper/);
    expect(refusalOf(`{"entry":[{"x":${deep(MAX_DEPTH)}}]}`).message).toMatch(/Nested deeper/);
  });

  test('of any Bundle, skeleton and texts make the whole', () => {
    fc.assert(
      fc.property(bundleTexts(), (text) => {
        const split = readBundle(text);
        expect(whole(split)).toEqual(JSON.parse(text));
        for (const { resource, offset } of split.entries)
          if (resource !== undefined) expect(text.startsWith(resource, offset)).toBe(true);
      }),
    );
  });

  test('of any text, what is found wrong in the parts is wrong in the whole, and the other way round', () => {
    const broken = fc
      .tuple(bundleTexts(), fc.nat(), fc.nat({ max: 2 }), fc.constantFrom(...'{}[]",:\\0 nr', ''))
      .map(([text, at, cut, put]) => {
        const place = at % (text.length + 1);
        return text.slice(0, place) + put + text.slice(place + cut);
      });
    fc.assert(
      fc.property(broken, (text) => {
        const parts = () => {
          const { bundle, entries } = readBundle(text);
          for (const { resource } of entries) if (resource !== undefined) parseJson(resource);
          return bundle;
        };
        if (!isRefused(() => parseJson(text))) expect(isRefused(parts) && !noArray(text)).toBe(false);
        else expect(isRefused(parts)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  const synthea = existsSync(SYNTHEA) ? test : test.skip;
  synthea('of Synthea’s bundles, skeleton and texts make the whole (skipped without them)', () => {
    for (const file of readdirSync(SYNTHEA).slice(0, 5)) {
      const text = readFileSync(join(SYNTHEA, file), 'utf8');
      expect(whole(readBundle(text))).toEqual(JSON.parse(text));
    }
  });
});

function isRefused(what: () => unknown): boolean {
  try {
    what();
    return false;
  } catch (fault) {
    if (fault instanceof Refusal) return true;
    throw fault;
  }
}

/** Refused for its `entry`, though it is JSON. */
function noArray(text: string): boolean {
  const { entry } = JSON.parse(text);
  return entry !== undefined && !Array.isArray(entry);
}

/** Bundles as clients may write them: with white space, escapes, and members of any name. */
function bundleTexts(): fc.Arbitrary<string> {
  const name = fc.oneof(fc.constantFrom('resource', 'entry', 'fullUrl'), fc.string());
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      fc.oneof(fc.string(), fc.constantFrom('"', '\\', '{', '"resource":{}'), fc.double(), fc.constant(null)),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(name, tie('value'), { maxKeys: 4 }),
    ),
  }));
  const entry = fc.record(
    { fullUrl: value, resource: fc.dictionary(name, value), x: value },
    { requiredKeys: [] },
  );
  const bundle = fc.record({ a: value, entry: fc.array(fc.oneof(entry, value), { maxLength: 4 }), z: value });
  const indents = fc.constantFrom(undefined, 1, '\t', '\r\n ');
  return fc.tuple(bundle, indents, fc.boolean()).map(([data, indent, escaped]) => {
    const text = JSON.stringify(data, null, indent);
    return escaped ? text.replaceAll('resource', '\\u0072esour\\u0063e') : text;
  });
}
