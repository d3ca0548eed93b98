/** R4 http 3.1.0.11.2: the order in which actions are processed, and that the order of entries plays no part. */
import fc from 'fast-check';
import { startApp, type TestApp } from '../app.ts';
import {
  type Body,
  deleting,
  type Entry,
  exchanging,
  fhirPathPatch,
  fresh,
  getting,
  heading,
  identified,
  observation,
  patching,
  patient,
  placeOf,
  posting,
  putting,
  statusesOf,
  urn,
} from './bundles.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());
const it = exchanging(() => app);
const where = (value: string) => `Patient?${identified(value)}`;

/** A test of the entries as they are given, and of the other way round. */
function inBothOrders(name: string, body: (order: <T>(entries: readonly T[]) => T[]) => Promise<void>): void {
  test(`${name} (as listed)`, () => body((entries) => [...entries]));
  test(`${name} (reversed)`, () => body((entries) => [...entries].reverse()));
}

describe('R4 http 3.1.0.11.2: DELETE, POST, PUT and PATCH, GET and HEAD, then conditional references', () => {
  inBothOrders('1 before 2: what is deleted is no match of ifNoneExist', async (order) => {
    const value = fresh();
    const old = await it.created(patient(value));
    const entries = await it.done(
      order([posting(patient(value), { ifNoneExist: identified(value) }), deleting(`Patient/${old}`)]),
    );
    const [made, gone] = order(entries);
    expect(statusesOf([made!, gone!])).toEqual(['201', '204']);
    expect(placeOf(made!)).not.toBe(`Patient/${old}`);
    expect(await it.count(where(value))).toBe(1);
  });

  inBothOrders('1 before 3: what is deleted is no match of a conditional update', async (order) => {
    const value = fresh();
    const old = await it.created(patient(value));
    const entries = await it.done(
      order([putting(patient(value), { url: where(value) }), deleting(`Patient/${old}`)]),
    );
    expect(statusesOf(order(entries))).toEqual(['201', '204']);
    await app.send('get', `/Patient/${old}`).expect(410);
    expect(await it.count(where(value))).toBe(1);
  });

  inBothOrders('1 before 2: a conditional delete does not meet what is created', async (order) => {
    const value = fresh();
    const old = await it.created(patient(value));
    const entries = await it.done(order([deleting(where(value)), posting(patient(value))]));
    expect(statusesOf(order(entries))).toEqual(['204', '201']);
    await app.send('get', `/Patient/${old}`).expect(410);
    expect(await it.count(where(value))).toBe(1);
  });

  inBothOrders(
    '2 before 3: a conditional update meets what is created, which is one identity twice',
    async (order) => {
      const value = fresh();
      const entries = [putting(patient(value), { url: where(value) }), posting(patient(value))];
      await it.failed(order(entries), 400);
      expect(await it.count(where(value))).toBe(0);
    },
  );

  inBothOrders('3 before 4: reads see what is written', async (order) => {
    const id = await it.created(patient(fresh(), { gender: 'female' }));
    const entries = order(
      await it.done(
        order([
          getting(`Patient/${id}`),
          putting(patient(fresh(), { id, gender: 'male' })),
          heading(`Patient/${id}`),
          getting(`Patient/${id}/_history`),
        ]),
      ),
    );
    expect(entries[0]).toMatchObject({ resource: { gender: 'male' }, response: { etag: 'W/"2"' } });
    expect(entries[2]).toMatchObject({ response: { status: '200 OK', etag: 'W/"2"' } });
    expect(entries[3]?.resource.total).toBe(2);
  });

  inBothOrders(
    '1, 2 and 3 before 4: searches see what is deleted, created, updated and patched',
    async (order) => {
      const [value, other] = [fresh(), fresh()];
      const [gone, changed, patched] = [
        await it.created(patient(value)),
        await it.created(patient(other)),
        await it.created(patient(other)),
      ];
      const entries = order(
        await it.done(
          order([
            getting(where(value)),
            deleting(`Patient/${gone}`),
            posting(patient(value)),
            putting(patient(value, { id: changed })),
            patching(`Patient/${patched}`, [{ op: 'replace', path: '/identifier/0/value', value }]),
            getting(where(other)),
          ]),
        ),
      );
      const found = entries[0]?.resource.entry.map(({ resource }: { resource: Body }) => resource.id);
      const made = placeOf(entries[2]!).split('/')[1];
      expect(found.sort()).toEqual([made, changed, patched].sort());
      expect(entries[5]?.resource.entry).toBeUndefined();
    },
  );

  inBothOrders('5 last: a conditional reference finds what is created in the same bundle', async (order) => {
    const value = fresh();
    const entries = order(
      await it.done(order([posting(observation(where(value))), posting(patient(value))])),
    );
    const { subject } = await it.read(placeOf(entries[0]!));
    expect(subject.reference).toBe(placeOf(entries[1]!));
  });

  inBothOrders(
    '5 last: it finds what an update or a patch brings, not what they take away',
    async (order) => {
      const [value, other] = [fresh(), fresh()];
      const [before, put, patched] = [
        await it.created(patient(value)),
        await it.created(patient(fresh())),
        await it.created(patient(fresh())),
      ];
      const entries = order(
        await it.done(
          order([
            posting(observation(where(value))),
            posting(observation(where(other))),
            putting(patient(fresh(), { id: before })),
            putting(patient(value, { id: put })),
            patching(`Patient/${patched}`, [{ op: 'replace', path: '/identifier/0/value', value: other }]),
          ]),
        ),
      );
      expect((await it.read(placeOf(entries[0]!))).subject.reference).toBe(`Patient/${put}`);
      expect((await it.read(placeOf(entries[1]!))).subject.reference).toBe(`Patient/${patched}`);
    },
  );

  inBothOrders('5 last: what is deleted is not found', async (order) => {
    const value = fresh();
    const id = await it.created(patient(value));
    const issue = await it.failed(
      order([posting(observation(where(value))), deleting(`Patient/${id}`)]),
      412,
    );
    expect(issue.code).toBe('not-found');
    await it.read(`Patient/${id}`);
  });
});

describe('R4 http 3.1.0.11.2: the outcome SHALL NOT depend on the order of the resources', () => {
  /** What entries are about; each run has ids, identifiers and names of its own. */
  interface World {
    readonly [name: string]: string;
  }
  const NAMES = ['gone', 'put', 'patched', 'matched', 'new', 'pair', 'chosen'] as const;

  const KINDS: Readonly<Record<string, (world: World) => Entry>> = {
    delete: ({ gone }) => deleting(`Patient/${gone}`),
    recreate: ({ gone }) => posting(patient(gone!), { ifNoneExist: identified(gone!) }),
    create: ({ new: value, createUrn, organizationUrn }) =>
      posting(patient(value!, { managingOrganization: { reference: organizationUrn } }), {
        fullUrl: createUrn!,
      }),
    organization: ({ organizationUrn, pairUrn }) =>
      posting(
        {
          resourceType: 'Organization',
          name: 'x',
          extension: [{ url: 'http://example.org/pair', valueUri: pairUrn }],
        },
        { fullUrl: organizationUrn! },
      ),
    observation: ({ createUrn, matched }) =>
      posting(observation(createUrn!, { performer: [{ reference: where(matched!) }] })),
    found: ({ new: value }) => posting(observation(where(value!))),
    update: ({ put, createUrn }) =>
      putting(patient(put!, { id: put!, link: [{ other: { reference: createUrn }, type: 'seealso' }] })),
    patch: ({ patched }) => patching(`Patient/${patched}`, [{ op: 'add', path: '/gender', value: 'male' }]),
    'patch by condition': ({ patched }) => ({
      resource: fhirPathPatch({
        type: 'add',
        path: 'Patient',
        name: 'active',
        value: { valueBoolean: true },
      }),
      request: { method: 'PATCH', url: where(patched!) },
    }),
    'update by condition': ({ matched }) =>
      putting(patient(matched!, { gender: 'other' }), { url: where(matched!) }),
    'create by condition': ({ chosen, chosenId }) =>
      putting(patient(chosen!, { id: chosenId! }), { url: where(chosen!) }),
    pair: ({ pair, pairUrn }) =>
      posting(patient(pair!, { gender: 'male', active: true }), {
        fullUrl: pairUrn!,
        ifNoneExist: identified(pair!),
      }),
    'pair again': ({ pair }) =>
      posting(patient(pair!, { gender: 'female', active: true }), { ifNoneExist: identified(pair!) }),
    'pair by more': ({ pair }) =>
      posting(patient(pair!, { gender: 'other' }), { ifNoneExist: `${identified(pair!)}&active=true` }),
    'pair without condition': ({ pair }) => posting(patient(pair!, { gender: 'unknown' })),
    read: ({ put }) => getting(`Patient/${put}`),
    search: ({ patched }) => getting(`Patient?gender=male&${identified(patched!)}`),
    'read a deleted one': ({ gone }) => getting(`Patient/${gone}`),
    head: ({ matched }) => heading(`Patient/${matched}`),
    'update what is read': ({ matched }) => putting(patient(matched!, { id: matched! })),
    invalid: () => posting(patient('x', { gender: 'x' })),
  };

  async function makeWorld(): Promise<World> {
    const world = Object.fromEntries(NAMES.map((name) => [name, fresh()]));
    for (const name of ['gone', 'put', 'patched', 'matched'] as const) {
      const id = world[name]!;
      await it.put(`Patient/${id}`, patient(id, { id })).expect(201);
    }
    return { ...world, chosenId: fresh(), createUrn: urn(), organizationUrn: urn(), pairUrn: urn() };
  }

  /**
   * What came of the entries, told by their kinds: the answers, and all resources that are there afterwards, ids
   * and names of the run told as words.
   */
  async function outcomeOf(kinds: readonly string[]): Promise<unknown> {
    const world = await makeWorld();
    const { body, status } = await it.transaction(kinds.map((kind) => KINDS[kind]!(world)));
    const words = new Map(Object.entries(world).map(([name, value]) => [value, `<${name}>`]));
    const answers = new Map<string, unknown>();
    const after: Record<string, unknown> = {};
    if (status === 200)
      for (const [index, kind] of kinds.entries()) {
        const place = placeOf(body.entry[index]);
        const id = place.split('/')[1];
        // Where two entries mean one, the word is that of the kind that comes first in the alphabet.
        const word = `<of ${kind}>`;
        if (id && (words.get(id) ?? '~') > word && !(words.get(id) ?? '').match(/^<(?!of )/))
          words.set(id, word);
        if (place && !place.startsWith('Binary')) after[place] = await it.read(place);
      }
    const told = (value: unknown) => tell(value, words);
    for (const [index, kind] of kinds.entries())
      answers.set(kind, status === 200 ? told(body.entry[index]) : undefined);
    const patients = [];
    for (const name of NAMES) {
      const found = await app.send('get', `/${where(world[name]!)}`).expect(200);
      patients.push(
        (found.body.entry ?? []).map(({ resource }: { resource: unknown }) => told(resource)).sort(byText),
      );
    }
    if (status !== 200 && (status < 400 || status >= 500))
      throw new Error(`${status}: ${JSON.stringify(body)}`);
    return {
      // of several faults, any may be told
      outcome: status === 200 ? 'done' : 'failed',
      answers: kinds.toSorted().map((kind) => [kind, answers.get(kind)]),
      after: Object.values(after).map(told).sort(byText),
      patients,
    };
  }

  const byText = (a: unknown, b: unknown): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);

  function tell(value: unknown, words: ReadonlyMap<string, string>): unknown {
    let text = JSON.stringify(value) ?? 'null';
    for (const [name, word] of words) text = text.replaceAll(name, word);
    return JSON.parse(
      text
        .replace(/"(lastUpdated|lastModified)":"[^"]*"/g, '"$1":""')
        .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<another>'),
    );
  }

  test('two POSTs whose conditions differ, and meet what the other creates', async () => {
    const kinds = ['pair', 'pair by more'];
    expect(await outcomeOf(kinds.toReversed())).toEqual(await outcomeOf(kinds));
  });

  test('two POSTs with one condition and other bodies', async () => {
    const kinds = ['pair', 'pair again'];
    expect(await outcomeOf(kinds.toReversed())).toEqual(await outcomeOf(kinds));
  });

  test('a POST without a condition beside one that meets it', async () => {
    const kinds = ['pair', 'pair without condition'];
    expect(await outcomeOf(kinds.toReversed())).toEqual(await outcomeOf(kinds));
  });

  test('a bundle that goes through, in ten orders', async () => {
    const kinds = [
      'delete',
      'recreate',
      'create',
      'organization',
      'observation',
      'found',
      'update',
      'patch',
      'update by condition',
      'create by condition',
      'pair',
      'pair again',
      'read',
      'search',
    ];
    const wanted = await outcomeOf(kinds);
    expect(wanted).toMatchObject({ outcome: 'done' });
    await fc.assert(
      fc.asyncProperty(
        fc.shuffledSubarray(kinds, { minLength: kinds.length, maxLength: kinds.length }),
        async (order) => expect(await outcomeOf(order)).toEqual(wanted),
      ),
      { numRuns: 10, endOnFailure: true },
    );
  }, 60_000);

  test('any entries in any order have the outcome of the same entries sorted, failures too', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.shuffledSubarray(Object.keys(KINDS), { minLength: 2, maxLength: 7 }),
        async (kinds) => expect(await outcomeOf(kinds)).toEqual(await outcomeOf(kinds.toSorted())),
      ),
      { numRuns: 30 },
    );
  }, 120_000);
});
