/** Random creates, updates, deletes and transactions against a model; then all rows of the store must agree. */
import fc from 'fast-check';
import type { Refusal } from '../../src/fhir/outcome.ts';
import type { Entry } from '../../src/records/records.ts';
import { inconsistencies } from '../support/consistency.ts';
import { BASE_URL, openTestRecords, type TestRecords } from '../support/records.ts';

let it: TestRecords;
beforeAll(async () => {
  it = await openTestRecords();
});
afterAll(() => it.close());

interface Known {
  version: number;
  /** null where deleted */
  content: string | null;
}

const TYPES = ['Patient', 'Observation'] as const;
const id = fc.constantFrom('a', 'b', 'c', 'd');
const type = fc.constantFrom(...TYPES);

/** Resources whose index rows differ in every table. */
const resource = fc.record({
  patient: fc.option(id, { nil: undefined }),
  code: fc.constantFrom('8867-4', '29463-7', '2339-0'),
  category: fc.option(fc.constantFrom('vital-signs', 'laboratory'), { nil: undefined }),
  date: fc.option(fc.constantFrom('2024', '2024-02-29', '2024-05-01T10:00:00.25+02:00'), { nil: undefined }),
  value: fc.option(fc.constantFrom('1.00', '72', '1e-3', '-0.0'), { nil: undefined }),
  name: fc.constantFrom('Søren', 'Ana María', 'Иван'),
});
type Made = typeof resource extends fc.Arbitrary<infer T> ? T : never;

function textOf(of: (typeof TYPES)[number], name: string, made: Made): string {
  const parts =
    of === 'Patient'
      ? [
          `"name":[{"family":"${made.name}"}]`,
          made.patient && `"link":[{"other":{"reference":"Patient/${made.patient}"},"type":"seealso"}]`,
          made.date && `"birthDate":"${made.date.slice(0, 10)}"`,
        ]
      : [
          '"status":"final"',
          made.category && `"category":[{"coding":[{"system":"http://c","code":"${made.category}"}]}]`,
          `"code":{"coding":[{"system":"http://loinc.org","code":"${made.code}"}]}`,
          made.patient && `"subject":{"reference":"Patient/${made.patient}"}`,
          made.date && `"effectiveDateTime":"${made.date}"`,
          made.value && `"valueQuantity":{"value":${made.value},"unit":"x"}`,
        ];
  return `{"resourceType":"${of}","id":"${name}",${parts.filter(Boolean).join(',')}}`;
}

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('put' as const), type, id, resource }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete' as const), type, id }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('putIfMatch' as const),
      type,
      id,
      resource,
      off: fc.constantFrom(0, 0, 1),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('transaction' as const),
      entries: fc.uniqueArray(
        fc.record({ type, id, resource, method: fc.constantFrom('PUT', 'PUT', 'DELETE', 'create') }),
        { minLength: 1, maxLength: 5, selector: (entry) => `${entry.type}/${entry.id}` },
      ),
    }),
  },
);

test('after any sequence of writes each version is as it was written, and index, edges, feed and audit agree', async () => {
  const model = new Map<string, Known>();
  const past = new Map<string, string | null>();
  const note = (name: string, content: string | null): void => {
    const known = model.get(name);
    const version = (known?.version ?? 0) + 1;
    model.set(name, { version, content });
    past.set(`${name}/${version}`, content);
  };
  const { records, operator } = it;
  const kept = (text: string): string => text.replace(/,"id":"[^"]*"/, '');

  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
      for (const one of steps) {
        if (one.kind === 'transaction') {
          const entries = one.entries.map((entry): Entry => {
            if (entry.method === 'DELETE') return { method: 'DELETE', type: entry.type, id: entry.id };
            const body = textOf(entry.type, entry.id, entry.resource);
            return { method: 'PUT', type: entry.type, id: entry.id, body, ifNew: entry.method === 'create' };
          });
          await records.transaction(operator, entries);
          for (const entry of one.entries) {
            const name = `${entry.type}/${entry.id}`;
            const known = model.get(name);
            if (entry.method === 'DELETE') {
              if (known && known.content !== null) note(name, null);
            } else if (entry.method !== 'create' || !known)
              note(name, kept(textOf(entry.type, entry.id, entry.resource)));
          }
          continue;
        }
        const name = `${one.type}/${one.id}`;
        const known = model.get(name);
        if (one.kind === 'delete') {
          const { existed } = await records.remove(operator, { type: one.type, id: one.id });
          expect(existed).toBe(known !== undefined && known.content !== null);
          if (existed) note(name, null);
          continue;
        }
        const body = textOf(one.type, one.id, one.resource);
        const ifMatch = one.kind === 'putIfMatch' ? (known?.version ?? 1) + one.off : undefined;
        const right = ifMatch === undefined || (known?.version === ifMatch && known.content !== null);
        const written = records.update(operator, { type: one.type, id: one.id }, body, { ifMatch });
        if (right) {
          expect((await written).created).toBe(known === undefined || known.content === null);
          note(name, kept(body));
        } else await expect(written).rejects.toMatchObject({ status: 412 });
      }
      for (const [name, { version, content }] of model) {
        const [of = '', own = ''] = name.split('/');
        const found = await records.read(operator, of, own).catch((fault: Refusal) => fault.status);
        if (content === null) expect(found).toBe(410);
        else expect(found).toMatchObject({ version, content });
      }
    }),
    { numRuns: 40 },
  );

  for (const [name, content] of past) {
    const [of = '', own = '', version = ''] = name.split('/');
    const found = await records.vread(operator, of, own, version).catch((fault: Refusal) => fault.status);
    if (content === null) expect(found).toBe(410);
    else expect(found).toMatchObject({ content, version: Number(version) });
  }
  expect(await inconsistencies(it.store.pool, it.definitions, { baseUrl: BASE_URL })).toEqual([]);
});

test('R4 http 3.1.0.5.1: of many writers with one If-Match exactly one wins', async () => {
  const { records, operator } = it;
  const body = '{"resourceType":"Patient","id":"contended","active":true}';
  let { version } = await records.update(operator, { type: 'Patient', id: 'contended' }, body);
  for (let round = 0; round < 10; round++) {
    const outcomes = await Promise.allSettled(
      Array.from({ length: 8 }, () =>
        records.update(operator, { type: 'Patient', id: 'contended' }, body, { ifMatch: version }),
      ),
    );
    const won = outcomes.filter(({ status }) => status === 'fulfilled');
    expect(won).toHaveLength(1);
    version += 1;
    for (const outcome of outcomes)
      if (outcome.status === 'rejected') {
        expect(outcome.reason).toMatchObject({ status: 412, headers: { ETag: `W/"${version}"` } });
        expect(outcome.reason.message).toContain(`version ${version}`);
      }
  }
});

test('many transactions at once over the same resources, in different orders, all go through', async () => {
  const { records, operator } = it;
  const names = Array.from({ length: 12 }, (_, i) => `shared-${i}`);
  const entry = (name: string, i: number): Entry => ({
    method: 'PUT',
    type: 'Patient',
    id: name,
    body: `{"resourceType":"Patient","id":"${name}","multipleBirthInteger":${i}}`,
  });
  const outcomes = await Promise.allSettled(
    Array.from({ length: 16 }, (_, i) =>
      records.transaction(
        operator,
        (i % 2 ? names : [...names].reverse()).slice(i % 3).map((name) => entry(name, i)),
      ),
    ),
  );
  expect(outcomes.filter(({ status }) => status === 'rejected')).toEqual([]);
  expect(await inconsistencies(it.store.pool, it.definitions, { baseUrl: BASE_URL })).toEqual([]);
});
