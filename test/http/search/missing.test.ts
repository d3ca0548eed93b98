/** Modifiers of R4 search.html, each by its rule, over PostgreSQL; and versions of references. */
import { BASE_URL } from '../../support/records.ts';
import { observation } from '../../support/searching.ts';
import { openTestServer, searchingByHttp, type TestServer } from '../../support/server.ts';

let it: TestServer;
const { put, set, count } = searchingByHttp(() => it);

const LONG = `${'Ärzte 😀 und '.repeat(60)}Zuletzt`;

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
  await put('Patient', 'long', { name: [{ text: LONG }] });
  await put('Patient', 'long2', { name: [{ text: LONG.replace('Zuletzt', 'zuletzt') }] });
  const about = (patient: string, more: object = {}) =>
    observation({ text: 'x' }, { subject: { reference: `Patient/${patient}` }, ...more });
  await put('Observation', 'of-ann', about('ann', { effectiveDateTime: '2024', valueInteger: 1 }));
  await put('Observation', 'of-bob', about('bob', { valueQuantity: { value: 1 } }));
  await put('Observation', 'of-cid', about('cid/_history/1', { valueString: 'all good' }));
  await put('Observation', 'of-cid-2', about('cid/_history/2'));
  const part = (reference: string) => ({ hasMember: [{ reference }] });
  await put('Observation', 'group', about('bob', part('Observation/of-ann/_history/1')));
  await put('Observation', 'group-2', about('bob', part(`${BASE_URL}/Observation/of-ann/_history/2`)));
  const url = `http://a/${'very/'.repeat(120)}deep`;
  await put('ValueSet', 'deep', { status: 'active', url });
  await put('ValueSet', 'deeper', { status: 'active', url: `${url}/er` });
});
afterAll(() => it.close());

describe('R4 search.html#modifiers: ":missing", for all parameters but combinations', () => {
  test.each([
    ['Patient', 'gender:missing=true', 'bob cid long long2'],
    ['Patient', 'gender:missing=false', 'ann'],
    ['Patient', 'birthdate:missing=true', 'bob cid long long2'],
    ['Patient', 'birthdate:missing=false', 'ann'],
    ['Patient', 'family:missing=true', 'long long2'],
    ['Patient', 'name:missing=true', ''],
    ['Patient', 'general-practitioner:missing=false', 'ann'],
    ['Patient', '_profile:missing=false', ''],
    ['Patient', '_id:missing=true', ''],
    ['Patient', '_lastUpdated:missing=false', 'ann bob cid long long2'],
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

describe('R4 search.html#string: ":exact" and ":contains"', () => {
  test.each([
    ['Patient', 'family:exact=Søren', 'ann'],
    ['Patient', 'family:exact=soren', 'bob'],
    ['Patient', 'family:exact=SOREN,Søren', 'ann cid'],
    ['Patient', 'family:exact=Sør', ''],
    ['Patient', 'family:contains=ØREN', 'ann bob cid'],
    ['Patient', 'name:contains=nn', 'ann'],
    ['Observation', 'patient.family:exact=Søren', 'of-ann'],
    ['Observation', 'patient.general-practitioner:Practitioner.family:exact=angstrom', ''],
    ['Observation', 'patient.general-practitioner:Practitioner.family:exact=Ångström', 'of-ann'],
    // Longer than an entry of the index.
    ['Patient', `name:exact=${LONG}`, 'long'],
    ['Patient', 'name:contains=zuletzt', 'long long2'],
    ['Patient', `name:contains=${'ARZTE 😀 und '.repeat(15)}zuletzt`, 'long long2'],
    ['Patient', `name=${LONG.slice(0, 300)}`, 'long long2'],
  ])('%s?%s: %s', async (type, query, expected) => {
    const found = expected.split(' ').filter(Boolean);
    expect(await set(type, query)).toEqual(found);
    expect(await count(type, query)).toBe(found.length);
  });
});

describe('R4 search.html#uri: ":above" and ":below", of any length', () => {
  const url = `http://a/${'very/'.repeat(120)}deep`;
  test.each([
    ['below=http://a/very', 'deep deeper'],
    [`below=${url}`, 'deep deeper'],
    [`below=${url}/`, 'deeper'],
    [`above=${url}/er`, 'deep deeper'],
    [`above=${url}/e`, 'deep'],
    ['above=http://a/very', ''],
  ])('url:%s: %s', async (query, expected) => {
    expect(await set('ValueSet', `url:${query}`)).toEqual(expected.split(' ').filter(Boolean));
  });
});

describe('R4 search.html#reference: a version that is asked for is the one that is referred to', () => {
  test.each([
    ['patient=cid', 'of-cid of-cid-2'],
    ['patient=Patient/cid/_history/1', 'of-cid'],
    [`subject=${BASE_URL}/Patient/cid/_history/2`, 'of-cid-2'],
    ['subject=Patient/cid/_history/3', ''],
    ['patient=Patient/ann/_history/1', ''],
    ['patient=ann,Patient/cid/_history/2', 'of-ann of-cid-2'],
    ['has-member=of-ann', 'group group-2'],
    ['has-member=Observation/of-ann/_history/1', 'group'],
    ['has-member=Observation/of-ann/_history/2,Observation/of-ann/_history/3', 'group-2'],
  ])('%s: %s', async (query, expected) => {
    const found = expected.split(' ').filter(Boolean);
    expect(await set('Observation', query)).toEqual(found);
    expect(await count('Observation', query)).toBe(found.length);
  });
});

describe('what is refused, and says what is possible', () => {
  test.each([
    ['Patient', 'gender:missing=maybe', /true or false/],
    ['Observation', 'code-value-quantity:missing=true', /possible are none/],
    ['ValueSet', 'url:below=urn:oid:1.2', /no meaning for URNs/],
    ['Patient', `name:contains=${'a'.repeat(251)}`, /250 characters/],
    ['Patient', `name=${'a'.repeat(501)}`, /500 characters/],
    ['Patient', '_content:exact=x', /no modifiers/],
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
