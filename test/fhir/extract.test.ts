import fc from 'fast-check';
import type { Resource } from 'fhir/r4.js';
import { loadDefinitions } from '../../src/fhir/definitions.ts';
import { compileExtractor, type Extractor, type SearchValue } from '../../src/fhir/extract.ts';

let extractor: Extractor;

beforeAll(async () => {
  extractor = compileExtractor(await loadDefinitions());
});

/** The values of one parameter, with absent members left out. */
function valuesOf(code: string, resource: object): SearchValue[] {
  const found = extractor.extract(resource as Resource).filter(({ parameter }) => parameter.code === code);
  return JSON.parse(
    JSON.stringify(
      found.map(({ value }) => value),
      // JSON has no infinities
      (_key, value) => (value === Infinity ? '∞' : value === -Infinity ? '-∞' : value),
    ),
  );
}

describe('R4 search 3.1.1.4: values of each data type', () => {
  const observation = (more: object) => ({ resourceType: 'Observation', ...more });

  test('token of a CodeableConcept: each coding with its display, and the text by itself', () => {
    const code = { coding: [{ system: 's', code: 'a', display: 'A' }, { code: 'b' }], text: 'T' };
    expect(valuesOf('code', observation({ code }))).toEqual([
      { kind: 'token', system: 's', code: 'a', text: 'A' },
      { kind: 'token', code: 'b' },
      { kind: 'token', text: 'T' },
    ]);
  });

  test('token of an Identifier: once for each coding of its type', () => {
    const type = { coding: [{ system: 't', code: 'MR' }, { code: 'XX' }], text: 'record number' };
    const identifier = [{ system: 's', value: '1', type }, { value: '2' }, { type: { text: 'nothing' } }];
    expect(valuesOf('identifier', { resourceType: 'Patient', identifier })).toEqual([
      { kind: 'token', system: 's', code: '1', text: 'record number', typeSystem: 't', typeCode: 'MR' },
      { kind: 'token', system: 's', code: '1', text: 'record number', typeCode: 'XX' },
      { kind: 'token', code: '2' },
      { kind: 'token', text: 'nothing' },
    ]);
  });

  test('token of a ContactPoint: its value without a system, of the kind that the parameter asks for', () => {
    const telecom = [
      { system: 'phone', value: '1', use: 'home' },
      { system: 'email', value: 'a@b' },
      { system: 'email', use: 'work' },
    ];
    const patient = { resourceType: 'Patient', telecom };
    expect(valuesOf('telecom', patient)).toEqual([
      { kind: 'token', code: '1' },
      { kind: 'token', code: 'a@b' },
    ]);
    expect(valuesOf('email', patient)).toEqual([{ kind: 'token', code: 'a@b' }]);
  });

  test('token of code, boolean, string and Coding', () => {
    const patient = {
      resourceType: 'Patient',
      gender: 'male',
      active: false,
      meta: { tag: [{ code: 't' }] },
    };
    expect(valuesOf('gender', patient)).toEqual([{ kind: 'token', code: 'male' }]);
    expect(valuesOf('active', patient)).toEqual([{ kind: 'token', code: 'false' }]);
    expect(valuesOf('_tag', patient)).toEqual([{ kind: 'token', code: 't' }]);
    expect(valuesOf('deviceid', { resourceType: 'Device' })).toEqual([]);
  });

  test.each([
    [{}, 'false'],
    [{ deceasedBoolean: false }, 'false'],
    [{ deceasedBoolean: true }, 'true'],
    [{ deceasedDateTime: '2020' }, 'true'],
  ])('Patient.deceased with %j is %s', (more, code) => {
    expect(valuesOf('deceased', { resourceType: 'Patient', ...more })).toEqual([{ kind: 'token', code }]);
  });

  test('string of HumanName and Address: each part, and the text', () => {
    const name = [{ text: 'T', family: 'F', given: ['G', 'H'], prefix: ['P'], suffix: ['S'], use: 'usual' }];
    const address = [
      { text: 'T', line: ['L'], city: 'C', district: 'D', state: 'S', postalCode: 'P', country: 'N' },
    ];
    const texts = (code: string) =>
      valuesOf(code, { resourceType: 'Patient', name, address }).map(
        (value) => value.kind === 'string' && value.text,
      );
    expect(texts('name')).toEqual(['T', 'F', 'G', 'H', 'P', 'S']);
    expect(texts('given')).toEqual(['G', 'H']);
    expect(texts('address')).toEqual(['T', 'L', 'C', 'D', 'S', 'P', 'N']);
    expect(texts('address-city')).toEqual(['C']);
  });

  const at = (text: string) => Date.parse(text);
  test.each([
    [{ effectiveDateTime: '2020-02' }, at('2020-02-01'), at('2020-03-01')],
    [
      { effectiveInstant: '2020-02-03T04:05:06.5Z' },
      at('2020-02-03T04:05:06.500Z'),
      at('2020-02-03T04:05:06.501Z'),
    ],
    [{ effectivePeriod: { start: '2020', end: '2021-03-04' } }, at('2020-01-01'), at('2021-03-05')],
    [{ effectivePeriod: { start: '2020' } }, at('2020-01-01'), '∞'],
    [{ effectivePeriod: { end: '2020' } }, '-∞', at('2021-01-01')],
    [{ effectiveTiming: { event: ['2020-03-01', '2020-01-05'] } }, at('2020-01-05'), at('2020-03-02')],
    [{ effectiveTiming: { repeat: { boundsPeriod: { start: '2020-01-05' } } } }, at('2020-01-05'), '∞'],
  ])('date of %j', (more, low, high) => {
    expect(valuesOf('date', observation(more))).toEqual([{ kind: 'date', low, high }]);
  });

  test.each([
    { effectiveDateTime: '2021-02-30' },
    { _effectiveDateTime: { extension: [] } },
    { effectivePeriod: { start: '2021', end: '2020' } },
    { effectivePeriod: {} },
    { effectiveTiming: { code: { text: 'BID' } } },
  ])('date of %j gives none', (more) => {
    expect(valuesOf('date', observation(more))).toEqual([]);
  });

  const unit = { system: 'http://unitsofmeasure.org', code: 'mg', unit: 'milligram' };
  test.each([
    [{ valueQuantity: { value: 5.4, ...unit } }, { low: 5.4, high: 5.4, ...unit }],
    [{ valueQuantity: { value: 5, comparator: '<=' } }, { low: '-∞', high: 5 }],
    [{ valueQuantity: { value: 5, comparator: '<' } }, { low: '-∞', high: 4.999999999999999 }],
    [{ valueQuantity: { value: -5, comparator: '>' } }, { low: -4.999999999999999, high: '∞' }],
    [{ valueQuantity: { value: 0, comparator: '>' } }, { low: 5e-324, high: '∞' }],
    [{ valueQuantity: { value: 5, comparator: '>=' } }, { low: 5, high: '∞' }],
    [
      { valueSampledData: { origin: { value: 10, ...unit }, factor: 2, data: '1 -3 E 2' } },
      { low: 4, high: 14, ...unit },
    ],
    [{ valueSampledData: { origin: { value: 0 }, lowerLimit: -9, data: 'L 1 U' } }, { low: -9, high: '∞' }],
  ])('quantity of %j', (more, wanted) => {
    expect(valuesOf('value-quantity', observation(more))).toEqual([{ kind: 'quantity', ...wanted }]);
  });

  test('quantity of a Range is open where an end is absent; of Money the currency is its code', () => {
    const condition = { resourceType: 'Condition', onsetRange: { low: { value: 3, ...unit } } };
    expect(valuesOf('onset-age', condition)).toEqual([{ kind: 'quantity', low: 3, high: '∞', ...unit }]);
    const invoice = { resourceType: 'Invoice', totalNet: { value: 7, currency: 'EUR' } };
    const currency = { system: 'urn:iso:std:iso:4217', code: 'EUR' };
    expect(valuesOf('totalnet', invoice)).toEqual([{ kind: 'quantity', low: 7, high: 7, ...currency }]);
  });

  test('number of a decimal and of a Range', () => {
    const prediction = [
      { probabilityDecimal: 0.25 },
      { probabilityRange: { low: { value: 1 }, high: { value: 2 } } },
      { probabilityRange: {} },
    ];
    expect(valuesOf('probability', { resourceType: 'RiskAssessment', prediction })).toEqual([
      { kind: 'number', low: 0.25, high: 0.25 },
      { kind: 'number', low: 1, high: 2 },
    ]);
  });

  test('reference of a Reference: its text, or its identifier; a display alone points nowhere', () => {
    const performer = [
      { reference: 'Practitioner/1', type: 'Practitioner' },
      { identifier: { system: 's', value: 'v' } },
      { display: 'somebody' },
    ];
    expect(valuesOf('performer', observation({ performer }))).toEqual([
      { kind: 'reference', reference: 'Practitioner/1', type: 'Practitioner' },
      { kind: 'reference', identifier: { system: 's', value: 'v' } },
    ]);
  });

  test.each([
    [{ reference: 'Patient/1' }, true],
    [{ reference: 'http://elsewhere/fhir/Patient/1/_history/2' }, true],
    [{ reference: '#p' }, true],
    [{ reference: 'urn:uuid:4', type: 'Patient' }, true],
    [{ identifier: { value: '4' }, type: 'http://hl7.org/fhir/StructureDefinition/Patient' }, true],
    [{ reference: 'Group/1', type: 'Group' }, false],
    [{ reference: '#other' }, false],
    [{ reference: 'urn:uuid:4' }, false],
  ])('patient, "subject.where(resolve() is Patient)", with the subject %j: %s', (subject, found) => {
    const contained = [
      { resourceType: 'Patient', id: 'p' },
      { resourceType: 'Group', id: 'other' },
    ];
    expect(valuesOf('patient', observation({ subject, contained })).length > 0).toBe(found);
  });

  test('reference of a canonical keeps its version; of the first entry of a document is that resource', () => {
    const plan = { resourceType: 'CarePlan', instantiatesCanonical: ['http://a/PlanDefinition/1|2'] };
    expect(valuesOf('instantiates-canonical', plan)).toEqual([
      { kind: 'reference', reference: 'http://a/PlanDefinition/1|2', canonical: true },
    ]);
    const entry = [
      { resource: { resourceType: 'Composition', id: 'c' } },
      { resource: { resourceType: 'Patient', id: 'p' } },
    ];
    const document = { resourceType: 'Bundle', type: 'document', entry };
    expect(valuesOf('composition', document)).toEqual([
      { kind: 'reference', reference: 'Composition/c', type: 'Composition' },
    ]);
    expect(valuesOf('message', document)).toEqual([]);
  });

  test('uri of url, canonical and source', () => {
    const valueSet = {
      resourceType: 'ValueSet',
      url: 'http://a',
      meta: { profile: ['http://p'], source: 'urn:x' },
    };
    expect(valuesOf('url', valueSet)).toEqual([{ kind: 'uri', uri: 'http://a' }]);
    expect(valuesOf('_profile', valueSet)).toEqual([{ kind: 'uri', uri: 'http://p' }]);
    expect(valuesOf('_source', valueSet)).toEqual([{ kind: 'uri', uri: 'urn:x' }]);
  });

  test('position of a Location', () => {
    const location = { resourceType: 'Location', position: { longitude: 8.5, latitude: 47.4 } };
    expect(valuesOf('near', location)).toEqual([{ kind: 'position', longitude: 8.5, latitude: 47.4 }]);
  });

  test('composite: the parts of one element belong together', () => {
    const pressure = (code: string, value: number) => ({
      code: { coding: [{ code }] },
      valueQuantity: { value },
    });
    const component = [pressure('sys', 120), pressure('dia', 80), { code: { coding: [{ code: 'none' }] } }];
    expect(valuesOf('component-code-value-quantity', observation({ component }))).toEqual(
      [
        ['sys', 120],
        ['dia', 80],
      ].map(([code, value]) => ({
        kind: 'composite',
        parts: [[{ kind: 'token', code }], [{ kind: 'quantity', low: value, high: value }]],
      })),
    );
  });

  test('_id, _lastUpdated and the full-text parameters give no values', () => {
    const resource = observation({ id: '1', meta: { lastUpdated: '2020-01-01T00:00:00Z' }, status: 'final' });
    const codes = extractor.extract(resource as Resource).map(({ parameter }) => parameter.code);
    expect(codes).toEqual(['status']);
  });
});

describe('a faulty resource', () => {
  test('never makes the extraction fail', () => {
    const whole = {
      resourceType: 'Observation',
      meta: { tag: [{ system: 's', code: 'c' }], profile: ['http://p'] },
      identifier: [{ value: '1', type: { coding: [{ code: 'MR' }] } }],
      code: { coding: [{ system: 's', code: 'c' }], text: 't' },
      subject: { reference: '#p', identifier: { value: '1' } },
      contained: [{ resourceType: 'Patient', id: 'p' }],
      effectiveTiming: { event: ['2020'], repeat: { boundsPeriod: { start: '2020' } } },
      component: [{ code: { text: 'x' }, valueSampledData: { origin: { value: 1 }, data: '1 2' } }],
    };
    const bad = fc.constantFrom(null, 0, 'x', true, [], {}, [null], ['x'], [[]]);
    fc.assert(
      fc.property(fc.nat(), bad, (n, replacement) => {
        let left = n % 45;
        const text = JSON.stringify(whole, (key, value) =>
          key !== '' && key !== 'resourceType' && left-- === 0 ? replacement : value,
        );
        extractor.extract(JSON.parse(text));
      }),
      { numRuns: 400 },
    );
  });
});
