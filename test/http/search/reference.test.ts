/** References (R4 search.html#reference, #versions, #recursive): where they lead, not how they are written. */
import { type Resources, world } from './world.ts';

const BASE = 'https://fhir.example.org/fhir';
const about = (reference: string, more: object = {}): object => ({
  status: 'final',
  code: { text: 'x' },
  subject: { reference },
  ...more,
});
const member = (reference: string): object => about('Patient/bob', { hasMember: [{ reference }] });

const OBSERVATIONS: Resources = {
  'Patient/p': { name: [{ family: 'Pea' }] },
  'Patient/pp': {},
  'Patient/bob': {},
  'Group/p': { type: 'person', actual: true },
  'Observation/relative': about('Patient/p'),
  'Observation/absolute': about(`${BASE}/Patient/p`),
  'Observation/version1': about('Patient/p/_history/1'),
  'Observation/version2': about(`${BASE}/Patient/p/_history/2`),
  'Observation/group': about('Group/p'),
  'Observation/longer': about('Patient/pp'),
  'Observation/foreign': about('http://elsewhere.org/fhir/Patient/p'),
  'Observation/urn': about('urn:uuid:11111111-1111-4111-8111-111111111111'),
  'Observation/identified': {
    status: 'final',
    code: { text: 'x' },
    subject: { type: 'Patient', identifier: { system: 'urn:mrn', value: '123' } },
  },
  'Observation/unsystematic': {
    status: 'final',
    code: { text: 'x' },
    subject: { identifier: { value: '123' }, reference: 'Patient/bob' },
  },
  'Observation/contained': {
    status: 'final',
    code: { text: 'x' },
    contained: [{ resourceType: 'Patient', id: 'in' }],
    subject: { reference: '#in' },
  },
  // As only canonicals have versions: it leads nowhere, though another reference leads to that patient.
  'Observation/barred': {
    status: 'final',
    code: { text: 'x' },
    subject: { reference: 'Patient/barred|2' },
    performer: [{ reference: 'Patient/barred' }],
  },
  'Observation/nobody': { status: 'final', code: { text: 'x' }, subject: { display: 'somebody' } },
  'Observation/member': member('Observation/relative'),
  'Observation/member1': member('Observation/relative/_history/1'),
  'Observation/member2': member(`${BASE}/Observation/relative/_history/2`),
};

const response = (questionnaire: string): object => ({ status: 'completed', questionnaire });
const CANONICALS: Resources = {
  'QuestionnaireResponse/v10': response('http://acme.org/q|1.0'),
  'QuestionnaireResponse/v11': response('http://acme.org/q|1.1'),
  'QuestionnaireResponse/v20': response('http://acme.org/q|2.0'),
  'QuestionnaireResponse/none': response('http://acme.org/q'),
  'QuestionnaireResponse/other': response('http://acme.org/q2|1.0'),
};

const place = (part?: string): object => ({ ...(part && { partOf: { reference: `Location/${part}` } }) });
const HIERARCHY: Resources = {
  'Location/42': place(),
  'Location/wing': place('42'),
  'Location/ward': place('wing'),
  'Location/bed': place('ward'),
  'Location/elsewhere': place(),
  'Procedure/at-42': {
    status: 'completed',
    subject: { reference: 'Patient/p' },
    location: { reference: 'Location/42' },
  },
  'Procedure/at-ward': {
    status: 'completed',
    subject: { reference: 'Patient/p' },
    location: { reference: 'Location/ward' },
  },
  'Procedure/elsewhere': {
    status: 'completed',
    subject: { reference: 'Patient/p' },
    location: { reference: 'Location/elsewhere' },
  },
};

const { app, finds, refuses } = world(OBSERVATIONS, CANONICALS, HIERARCHY);

const PATIENT = 'relative absolute version1 version2';
finds('R4 search.html#reference: an id, Type/id, a url of this server, a url', 'Observation', [
  ['subject=p', `${PATIENT} group`],
  ['subject=Patient/p', PATIENT],
  ['subject=Group/p', 'group'],
  [`subject=${BASE}/Patient/p`, PATIENT],
  [`subject=${BASE}/Group/p`, 'group'],
  ['subject:Patient=p', PATIENT],
  ['subject:Patient=Patient/p', PATIENT],
  ['subject:Group=p', 'group'],
  ['patient=p', PATIENT],
  ['patient=Patient/p', PATIENT],
  [`patient=${BASE}/Patient/p`, PATIENT],
  ['subject=pp', 'longer'],
  ['subject=Patient/barred', ''],
  ['patient=barred', ''],
  ['performer=Patient/barred', 'barred'],
  ['subject=P', ''],
  ['subject=nobody', ''],
  ['subject=in', ''],
  ['subject=http://elsewhere.org/fhir/Patient/p', 'foreign'],
  ['patient=http://elsewhere.org/fhir/Patient/p', 'foreign'],
  ['subject=http://elsewhere.org/fhir/Patient/pp', ''],
  ['subject=https://elsewhere.org/fhir/Patient/p', ''],
  ['subject=urn:uuid:11111111-1111-4111-8111-111111111111', 'urn'],
  ['subject=Patient/p,Group/p', `${PATIENT} group`],
  ['subject=pp,http://elsewhere.org/fhir/Patient/p', 'longer foreign'],
  ['subject=Patient/p&subject=Group/p', ''],
  ['patient=p&subject=Patient/p', PATIENT],
  ['has-member=relative', 'member member1 member2'],
  ['has-member=Observation/relative', 'member member1 member2'],
  // what is only shown is no value
  ['subject:missing=true', 'nobody'],
  ['has-member:missing=false', 'member member1 member2'],
]);

finds('R4 search.html#versions: a version that is asked for is the one that is referred to', 'Observation', [
  ['subject=Patient/p/_history/1', 'version1'],
  [`subject=${BASE}/Patient/p/_history/2`, 'version2'],
  ['patient=Patient/p/_history/2', 'version2'],
  ['subject=Patient/p/_history/3', ''],
  ['subject=Patient/p/_history/1,Patient/p/_history/2', 'version1 version2'],
  ['patient=pp,Patient/p/_history/2', 'longer version2'],
  ['has-member=Observation/relative/_history/1', 'member1'],
  ['has-member=Observation/relative/_history/2,Observation/relative/_history/3', 'member2'],
]);

finds('R4 search.html#reference: ":identifier" is as a token', 'Observation', [
  ['subject:identifier=urn:mrn|123', 'identified'],
  ['subject:identifier=123', 'identified unsystematic'],
  ['subject:identifier=|123', 'unsystematic'],
  ['subject:identifier=urn:mrn|', 'identified'],
  ['subject:identifier=urn:x|123', ''],
  ['subject:identifier=urn:x|1,urn:mrn|123', 'identified'],
  ['patient:identifier=urn:mrn|123', 'identified'],
  ['subject:identifier=p', ''],
]);

finds(
  'R4 search.html#versions: a canonical by its url, its version, or whichever version',
  'QuestionnaireResponse',
  [
    ['questionnaire=http://acme.org/q', 'v10 v11 v20 none'],
    ['questionnaire=http://acme.org/q|1.0', 'v10'],
    ['questionnaire=http://acme.org/q|1', ''],
    ['questionnaire=http://acme.org/q|1.0,http://acme.org/q2', 'v10 other'],
    ['questionnaire=http://acme.org/', ''],
    ['questionnaire=http://acme.org/Q', ''],
    ['questionnaire:below=http://acme.org/q', 'v10 v11 v20 none'],
    ['questionnaire:below=http://acme.org/q|1', 'v10 v11'],
    ['questionnaire:below=http://acme.org/q|2.0', 'v20'],
    ['questionnaire:below=http://acme.org/q|3', ''],
  ],
);

finds('R4 search.html#recursive: ":below" and ":above" in a hierarchy of places', 'Procedure', [
  ['location=42', 'at-42'],
  ['location:below=42', 'at-42 at-ward'],
  ['location:below=Location/42', 'at-42 at-ward'],
  ['location:below=wing', 'at-ward'],
  ['location:below=bed', ''],
  ['location:above=bed', 'at-42 at-ward'],
  ['location:above=42', 'at-42'],
  ['location:below=wing,elsewhere', 'at-ward elsewhere'],
]);

finds('R4 search.html#recursive: together with others, and beyond a reference', 'Patient', [
  ['_has:Procedure:patient:location:below=wing', 'p'],
  ['_has:Procedure:patient:location:below=bed', ''],
]);

test('R4 search.html#recursive: whoever may not search places does not learn what is part of them', async () => {
  const token = await app().app.issueToken({ scope: 'system/Procedure.rs', client: 'test', minutes: 5 });
  const asked = (query: string) =>
    app().send('get', `/Procedure?${query}`).set('Authorization', `Bearer ${token}`);
  await asked('location=42').expect(200);
  await asked('location:below=42').expect(403);
});

const FORM = /must be an id, Type\/id, Type\/id\/_history\/version or a url/;
refuses('R4 search.html#recursive: what has no hierarchy', 'QuestionnaireResponse', [
  ['questionnaire:above=http://acme.org/q', 'not-supported', /it cannot have/],
  ['subject:below=p', 'value', /must be Type\/id, of a type with a hierarchy: CarePlan, /],
]);

refuses('R4 search.html#reference: what is no reference', 'Observation', [
  ['subject=a b', 'value', FORM],
  ['subject=Patient/a b', 'value', FORM],
  ['subject=Patient/p/x', 'value', FORM],
  ['subject=Patient/p/_history', 'value', FORM],
  ['subject=#in', 'value', FORM],
  ['subject=/Patient/p', 'value', FORM],
  ['subject=Shoe/1', 'value', /cannot refer to Shoe: possible are .*Patient/],
  ['subject=Medication/1', 'value', /cannot refer to Medication/],
  ['subject:Group=Patient/p', 'value', /names Patient, and its modifier says Group/],
  ['subject:Medication=1', 'value', /cannot refer to Medication/],
  ['subject:patient=p', 'not-supported', /":patient", which it cannot have/],
  ['subject:exact=p', 'not-supported', /possible are :missing, :identifier/],
  ['subject:identifier=|', 'value', /must be code, system\|code/],
  ['has-member:below=relative', 'not-supported', /no hierarchy/],
]);
