/** R4 http 3.1.0.11.2 with many users: bundles are atomic, no deadlock surfaces, nobody starves. */
import { inconsistencies } from '../../support/consistency.ts';
import { startApp, type TestApp } from '../app.ts';
import {
  type Answered,
  exchanging,
  fresh,
  getting,
  identified,
  observation,
  patching,
  patient,
  placeOf,
  posting,
  putting,
  SYSTEM,
  urn,
} from './bundles.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());
const it = exchanging(() => app);

const many = <T>(length: number, make: (index: number) => T): T[] =>
  Array.from({ length }, (_, index) => make(index));
const rotated = <T>(list: readonly T[], by: number): T[] => [...list.slice(by), ...list.slice(0, by)];

describe('issue: users posting overlapping PUT bundles', () => {
  test.each([
    [2, 10, 15],
    [5, 10, 8],
    [20, 8, 3],
    [50, 6, 2],
  ])(
    '%i users, %i resources, %i bundles each: all go through, each is atomic, none starves',
    async (users, resources, bundles) => {
      const ids = many(resources, fresh);
      const kept: number[] = [];
      await Promise.all(
        many(users, async (user) => {
          for (let n = 0; n < bundles; n++) {
            const mark = `${user}-${n}`;
            const entries = ids.map((id) => putting(patient(mark, { id })));
            const order = user % 2 ? entries.toReversed() : rotated(entries, user % resources);
            const { status, body } = await it.transaction(order);
            expect({ status, issue: body.issue }).toEqual({ status: 200 });
            kept[user] = (kept[user] ?? 0) + 1;
          }
        }),
      );
      expect(kept).toEqual(many(users, () => bundles));
      const marks = new Set<string>();
      for (const id of ids) {
        const { identifier, meta } = await it.read(`Patient/${id}`);
        expect(meta.versionId).toBe(String(users * bundles));
        marks.add(identifier[0].value);
      }
      expect(marks.size).toBe(1);
    },
    60_000,
  );

  test('what a bundle reads is what one other bundle wrote, not a mixture', async () => {
    const ids = many(4, fresh);
    const write = (mark: string) => it.done(ids.map((id) => putting(patient(mark, { id }))));
    await write('0');
    const writers = many(2, async (user) => {
      for (let n = 0; n < 10; n++) await write(`${user}-${n}`);
    });
    const readers = many(2, async () => {
      for (let n = 0; n < 15; n++) {
        const entries = await it.done(ids.map((id) => getting(`Patient/${id}`)));
        const marks = entries.map(({ resource }: Answered) => resource.identifier[0].value);
        expect(new Set(marks).size).toBe(1);
      }
    });
    await Promise.all([...writers, ...readers]);
  });

  test('with If-Match, one of each pair wins, the other is 412: counters lose no count', async () => {
    const ids = many(3, fresh);
    await it.done(ids.map((id) => putting(patient('0', { id }))));
    let wins = 0;
    await Promise.all(
      many(6, async (user) => {
        for (let n = 0; n < 5; n++) {
          const versions = await Promise.all(ids.map((id) => it.read(`Patient/${id}`)));
          const entries = versions.map(({ id, meta }) =>
            putting(patient(`${user}-${n}`, { id }), { ifMatch: `W/"${meta.versionId}"` }),
          );
          const { status } = await it.transaction(user % 2 ? entries : entries.toReversed());
          expect([200, 409, 412]).toContain(status);
          if (status === 200) wins++;
        }
      }),
    );
    expect(wins).toBeGreaterThan(0);
    for (const id of ids) expect((await it.read(`Patient/${id}`)).meta.versionId).toBe(String(1 + wins));
  });
});

describe('issue: users with conditions in common', () => {
  test('the same organizations, in opposite orders, by ifNoneExist: each is made once', async () => {
    const names = many(6, fresh);
    const users = 10;
    const answers = await Promise.all(
      many(users, (user) => {
        const of = names.map((value) =>
          posting(
            { resourceType: 'Organization', name: 'x', identifier: [{ system: SYSTEM, value }] },
            { ifNoneExist: identified(value) },
          ),
        );
        return it.transaction(user % 2 ? of.toReversed() : of);
      }),
    );
    for (const { status, body } of answers) expect({ status, issue: body.issue }).toEqual({ status: 200 });
    for (const value of names) expect(await it.count(`Organization?${identified(value)}`)).toBe(1);
  });

  test('bundles of every sort over the same few resources: 200, 404, 409 or 412, and all agrees', async () => {
    const [id, value, name] = [fresh(), fresh(), fresh()];
    await it.put(`Patient/${id}`, patient(id, { id })).expect(201);
    const kinds = [
      () => it.transaction([putting(patient(id, { id })), posting(observation(`Patient?${identified(id)}`))]),
      () =>
        it.transaction([
          posting(observation(name), { fullUrl: urn() }),
          posting(patient(value), { fullUrl: name, ifNoneExist: identified(value) }),
          patching(`Patient/${id}`, [{ op: 'add', path: '/active', value: true }]),
        ]),
      () => it.transaction([putting(patient(value), { url: `Patient?${identified(value)}` })]),
      () => app.send('delete', `/Patient?${identified(value)}`),
      () => it.put(`Patient?${identified(id)}`, patient(id, { gender: 'male' })),
      () => it.patch(`Patient/${id}`, [{ op: 'add', path: '/gender', value: 'other' }]),
      () => it.batch([posting(patient(value), { ifNoneExist: identified(value) }), getting(`Patient/${id}`)]),
    ];
    await Promise.all(
      many(14, async (user) => {
        for (let n = 0; n < 6; n++) {
          const { status, body } = await kinds[(user + n) % kinds.length]!();
          if (![200, 201, 204, 404, 409, 412].includes(status))
            expect({ status, body }).toEqual({ status: 200 });
          if (body.type === 'transaction-response')
            for (const entry of body.entry) expect(placeOf(entry)).not.toBe('');
        }
      }),
    );
    expect(await it.count(`Patient?${identified(value)}`)).toBeLessThanOrEqual(1);
    const { body } = await app.send('get', `/Patient/${id}/_history?_count=1000`).expect(200);
    const versions = body.entry.map(({ response }: Answered) => response.etag).toReversed();
    expect(versions).toEqual(many(versions.length, (index) => `W/"${index + 1}"`));
    expect(await inconsistencies(app.app.pool, app.app.definitions, { baseUrl: app.base })).toEqual([]);
  }, 60_000);
});
