import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { Refusal } from '../../../src/fhir/outcome.ts';
import { MAX_OPERATIONS, readJsonPatch } from '../../../src/fhir/patch/json-patch.ts';
import { applyPatch } from '../../../src/fhir/patch/patch.ts';

const CASES = join(import.meta.dirname, '../../../../shared/data/patch/json-patch-tests.json');
const present = existsSync(CASES);
if (!present) console.info(`skipped: the cases of RFC 6902 are not at ${CASES}`);

/** The text after a patch. */
function patched(resource: unknown, patch: unknown): string {
  const text = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value));
  return applyPatch(readJsonPatch(text(patch)), text(resource));
}

/** What a patch is refused with. */
function refused(resource: unknown, patch: unknown): { status: number; code: string; says: string } {
  try {
    patched(resource, patch);
  } catch (fault) {
    if (!(fault instanceof Refusal)) throw fault;
    return { status: fault.status, code: fault.issues[0]!.code, says: fault.message };
  }
  throw new Error('it was not refused');
}

interface Case {
  readonly comment: string;
  readonly doc: unknown;
  readonly patch: unknown;
  readonly expected?: unknown;
  readonly error?: string;
}

(present ? describe : describe.skip)('RFC 6902: the published cases', () => {
  const cases: Case[] = present ? JSON.parse(readFileSync(CASES, 'utf8')) : [];
  test.each(cases.map((each) => [each.comment, each] as const))('%s', (_comment, each) => {
    if (each.error) expect(refused(each.doc, each.patch).status).toBe(422);
    else expect(JSON.parse(patched(each.doc, each.patch))).toEqual(each.expected);
  });
});

describe('RFC 6902 §4, R4 http 3.1.0.8: the six operations', () => {
  const observation = {
    resourceType: 'Observation',
    id: 'o',
    status: 'final',
    category: [{ text: 'a' }, { text: 'b' }],
  };
  test.each([
    [
      'add sets a member',
      [{ op: 'add', path: '/status', value: 'amended' }],
      { ...observation, status: 'amended' },
    ],
    [
      'add puts before an index',
      [{ op: 'add', path: '/category/1', value: { text: 'c' } }],
      { ...observation, category: [{ text: 'a' }, { text: 'c' }, { text: 'b' }] },
    ],
    [
      'add puts behind the last by its index',
      [{ op: 'add', path: '/category/2', value: { text: 'c' } }],
      { ...observation, category: [...observation.category, { text: 'c' }] },
    ],
    [
      'add puts behind the last by "-"',
      [{ op: 'add', path: '/category/-', value: { text: 'c' } }],
      { ...observation, category: [...observation.category, { text: 'c' }] },
    ],
    ['remove', [{ op: 'remove', path: '/category/0' }], { ...observation, category: [{ text: 'b' }] }],
    [
      'replace',
      [{ op: 'replace', path: '/category/1/text', value: 'c' }],
      { ...observation, category: [{ text: 'a' }, { text: 'c' }] },
    ],
    [
      'move within a list',
      [{ op: 'move', from: '/category/0', path: '/category/1' }],
      { ...observation, category: [{ text: 'b' }, { text: 'a' }] },
    ],
    ['move to where it is', [{ op: 'move', from: '/status', path: '/status' }], observation],
    [
      'copy makes another',
      [
        { op: 'copy', from: '/category/0', path: '/category/-' },
        { op: 'replace', path: '/category/2/text', value: 'c' },
      ],
      { ...observation, category: [...observation.category, { text: 'c' }] },
    ],
    [
      'replace of the whole',
      [{ op: 'replace', path: '', value: { ...observation, status: 'amended' } }],
      { ...observation, status: 'amended' },
    ],
    ['none at all', [], observation],
  ])('%s', (_what, patch, expected) => {
    expect(JSON.parse(patched(observation, patch))).toEqual(expected);
  });

  test('a patch can be applied again: what it has added is not shared', () => {
    const patch = readJsonPatch(
      '[{"op":"add","path":"/code","value":{"coding":[]}},{"op":"add","path":"/code/coding/0","value":{"code":"x"}}]',
    );
    const once = applyPatch(patch, '{"resourceType":"Basic"}');
    expect(once).toBe('{"resourceType":"Basic","code":{"coding":[{"code":"x"}]}}');
    expect(applyPatch(patch, '{"resourceType":"Basic"}')).toBe(once);
  });

  test.each([
    ['a member that is not there', { op: 'remove', path: '/code' }],
    ['an index that is not there', { op: 'replace', path: '/category/2', value: {} }],
    ['"-" where something must be', { op: 'remove', path: '/category/-' }],
    ['an index with a leading zero', { op: 'remove', path: '/category/00' }],
    ['an index beyond the end', { op: 'add', path: '/category/3', value: {} }],
    ['an index that is a name', { op: 'add', path: '/category/length', value: 1 }],
    ['into a string', { op: 'add', path: '/status/x', value: 1 }],
    ['through what is not there', { op: 'add', path: '/code/text', value: 'x' }],
    ['what all objects inherit', { op: 'test', path: '/constructor/name', value: 'Object' }],
    ['the whole', { op: 'remove', path: '' }],
    ['a source that is not there', { op: 'copy', from: '/code', path: '/note' }],
  ])('a path that leads nowhere is 422 and named: %s', (_what, operation) => {
    const { status, code, says } = refused(observation, [
      { op: 'test', path: '', value: observation },
      operation,
    ]);
    expect({ status, code }).toEqual({ status: 422, code: 'processing' });
    expect(says).toContain(`Operation [1], ${operation.op} ${operation.path || '""'}:`);
  });

  test.each([
    ['not JSON', '[{]', /line 1 column 3/],
    ['no array', '{"op":"remove","path":"/a"}', /array/],
    ['a member twice', '[{"op":"add","op":"remove","path":"/a"}]', /twice/],
    ['no object', '[{"op":"test","path":"","value":1},5]', /\[1\].*object/],
    ['an unknown operation', '[{"op":"merge","path":"/a"}]', /\[0\].*"op"/],
    ['an inherited operation', '[{"op":"constructor","path":"/a"}]', /\[0\].*"op"/],
    ['no path', '[{"op":"remove"}]', /\[0\].*"path"/],
    ['a path without "/"', '[{"op":"remove","path":"a"}]', /\[0\].*"path"/],
    ['a stray ~', '[{"op":"remove","path":"/a~2"}]', /\[0\].*"path"/],
    ['no value', '[{"op":"add","path":"/a"}]', /\[0\].*"value"/],
    ['no source', '[{"op":"move","path":"/a"}]', /\[0\].*"from"/],
    ['a move into itself', '[{"op":"move","from":"/a","path":"/a/b"}]', /\[0\].*into itself/],
  ])('a malformed document is 400 and names the operation: %s', (_what, patch, says) => {
    const refusal = refused(observation, patch);
    expect(refusal.status).toBe(400);
    expect(refusal.says).toMatch(says);
  });
});

describe('RFC 6902 §4.6: test compares as JSON', () => {
  const tested = (there: string, value: string) => () =>
    patched(`{"resourceType":"Basic","x":${there}}`, `[{"op":"test","path":"/x","value":${value}}]`);
  test.each([
    ['1.00', '1'],
    ['100', '1e2'],
    ['0.00', '-0'],
    ['12345678901234567890', '1234567890123456789e1'],
    ['{"a":1,"b":[{}]}', '{"b":[{}],"a":1.0}'],
    ['"\\u0041"', '"A"'],
    ['null', 'null'],
  ])('%s is %s', (there, value) => expect(tested(there, value)).not.toThrow());

  test.each([
    ['12345678901234567890', '12345678901234567891'],
    ['1', '"1"'],
    ['1', '-1'],
    ['[1,2]', '[2,1]'],
    ['[1]', '{"0":1}'],
    ['{"a":1}', '{"a":1,"b":null}'],
    ['{"a":1}', '{"__proto__":1}'],
    ['null', 'false'],
    ['"a"', '"A"'],
  ])('%s is not %s', (there, value) => expect(tested(there, value)).toThrow(/test has failed/));
});

describe('R4 json 2.6.2: numbers keep their digits, in what is patched and in what is patched in', () => {
  test('of the resource', () => {
    const text =
      '{"resourceType":"Observation","valueQuantity":{"value":1.00},"component":[{"valueQuantity":{"value":1e-3}}]}';
    const patch = [{ op: 'move', from: '/component/0/valueQuantity', path: '/x' }];
    expect(patched(text, patch)).toBe(
      '{"resourceType":"Observation","valueQuantity":{"value":1.00},"x":{"value":1e-3}}',
    );
  });

  test('of the patch', () => {
    const text = '{"resourceType":"Observation","valueQuantity":{"value":1}}';
    const patch = '[{"op":"replace","path":"/valueQuantity/value","value":12345678901234567890.10}]';
    expect(patched(text, patch)).toBe(
      '{"resourceType":"Observation","valueQuantity":{"value":12345678901234567890.10}}',
    );
  });

  test('nothing is inside a number', () => {
    const patch = [{ op: 'test', path: '/x/rawJSON', value: '1.00' }];
    expect(refused('{"resourceType":"Basic","x":1.00}', patch).status).toBe(422);
  });
});

describe('R4 json 2.6.2: what removals leave empty goes', () => {
  test.each([
    ['a list', '{"resourceType":"Basic","a":[{"b":1}]}', ['/a/0'], '{"resourceType":"Basic"}'],
    [
      'what is around it',
      '{"resourceType":"Basic","a":[{"b":[1]},{"c":1}]}',
      ['/a/0/b/0'],
      '{"resourceType":"Basic","a":[{"c":1}]}',
    ],
    [
      'beside primitives the place stays',
      '{"resourceType":"Basic","a":["x","y"],"_a":[{"id":"1"},{"id":"2"}]}',
      ['/_a/0/id'],
      '{"resourceType":"Basic","a":["x","y"],"_a":[null,{"id":"2"}]}',
    ],
    [
      'beside primitives the last',
      '{"resourceType":"Basic","a":["x","y"],"_a":[null,{"id":"2"}]}',
      ['/_a/1/id'],
      '{"resourceType":"Basic","a":["x","y"]}',
    ],
  ])('%s', (_what, text, paths, expected) => {
    expect(
      patched(
        text,
        paths.map((path) => ({ op: 'remove', path })),
      ),
    ).toBe(expected);
  });

  test('but not before the last operation', () => {
    const patch = [
      { op: 'remove', path: '/a/0' },
      { op: 'add', path: '/a/-', value: 2 },
    ];
    expect(patched('{"resourceType":"Basic","a":[1]}', patch)).toBe('{"resourceType":"Basic","a":[2]}');
  });

  test('and not what was empty when it came: the validator tells of it', () => {
    const patch = [
      { op: 'add', path: '/a', value: [] },
      { op: 'remove', path: '/b' },
    ];
    expect(patched('{"resourceType":"Basic","b":1}', patch)).toBe('{"resourceType":"Basic","a":[]}');
  });
});

describe('hostile patches', () => {
  const basic = { resourceType: 'Basic', a: { b: 'x'.repeat(100) } };

  test('copies of copies', () => {
    const patch = Array.from({ length: 60 }, (_, i) => ({ op: 'copy', from: '/a', path: `/a/c${i}` }));
    expect(refused(basic, patch)).toMatchObject({ status: 413, code: 'too-costly' });
  });

  test('too many operations', () => {
    const patch = Array.from({ length: MAX_OPERATIONS + 1 }, () => ({ op: 'test', path: '/a', value: 1 }));
    expect(refused(basic, patch)).toMatchObject({ status: 413, code: 'too-costly' });
  });

  test('nesting without end', () => {
    const deep = `/${Array(60).fill('x').join('/')}`;
    let value: unknown = 1;
    for (let i = 0; i < 60; i++) value = { x: value };
    const patch = [
      { op: 'add', path: '/x', value: { x: value } },
      { op: 'add', path: deep, value },
    ];
    expect(refused(basic, patch)).toMatchObject({ status: 422, code: 'processing' });
    const moves = [
      ...patch.slice(0, 1),
      { op: 'add', path: '/y', value },
      { op: 'move', from: '/y', path: deep },
    ];
    expect(refused(basic, moves)).toMatchObject({ status: 422, code: 'processing' });
    const path = '/x'.repeat(5000);
    expect(refused(basic, [{ op: 'remove', path }])).toMatchObject({ status: 400, code: 'structure' });
  });

  test('a long number', () => {
    const number = `1${'0'.repeat(100_000)}1`;
    const patch = `[{"op":"test","path":"/x","value":${number}}]`;
    expect(refused(`{"resourceType":"Basic","x":${number}0}`, patch).status).toBe(422);
  });

  test('prototypes are members as any', () => {
    const text = '{"resourceType":"Basic","__proto__":{"a":1}}';
    expect(patched(text, '[{"op":"replace","path":"/__proto__/a","value":2}]')).toBe(
      '{"resourceType":"Basic","__proto__":{"a":2}}',
    );
    const added = patched(
      '{"resourceType":"Basic"}',
      '[{"op":"add","path":"/__proto__","value":{"polluted":true}}]',
    );
    expect(added).toBe('{"resourceType":"Basic","__proto__":{"polluted":true}}');
    const patch = '[{"op":"add","path":"/constructor/prototype/polluted","value":true}]';
    expect(refused('{"resourceType":"Basic"}', patch).status).toBe(422);
    expect({}).not.toHaveProperty('polluted');
  });
});

describe('properties', () => {
  const name = fc.stringMatching(/^[a-z/~]{1,3}$/);
  const json = fc.letrec<{ value: unknown; object: Record<string, unknown> }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      fc.string(),
      fc.integer(),
      fc.boolean(),
      fc.array(tie('value'), { maxLength: 3 }),
      tie('object'),
    ),
    object: fc.dictionary(name, tie('value'), { maxKeys: 4, noNullPrototype: true }),
  }));
  const pointerTo = (path: readonly string[]) =>
    path.map((token) => `/${token.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
  const pathsIn = (value: unknown, path: string[] = []): { path: string[]; value: unknown }[] =>
    typeof value === 'object' && value !== null
      ? [{ path, value }, ...Object.entries(value).flatMap(([key, child]) => pathsIn(child, [...path, key]))]
      : [{ path, value }];

  test('what is there can be tested, and what is added can be removed again', () => {
    fc.assert(
      fc.property(json.object, json.value, fc.nat(), (object, value, at) => {
        const resource = { resourceType: 'Basic', ...object };
        const text = JSON.stringify(resource);
        const places = pathsIn(resource);
        const found = places[at % places.length]!;
        const same = [{ op: 'test', path: pointerTo(found.path), value: found.value }];
        expect(patched(text, same)).toBe(text);

        const around = places.filter(({ value: each }) => typeof each === 'object' && each !== null);
        const holder = around[at % around.length]!;
        const path = pointerTo([...holder.path, Array.isArray(holder.value) ? '0' : 'added']);
        const back = [
          { op: 'add', path, value },
          { op: 'test', path, value },
          { op: 'remove', path },
        ];
        const isEmpty = Object.keys(holder.value as object).length === 0;
        if (!isEmpty) expect(patched(text, back)).toBe(text);
      }),
    );
  });
});
