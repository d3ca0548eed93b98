import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { loadDefinitions } from '../../../src/fhir/definitions.ts';
import { Refusal } from '../../../src/fhir/outcome.ts';
import { compileFhirPathPatch } from '../../../src/fhir/patch/fhirpath-patch.ts';
import { MAX_OPERATIONS } from '../../../src/fhir/patch/parameters.ts';
import { applyPatch, type Patch } from '../../../src/fhir/patch/patch.ts';
import { loadValidator, type Validator } from '../../../src/fhir/validate.ts';

const CASES = join(import.meta.dirname, '../../../../shared/data/patch/fhir-patch-cases.json');
const present = existsSync(CASES);
if (!present) console.info(`skipped: the cases of FHIRPath Patch are not at ${CASES}`);

let read: (parameters: string) => Promise<Patch>;
let validator: Validator;

beforeAll(async () => {
  const definitions = await loadDefinitions();
  read = compileFhirPathPatch(definitions);
  validator = await loadValidator(definitions);
});

type Parts = Readonly<Record<string, unknown>>;

const MEMBERS: Readonly<Record<string, string>> = {
  type: 'valueCode',
  path: 'valueString',
  name: 'valueString',
  index: 'valueInteger',
  source: 'valueInteger',
  destination: 'valueInteger',
};

/** Parameters of operations whose values are given as the members of their part: {valueString: 'x'}. */
function parameters(...operations: Parts[]): string {
  return JSON.stringify({
    resourceType: 'Parameters',
    parameter: operations.map((operation) => ({
      name: 'operation',
      part: Object.entries(operation).map(([name, value]) =>
        name === 'value' ? { name, ...(value as object) } : { name, [MEMBERS[name] ?? 'valueString']: value },
      ),
    })),
  });
}

const textOf = (resource: unknown) => (typeof resource === 'string' ? resource : JSON.stringify(resource));

async function patched(resource: unknown, ...operations: Parts[]): Promise<unknown> {
  return JSON.parse(applyPatch(await read(parameters(...operations)), textOf(resource)));
}

async function refused(resource: unknown, patch: string | Parts) {
  try {
    applyPatch(await read(typeof patch === 'string' ? patch : parameters(patch)), textOf(resource));
  } catch (fault) {
    if (!(fault instanceof Refusal)) throw fault;
    const { diagnostics, ...issue } = fault.issues[0]!;
    return { status: fault.status, says: diagnostics, ...issue };
  }
  throw new Error('it was not refused');
}

interface Case {
  readonly name: string;
  readonly input: object;
  readonly patch: object;
  readonly output?: object;
}

(present ? describe : describe.skip)('R4 fhirpatch: the published cases', () => {
  const cases: Case[] = present ? JSON.parse(readFileSync(CASES, 'utf8')) : [];
  test.each(cases.map((each) => [each.name, each] as const))(
    '%s',
    async (_name, { input, patch, output }) => {
      const text = JSON.stringify(patch);
      if (!output) expect(await refused(input, text)).toMatchObject({ status: 422, code: 'processing' });
      else
        expect(spaceless(JSON.parse(applyPatch(await read(text), textOf(input))))).toEqual(spaceless(output));
    },
  );

  /** The cases were written as XML, where white space between the elements of a narrative does not count. */
  function spaceless(value: unknown): unknown {
    return JSON.parse(JSON.stringify(value), (key, each) =>
      key === 'div' ? each.replace(/>\s+/g, '>').replace(/\s+</g, '<') : each,
    );
  }
});

const patient = {
  resourceType: 'Patient',
  id: 'p',
  contained: [{ resourceType: 'Organization', id: 'o', name: 'Org' }],
  name: [
    { use: 'official', family: 'A', given: ['x', 'y'], _given: [null, { id: 'g' }] },
    { use: 'usual', given: ['z'] },
  ],
  birthDate: '1974-12-25',
  _birthDate: { extension: [{ url: 'http://time', valueDateTime: '1974-12-25T14:35:45-05:00' }] },
  deceasedBoolean: false,
};

describe('R4 fhirpatch: where the value goes', () => {
  test.each<[string, Parts, object]>([
    [
      'add to a list that is not there',
      { type: 'add', path: 'Patient', name: 'telecom', value: { valueContactPoint: { value: '1' } } },
      { telecom: [{ value: '1' }] },
    ],
    [
      'add to a list of primitives keeps what stands beside the others',
      {
        type: 'add',
        path: "Patient.name.where(use = 'official')",
        name: 'given',
        value: { valueString: 'w' },
      },
      {
        name: [
          { ...patient.name[0], given: ['x', 'y', 'w'], _given: [null, { id: 'g' }, null] },
          patient.name[1],
        ],
      },
    ],
    [
      'insert into a list of primitives',
      {
        type: 'insert',
        path: 'Patient.name[0].given',
        index: 1,
        value: { valueString: 'w', _valueString: { id: 'h' } },
      },
      {
        name: [
          { ...patient.name[0], given: ['x', 'w', 'y'], _given: [null, { id: 'h' }, { id: 'g' }] },
          patient.name[1],
        ],
      },
    ],
    [
      'insert at the end',
      { type: 'insert', path: 'Patient.name', index: 2, value: { valueHumanName: { text: 'n' } } },
      { name: [...patient.name, { text: 'n' }] },
    ],
    [
      'move in a list of primitives',
      { type: 'move', path: 'Patient.name[0].given', source: 0, destination: 1 },
      { name: [{ ...patient.name[0], given: ['y', 'x'], _given: [{ id: 'g' }, null] }, patient.name[1]] },
    ],
    [
      'delete in a list of primitives',
      { type: 'delete', path: 'Patient.name[0].given[1]' },
      { name: [{ use: 'official', family: 'A', given: ['x'] }, patient.name[1]] },
    ],
    [
      'delete takes the extensions of a primitive along',
      { type: 'delete', path: 'Patient.birthDate' },
      { birthDate: undefined, _birthDate: undefined },
    ],
    [
      'replace does, too: they were about the old value',
      { type: 'replace', path: 'Patient.birthDate', value: { valueDate: '1980' } },
      { birthDate: '1980', _birthDate: undefined },
    ],
    [
      'replace brings the extensions of its value',
      { type: 'replace', path: 'Patient.birthDate', value: { valueDate: '1980', _valueDate: { id: 'b' } } },
      { birthDate: '1980', _birthDate: { id: 'b' } },
    ],
    [
      'an extension of a primitive',
      {
        type: 'replace',
        path: "Patient.birthDate.extension('http://time').value",
        value: { valueDateTime: '1980' },
      },
      { _birthDate: { extension: [{ url: 'http://time', valueDateTime: '1980' }] } },
    ],
    [
      'a new extension of a primitive',
      {
        type: 'add',
        path: 'Patient.name[1].given[0]',
        name: 'extension',
        value: {
          part: [
            { name: 'url', valueUri: 'http://e' },
            { name: 'value[x]', valueBoolean: true },
          ],
        },
      },
      {
        name: [
          patient.name[0],
          { ...patient.name[1], _given: [{ extension: [{ url: 'http://e', valueBoolean: true }] }] },
        ],
      },
    ],
    [
      'a choice changes its type',
      { type: 'replace', path: 'Patient.deceased', value: { valueDateTime: '2020' } },
      { deceasedBoolean: undefined, deceasedDateTime: '2020' },
    ],
    ['a choice goes', { type: 'delete', path: 'Patient.deceased' }, { deceasedBoolean: undefined }],
    [
      'a choice is added under its name',
      { type: 'add', path: 'Patient', name: 'multipleBirth', value: { valueInteger: 2 } },
      { multipleBirthInteger: 2 },
    ],
    [
      'contained resources',
      { type: 'replace', path: "Patient.contained.where(id = 'o').name", value: { valueString: 'New' } },
      { contained: [{ resourceType: 'Organization', id: 'o', name: 'New' }] },
    ],
    [
      'another contained resource',
      {
        type: 'add',
        path: 'Patient',
        name: 'contained',
        value: { resource: { resourceType: 'Organization', id: 'b', name: 'B' } },
      },
      { contained: [...patient.contained, { resourceType: 'Organization', id: 'b', name: 'B' }] },
    ],
    [
      'parts, as deep as necessary',
      {
        type: 'add',
        path: 'Patient',
        name: 'contact',
        value: {
          part: [
            { name: 'relationship', part: [{ name: 'text', valueString: 'aunt' }] },
            { name: 'relationship', valueCodeableConcept: { text: 'friend' } },
            { name: 'gender', valueCode: 'female' },
          ],
        },
      },
      { contact: [{ relationship: [{ text: 'aunt' }, { text: 'friend' }], gender: 'female' }] },
    ],
    ['a delete that finds nothing', { type: 'delete', path: 'Patient.photo' }, {}],
    [
      'what was left empty goes, with what is around it',
      { type: 'delete', path: 'Patient.contained[0].name' },
      {
        contained: [{ resourceType: 'Organization', id: 'o' }],
      },
    ],
  ])('%s', async (_what, operation, changes) => {
    const result = await patched(patient, operation);
    expect(result).toEqual(JSON.parse(JSON.stringify({ ...patient, ...changes })));
    expect(validator.validate(result)).toEqual([]);
  });

  test('"Operations are applied in order, with each operation applied to the result of the previous": what is empty between them does not go yet', async () => {
    const operations: Parts[] = [
      { type: 'delete', path: 'Patient.name[1].given' },
      { type: 'delete', path: 'Patient.name[1].use' },
      { type: 'add', path: 'Patient.name[1]', name: 'text', value: { valueString: 'n' } },
    ];
    const [first] = patient.name;
    expect(await patched(patient, ...operations)).toEqual({ ...patient, name: [first, { text: 'n' }] });
    expect(await patched(patient, ...operations.slice(0, 2))).toEqual({ ...patient, name: [first] });
  });

  test('recursive elements', async () => {
    const questionnaire = {
      resourceType: 'Questionnaire',
      status: 'draft',
      item: [{ linkId: '1', type: 'group', item: [{ linkId: '2', type: 'group' }] }],
    };
    const part = [
      { name: 'linkId', valueString: '3' },
      { name: 'type', valueCode: 'display' },
    ];
    const added = await patched(questionnaire, {
      type: 'add',
      path: "Questionnaire.item.item.where(linkId='2')",
      name: 'item',
      value: { part },
    });
    expect(added).toMatchObject({ item: [{ item: [{ item: [{ linkId: '3', type: 'display' }] }] }] });
  });
});

describe('R4 fhirpatch: what cannot be applied is 422, and names the operation', () => {
  test.each<[string, Parts, RegExp]>([
    [
      'nothing found by replace',
      { type: 'replace', path: 'Patient.gender', value: { valueCode: 'male' } },
      /finds nothing/,
    ],
    [
      'nothing found by insert',
      { type: 'insert', path: 'Patient.photo', index: 0, value: { valueAttachment: {} } },
      /finds nothing.*add/,
    ],
    ['several found', { type: 'delete', path: 'Patient.name.given' }, /finds 3 elements/],
    ['a value that is no element', { type: 'delete', path: 'Patient.name.count()' }, /no element/],
    ['no value of this resource', { type: 'delete', path: "'Patient'" }, /no element/],
    [
      'another type',
      { type: 'add', path: 'Observation', name: 'note', value: { valueString: 'x' } },
      /finds nothing/,
    ],
    ['the resource itself', { type: 'delete', path: 'Patient' }, /itself/],
    [
      'set already',
      { type: 'add', path: 'Patient', name: 'birthDate', value: { valueDate: '2020' } },
      /Patient.birthDate is set/,
    ],
    [
      'set already as another type',
      { type: 'add', path: 'Patient', name: 'deceased', value: { valueDateTime: '2020' } },
      /Patient.deceased is set/,
    ],
    [
      'an unknown element',
      { type: 'add', path: 'Patient', name: 'colour', value: { valueString: 'x' } },
      /no element "colour"/,
    ],
    [
      'an inherited name',
      { type: 'add', path: 'Patient', name: '__proto__', value: { valueString: 'x' } },
      /no element "__proto__"/,
    ],
    [
      'another data type',
      { type: 'add', path: 'Patient', name: 'maritalStatus', value: { valueHumanName: {} } },
      /must be CodeableConcept/,
    ],
    [
      'a data type for a primitive',
      { type: 'add', path: 'Patient', name: 'gender', value: { valueHumanName: {} } },
      /must be code/,
    ],
    [
      'a number for a string',
      { type: 'add', path: 'Patient', name: 'gender', value: { valueInteger: 1 } },
      /must be code/,
    ],
    [
      'a type that the choice has not',
      { type: 'replace', path: 'Patient.deceased', value: { valueString: 'x' } },
      /boolean, dateTime/,
    ],
    [
      'a part that the type has not',
      {
        type: 'add',
        path: 'Patient',
        name: 'contact',
        value: { part: [{ name: 'colour', valueString: 'x' }] },
      },
      /Patient.contact has no/,
    ],
    [
      'an index beyond the end',
      { type: 'insert', path: 'Patient.name', index: 3, value: { valueHumanName: {} } },
      /0 to 2/,
    ],
    ['a source beyond the end', { type: 'move', path: 'Patient.name', source: 2, destination: 0 }, /below/],
    [
      'a part of a list',
      { type: 'move', path: 'Patient.name[0]', source: 0, destination: 0 },
      /all elements/,
    ],
    ['two lists', { type: 'move', path: 'Patient.name.given', source: 0, destination: 1 }, /all elements/],
    [
      'no list',
      { type: 'insert', path: 'Patient.birthDate', index: 0, value: { valueDate: '2020' } },
      /all elements/,
    ],
    ['the id', { type: 'replace', path: 'Patient.id', value: { valueId: 'q' } }, /id/],
    ['a path that fails', { type: 'delete', path: "Patient.name.where('x' > 1)" }, /cannot be evaluated/],
  ])('%s', async (_what, operation, says) => {
    const { status, code, says: said, expression } = await refused(patient, operation);
    expect({ status, code }).toEqual({ status: 422, code: 'processing' });
    expect(said).toMatch(says);
    expect(expression).toMatch(/^Parameters\.parameter\[0\]|^Patient\.id$/);
  });
});

describe('R4 fhirpatch: malformed Parameters are 400, and the part is named', () => {
  const withParts = (...part: object[]) =>
    JSON.stringify({ resourceType: 'Parameters', parameter: [{ name: 'operation', part }] });
  const type = { name: 'type', valueCode: 'delete' };
  const path = { name: 'path', valueString: 'Patient.photo' };
  test.each([
    ['another type', '{"resourceType":"Patient"}', 'resourceType'],
    ['parameter is no array', '{"resourceType":"Parameters","parameter":{}}', 'Parameters.parameter'],
    [
      'another name',
      '{"resourceType":"Parameters","parameter":[{"name":"x","part":[]}]}',
      'Parameters.parameter[0]',
    ],
    [
      'no parts',
      '{"resourceType":"Parameters","parameter":[{"name":"operation"}]}',
      'Parameters.parameter[0]',
    ],
    ['a part is no object', withParts(type, [] as never), 'Parameters.parameter[0].part[1]'],
    ['no type', withParts(path), 'Parameters.parameter[0]'],
    ['an unknown type', withParts({ name: 'type', valueCode: 'toString' }, path), 'Parameters.parameter[0]'],
    ['no path', withParts(type), 'Parameters.parameter[0]'],
    [
      'a path of another type',
      withParts(type, { name: 'path', valueInteger: 1 }),
      'Parameters.parameter[0].part[1]',
    ],
    ['a part twice', withParts(type, path, path), 'Parameters.parameter[0].part[2]'],
    [
      'an unknown part',
      withParts(type, path, { name: 'pathLabel', valueString: 'x' }),
      'Parameters.parameter[0].part[2]',
    ],
    [
      'a value for delete',
      withParts(type, path, { name: 'value', valueString: 'x' }),
      'Parameters.parameter[0].part[2]',
    ],
    ['no value', parameters({ type: 'replace', path: 'Patient.photo' }), 'Parameters.parameter[0]'],
    [
      'an empty value',
      parameters({ type: 'replace', path: 'Patient.photo', value: {} }),
      'Parameters.parameter[0].part[2]',
    ],
    [
      'two values',
      parameters({ type: 'replace', path: 'Patient.photo', value: { valueString: 'x', valueCode: 'y' } }),
      'Parameters.parameter[0].part[2]',
    ],
    [
      'a negative index',
      parameters({ type: 'move', path: 'Patient.name', source: -1, destination: 0 }),
      'Parameters.parameter[0].part[2]',
    ],
    ['no FHIRPath', parameters({ type: 'delete', path: 'Patient.name..given' }), 'Parameters.parameter[0]'],
    [
      'FHIRPath that ends too soon',
      parameters({ type: 'delete', path: 'Patient.name.where(' }),
      'Parameters.parameter[0]',
    ],
  ])('%s', async (_what, patch, expression) => {
    expect(await refused(patient, patch)).toMatchObject({ status: 400, expression });
  });

  test('no JSON', async () => {
    expect(await refused(patient, '{')).toMatchObject({ status: 400, code: 'structure' });
  });

  test('too many operations', async () => {
    const operations = Array.from({ length: MAX_OPERATIONS + 1 }, () => ({
      type: 'delete',
      path: 'Patient.photo',
    }));
    expect(await refused(patient, parameters(...operations))).toMatchObject({
      status: 413,
      code: 'too-costly',
    });
  });
});

describe('hostile paths', () => {
  test.each([
    ['a regular expression', "Patient.name.where(family.matches('(a+)+$'))"],
    ['a regular expression under quotes', "Patient.name.where(family.`matches`('(a+)+$'))"],
    ['strings that grow', "Patient.name.where('a'.replace('a', 'aa') = 'b')"],
    ['strings that are joined', "Patient.name.where('a' & 'b' = 'ab')"],
    ['everything, many times', 'Patient.descendants().descendants()'],
    ['repeat', 'Patient.repeat($this)'],
    ['other servers', 'Patient.managingOrganization.resolve()'],
    ['terminologies', "Patient.name.where(%terminologies.expand('x'))"],
    ['traces', "Patient.name.trace('x')"],
    ['comments', 'Patient.name /* x */'],
    ['instances', "Patient.name | HumanName { family: 'x' }"],
    ['nesting', `Patient.name.where(${'('.repeat(100)}true${')'.repeat(100)})`],
    ['brackets without end', '('.repeat(400)],
    ['length', `Patient${'.name'.repeat(200)}`],
    ['a string without end', "Patient.name.where(use = 'official"],
    ['what is not printable', 'Patient.\u0000name'],
  ])('%s: 400', async (_what, path) => {
    expect(await refused(patient, { type: 'delete', path })).toMatchObject({ status: 400, code: 'value' });
  });

  test('paths that are long together: 413', async () => {
    const operations = Array.from({ length: 40 }, (_, i) => ({
      type: 'delete',
      path: `Patient${'.name'.repeat(60)}[${i}]`,
    }));
    expect(await refused(patient, parameters(...operations))).toMatchObject({
      status: 413,
      code: 'too-costly',
    });
  });

  test('work without end is cut off', async () => {
    const name = Array.from({ length: 300 }, (_, i) => ({ family: String(i) }));
    const path = `Patient.name.where(%resource.name.where(%resource.name.where(family = 'x').exists()).exists())`;
    const from = performance.now();
    expect(await refused({ resourceType: 'Patient', name }, { type: 'delete', path })).toMatchObject({
      status: 422,
    });
    expect(performance.now() - from).toBeLessThan(5000);
  });

  test('units without end are not read', async () => {
    const code = 'm/'.repeat(50_000);
    const valueQuantity = { value: 1, system: 'http://unitsofmeasure.org', code };
    const from = performance.now();
    for (const path of ["Observation.where(value > 1 'mg')", 'Observation.where(value = component.value)'])
      expect(
        await refused(
          {
            resourceType: 'Observation',
            valueQuantity,
            component: [{ valueQuantity: { ...valueQuantity, code: 'g' } }],
          },
          { type: 'add', path, name: 'status', value: { valueCode: 'final' } },
        ),
      ).toMatchObject({ status: 422, says: expect.stringContaining('unit') });
    expect(performance.now() - from).toBeLessThan(500);
  });

  test('names of the language as elements', async () => {
    const valueSet = {
      resourceType: 'ValueSet',
      status: 'draft',
      expansion: { timestamp: '2020', contains: [{ code: 'a' }] },
    };
    const operation = {
      type: 'replace',
      path: "ValueSet.expansion.`contains`.where(code = 'a').code",
      value: { valueCode: 'b' },
    };
    expect(await patched(valueSet, operation)).toMatchObject({ expansion: { contains: [{ code: 'b' }] } });
  });
});

describe('R4 json 2.6.2: numbers keep their digits', () => {
  const text =
    '{"resourceType":"Observation","valueQuantity":{"value":1.00,"unit":"g"},"component":[{"valueQuantity":{"value":1e-3}},{"valueQuantity":{"value":12345678901234567890}}]}';

  test('of the resource, which FHIRPath reads as numbers all the same', async () => {
    const patch = await read(
      parameters(
        { type: 'delete', path: 'Observation.component.where(value.value > 1)' },
        { type: 'delete', path: 'Observation.value.unit' },
      ),
    );
    expect(applyPatch(patch, text)).toBe(
      '{"resourceType":"Observation","valueQuantity":{"value":1.00},"component":[{"valueQuantity":{"value":1e-3}}]}',
    );
  });

  test('of the patch, and later operations see them', async () => {
    const patch = await read(
      parameters(
        { type: 'replace', path: 'Observation.value', value: { valueQuantity: { value: '@' } } },
        { type: 'delete', path: 'Observation.component.where(%resource.value.value = 2)[1]' },
      ).replace('"@"', '2.000'),
    );
    expect(applyPatch(patch, text)).toBe(
      '{"resourceType":"Observation","valueQuantity":{"value":2.000},"component":[{"valueQuantity":{"value":1e-3}}]}',
    );
    const again = '{"resourceType":"Observation","valueQuantity":{"value":1}}';
    expect(applyPatch(patch, again)).toBe('{"resourceType":"Observation","valueQuantity":{"value":2.000}}');
  });
});

test('R4 http 3.1.0.8: a generated narrative goes, one that the patch sets stays', async () => {
  const text = { status: 'generated', div: '<div xmlns="http://www.w3.org/1999/xhtml">x</div>' };
  const gender = { type: 'add', path: 'Patient', name: 'gender', value: { valueCode: 'male' } };
  const div = { type: 'replace', path: 'Patient.text.div', value: { valueString: text.div } };
  expect(await patched({ resourceType: 'Patient', text }, gender)).toEqual({
    resourceType: 'Patient',
    gender: 'male',
  });
  expect(await patched({ resourceType: 'Patient', text }, gender, div)).toEqual({
    resourceType: 'Patient',
    text,
    gender: 'male',
  });
});

test('lists behave as arrays do', async () => {
  const list = fc.array(fc.integer({ min: 0, max: 99 }), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(list, fc.nat(), fc.nat(), async (numbers, a, b) => {
      const given = numbers.map(String);
      const [source, destination, index] = [a % given.length, b % given.length, a % (given.length + 1)];
      const path = 'Patient.name.given';
      const moved = given.toSpliced(source, 1).toSpliced(destination, 0, given[source]!);
      const resource = { resourceType: 'Patient', name: [{ given }] };
      expect(await patched(resource, { type: 'move', path, source, destination })).toEqual({
        ...resource,
        name: [{ given: moved }],
      });
      const insert = { type: 'insert', path, index, value: { valueString: 'new' } };
      const back = { type: 'delete', path: `${path}[${index}]` };
      expect(await patched(resource, insert, back)).toEqual(resource);
      const added = await patched(resource, insert);
      expect(added).toEqual({ ...resource, name: [{ given: given.toSpliced(index, 0, 'new') }] });
    }),
    { numRuns: 30 },
  );
});
