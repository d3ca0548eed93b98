/** `:missing` (R4 search.html#modifiers), and what has no such modifier. */
import { BASE_URL } from '../../support/records.ts';
import { observation } from '../../support/searching.ts';
import { openTestServer, searchingByHttp, type TestServer } from '../../support/server.ts';

let it: TestServer;
const { put, set, count } = searchingByHttp(() => it);

beforeAll(async () => {
  it = await openTestServer();
  const doctor = [{ reference: 'Practitioner/doc' }];
  await put('Practitioner', 'doc', { name: [{ family: 'Ångström' }] });
  await put('Practitioner', 'nameless', { gender: 'male' });
  await put('Patient', 'ann', {
    name: [{ family: 'Søren', given: ['Ann'] }],
    gender: 'female',
    birthDate: '1990',
    generalPractitioner: doctor,
  });
  await put('Patient', 'bob', {
    name: [{ family: 'soren' }],
    generalPractitioner: [{ display: 'somebody' }],
  });
  await put('Patient', 'cid', {
    name: [{ family: 'SOREN' }],
    _gender: { extension: [{ url: 'http://a', valueCode: 'unknown' }] },
    _birthDate: { extension: [{ url: 'http://a', valueString: 'about 1990' }] },
  });
  const about = (patient: string, more: object = {}) =>
    observation({ text: 'x' }, { subject: { reference: `Patient/${patient}` }, ...more });
  await put('Observation', 'of-ann', about('ann', { effectiveDateTime: '2024', valueInteger: 1 }));
  await put('Observation', 'of-bob', about('bob', { valueQuantity: { value: 1 } }));
  await put('Observation', 'of-cid', about('cid/_history/1', { valueString: 'all good' }));
  await put('Observation', 'of-cid-2', about('cid/_history/2'));
  const part = (reference: string) => ({ hasMember: [{ reference }] });
  await put('Observation', 'group', about('bob', part('Observation/of-ann/_history/1')));
  await put('Observation', 'group-2', about('bob', part(`${BASE_URL}/Observation/of-ann/_history/2`)));
  await put('ValueSet', 'named', { status: 'active', url: 'http://a/b' });
});
afterAll(() => it.close());

describe('R4 search.html#modifiers: ":missing", for all parameters but combinations', () => {
  test.each([
    ['Patient', 'gender:missing=true', 'bob cid'],
    ['Patient', 'gender:missing=false', 'ann'],
    ['Patient', 'birthdate:missing=true', 'bob cid'],
    ['Patient', 'birthdate:missing=false', 'ann'],
    ['Patient', 'family:missing=true', ''],
    ['Patient', 'name:missing=true', ''],
    ['Patient', 'general-practitioner:missing=false', 'ann'],
    ['Patient', '_profile:missing=false', ''],
    ['Patient', '_id:missing=true', ''],
    ['Patient', '_lastUpdated:missing=false', 'ann bob cid'],
    ['Observation', 'date:missing=false', 'of-ann'],
    ['Observation', 'value-quantity:missing=false', 'of-bob'],
    ['Observation', 'combo-value-quantity:missing=false', 'of-bob'],
    ['Observation', 'combo-code:missing=true', ''],
    ['Observation', 'value-string:missing=false', 'of-cid'],
    ['Observation', 'has-member:missing=false&patient=bob', 'group group-2'],
    ['Observation', 'patient.gender:missing=false', 'of-ann'],
    ['Observation', 'patient.general-practitioner.name:missing=true', ''],
    ['Patient', '_has:Observation:patient:value-quantity:missing=false', 'bob'],
    ['ValueSet', 'url:missing=true', ''],
  ])('%s?%s: %s', async (type, query, expected) => {
    const found = expected.split(' ').filter(Boolean);
    expect(await set(type, query)).toEqual(found);
    expect(await count(type, query)).toBe(found.length);
  });

  test('what a resource loses or gains with a version counts', async () => {
    await put('Practitioner', 'changing', {});
    expect(await set('Practitioner', 'active:missing=false')).toEqual([]);
    await put('Practitioner', 'changing', { active: false });
    expect(await set('Practitioner', 'active:missing=false')).toEqual(['changing']);
    await put('Practitioner', 'changing', {});
    expect(await set('Practitioner', 'active:missing=false')).toEqual([]);
  });
});

describe('what is refused, and says what is possible', () => {
  test.each([
    ['Patient', 'gender:missing=maybe', /true or false/],
    ['Observation', 'code-value-quantity:missing=true', /possible are none/],
    ['Patient', '_content:exact=x', /possible are none/],
    ['Patient', '_content=(a', /must be words/],
    ['Patient', '_content=a or', /must be words/],
    ['Patient', `_content=${'('.repeat(200)}`, /100 words/],
    ['Bundle', '_text=a', /no search parameter "_text"/],
    ['Patient', '_content=a&_sort=_content', /_sort/],
  ])('%s?%s', async (type, query, says) => {
    const fault = await set(type, query).catch((fault: unknown) => fault);
    expect(fault).toMatchObject({ status: 400 });
    expect((fault as Error).message).toMatch(says);
  });
});
