/** R4 http 3.1.0.8.1: conditional create. */
import { startApp, type TestApp } from '../app.ts';
import { exchanging, fresh, identified, observation, patient, posting, SYSTEM } from './bundles.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());
const it = exchanging(() => app);
const ifNoneExist = (condition: string) => ({ 'If-None-Exist': condition });

describe('R4 http 3.1.0.8.1: the action depends on how many matches are found', () => {
  test('no matches: the server processes the create', async () => {
    const value = fresh();
    const answer = await it.post(patient(value), ifNoneExist(identified(value))).expect(201);
    const { id } = answer.body;
    expect(answer.headers.location).toBe(`${app.base}/Patient/${id}/_history/1`);
    expect(answer.headers.etag).toBe('W/"1"');
    expect(await it.read(`Patient/${id}`)).toEqual(answer.body);
  });

  test('one match: ignores the post, returns 200 with what is there', async () => {
    const value = fresh();
    const id = await it.created(patient(value, { gender: 'female' }));
    await it.put(`Patient/${id}`, patient(value, { id, gender: 'other' })).expect(200);
    const answer = await it
      .post(patient(value, { gender: 'male' }), ifNoneExist(identified(value)))
      .expect(200);
    expect(answer.headers).toMatchObject({
      location: `${app.base}/Patient/${id}/_history/2`,
      etag: 'W/"2"',
      'last-modified': new Date(answer.body.meta.lastUpdated).toUTCString(),
    });
    expect(answer.body).toEqual(await it.read(`Patient/${id}`));
    expect(answer.body.gender).toBe('other');
    expect(await it.versions(`Patient/${id}`)).toBe(2);
    expect(await it.count(`Patient?${identified(value)}`)).toBe(1);
  });

  test('one match, return=minimal: 200 without a body', async () => {
    const value = fresh();
    const id = await it.created(patient(value));
    const headers = { ...ifNoneExist(identified(value)), Prefer: 'return=minimal' };
    const answer = await it.post(patient(value), headers).expect(200);
    expect(answer.text).toBe('');
    expect(answer.headers.location).toBe(`${app.base}/Patient/${id}/_history/1`);
  });

  test('multiple matches: 412, which says the condition and how many', async () => {
    const value = fresh();
    await it.created(patient(value));
    await it.created(patient(value));
    const { body } = await it.post(patient(value), ifNoneExist(identified(value))).expect(412);
    expect(body.issue[0]).toMatchObject({ severity: 'error', code: 'multiple-matches' });
    expect(body.issue[0].diagnostics).toContain(`${SYSTEM}|${value}`);
    expect(body.issue[0].diagnostics).toMatch(/\b2\b/);
    expect(await it.count(`Patient?${identified(value)}`)).toBe(2);
  });

  test('what was deleted, and what no longer has the value, is no match', async () => {
    const [gone, changed] = [fresh(), fresh()];
    const deleted = await it.created(patient(gone));
    await app.send('delete', `/Patient/${deleted}`).expect(204);
    await it.post(patient(gone), ifNoneExist(identified(gone))).expect(201);
    const id = await it.created(patient(changed));
    await it.put(`Patient/${id}`, patient(fresh(), { id })).expect(200);
    await it.post(patient(changed), ifNoneExist(identified(changed))).expect(201);
  });
});

describe('R4 http 3.1.0.8.1: the condition is a search', () => {
  test('escapes of a URL are read as such', async () => {
    const value = `${fresh()} &+`;
    const id = await it.created(patient(value));
    const condition = `identifier=${encodeURIComponent(`${SYSTEM}|${value}`)}`;
    const answer = await it.post(patient(value), ifNoneExist(condition)).expect(200);
    expect(answer.body.id).toBe(id);
  });

  test('all its parameters must be met', async () => {
    const value = fresh();
    const id = await it.created(patient(value, { active: true, birthDate: '1980-02-03' }));
    for (const more of ['active=true', 'birthdate=1980', 'birthdate=ge1979&active=true', `_id=${id}`])
      await it.post(patient(value), ifNoneExist(`${identified(value)}&${more}`)).expect(200);
    await it.post(patient(value), ifNoneExist(`${identified(value)}&active=false`)).expect(201);
  });

  test('parameters other than identifier', async () => {
    const subject = `Patient/${await it.created(patient(fresh()))}`;
    const code = { coding: [{ system: 'http://loinc.org', code: '8867-4' }] };
    const condition = `subject=${subject}&code=http://loinc.org|8867-4&date=2026-01-02`;
    const body = observation(subject, { code, effectiveDateTime: '2026-01-02T03:04:05Z' });
    const first = await it.post(body, ifNoneExist(condition)).expect(201);
    const second = await it.post(body, ifNoneExist(condition)).expect(200);
    expect(second.body.id).toBe(first.body.id);
    const later = `subject=${subject}&code=http://loinc.org|8867-4&date=2026-01-03`;
    await it.post(body, ifNoneExist(later)).expect(201);
  });

  test.each([
    (value: string) => `identifier=${value}`,
    (value: string) => `identifier=|${value}`,
    (_value: string) => `identifier=${SYSTEM}|`,
    (value: string) => `identifier=${SYSTEM}|${value},${SYSTEM}|${value}2`,
    (value: string) => `identifier:not=${SYSTEM}|${value}`,
    (value: string) => `${identified(value)}&gender:missing=true`,
    (value: string) => `${identified(value)}&_lastUpdated=gt2020-01-01`,
    (value: string) => `${identified(value)}&_lastUpdated=lt2020-01-01`,
    (value: string) => `family:exact=Ash&given=${value.slice(0, 8)}`,
    (value: string) => `given:contains=${value.slice(4, 8).toUpperCase()}&birthdate=ge1980`,
    (value: string) => `given=${value}&birthdate=1981`,
    (value: string) => `active=true&given=${value}`,
    (value: string) => `organization=Organization/${value}`,
    (value: string) => `organization=${value}&general-practitioner=Practitioner/1`,
    (value: string) => `_tag=http://example.org/tag|${value}`,
    (value: string) => `email=${value}@example.org`,
  ])('what it finds is what a search finds: %s', async (conditionOf) => {
    const value = fresh();
    const more = {
      active: true,
      name: [{ family: 'Ash', given: [value] }],
      birthDate: '1980-02-03',
      managingOrganization: { reference: `Organization/${value}` },
      telecom: [{ system: 'email', value: `${value}@example.org` }],
      meta: { tag: [{ system: 'http://example.org/tag', code: value }] },
    };
    for (const there of [0, 1, 2]) {
      const condition = conditionOf(value);
      const search = await app.send('get', `/Patient?${condition}&_summary=count`);
      const { status } = await it.post(patient(fresh()), ifNoneExist(condition));
      // what cannot be searched for is no condition either
      const wanted = search.status === 200 ? ([201, 200][search.body.total] ?? 412) : 400;
      expect({ there, status }).toEqual({ there, status: wanted });
      await it.created(patient(value, more));
    }
  });

  test('the url of a canonical resource', async () => {
    const url = `http://example.org/ValueSet/${fresh()}`;
    const body = { resourceType: 'ValueSet', status: 'draft', url };
    await it.post(body, ifNoneExist(`url=${url}`)).expect(201);
    await it.post(body, ifNoneExist(`url=${url}`)).expect(200);
  });

  test.each([
    ['an unknown parameter', 'identifer=1', 'identifer'],
    ['an unknown one beside a known one', 'identifier=1&nonsense=2', 'nonsense'],
    ['a value that is none', 'birthdate=yesterday', 'birthdate'],
    ['an unknown modifier', 'identifier:nonsense=1', 'nonsense'],
    ['only what controls the answer', '_count=1', ''],
    ['what sorts, beside a filter', 'identifier=1&_sort=birthdate', '_sort'],
    ['nothing', '', ''],
    ['a bad escape', 'identifier=%zz', 'identifier'],
  ])('%s is 400, not passed over', async (_what, condition, said) => {
    const before = await it.count('Patient');
    const { body } = await it.post(patient(fresh()), ifNoneExist(condition)).expect(400);
    expect(body.issue[0].diagnostics).toContain(said);
    expect(await it.count('Patient')).toBe(before);
  });

  test('SMART scopes: who may create but not search does not learn what is there', async () => {
    const value = fresh();
    await it.created(patient(value));
    const token = await app.app.issueToken({ scope: 'system/Patient.c', client: 'test', minutes: 5 });
    const as = { Authorization: `Bearer ${token}`, ...ifNoneExist(identified(value)) };
    await it.post(patient(value), as).expect(403);
  });
});

describe('issue: a condition is held by locks on the identifiers, not on the text of the query', () => {
  const creatorsOf = (answers: readonly { readonly status: number }[]): number =>
    answers.filter(({ status }) => status === 201).length;

  test('identifier, identifier with active, and a plain POST at once: one conditional one creates at most', async () => {
    for (let round = 0; round < 20; round++) {
      const value = fresh();
      const body = patient(value, { active: true });
      const conditions = [identified(value), `${identified(value)}&active=true`];
      const [plain, ...conditional] = await Promise.all([
        it.post(body),
        ...conditions.map((condition) => it.post(body, ifNoneExist(condition))),
      ]);
      expect(plain.status).toBe(201);
      // 412: both the plain one and the other conditional one were there
      for (const { status } of conditional) expect([200, 201, 412]).toContain(status);
      expect(creatorsOf(conditional)).toBeLessThanOrEqual(1);
      expect(await it.count(`Patient?${identified(value)}`)).toBe(1 + creatorsOf(conditional));
    }
  }, 60_000);

  test('eight with one condition at once: one creates, all point to it', async () => {
    for (let round = 0; round < 5; round++) {
      const value = fresh();
      const answers = await Promise.all(
        Array.from({ length: 8 }, () => it.post(patient(value), ifNoneExist(identified(value)))),
      );
      expect(answers.map(({ status }) => status).sort()).toEqual([...Array(7).fill(200), 201]);
      expect(new Set(answers.map(({ headers }) => headers.location)).size).toBe(1);
    }
  });

  test.each([
    ['a name', (value: string) => `family=${value}`],
    ['a name, which the search folds', (value: string) => `name=${value.toUpperCase()}`],
    ['a reference', (value: string) => `organization=Organization/${value}`],
    ['an identifier without its system', (value: string) => `identifier=${value}`],
  ])('eight with a condition on %s: one creates', async (_what, conditionOf) => {
    for (let round = 0; round < 3; round++) {
      const value = fresh();
      const body = patient(value, {
        name: [{ family: value }],
        managingOrganization: { reference: `Organization/${value}` },
      });
      const answers = await Promise.all(
        Array.from({ length: 8 }, () => it.post(body, ifNoneExist(conditionOf(value)))),
      );
      expect(answers.map(({ status }) => status).sort()).toEqual([...Array(7).fill(200), 201]);
    }
  });

  test('conditions on other values, one of which the other creates too', async () => {
    for (let round = 0; round < 10; round++) {
      const [one, two] = [fresh(), fresh()];
      const both = {
        resourceType: 'Patient',
        identifier: [
          { system: SYSTEM, value: one },
          { system: SYSTEM, value: two },
        ],
      };
      const answers = await Promise.all([
        it.post(both, ifNoneExist(identified(one))),
        it.post(both, ifNoneExist(identified(two))),
        it.post(both, ifNoneExist(`identifier=${SYSTEM}|${two},${SYSTEM}|${one}`)),
      ]);
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 201]);
      expect(await it.count(`Patient?${identified(one)}`)).toBe(1);
    }
  });

  test('a POST, a bundle and a batch at once', async () => {
    for (let round = 0; round < 5; round++) {
      const value = fresh();
      const entry = posting(patient(value), { ifNoneExist: identified(value) });
      const [single, transaction, batch] = await Promise.all([
        it.post(patient(value), ifNoneExist(identified(value))),
        it.transaction([posting(patient(fresh())), entry]),
        it.batch([entry, posting(patient(fresh()))]),
      ]);
      const statuses = [
        String(single.status),
        transaction.body.entry[1].response.status.slice(0, 3),
        batch.body.entry[0].response.status.slice(0, 3),
      ];
      expect(statuses.sort()).toEqual(['200', '200', '201']);
      expect(await it.count(`Patient?${identified(value)}`)).toBe(1);
    }
  });

  test('an update that brings the value in: counted, or waited for', async () => {
    for (let round = 0; round < 10; round++) {
      const value = fresh();
      const id = await it.created(patient(fresh()));
      const [update, create] = await Promise.all([
        it.put(`Patient/${id}`, patient(value, { id })),
        it.post(patient(value), ifNoneExist(identified(value))),
      ]);
      expect(update.status).toBe(200);
      expect([200, 201]).toContain(create.status);
      expect(await it.count(`Patient?${identified(value)}`)).toBe(create.status === 201 ? 2 : 1);
    }
  });
});
