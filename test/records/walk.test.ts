/** Walks over the pages of a search while others write (R4 http.html#paging): a property, for any order. */
import fc from 'fast-check';
import type { SearchPage } from '../../src/records/records.ts';
import { parseSearch, parseSearchOfTypes } from '../../src/search/parse.ts';
import type { SearchRequest } from '../../src/search/request.ts';
import { BASE_URL, openTestRecords, type TestRecords } from '../support/records.ts';

let it: TestRecords;
beforeAll(async () => {
  it = await openTestRecords();
});
afterAll(() => it.close());

const TYPES = ['Observation', 'Condition'] as const;
const ORDERS = [
  '',
  '_sort=date',
  '_sort=_lastUpdated',
  '_sort=-_lastUpdated',
  '_sort=value-quantity,-status',
  '_sort=-_id',
  'code:text=walk',
] as const;

/** What is done between two pages: to the resource of a number, or to a new one. */
type Step =
  | { readonly kind: 'move' | 'touch' | 'delete'; readonly number: number }
  | { readonly kind: 'create' };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('move', 'touch', 'delete'),
    number: fc.integer({ min: 0, max: 29 }),
  }),
  fc.constant({ kind: 'create' } as const),
);

let made = 0;

function resource(type: string, id: string, patient: string, value: number): string {
  const code = { coding: [{ system: 'http://walk', code: 'w' }], text: 'walk' };
  const subject = { reference: `Patient/${patient}` };
  const date = new Date(Date.UTC(2020, 0, 1) + value * 86_400_000).toISOString().slice(0, 10);
  return JSON.stringify(
    type === 'Condition'
      ? { resourceType: type, id, code, subject, onsetDateTime: date }
      : {
          resourceType: type,
          id,
          status: 'final',
          code,
          subject,
          effectiveDateTime: value % 7 === 0 ? undefined : date,
          valueQuantity: value % 5 === 0 ? undefined : { value },
        },
  );
}

/** Writes as the steps say, and tells which ids it has touched. */
async function write(
  patient: string,
  names: readonly string[],
  steps: readonly Step[],
  touched: Set<string>,
): Promise<void> {
  for (const one of steps) {
    if (one.kind === 'create') {
      const id = `walk-new-${made++}`;
      touched.add(id);
      await it.records.update(
        it.operator,
        { type: 'Observation', id },
        resource('Observation', id, patient, made % 400),
      );
      continue;
    }
    const [type, id] = (names[one.number % names.length] as string).split('/') as [string, string];
    touched.add(id);
    if (one.kind === 'delete') await it.records.remove(it.operator, { type, id });
    else {
      const value = one.kind === 'move' ? (made++ * 37) % 500 : one.number;
      await it.records.update(it.operator, { type, id }, resource(type, id, patient, value));
    }
  }
}

async function walk(
  request: SearchRequest,
  to: (page: SearchPage) => string | undefined,
  start: string | undefined,
  between: () => Promise<void>,
): Promise<{ readonly seen: Map<string, number>; readonly last: SearchPage }> {
  const seen = new Map<string, number>();
  let after = start;
  for (let pages = 0; ; pages++) {
    const page = await it.records.search(it.operator, { ...request, after });
    for (const { id } of page.entries) seen.set(id, (seen.get(id) ?? 0) + 1);
    expect(pages).toBeLessThan(200);
    after = to(page);
    if (after === undefined) return { seen, last: page };
    await between();
  }
}

function check(seen: ReadonlyMap<string, number>, all: readonly string[], touched: ReadonlySet<string>) {
  for (const name of all) {
    const id = name.split('/')[1] as string;
    if (!touched.has(id)) expect([id, seen.get(id)]).toEqual([id, 1]);
  }
  for (const [id, times] of seen) expect([id, times <= 2]).toEqual([id, true]);
}

test.each([...ORDERS, 'types'])(
  'R4 http.html#paging: %s: what is unchanged comes once, what changes at most once more, forwards and back',
  async (order) => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 12 }),
        fc.array(fc.array(step, { maxLength: 6 }), { minLength: 4, maxLength: 12 }),
        async (count, plan) => {
          const run = `walk-${made++}`;
          const types = order === 'types' ? TYPES : (['Observation'] as const);
          const names = Array.from({ length: 30 }, (_, i) => `${types[i % types.length]}/${run}-${i}`);
          await it.records.transaction(
            it.operator,
            names.map((name, i) => {
              const [type, id] = name.split('/') as [string, string];
              return { method: 'PUT', type, id, body: resource(type, id, run, i * 3) };
            }),
          );
          const parameters = new URLSearchParams(`patient=${run}&_count=${count}`);
          for (const [name, value] of new URLSearchParams(order === 'types' ? '' : order))
            parameters.append(name, value);
          const request =
            order === 'types'
              ? parseSearchOfTypes(it.definitions, TYPES, parameters, BASE_URL)
              : parseSearch(it.definitions, 'Observation', parameters, BASE_URL);
          const touched = new Set<string>();
          const steps = plan.values();
          const between = () => write(run, names, steps.next().value ?? [], touched);
          const there = await walk(request, ({ next }) => next, undefined, between);
          check(there.seen, names, touched);
          // Back from where it has ended: all but the last page itself, unless that is one of changes.
          const back = await walk(
            request,
            ({ previous }) => previous,
            there.last.previous,
            async () => {},
          );
          for (const { id } of there.last.entries) if (!touched.has(id)) back.seen.set(id, 1);
          if (there.last.previous) check(back.seen, names, touched);
        },
      ),
      { numRuns: 6, seed: 20261125 },
    );
  },
  60_000,
);
