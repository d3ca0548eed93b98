/** `_sort` by what no index has (R4 search.html#sort). */
import type { Bundle } from 'fhir/r4.js';
import { startApp, type TestApp } from '../app.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
  const people = [
    ['a', 'Zimmer', 'female', '1990-01-01'],
    ['b', 'adams', 'male', '1980-05'],
    ['c', 'Ångström', undefined, '1990-01-01'],
    ['d', undefined, 'male', undefined],
    ['e', 'Adams', 'female', '1975'],
  ] as const;
  for (const [id, family, gender, birthDate] of people)
    await app
      .send('put', `/Patient/${id}`)
      .type('application/fhir+json')
      .send({ resourceType: 'Patient', id, name: family && [{ family }], gender, birthDate })
      .expect(201);
});
afterAll(() => app.close());

/** The ids over all pages. */
async function ids(query: string, type = 'Patient'): Promise<string> {
  let found = '';
  for (let url: string | undefined = `/${type}?${query}`; url; ) {
    const { body }: { body: Bundle } = await app.send('get', url).expect(200);
    for (const { resource } of body.entry ?? []) found += resource?.id;
    const next: string | undefined = (body.link ?? []).find(
      ({ relation }: { relation: string }) => relation === 'next',
    )?.url;
    url = next?.slice(app.base.length);
  }
  return found;
}

describe('R4 search.html#sort', () => {
  test.each([
    ['_sort=family', 'beca' + 'd'],
    ['_sort=-family', 'aceb' + 'd'],
    ['_sort=gender,family', 'eab' + 'd' + 'c'],
    ['_sort=-gender,-birthdate', 'bd' + 'ae' + 'c'],
    ['_sort=_id', 'abcde'],
    ['_sort=-_id', 'edcba'],
    ['_sort=birthdate,family', 'ebca' + 'd'],
    ['_sort=family&gender=female', 'ea'],
    ['_sort=family&gender:missing=true', 'c'],
  ])('%s: absent values last, equal ones in a lasting order, on any pages', async (query, order) => {
    const whole = await ids(query);
    // equal ones ("adams") in either order, as long as it lasts
    expect(whole.replace('eb', 'be')).toBe(order.replace('eb', 'be'));
    for (const count of [1, 2, 3]) expect(await ids(`${query}&_count=${count}`)).toBe(whole);
  });

  test('dates go by their beginnings, and those without one come last, on any pages', async () => {
    const periods = [{ end: '2020' }, { start: '2019', end: '2021' }, { start: '2018' }, undefined];
    for (const [i, period] of periods.entries())
      await app
        .send('put', `/Encounter/${'wxyz'[i]}`)
        .type('application/fhir+json')
        .send({
          resourceType: 'Encounter',
          id: 'wxyz'[i],
          status: 'finished',
          class: { code: 'AMB' },
          location: [{ location: { display: 'there' }, period }],
        })
        .expect(201);
    for (const count of [1, 2, 20]) {
      expect(await ids(`_sort=location-period,_id&_count=${count}`, 'Encounter')).toBe('yxwz');
      expect(await ids(`_sort=-location-period,_id&_count=${count}`, 'Encounter')).toBe('xywz');
    }
  });

  test('R4 search.html#prefix: what has no beginning does not begin after year 1 in any zone', async () => {
    const query = 'location-period=sa0001-01-01T00:00:00%2B14:00';
    expect(await ids(`${query}&_sort=_id`, 'Encounter')).toBe('xy');
    expect(await ids(`location-period=eb0001-01-01T00:00:00%2B14:00`, 'Encounter')).toBe('');
  });

  test('numbers without an end are before or after all others, on any pages', async () => {
    const quantities = [
      { value: 5 },
      { value: 9, comparator: '>' },
      { value: 1, comparator: '<' },
      undefined,
    ];
    for (const [i, valueQuantity] of quantities.entries())
      await app
        .send('put', `/Observation/${'wxyz'[i]}`)
        .type('application/fhir+json')
        .send({
          resourceType: 'Observation',
          id: 'wxyz'[i],
          status: 'final',
          code: { text: 'x' },
          valueQuantity,
        })
        .expect(201);
    for (const count of [1, 2, 20]) {
      expect(await ids(`_sort=value-quantity,_id&_count=${count}`, 'Observation')).toBe('ywxz');
      expect(await ids(`_sort=-value-quantity,_id&_count=${count}`, 'Observation')).toBe('xwyz');
    }
  });

  test('_total counts all, whatever the page', async () => {
    const { body } = await app.send('get', '/Patient?_sort=family&_count=2&_total=accurate').expect(200);
    expect(body.total).toBe(5);
    expect(body.entry).toHaveLength(2);
  });
});
