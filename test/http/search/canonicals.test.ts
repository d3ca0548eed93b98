/** References by url, with a version and without (R4 references.html#canonical): chains, _has and includes follow them. */
import type { Bundle } from 'fhir/r4.js';
import { encoded, type Resources, world } from './world.ts';

const URL = 'http://acme.org/q';
const questionnaire = (version: string | undefined, title: string, more: object = {}): object => ({
  status: 'active',
  url: URL,
  version,
  title,
  ...more,
});
const answered = (canonical: string, more: object = {}): object => ({
  status: 'completed',
  questionnaire: canonical,
  ...more,
});

const OLD: Resources = { 'Questionnaire/old': questionnaire('1', 'Old') };
const REST: Resources = {
  'Questionnaire/new': questionnaire('2', 'New', { derivedFrom: [`${URL}|1`] }),
  'Questionnaire/other': questionnaire(undefined, 'Other', { url: 'http://acme.org/q2' }),
  'QuestionnaireResponse/one': answered(`${URL}|1`),
  'QuestionnaireResponse/two': answered(`${URL}|2`, { status: 'amended' }),
  'QuestionnaireResponse/any': answered(URL),
  'QuestionnaireResponse/three': answered(`${URL}|3`),
  'QuestionnaireResponse/other': answered('http://acme.org/q2'),
  'QuestionnaireResponse/local': answered('Questionnaire/other'),
  'QuestionnaireResponse/within': answered('#q', {
    contained: [{ resourceType: 'Questionnaire', id: 'q', status: 'draft', title: 'Within' }],
  }),
  'PlanDefinition/plan': {
    status: 'active',
    library: ['http://acme.org/lib'],
    relatedArtifact: [
      { type: 'depends-on', resource: `${URL}|1` },
      { type: 'successor', resource: `${URL}|2` },
    ],
    action: [{ definitionCanonical: URL }],
  },
  'Library/lib': { status: 'active', type: { text: 'x' }, url: 'http://acme.org/lib' },
  'Basic/holds': {
    code: { text: 'x' },
    contained: [{ resourceType: 'QuestionnaireResponse', id: 'r', ...answered(`${URL}|1`) }],
  },
};
const { app, finds, refuses } = world(OLD, REST);

finds('R4 search.html#chaining: through canonicals', 'QuestionnaireResponse', [
  ['questionnaire.title=old', 'one'],
  // without a version the newest is meant
  ['questionnaire.title=new', 'two any'],
  ['questionnaire.title=other', 'other local'],
  ['questionnaire.title=within', 'within'],
  ['questionnaire.title=old,within', 'one within'],
  ['questionnaire:Questionnaire.version=2&status=completed', 'any'],
  ['questionnaire.title=none', ''],
  ['questionnaire.title:contains=e', 'two any other local'],
  ['questionnaire._text=nothing', ''],
]);
finds('R4 search.html#chaining: of what is contained', 'QuestionnaireResponse', [
  ['questionnaire.title=old&_contained=true&_containedType=contained', 'r'],
  ['questionnaire.title=new&_contained=true', ''],
]);
finds('R4 search.html#chaining: one canonical after another', 'QuestionnaireResponse', [
  ['questionnaire._has:PlanDefinition:depends-on:status=active', 'one'],
]);
finds('R4 search.html#has: by canonicals', 'Questionnaire', [
  ['_has:QuestionnaireResponse:questionnaire:status=completed', 'old new other'],
  ['_has:QuestionnaireResponse:questionnaire:status=amended', 'new'],
  ['_has:QuestionnaireResponse:questionnaire:_id=three', ''],
  ['_has:PlanDefinition:depends-on:status=active', 'old'],
  ['_has:PlanDefinition:successor:status=active', 'new'],
  ['_has:PlanDefinition:definition:status=active', 'new'],
]);

async function included(query: string): Promise<string[]> {
  const [type = '', parameters = ''] = query.split('?');
  const { body } = await app()
    .send('get', `/${type}?${encoded(parameters)}`)
    .expect(200);
  return (
    ((body as Bundle).entry ?? [])
      .filter(({ search }) => search?.mode === 'include')
      .map(({ resource }) => `${resource?.resourceType}/${resource?.id}`)
      // Provenances that are made of the trail: test/http/access/provenance.test.ts
      .filter((name) => !name.startsWith('Provenance/w-'))
      .sort()
  );
}

test.each([
  ['QuestionnaireResponse?_id=one&_include=QuestionnaireResponse:questionnaire', ['Questionnaire/old']],
  ['QuestionnaireResponse?_id=two&_include=QuestionnaireResponse:questionnaire', ['Questionnaire/new']],
  ['QuestionnaireResponse?_id=any&_include=QuestionnaireResponse:questionnaire', ['Questionnaire/new']],
  ['QuestionnaireResponse?_id=three&_include=QuestionnaireResponse:questionnaire', []],
  ['QuestionnaireResponse?_id=local&_include=QuestionnaireResponse:questionnaire', ['Questionnaire/other']],
  ['QuestionnaireResponse?_id=any&_include=*', ['Questionnaire/new']],
  ['PlanDefinition?_include=PlanDefinition:depends-on', ['Library/lib', 'Questionnaire/old']],
  ['PlanDefinition?_include=PlanDefinition:depends-on:Library', ['Library/lib']],
  ['PlanDefinition?_include=PlanDefinition:*', ['Library/lib', 'Questionnaire/new', 'Questionnaire/old']],
  [
    'PlanDefinition?_include=PlanDefinition:successor&_revinclude:iterate=QuestionnaireResponse:questionnaire',
    ['Questionnaire/new', 'QuestionnaireResponse/any', 'QuestionnaireResponse/two'],
  ],
  ['Questionnaire?_id=old&_revinclude=QuestionnaireResponse:questionnaire', ['QuestionnaireResponse/one']],
  [
    'Questionnaire?_id=other&_revinclude=QuestionnaireResponse:questionnaire',
    ['QuestionnaireResponse/local', 'QuestionnaireResponse/other'],
  ],
  ['Questionnaire?_id=old&_revinclude=PlanDefinition:*', ['PlanDefinition/plan']],
  ['Questionnaire?_id=old&_revinclude=*', ['PlanDefinition/plan', 'QuestionnaireResponse/one']],
  ['Questionnaire?_id=old&_revinclude=PlanDefinition:successor', []],
])('R4 search.html#include: %s', async (query, expected) => {
  expect(await included(query)).toEqual(expected);
});

test('what is no reference of a search parameter is not included by *', async () => {
  await app()
    .send('put', '/Basic/aside')
    .type('application/fhir+json')
    .send({
      resourceType: 'Basic',
      id: 'aside',
      code: { text: 'x' },
      extension: [{ url: 'http://x', valueReference: { reference: 'Library/lib' } }],
    })
    .expect(201);
  expect(await included('Basic?_id=aside&_include=*')).toEqual([]);
});

refuses('R4 search.html#include: where it is not known what is referred to', 'Bundle', [
  ['_include=Bundle:composition', 'not-supported', /part of the references/],
  ['composition.status=final', 'not-supported', /part of the references/],
]);
refuses('R4 search.html#include: canonicals lead to what has a url', 'Patient', [
  ['_revinclude=PlanDefinition:depends-on', 'value', /finds nothing for Patient/],
  ['_has:PlanDefinition:depends-on:status=active', 'value', /cannot find a Patient/],
]);
