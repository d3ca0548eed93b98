import { Refusal } from '../../src/fhir/outcome.ts';
import {
  demandFhirJson,
  encodingOf,
  FHIR_JSON,
  isFhirJson,
  namesFhir,
  negotiate,
} from '../../src/http/negotiation.ts';
import type { Parameter } from '../../src/search/query-string.ts';

const JSON_TYPE = 'application/json; charset=utf-8';

describe('R4 http.html#mime-type: what Accept asks for', () => {
  test.each([
    [undefined, FHIR_JSON],
    ['*/*', FHIR_JSON],
    ['application/*', FHIR_JSON],
    ['application/fhir+json', FHIR_JSON],
    ['Application/FHIR+JSON', FHIR_JSON],
    ['application/json', JSON_TYPE],
    ['text/json', JSON_TYPE],
    ['application/json, text/plain, */*', FHIR_JSON],
    ['application/json;q=1.0, application/fhir+json;q=0.5', JSON_TYPE],
    ['application/fhir+xml, application/fhir+json;q=0.1', FHIR_JSON],
    ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', FHIR_JSON],
    ['application/fhir+json; fhirVersion=4.0', FHIR_JSON],
    ['application/fhir+json; fhirVersion="4.0"; q=0.9', FHIR_JSON],
    ['application/fhir+json;q=0, */*', JSON_TYPE],
  ])('%s gets %s', (accept, contentType) => {
    expect(negotiate(accept, []).format?.contentType).toBe(contentType);
  });

  test.each([
    'application/fhir+xml',
    'text/turtle',
    'image/png',
    'application/fhir+json;q=0',
    'application/fhir+json; fhirVersion=3.0',
    'application/fhir+json; fhirVersion=5.0',
    'application/fhir+json;q=0, application/json;q=0, */*',
    'application/fhir+json;q=abc',
    '',
  ])('%s cannot be had', (accept) => {
    expect(negotiate(accept, []).format).toBeUndefined();
  });
});

describe('R4 http.html#parameters: _format and _pretty', () => {
  const asked = (accept: string, ...parameters: Parameter[]) => negotiate(accept, parameters);

  test.each(['json', 'application/json', 'application/fhir+json', 'application/fhir json', 'text/json'])(
    '_format=%s comes before Accept',
    (format) => {
      expect(asked('application/fhir+xml', ['_format', format]).format?.contentType).toBe(FHIR_JSON);
    },
  );

  test.each(['xml', 'application/fhir+xml', 'ttl', 'html', 'application/fhir+json; fhirVersion=3.0'])(
    '_format=%s cannot be had',
    (format) => {
      expect(asked('application/fhir+json', ['_format', format]).format).toBeUndefined();
    },
  );

  test('they are taken out of the parameters, and kept for links', () => {
    const pretty: Parameter = ['_pretty', 'true'];
    const { format, parameters } = asked('*/*', ['code', 'a'], pretty, ['code', 'b']);
    expect(format).toEqual({ contentType: FHIR_JSON, pretty: true, asked: [pretty] });
    expect(parameters).toEqual([
      ['code', 'a'],
      ['code', 'b'],
    ]);
  });

  test('they may stand once, and _pretty is a boolean', () => {
    expect(() => asked('*/*', ['_format', 'json'], ['_format', 'json'])).toThrow(Refusal);
    expect(() => asked('*/*', ['_pretty', 'yes'])).toThrow('_pretty is true or false');
  });
});

describe('R4 http.html#mime-type: what a body says to be', () => {
  test.each([
    'application/fhir+json',
    'application/json',
    'application/fhir+json; charset=utf-8',
    'application/fhir+json;charset="UTF-8"',
    'application/fhir+json; fhirVersion=4.0',
  ])('%s is read', (contentType) => {
    expect(() => demandFhirJson(contentType)).not.toThrow();
    expect(isFhirJson(contentType)).toBe(true);
  });

  test.each([
    [undefined, 'without Content-Type'],
    ['application/fhir+xml', 'XML comes later'],
    ['text/plain', 'is not read'],
    ['application/fhir+json; fhirVersion=5.0', 'FHIR R4'],
    ['application/fhir+json; charset=iso-8859-1', 'UTF-8'],
  ])('%s is 415', (contentType, message) => {
    expect(() => demandFhirJson(contentType)).toThrow(message);
  });
});

test.each([
  [undefined, undefined, false],
  ['*/*', undefined, false],
  ['application/pdf', undefined, false],
  ['application/json', undefined, false],
  ['application/fhir+json', undefined, true],
  ['image/png, application/fhir+json;q=0.5', undefined, true],
  ['image/png', 'json', true],
])('R4 binary.html#rest: Accept %s, _format %s names FHIR: %s', (accept, format, expected) => {
  const { format: negotiated } = negotiate(accept, format === undefined ? [] : [['_format', format]]);
  expect(namesFhir(accept, negotiated)).toBe(expected);
});

test.each([
  [undefined, undefined],
  ['', undefined],
  ['identity', undefined],
  ['gzip', 'gzip'],
  ['br', 'br'],
  ['gzip, deflate, br', 'gzip'],
  ['br;q=1.0, gzip;q=0.8', 'br'],
  ['gzip;q=0, br;q=0', undefined],
  ['*', 'gzip'],
  ['gzip;q=0, *', 'br'],
])('RFC 9110 12.5.3: Accept-Encoding %s gets %s', (accept, encoding) => {
  expect(encodingOf(accept)).toBe(encoding);
});
