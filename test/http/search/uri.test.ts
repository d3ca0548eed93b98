/** Uris and canonical urls (R4 search.html#uri), and the parameters of all resources (#all). */
import { type Resources, world } from './world.ts';

const LONG = `http://a.org/${'very/'.repeat(120)}deep`;
const set = (url: string, more: object = {}): object => ({ status: 'active', url, ...more });

const VALUE_SETS: Resources = {
  'ValueSet/123': set('http://acme.org/fhir/ValueSet/123'),
  'ValueSet/124': set('http://acme.org/fhir/ValueSet/124', { version: '2.0' }),
  'ValueSet/124-old': set('http://acme.org/fhir/ValueSet/124', { version: '1.0' }),
  'ValueSet/comma': set('http://acme.org/fhir/ValueSet/124,125'),
  'ValueSet/upper': set('http://acme.org/fhir/valueset/123'),
  'ValueSet/history': set('http://acme.org/fhir/ValueSet/123/_history/5'),
  'ValueSet/oid': set('urn:oid:1.2.3.4.5'),
  'ValueSet/accent': set('http://acme.org/fhir/é'),
  'ValueSet/escaped': set('http://acme.org/fhir/%C3%A9'),
  'ValueSet/deep': set(LONG),
  'ValueSet/deeper': set(`${LONG}/er`),
  'ValueSet/none': { status: 'draft' },
};

const tag = (code: string, system = 'http://acme.org/codes') => ({ system, code });
const PROFILE = 'http://hl7.org/fhir/StructureDefinition/lipid';
const COMMON: Resources = {
  'Patient/one': {
    meta: {
      tag: [tag('needs-review'), tag('b')],
      security: [tag('R', 'http://terminology.hl7.org/CodeSystem/v3-Confidentiality')],
      profile: [PROFILE],
      source: 'http://acme.org/feed#17',
    },
  },
  'Patient/two': {
    meta: { tag: [tag('needs-review', 'urn:other')], profile: [`${PROFILE}|2.0`, 'http://x/y'] },
  },
  'Patient/Two': {},
};

const { app, finds, refuses, ids } = world(VALUE_SETS, COMMON);

finds('R4 search.html#uri: the whole, exactly', 'ValueSet', [
  ['url=http://acme.org/fhir/ValueSet/123', '123'],
  ['url=HTTP://acme.org/fhir/ValueSet/123', ''],
  ['url=http://acme.org/fhir/valueset/123', 'upper'],
  ['url=http://acme.org/fhir/', ''],
  ['url=http://acme.org/fhir/ValueSet/123/', ''],
  ['url=urn:oid:1.2.3.4.5', 'oid'],
  ['url=urn:oid:1.2.3.4', ''],
  ['url=http://acme.org/fhir/é', 'accent'],
  ['url=http://acme.org/fhir/e', ''],
  ['url=http://acme.org/fhir/%C3%A9', 'escaped'],
  [`url=${LONG}`, 'deep'],
  ['url=http://acme.org/fhir/ValueSet/123,urn:oid:1.2.3.4.5', '123 oid'],
  ['url=http://acme.org/fhir/ValueSet/124\\,125', 'comma'],
  ['url=http://acme.org/fhir/ValueSet/123,http://acme.org/fhir/ValueSet/124\\,125', '123 comma'],
  ['url:missing=true', 'none'],
]);

finds('R4 search.html#uri: a canonical url with its version', 'ValueSet', [
  ['url=http://acme.org/fhir/ValueSet/124', '124 124-old'],
  ['url=http://acme.org/fhir/ValueSet/124|2.0', '124'],
  ['url=http://acme.org/fhir/ValueSet/124|1.0', '124-old'],
  ['url=http://acme.org/fhir/ValueSet/124|3.0', ''],
  ['url=http://acme.org/fhir/ValueSet/124|2.0,urn:oid:1.2.3.4.5', '124 oid'],
]);

finds('R4 search.html#uri: ":below" begins with it, ":above" is what it begins with', 'ValueSet', [
  ['url:below=http://acme.org/fhir/ValueSet/', '123 124 124-old comma history'],
  ['url:below=http://acme.org/fhir/ValueSet/123', '123 history'],
  ['url:below=http://acme.org/fhir/CodeSystem', ''],
  ['url:below=http://a.org/very', 'deep deeper'],
  [`url:below=${LONG}`, 'deep deeper'],
  [`url:below=${LONG}/`, 'deeper'],
  ['url:above=http://acme.org/fhir/ValueSet/123/_history/5', '123 history'],
  ['url:above=http://acme.org/fhir/ValueSet/123/_history/5/more', '123 history'],
  [`url:above=${LONG}/er`, 'deep deeper'],
  [`url:above=${LONG}/e`, 'deep'],
  ['url:above=http://a.org/very', ''],
]);

refuses('R4 search.html#uri: what it has not', 'ValueSet', [
  ['url:below=urn:oid:1.2', 'value', /no meaning for URNs/],
  ['url:above=urn:oid:1.2.3', 'value', /no meaning for URNs/],
  ['url:exact=http://a', 'not-supported', /it cannot have: possible are :missing, :above, :below/],
  ['url:contains=acme', 'not-supported', /it cannot have/],
]);

finds('R4 search.html#id: exactly, whatever its case means elsewhere', 'Patient', [
  ['_id=two', 'two'],
  ['_id=Two', 'Two'],
  ['_id=one,two,none', 'one two'],
  ['_id=one&_id=two', ''],
  ['_id=none', ''],
  ['_id:missing=true', ''],
  ['_id:not=one', 'two Two'],
]);

finds('R4 search.html#tag, #security, #profile, #source', 'Patient', [
  ['_tag=http://acme.org/codes|needs-review', 'one'],
  ['_tag=needs-review', 'one two'],
  ['_tag=http://acme.org/codes|', 'one'],
  ['_tag:not=needs-review', 'Two'],
  ['_tag:missing=true', 'Two'],
  ['_tag=b&_tag=needs-review', 'one'],
  ['_security=http://terminology.hl7.org/CodeSystem/v3-Confidentiality|R', 'one'],
  ['_security=R', 'one'],
  ['_security:not=R', 'two Two'],
  [`_profile=${PROFILE}|2.0`, 'two'],
  [`_profile=${PROFILE}`, 'one two'],
  ['_profile=http://x/y', 'two'],
  ['_profile=http://x', ''],
  ['_profile:below=http://hl7.org/fhir/StructureDefinition', 'one two'],
  ['_profile:missing=true', 'Two'],
  ['_source=http://acme.org/feed#17', 'one'],
  ['_source=http://acme.org/feed', ''],
  ['_source:below=http://acme.org/', 'one'],
]);

test('R4 search.html#lastUpdated: with every prefix, against the instant itself', async () => {
  const { body } = await app().send('get', '/Patient/one').expect(200);
  const updated: string = body.meta.lastUpdated;
  const find = async (query: string) => (await ids('Patient', query)).sort().join(' ');
  const all = 'Two one two';
  expect(await find(`_lastUpdated=${updated}`)).toBe(all);
  expect(await find(`_lastUpdated=${updated.slice(0, 10)}`)).toBe(all);
  expect(await find(`_lastUpdated=ge${updated}`)).toBe(all);
  expect(await find(`_lastUpdated=le${updated}`)).toBe(all);
  expect(await find(`_lastUpdated=gt${updated}`)).toBe('');
  expect(await find(`_lastUpdated=lt${updated}`)).toBe('');
  expect(await find(`_lastUpdated=sa${updated}`)).toBe('');
  expect(await find(`_lastUpdated=ne${updated}`)).toBe('');
  expect(await find('_lastUpdated=lt2020,gt2020')).toBe(all);
  expect(await find('_lastUpdated=eb2020')).toBe('');
});

refuses('R4 search.html#all: what is no value of these', 'Patient', [
  ['_id=a b', 'value', /must be an id/],
  ['_id=Patient/one', 'value', /must be an id/],
  ['_lastUpdated=yesterday', 'value', /must be a date/],
  ['_tag=a|b|c', 'value', /must be code, system\|code/],
  ['_lastUpdated:exact=2020', 'not-supported', /":exact"/],
]);
