import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import fc from 'fast-check';
import { type Definitions, loadDefinitions } from '../../src/fhir/definitions.ts';
import { loadValidator, MAX_ISSUES, type Validator } from '../../src/fhir/validate.ts';

type Json = Record<string, unknown>;

const data = join(import.meta.dirname, '../../../shared/data');
let definitions: Definitions;
let validator: Validator;
beforeAll(async () => {
  definitions = await loadDefinitions();
  validator = await loadValidator(definitions);
});

/** Code, expression and diagnostics of each issue. */
function faults(resource: unknown, expectedType?: string): string[][] {
  return validator
    .validate(resource, expectedType)
    .map(({ code, expression = '', diagnostics }) => [code, expression, diagnostics]);
}

function jsonFiles(folder: string): string[] {
  return readdirSync(join(data, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => join(data, folder, name));
}

function read(file: string): Json {
  return JSON.parse(readFileSync(file, 'utf8'));
}

const OBSERVATION = { resourceType: 'Observation', status: 'final', code: { text: 'pulse' } };
const patient = (elements: Json) => ({ resourceType: 'Patient', ...elements });
const observation = (elements: Json) => ({ ...OBSERVATION, ...elements });
const valued = (name: string, value: unknown) => patient({ extension: [{ url: 'urn:x', [name]: value }] });

describe('real resources are sound', () => {
  /** Published examples that R4 itself does not allow. */
  const WRONG: Readonly<Record<string, string>> = {
    'Questionnaire-qs1.json': 'SDC modular form: items without linkId and type, no status',
    'SearchParameter-valueset-extensions-ValueSet-author.json': 'no base, of which there must be one',
    'SearchParameter-valueset-extensions-ValueSet-end.json': 'no base, of which there must be one',
    'CapabilityStatement-ISiKCapabilityStatementBasisServer.json':
      'an extension with valueCode and valueCanonical',
    'StructureDefinition-ISiKAllergieUnvertraeglichkeit.json': 'an element with an empty short',
    'StructureDefinition-patient-merge-subscription.json': 'fhirVersion 4.3.0, a code of R4B',
  };

  for (const folder of ['r4-examples', 'examples', 'synthea']) {
    const there = existsSync(join(data, folder));
    (there ? test : test.skip)(`all of ${folder}${there ? '' : ' (the folder is missing)'}`, () => {
      const files = jsonFiles(folder).filter((_, i) => folder !== 'synthea' || i % 5 === 0);
      expect(files.length).toBeGreaterThan(10);
      const refused = files
        .filter((file) => validator.validate(read(file)).length > 0)
        .map((file) => basename(file));
      const expected = files.map((file) => basename(file)).filter((name) => name in WRONG);
      expect(refused).toEqual(expected);
    });
  }
});

describe('R4 json.html: structure', () => {
  test.each<[string, Json, string, string, string]>([
    [
      'an unknown element, near a known one',
      patient({ brithDate: '1990' }),
      'structure',
      'Patient.brithDate',
      '"brithDate" is not an element of Patient: did you mean "birthDate"?',
    ],
    [
      'an unknown element, near a choice of a type',
      observation({ valueQuantiti: {} }),
      'structure',
      'Observation.valueQuantiti',
      '"valueQuantiti" is not an element of Observation: did you mean "valueQuantity"?',
    ],
    [
      'an unknown element, near none',
      patient({ shoeSizeInInches: 9 }),
      'structure',
      'Patient.shoeSizeInInches',
      '"shoeSizeInInches" is not an element of Patient: leave it out.',
    ],
    [
      'an element of the next version of FHIR',
      observation({ triggeredBy: [] }),
      'structure',
      'Observation.triggeredBy',
      '"triggeredBy" is not an element of Observation: leave it out.',
    ],
    [
      'a type that the choice does not have',
      observation({ valueDate: '1990' }),
      'structure',
      'Observation.valueDate',
      '"valueDate" is not an element of Observation: did you mean "valueDateTime"?',
    ],
    [
      'a choice without its type',
      observation({ value: 3 }),
      'structure',
      'Observation.value',
      '"value" is not an element of Observation: the type of its value belongs to the name, as in "valueQuantity".',
    ],
    [
      'a companion of what is no primitive',
      observation({ _code: { id: 'a' } }),
      'structure',
      'Observation._code',
      '"_code" is not an element of Observation: only primitives have an element of their name with "_".',
    ],
    [
      'resourceType where no resource is',
      patient({ name: [{ resourceType: 'HumanName', family: 'A' }] }),
      'structure',
      'Patient.name[0].resourceType',
      '"resourceType" is not an element of HumanName: leave it out.',
    ],
    [
      'a name that is not fit to be repeated',
      patient({ 'a b': 1 }),
      'structure',
      'Patient',
      'A name that is not repeated here is not an element of Patient: leave it out.',
    ],
    [
      'one value where there may be several',
      patient({ name: { family: 'A' } }),
      'structure',
      'Patient.name',
      'The element repeats, so it must be an array even with one value: [ … ].',
    ],
    [
      'several values where there may be one',
      observation({ code: [{ text: 'a' }] }),
      'structure',
      'Observation.code',
      'The element does not repeat, so it must be a JSON object (CodeableConcept), not an array.',
    ],
    [
      'several primitives where there may be one',
      patient({ birthDate: ['1990'] }),
      'structure',
      'Patient.birthDate',
      'The element does not repeat, so it must be a JSON string (date), not an array.',
    ],
    [
      'an empty array',
      patient({ name: [] }),
      'structure',
      'Patient.name',
      'An array must not be empty: leave the element out.',
    ],
    [
      'an empty object',
      patient({ name: [{}] }),
      'structure',
      'Patient.name[0]',
      'An object must not be empty: leave the element out.',
    ],
    [
      'an id alone (ele-1)',
      patient({ name: [{ id: 'a' }] }),
      'invariant',
      'Patient.name[0]',
      'ele-1: there is an id alone; give a value or an extension with it.',
    ],
    [
      'null for a primitive',
      patient({ birthDate: null }),
      'structure',
      'Patient.birthDate',
      'An element is never null: leave it out.',
    ],
    [
      'null for an object',
      patient({ maritalStatus: null }),
      'structure',
      'Patient.maritalStatus',
      'An element is never null: leave it out.',
    ],
    [
      'null in an array of objects',
      patient({ name: [null] }),
      'structure',
      'Patient.name[0]',
      'An element is never null: leave it out.',
    ],
    [
      'a wrong type in an array',
      patient({ name: [{ given: [3] }] }),
      'structure',
      'Patient.name[0].given[0]',
      'Each value of this array must be a JSON string, not a number.',
    ],
    [
      'text for a boolean',
      patient({ active: 'true' }),
      'structure',
      'Patient.active',
      'This must be true or false, not a string.',
    ],
    [
      'text for a decimal',
      observation({
        component: [{ code: { text: 'a' } }, { code: { text: 'b' }, valueQuantity: { value: '1' } }],
      }),
      'structure',
      'Observation.component[1].valueQuantity.value',
      'This must be a JSON number (decimal), not a string.',
    ],
    [
      'two values of a choice',
      observation({ valueString: 'a', valueBoolean: true }),
      'structure',
      'Observation.value',
      'Only one value[x] may be given, and there are valueString and valueBoolean: keep one.',
    ],
    [
      'a value and the companion of another',
      observation({ valueString: 'a', _valueDateTime: { extension: [{ url: 'urn:x', valueCode: 'a' }] } }),
      'structure',
      'Observation.value',
      'Only one value[x] may be given, and there are valueString and valueDateTime: keep one.',
    ],
    [
      'a comparator in a SimpleQuantity',
      observation({ valueRange: { low: { value: 1, comparator: '<' } } }),
      'structure',
      'Observation.valueRange.low.comparator',
      '"comparator" is not an element of SimpleQuantity: leave it out.',
    ],
  ])('%s', (_, resource, code, expression, diagnostics) => {
    expect(faults(resource)).toEqual([[code, expression, diagnostics]]);
  });
});

describe('R4 json.html#primitive: null and companions', () => {
  const extension = { extension: [{ url: 'urn:x', valueString: 'a' }] };

  test.each<[string, Json]>([
    ['a companion beside its value', patient({ birthDate: '1990', _birthDate: extension })],
    ['a companion alone', patient({ _birthDate: extension })],
    [
      'a companion in place of a required value',
      { resourceType: 'Observation', _status: extension, code: { text: 'a' } },
    ],
    ['a companion with an id', patient({ birthDate: '1990', _birthDate: { id: 'a' } })],
    ['two arrays with null in turn', patient({ name: [{ given: ['A', null], _given: [null, extension] }] })],
    ['a companion that is shorter', patient({ name: [{ given: ['A', 'B'], _given: [extension] }] })],
    ['only companions in an array', patient({ name: [{ _given: [extension] }] })],
  ])('%s is sound', (_, resource) => {
    expect(faults(resource)).toEqual([]);
  });

  test.each<[string, Json, string]>([
    ['null without a companion', { given: ['A', null] }, 'Patient.name[0].given[1]'],
    [
      'null whose companion is null',
      { given: [null, 'A'], _given: [null, extension] },
      'Patient.name[0].given[0]',
    ],
    [
      'a companion of null without value',
      { given: ['A'], _given: [extension, null] },
      'Patient.name[0].given[1]',
    ],
    ['an array for a list of companions only', { given: ['A'], _given: extension }, 'Patient.name[0].given'],
    ['an empty companion', { family: 'A', _family: {} }, 'Patient.name[0].family'],
    ['a companion with a value', { family: 'A', _family: { value: 'B' } }, 'Patient.name[0].family.value'],
    ['text for a companion', { family: 'A', _family: 'B' }, 'Patient.name[0].family'],
  ])('%s is refused', (_, name, expression) => {
    expect(faults(patient({ name: [name] })).map(([code, where]) => [code, where])).toContainEqual([
      'structure',
      expression,
    ]);
  });
});

describe('R4 conformance-rules.html#cardinality', () => {
  test.each<[string, Json, string, string]>([
    [
      'an element',
      { resourceType: 'Observation', status: 'final' },
      'Observation.code',
      '"code" is required.',
    ],
    [
      'a primitive',
      { resourceType: 'Observation', code: { text: 'a' } },
      'Observation.status',
      '"status" is required.',
    ],
    [
      'a choice',
      {
        resourceType: 'MedicationAdministration',
        status: 'completed',
        medicationReference: { display: 'a' },
        subject: { display: 'b' },
      },
      'MedicationAdministration.effective',
      'One of these is required: effectiveDateTime, effectivePeriod.',
    ],
    [
      'an element of a backbone element',
      patient({ communication: [{ preferred: true }] }),
      'Patient.communication[0].language',
      '"language" is required.',
    ],
    [
      'an element of shared content',
      { resourceType: 'Parameters', parameter: [{ name: 'a', part: [{ valueString: 'b' }] }] },
      'Parameters.parameter[0].part[0].name',
      '"name" is required.',
    ],
    [
      'the url of an extension',
      patient({ extension: [{ valueString: 'a' }] }),
      'Patient.extension[0].url',
      '"url" is required.',
    ],
  ])('%s is required', (_, resource, expression, diagnostics) => {
    expect(faults(resource)).toEqual([['required', expression, diagnostics]]);
  });
});

describe('R4 terminologies.html#required', () => {
  test('a code outside of a small value set is told the codes', () => {
    expect(faults(patient({ gender: 'f' }))).toEqual([
      [
        'code-invalid',
        'Patient.gender',
        '"f" is not in the value set http://hl7.org/fhir/ValueSet/administrative-gender: use male, female, other, unknown.',
      ],
    ]);
  });

  test('a code outside of a large value set is told the nearest', () => {
    const capability = {
      resourceType: 'OperationDefinition',
      name: 'A',
      status: 'active',
      kind: 'operation',
      code: 'a',
      system: true,
      type: false,
      instance: false,
    };
    expect(faults({ ...capability, resource: ['Pateint'] })).toEqual([
      [
        'code-invalid',
        'OperationDefinition.resource[0]',
        '"Pateint" is not in the value set http://hl7.org/fhir/ValueSet/resource-types: did you mean "Patient"?',
      ],
    ]);
  });

  test.each<[string, Json]>([
    ['a MIME type', { resourceType: 'Binary', contentType: 'application/dicom' }],
    ['a currency', { resourceType: 'Invoice', status: 'issued', totalNet: { value: 1, currency: 'EUR' } }],
    ['a language', patient({ language: 'de-CH' })],
    [
      'a CodeableConcept',
      { resourceType: 'Condition', subject: { display: 'a' }, clinicalStatus: { text: 'a' } },
    ],
  ])('%s is not looked up here', (_, resource) => {
    expect(faults(resource)).toEqual([]);
  });
});

describe('R4 datatypes.html#primitive', () => {
  const table: Readonly<Record<string, { sound: unknown[]; wrong: unknown[] }>> = {
    valueDate: {
      sound: ['1990', '1990-02', '2024-02-29', '2000-02-29', '2021-12-31', '0001-01-01'],
      wrong: [
        '2021-02-30',
        '2021-02-29',
        '1900-02-29',
        '2021-04-31',
        '2021-13',
        '2021-00',
        '2021-1-1',
        '0000',
        '90',
        '20210101',
        '2021-02-01T00:00:00Z',
        ' 1990',
        '1990\n',
        '',
      ],
    },
    valueDateTime: {
      sound: [
        '1990',
        '1990-02',
        '2024-02-29',
        '2024-02-29T23:59:60Z',
        '2015-02-07T13:28:17.239+02:00',
        '2021-01-01T00:00:00-14:00',
      ],
      wrong: [
        '2021-02-30T00:00:00Z',
        '2021-02-03T24:00:00Z',
        '2021-02-03T10:00Z',
        '2021-02-03T10:00:00',
        '2021-02-03 10:00:00Z',
        '2021-02-03T10:00:00+14:30',
        '2021-02-03T10:00:00.Z',
        '2021-02T10:00:00Z',
        `2021-02-03T10:00:00.${'1'.repeat(100)}Z`,
      ],
    },
    valueInstant: {
      sound: ['2015-02-07T13:28:17.239+02:00', '2017-01-01T00:00:00Z'],
      wrong: ['2015', '2015-02-07', '2015-02-07T13:28Z', '2015-02-07T13:28:17', '2015-02-29T13:28:17Z'],
    },
    valueTime: { sound: ['00:00:00', '23:59:59.999'], wrong: ['24:00:00', '10:00', '10:00:00Z', '1:00:00'] },
    valueId: { sound: ['a', 'A-1.b', 'x'.repeat(64)], wrong: ['', 'a_b', 'x'.repeat(65), 'a b', 'a\n'] },
    valueOid: {
      sound: ['urn:oid:1.2.840.10008', 'urn:oid:2.0'],
      wrong: ['1.2.3', 'urn:oid:3.1', 'urn:oid:1.02', 'urn:oid:1'],
    },
    valueUuid: {
      sound: ['urn:uuid:c757873d-ec9a-4326-a141-556f43239520'],
      wrong: [
        'c757873d-ec9a-4326-a141-556f43239520',
        'urn:uuid:C757873D-EC9A-4326-A141-556F43239520',
        'urn:uuid:1',
      ],
    },
    valueUri: { sound: ['a', 'urn:x', 'http://é.example/#a'], wrong: ['', 'a b', ' a', 'a\t'] },
    valueUrl: { sound: ['https://a.example'], wrong: ['https://a.example/ b'] },
    valueCanonical: { sound: ['http://a.example|1.0'], wrong: ['a b'] },
    valueCode: { sound: ['a', 'a b', '<='], wrong: ['', ' a', 'a ', 'a  b', ' '] },
    valueString: {
      sound: [' a ', 'ä€😀\n', 'a\tb', 'x'.repeat(1_048_576)],
      wrong: ['', 'a\0b', '\ud800', 'x'.repeat(1_048_577)],
    },
    valueMarkdown: { sound: ['# a\r\n* b'], wrong: [''] },
    valueBase64Binary: {
      sound: ['QQ==', 'QUI=', 'QUJD', 'QU\r\n JD\n', 'QUJDQUJD', 'Q Q = ='],
      wrong: ['', '    ', 'Q', 'QQ', 'QQ=', 'QQ=Q', 'Q===', 'QUJ_', 'QUJ-', 'QQ==QQ==', 'QUJD='],
    },
    valueBoolean: { sound: [true, false], wrong: ['true', 0, 1] },
    valueInteger: { sound: [0, -2147483648, 2147483647], wrong: [1.5, 2147483648, -2147483649, '1', true] },
    valueUnsignedInt: { sound: [0, 2147483647], wrong: [-1, 2147483648, 0.5] },
    valuePositiveInt: { sound: [1, 2147483647], wrong: [0, -1, 2147483648] },
    valueDecimal: { sound: [0, -1.5, 1e20, 1e-10], wrong: ['1.5', true, Number.POSITIVE_INFINITY] },
  };
  for (const [name, { sound, wrong }] of Object.entries(table)) {
    const shown = (value: unknown) => String(JSON.stringify(value)).slice(0, 60);
    test.each(sound.map((value) => [shown(value), value]))(`${name} %s is sound`, (_, value) => {
      expect(faults(valued(name, value))).toEqual([]);
    });
    test.each(wrong.map((value) => [shown(value), value]))(`${name} %s is refused`, (_, value) => {
      const [fault, ...others] = faults(valued(name, value));
      expect(others).toEqual([]);
      const sameType = typeof value === typeof sound[0];
      expect(fault!.slice(0, 2)).toEqual([sameType ? 'value' : 'structure', `Patient.extension[0].${name}`]);
    });
  }

  test('the form is told, and a short value repeated', () => {
    expect(faults(patient({ birthDate: '2021-02-30' }))).toEqual([
      ['value', 'Patient.birthDate', '"2021-02-30" is not a date that exists: YYYY, YYYY-MM or YYYY-MM-DD.'],
    ]);
  });

  test('a long value, or a text that may say much, is not repeated', () => {
    const long = `${'secret'.repeat(20)} `;
    expect(JSON.stringify(faults(valued('valueUri', long)))).not.toContain('secret');
    expect(JSON.stringify(faults(valued('valueString', 'secret\0')))).not.toContain('secret');
  });

  test('a narrative is a div', () => {
    const text = (div: string) => patient({ text: { status: 'generated', div } });
    expect(faults(text('<div xmlns="http://www.w3.org/1999/xhtml">a</div>'))).toEqual([]);
    expect(faults(text('<p>a</p>'))).toMatchObject([['value', 'Patient.text.div', expect.any(String)]]);
  });
});

describe('resources in resources', () => {
  const wrong = patient({ gender: 'f' });

  test.each<[string, Json, string]>([
    ['contained', observation({ contained: [OBSERVATION, wrong] }), 'Observation.contained[1].gender'],
    [
      'an entry',
      { resourceType: 'Bundle', type: 'collection', entry: [{ resource: OBSERVATION }, { resource: wrong }] },
      'Bundle.entry[1].resource.gender',
    ],
    [
      'an outcome',
      {
        resourceType: 'Bundle',
        type: 'batch-response',
        entry: [{ response: { status: '200', outcome: wrong } }],
      },
      'Bundle.entry[0].response.outcome.gender',
    ],
    [
      'a parameter',
      { resourceType: 'Parameters', parameter: [{ name: 'a', part: [{ name: 'b', resource: wrong }] }] },
      'Parameters.parameter[0].part[0].resource.gender',
    ],
  ])('%s is judged by its own type', (_, resource, expression) => {
    expect(faults(resource).map(([code, where]) => [code, where])).toEqual([['code-invalid', expression]]);
  });

  test.each<[string, unknown, string, string]>([
    ['no resourceType', {}, 'required', 'Patient.contained[0].resourceType'],
    ['a type that is none', { resourceType: 'HumanName' }, 'structure', 'Patient.contained[0].resourceType'],
    ['no object', 'a', 'structure', 'Patient.contained[0]'],
  ])('%s is refused', (_, contained, code, expression) => {
    expect(faults(patient({ contained: [contained] })).map((fault) => fault.slice(0, 2))).toEqual([
      [code, expression],
    ]);
  });
});

describe('resourceType', () => {
  test.each<[unknown, string, string, string]>([
    [null, 'structure', '', 'A resource must be a JSON object.'],
    [[], 'structure', '', 'A resource must be a JSON object.'],
    [{}, 'required', 'resourceType', '"resourceType" is required, such as "Patient".'],
    [
      { resourceType: 3 },
      'structure',
      'resourceType',
      '"resourceType" must be a JSON string, such as "Patient".',
    ],
    [
      { resourceType: 'Pateint' },
      'structure',
      'resourceType',
      '"resourceType" is not a type of FHIR R4: did you mean "Patient"?',
    ],
    [
      { resourceType: 'DomainResource' },
      'structure',
      'resourceType',
      '"resourceType" is not a type of FHIR R4.',
    ],
    [
      { resourceType: 'constructor' },
      'structure',
      'resourceType',
      '"resourceType" is not a type of FHIR R4.',
    ],
  ])('%j is refused with one issue', (resource, ...fault) => {
    expect(faults(resource)).toEqual([fault]);
  });

  test('it is the type that is expected', () => {
    expect(faults(OBSERVATION, 'Observation')).toEqual([]);
    expect(faults(OBSERVATION, 'Patient')).toEqual([
      ['structure', 'resourceType', 'The resource is of type Observation, and Patient is expected here.'],
    ]);
    expect(faults({}, 'Patient')).toEqual([
      ['required', 'resourceType', '"resourceType" is required: here it is "Patient".'],
    ]);
  });
});

describe('hostile resources', () => {
  function nested(levels: number): Json {
    let extension: Json = { url: 'urn:x', valueString: 'a' };
    for (let i = 1; i < levels; i++) extension = { url: 'urn:x', extension: [extension] };
    return patient({ extension: [extension] });
  }

  test('a hundred levels are sound, and a hundred thousand are an issue', () => {
    expect(faults(nested(100))).toEqual([]);
    expect(faults(nested(100_000))).toEqual([['structure', '', 'The resource is nested too deeply.']]);
  });

  test.each<[string, Json]>([
    ['objects', patient({ name: Array(300_000).fill({ a: 1, b: 2 }) })],
    ['keys', patient(Object.fromEntries(Array.from({ length: 300_000 }, (_, i) => [`k${i}`, 1])))],
    ['nulls', patient({ name: [{ given: Array(300_000).fill(null) }] })],
    ['resources', patient({ contained: Array(300_000).fill({}) })],
  ])('many wrong %s are told of twenty, in no time', (_, resource) => {
    const start = performance.now();
    expect(faults(resource)).toHaveLength(MAX_ISSUES);
    expect(performance.now() - start).toBeLessThan(1000);
  });

  test.each<[string, Json]>([
    ['sound base64', { resourceType: 'Binary', contentType: 'a/b', data: 'QUJD'.repeat(4_000_000) }],
    ['padding', { resourceType: 'Binary', contentType: 'a/b', data: '='.repeat(15_000_000) }],
    ['spaces', { resourceType: 'Binary', contentType: 'a/b', data: ' '.repeat(15_000_000) }],
    ['a code', { resourceType: 'Binary', contentType: 'a '.repeat(7_500_000) }],
    ['an OID', valued('valueOid', `urn:oid:1${'.1'.repeat(7_500_000)}`)],
    ['a URI', valued('valueUri', 'a'.repeat(15_000_000))],
  ])('15 MB of %s take no long', (_, resource) => {
    const start = performance.now();
    faults(resource);
    expect(performance.now() - start).toBeLessThan(1000);
  });

  test('a key "__proto__" is an unknown element', () => {
    expect(faults(JSON.parse('{"resourceType":"Patient","__proto__":{"active":true}}'))).toHaveLength(1);
  });
});

describe('properties', () => {
  const anyJson = fc.jsonValue({ maxDepth: 5 });

  test('any JSON has an answer', () => {
    const types = fc.constantFrom(...definitions.resourceTypes);
    fc.assert(fc.property(anyJson, (json) => void validator.validate(json)));
    fc.assert(
      fc.property(types, fc.object({ withNullPrototype: false, maxDepth: 2 }), (resourceType, json) => {
        void validator.validate({ ...json, resourceType });
      }),
    );
  });

  test('any JSON in the place of any element has an answer', () => {
    const placed = fc.constantFrom(...definitions.resourceTypes).chain((resourceType) =>
      fc.record({
        resourceType: fc.constant(resourceType),
        name: fc.constantFrom(...definitions.elements(resourceType).keys()),
        value: anyJson,
      }),
    );
    fc.assert(
      fc.property(
        placed,
        ({ resourceType, name, value }) => void validator.validate({ resourceType, [name]: value }),
      ),
      { numRuns: 500 },
    );
  });

  const there = existsSync(join(data, 'r4-examples'));
  const title = 'an example that is changed for the worse is refused';
  (there ? test : test.skip)(there ? title : `${title} (the examples are missing)`, () => {
    const files = jsonFiles('r4-examples').filter((_, i) => i % 8 === 0);
    const examples = files.map(read).filter((resource) => validator.validate(resource).length === 0);
    const changed = fc.record({
      example: fc.constantFrom(...examples),
      place: fc.nat(),
      change: fc.constantFrom('unknown key', 'wrong type', 'missing element'),
    });
    fc.assert(
      fc.property(changed, ({ example, place, change }) => {
        const resource = structuredClone(example);
        if (!spoil(resource, place, change)) return;
        expect(validator.validate(resource).length).toBeGreaterThan(0);
      }),
      { numRuns: 1500 },
    );
  });

  /** Makes one change for the worse; false where there is nothing to change so. */
  function spoil(resource: Json, place: number, change: string): boolean {
    const objects = objectsIn(resource);
    const object = objects[place % objects.length]!;
    if (change === 'unknown key') {
      object.zzUnknown = 1;
      return true;
    }
    if (change === 'missing element') {
      const elements = definitions.elements(resource.resourceType as string);
      const required = [...elements]
        .filter(([, { min }]) => min > 0)
        .map(([name]) => name.replace('[x]', ''));
      if (required.length === 0) return false;
      const name = required[place % required.length]!;
      const isThat = new RegExp(`^_?${name}($|[A-Z])`);
      for (const key of Object.keys(resource)) if (isThat.test(key)) delete resource[key];
      return true;
    }
    const keys = Object.keys(object);
    const key = keys[place % keys.length]!;
    object[key] = typeof object[key] === 'object' ? 'text' : { zzUnknown: 1 };
    return true;
  }

  function objectsIn(value: unknown): Json[] {
    if (typeof value !== 'object' || value === null) return [];
    const inner = Object.values(value).flatMap(objectsIn);
    return Array.isArray(value) ? inner : [value as Json, ...inner];
  }
});
