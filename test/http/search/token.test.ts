/** Tokens (R4 search.html#token): code, system|code, |code, system|, by the type of the element; and their modifiers. */
import { concept, type Resources, world } from './world.ts';

const LOINC = 'http://loinc.org';
const MR = 'http://terminology.hl7.org/CodeSystem/v2-0203';
const observed = (code: object, more: object = {}): object => ({ status: 'final', code, ...more });
const identified = (...identifier: object[]): object => ({ identifier });
const type = (token: string, more: object = {}): object => concept(token, more);

const OBSERVATIONS: Resources = {
  'Observation/loinc': observed(concept(`${LOINC}|a`)),
  'Observation/other': observed(concept('urn:x|a')),
  'Observation/bare': observed(concept('a')),
  'Observation/upper': observed(concept(`${LOINC}|A`)),
  'Observation/both': observed({
    coding: [
      { system: LOINC, code: 'a' },
      { system: 'urn:x', code: 'b' },
    ],
  }),
  'Observation/comma': observed(concept('urn:x|a,b')),
  'Observation/pipe': observed({ coding: [{ system: 'urn:x|y', code: 'a|b' }] }),
  'Observation/dollar': observed(concept('urn:x|a$b')),
  'Observation/slash': observed(concept('urn:x|a\\b')),
  'Observation/system': observed({ coding: [{ system: LOINC, display: 'Glucose' }] }),
  'Observation/text': observed({ text: 'Blutzucker, nüchtern' }, { status: 'amended' }),
  'Observation/display': observed(
    { coding: [{ code: 'd', display: 'Blutzucker kapillär' }] },
    { status: 'amended' },
  ),
  'Observation/lab': observed(concept('c'), {
    category: [concept('urn:cat|lab'), concept('urn:cat|urgent')],
    interpretation: [concept('urn:i|H')],
    method: concept('urn:m|m1'),
  }),
  'Observation/vital': observed(concept('c'), { category: [concept('urn:cat|vital')] }),
};

const PATIENTS: Resources = {
  'Patient/ann': {
    gender: 'female',
    active: true,
    deceasedBoolean: false,
    telecom: [
      { system: 'phone', use: 'home', value: '555-0100' },
      { system: 'email', value: 'ann@example.org' },
    ],
    communication: [{ language: concept('urn:ietf:bcp:47|nl') }, { language: concept('urn:ietf:bcp:47|en') }],
    ...identified(
      { system: 'urn:mrn', value: '1', type: type(`${MR}|MR`, { text: 'Chart number' }) },
      { system: 'urn:ssn', value: '2', type: type(`${MR}|SS`) },
    ),
  },
  'Patient/bob': {
    gender: 'male',
    active: false,
    telecom: [{ system: 'phone', value: '555-0199' }],
    communication: [{ language: concept('urn:ietf:bcp:47|nl') }],
    ...identified({ system: 'urn:mrn', value: '2' }, { system: 'urn:only-system' }),
  },
  'Patient/cid': {
    deceasedDateTime: '2020',
    communication: [{ language: concept('urn:ietf:bcp:47|fr') }],
    ...identified({ value: '1' }, { value: '1.2.3', system: 'urn:oid' }),
  },
  'Patient/dee': { gender: 'other', ...identified({ system: '1.2.3', value: 'x' }) },
};

const document = (...attachments: object[]): object => ({
  status: 'current',
  content: attachments.map((attachment) => ({ attachment })),
});
const OTHERS: Resources = {
  'DocumentReference/plain': document({ contentType: 'text/xml' }),
  'DocumentReference/utf8': document({ contentType: 'text/xml; charset=UTF-8' }),
  'DocumentReference/json': document(
    { contentType: 'application/json' },
    { contentType: 'text/xml-external' },
  ),
  'ValueSet/beta': { status: 'active', version: '1.0-beta', url: 'http://a/vs' },
  'AllergyIntolerance/active': {
    patient: { reference: 'Patient/ann' },
    clinicalStatus: concept('http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical|active'),
  },
  'AllergyIntolerance/unknown': { patient: { reference: 'Patient/ann' } },
  'Composition/sections': {
    status: 'final',
    type: concept('t'),
    date: '2024',
    author: [{ display: 'x' }],
    title: 'x',
    section: [{ code: concept('urn:s|48765-2') }, { code: concept('urn:s|other') }],
  },
  'Composition/other': {
    status: 'final',
    type: concept('t'),
    date: '2024',
    author: [{ display: 'x' }],
    title: 'x',
    section: [{ code: concept('urn:s|other') }],
  },
  'Encounter/amb': {
    status: 'finished',
    class: { system: 'http://terminology.hl7.org/CodeSystem/v3-ActCode', code: 'AMB', display: 'ambulatory' },
  },
};

const { finds, refuses } = world(OBSERVATIONS, PATIENTS, OTHERS);

finds('R4 search.html#token: of a CodeableConcept any coding', 'Observation', [
  ['code=a', 'loinc other bare both'],
  [`code=${LOINC}|a`, 'loinc both'],
  ['code=urn:x|a', 'other'],
  ['code=urn:none|a', ''],
  ['code=|a', 'bare'],
  ['code=|d', 'display'],
  ['code=|b', ''],
  [`code=${LOINC}|`, 'loinc upper both system'],
  ['code=urn:x|', 'other both comma dollar slash'],
  ['code=urn:none|', ''],
  ['code=b', 'both'],
  [`code=${LOINC}|b`, ''],
  ['code=A', 'upper'],
  ['code=Glucose', ''],
  ['code=a,d', 'loinc other bare both display'],
  [`code=|a,${LOINC}|A`, 'bare upper'],
  ['code=a&code=b', 'both'],
  [`code=${LOINC}|a&code=urn:x|b`, 'both'],
  ['combo-code=b', 'both'],
  ['category=urn:cat|lab', 'lab'],
  ['category=lab&category=urgent', 'lab'],
  ['category=lab,vital', 'lab vital'],
  ['method=m1', 'lab'],
  ['method=urn:m|', 'lab'],
]);

finds('R4 search.html#escaping: separators within codes and systems', 'Observation', [
  ['code=a\\,b', 'comma'],
  ['code=urn:x|a\\,b', 'comma'],
  ['code=a\\|b', 'pipe'],
  ['code=urn:x\\|y|a\\|b', 'pipe'],
  ['code=urn:x\\|y|', 'pipe'],
  ['code=a$b', 'dollar'],
  ['code=a\\$b', 'dollar'],
  ['code=a\\\\b', 'slash'],
  ['code=a\\,b,a\\\\b,d', 'comma slash display'],
]);

finds('R4 search.html#token: of a code its own system, of a boolean and ContactPoint none', 'Patient', [
  ['gender=male', 'bob'],
  ['gender=http://hl7.org/fhir/administrative-gender|male', 'bob'],
  ['gender=http://hl7.org/fhir/administrative-gender|', 'ann bob dee'],
  ['gender=urn:x|male', ''],
  ['gender=|male', 'bob'],
  ['gender=Male', ''],
  ['gender=male,female', 'ann bob'],
  ['active=true', 'ann'],
  ['active=false', 'bob'],
  ['active=maybe', ''],
  ['deceased=true', 'cid'],
  ['deceased=false', 'ann bob dee'],
  ['phone=555-0100', 'ann'],
  ['phone=555', ''],
  ['email=ann@example.org', 'ann'],
  ['telecom=ann@example.org,555-0199', 'ann bob'],
  ['email=555-0100', ''],
  ['language=nl', 'ann bob'],
  ['language=nl&language=en', 'ann'],
  ['language=fr,en', 'ann cid'],
  ['language=fr,nl&language=en', 'ann'],
]);

finds('R4 search.html#token: of an Identifier', 'Patient', [
  ['identifier=urn:mrn|1', 'ann'],
  ['identifier=1', 'ann cid'],
  ['identifier=2', 'ann bob'],
  ['identifier=urn:mrn|2', 'bob'],
  ['identifier=|1', 'cid'],
  ['identifier=urn:mrn|', 'ann bob'],
  ['identifier=urn:only-system|', 'bob'],
  ['identifier=urn:ssn|1', ''],
  ['identifier=urn:mrn|1,urn:mrn|2', 'ann bob'],
  ['identifier=urn:mrn|1&identifier=urn:ssn|2', 'ann'],
  ['identifier=urn:mrn|1&identifier=urn:mrn|2', ''],
  // a root that may stand in the system or the value
  ['identifier=1.2.3,1.2.3|', 'cid dee'],
  [`identifier:of-type=${MR}|MR|1`, 'ann'],
  [`identifier:of-type=${MR}|MR|2`, ''],
  [`identifier:of-type=${MR}|SS|2`, 'ann'],
  [`identifier:of-type=${MR}|SS|2,${MR}|MR|9`, 'ann'],
  ['identifier:of-type=urn:x|MR|1', ''],
  ['identifier:text=chart', 'ann'],
  ['identifier:text=number', ''],
  ['identifier:missing=true', ''],
]);

finds('R4 search.html#token: ":text", as of a string', 'Observation', [
  ['code:text=blutzucker', 'text display'],
  ['code:text=BLUTZUCKER N', 'text'],
  ['code:text=blutzucker kapillar', 'display'],
  ['code:text=nuchtern', ''],
  ['code:text=glucose,blutzucker k', 'system display'],
  ['code:text=d', ''],
  ['code:text=blutzucker&code=d', 'display'],
]);

const REST = 'loinc other bare upper both comma pipe dollar slash system text display';
finds('R4 search.html#token: ":not", also where there is none, and for the whole set', 'Observation', [
  ['category:not=lab', `${REST} vital`],
  ['category:not=urn:cat|lab', `${REST} vital`],
  ['category:not=urgent', `${REST} vital`],
  ['category:not=lab,vital', REST],
  ['category:not=lab&category:not=vital', REST],
  ['category:not=none', `${REST} lab vital`],
  ['category:not=lab&category:missing=false', 'vital'],
  ['code:not=a&category:missing=false', 'lab vital'],
  ['status:not=final', 'text display'],
  ['category=vital&code:not=a', 'vital'],
  ['category:not=urn:cat|', REST],
]);

finds('R4 search.html#token: ":not" of others', 'Patient', [
  ['gender:not=male', 'ann cid dee'],
  ['gender:not=male,female', 'cid dee'],
  ['gender:not=male&gender:missing=false', 'ann dee'],
  ['active:not=true', 'bob cid dee'],
  ['language:not=nl', 'cid dee'],
  ['language:not=en,fr', 'bob dee'],
  ['identifier:not=urn:mrn|1', 'bob cid dee'],
  ['deceased:not=true', 'ann bob dee'],
]);

finds('R4 search.html#missing: what has no value is not found by one', 'AllergyIntolerance', [
  ['clinical-status=active', 'active'],
  ['clinical-status:not=active', 'unknown'],
  ['clinical-status:missing=true', 'unknown'],
  ['clinical-status=active&clinical-status:missing=true', ''],
  ['clinical-status=http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical|active', 'active'],
]);

finds('R4 search.html#token: sections', 'Composition', [
  ['section=48765-2', 'sections'],
  ['section:not=48765-2', 'other'],
  ['section=other', 'sections other'],
  ['section:not=other', ''],
]);

finds('R4 search.html#mimetype: ":below" of a type is with its parameters', 'DocumentReference', [
  ['contenttype=text/xml', 'plain'],
  ['contenttype:below=text/xml', 'plain utf8'],
  ['contenttype:below=text', 'plain utf8 json'],
  ['contenttype:below=application/json,image/png', 'json'],
  ['contenttype:not=text/xml', 'utf8 json'],
]);

finds('R4 search.html#token: a Coding', 'Encounter', [
  ['class=AMB', 'amb'],
  ['class=http://terminology.hl7.org/CodeSystem/v3-ActCode|AMB', 'amb'],
  ['class=|AMB', ''],
  ['class:text=ambul', 'amb'],
]);

finds('R4 search.html#token: of a string, whatever its case', 'ValueSet', [
  ['version=1.0-beta', 'beta'],
  ['version=1.0-BETA', 'beta'],
  ['version=1.0', ''],
  ['status=http://hl7.org/fhir/publication-status|active', 'beta'],
  ['status=active,draft', 'beta'],
]);

const FORM = /must be code, system\|code, \|code or system\|/;
refuses('R4 search.html#token: what is no token', 'Patient', [
  ['identifier=a|b|c', 'value', FORM],
  ['identifier=|', 'value', FORM],
  ['identifier=a\\b', 'value', /"\\"/],
  ['identifier:of-type=MR|1', 'value', /must be system\|code\|value/],
  ['identifier:of-type=a|MR|', 'value', /must be system\|code\|value/],
  ['identifier:of-type=1', 'value', /must be system\|code\|value/],
  ['gender:exact=male', 'not-supported', /it cannot have: possible are .*:not, :text/],
  ['gender:contains=male', 'not-supported', /it cannot have/],
  ['gender:type=male', 'not-supported', /":type"/],
  ['gender:missing=maybe', 'value', /true or false/],
  ['gender:missing=true,false', 'value', /true or false/],
  ['identifier:otype=a|b|c', 'not-supported', /":otype"/],
]);
