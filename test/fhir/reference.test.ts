import fc from 'fast-check';
import { isId, parseReference } from '../../src/fhir/reference.ts';

const BASE = 'https://example.org/fhir';
const types = new Set(['Patient', 'Observation', 'Binary']);
const parse = (text: string, base = BASE) => parseReference(text, base, (type) => types.has(type));

describe('R4 references 2.3.0.1: where the target of a reference lives', () => {
  const longest = 'a'.repeat(64);
  test.each([
    ['Patient/1', 'Patient', '1', undefined],
    [`Patient/${longest}`, 'Patient', longest, undefined],
    ['Patient/A-z.9', 'Patient', 'A-z.9', undefined],
    ['Patient/1/_history/2', 'Patient', '1', '2'],
    [`${BASE}/Patient/1`, 'Patient', '1', undefined],
    [`${BASE}/Patient/1/_history/2`, 'Patient', '1', '2'],
  ])('%s is local', (text, type, id, version) => {
    expect(parse(text)).toEqual(version ? { kind: 'local', type, id, version } : { kind: 'local', type, id });
  });

  test('a base with a slash at its end is the same base', () => {
    expect(parse(`${BASE}/Patient/1`, `${BASE}/`)).toEqual({ kind: 'local', type: 'Patient', id: '1' });
  });

  test.each([
    'https://elsewhere.org/fhir/Patient/1',
    'https://example.org/fhir2/Patient/1',
    'https://example.org/fhirPatient/1',
    'http://example.org/fhir/Patient/1',
    'https://example.org/fhir',
    'mailto:someone@example.org',
    'ldap+x-1.0://a/b',
  ])('%s is absolute', (url) => {
    expect(parse(url)).toEqual({ kind: 'absolute', url });
  });

  test('# and an id is contained; # alone is the container', () => {
    expect(parse('#p1')).toEqual({ kind: 'contained', id: 'p1' });
    expect(parse('#')).toEqual({ kind: 'contained', id: '' });
  });

  test.each(['urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0', 'urn:oid:1.2.3'])('%s is a urn', (urn) => {
    expect(parse(urn)).toEqual({ kind: 'urn', urn });
  });

  test.each([
    '',
    'Patient',
    'Patient/',
    '/Patient/1',
    'Patient/1/',
    'Patient//1',
    `Patient/${longest}b`,
    'Patient/a_b',
    'Patient/1#p',
    'Patient/1|2',
    'Patient/1/_history',
    'Patient/1/_history/',
    'Patient/1/_history/2/3',
    'Patient/1/$everything',
    'Patient?identifier=1',
    'patient/1',
    'Nothing/1',
    '#a b',
    '1:x',
    `${BASE}/metadata`,
    `${BASE}/Nothing/1`,
    `${BASE}/`,
  ])('"%s" is invalid, with a reason that shows it', (text) => {
    expect(parse(text)).toEqual({ kind: 'invalid', reason: expect.stringContaining(text) });
  });

  test('reads back what was put together, and never throws', () => {
    const id = fc.stringMatching(/^[A-Za-z0-9.-]{1,64}$/);
    fc.assert(
      fc.property(id, id, (one, version) => {
        expect(isId(one)).toBe(true);
        expect(parse(`Patient/${one}`)).toEqual({ kind: 'local', type: 'Patient', id: one });
        const versioned = { kind: 'local', type: 'Binary', id: one, version };
        expect(parse(`${BASE}/Binary/${one}/_history/${version}`)).toEqual(versioned);
      }),
    );
    fc.assert(fc.property(fc.string(), (text) => typeof parse(text).kind === 'string'));
  });
});
