/** Groups of Observation/$lastn against a slow way to make them: all against all, sorted as a whole. */
import fc from 'fast-check';
import type { Observation } from 'fhir/r4.js';
import { makeGroups } from '../../src/operations/groups.ts';
import type { Stored } from '../../src/records/records.ts';

interface One {
  readonly id: string;
  readonly codes: readonly string[];
  /** of January 2026; undefined: it says no time */
  readonly day?: number;
}

function observation({ codes, day }: One): Observation {
  const coding = codes.map((code) => ({ system: 'http://loinc.org', code }));
  const effectiveDateTime = day === undefined ? undefined : `2026-01-${String(day).padStart(2, '0')}`;
  return { resourceType: 'Observation', status: 'final', code: { coding }, effectiveDateTime };
}

const stored = (one: One, content = ''): Stored => ({
  ...{ type: 'Observation', id: one.id, version: 1, updated: '2026-01-01T00:00:00.000Z' },
  ...{ deleted: false, content, blob: null },
});

function grouped(all: readonly One[], max: number): string[] {
  const groups = makeGroups(max);
  for (const one of all) groups.add(stored(one), observation(one));
  return groups.all().map(({ id }) => id);
}

const time = ({ day }: One): number => day ?? Number.NEGATIVE_INFINITY;

/** @param all newest first */
function expected(all: readonly One[], max: number): string[] {
  const joined = (a: readonly One[], b: readonly One[]) =>
    a.some((x) => b.some((y) => x.codes.some((code) => y.codes.includes(code))));
  let groups: One[][] = [];
  for (const one of all) {
    const others = groups.filter((group) => joined(group, [one]));
    groups = [...groups.filter((group) => !others.includes(group)), [...others.flat(), one]];
  }
  return groups.flatMap((group) => {
    const sorted = group.sort((a, b) => all.indexOf(a) - all.indexOf(b));
    const last = sorted[max - 1];
    return sorted
      .filter((one, i) => i < max || (one.day !== undefined && one.day === last?.day))
      .map(({ id }) => id);
  });
}

const arbitrary = fc
  .array(
    fc.record({
      codes: fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), { minLength: 1, maxLength: 3 }),
      day: fc.option(fc.integer({ min: 1, max: 6 }), { nil: undefined }),
    }),
    { maxLength: 25 },
  )
  .map((all) => all.map((one, i): One => ({ ...one, id: `o${i}` })));

test('R4 observation-operation-lastn.html: grouping, ties and max are as a slow way has them', () => {
  fc.assert(
    fc.property(arbitrary, fc.integer({ min: 1, max: 4 }), (given, max) => {
      const all = given.toSorted((a, b) => (time(a) === time(b) ? 0 : time(b) - time(a)));
      const found = grouped(all, max);
      expect(found.toSorted()).toEqual(expected(all, max).sort());
      const days = found.map((id) => time(all.find((one) => one.id === id) as One));
      expect(days).toEqual(days.toSorted((a, b) => (a === b ? 0 : b - a)));
    }),
    { numRuns: 500 },
  );
});

test('one that comes again, changed meanwhile, is there once', () => {
  const first: One = { id: 'x', codes: ['a'], day: 1 };
  expect(grouped([first, { id: 'y', codes: ['b'], day: 1 }, { ...first, codes: ['b'], day: 3 }], 2)).toEqual([
    'x',
    'y',
  ]);
});

test('no more is held than is told', () => {
  const many = Array.from({ length: 10_001 }, (_, n): One => ({ id: `${n}`, codes: ['a'], day: 1 }));
  expect(() => grouped(many, 20_000)).toThrow(/10000 observations/);
  const groups = makeGroups(10);
  const large = ' '.repeat(40 * 2 ** 20);
  groups.add(stored({ id: '1', codes: ['a'] }, large), observation({ id: '1', codes: ['a'] }));
  expect(() =>
    groups.add(stored({ id: '2', codes: ['b'] }, large), observation({ id: '2', codes: ['b'] })),
  ).toThrow(/characters/);
});
