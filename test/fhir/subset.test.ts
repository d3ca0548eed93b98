import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readIncoming, render } from '../../src/fhir/content.ts';
import { type Definitions, loadDefinitions } from '../../src/fhir/definitions.ts';
import { Refusal } from '../../src/fhir/outcome.ts';
import { compileSubset, type Part } from '../../src/fhir/subset.ts';
import { loadValidator, type Validator } from '../../src/fhir/validate.ts';

const EXAMPLES = join(import.meta.dirname, '../../../shared/data/r4-examples');
const TAG = '{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}';

let definitions: Definitions;
let validator: Validator;
let subset: (text: string, part: Part) => string;

beforeAll(async () => {
  definitions = await loadDefinitions();
  const of = compileSubset(definitions);
  subset = (text, part) => of(JSON.parse(text).resourceType, part)(text);
  validator = await loadValidator(definitions);
});

const META = '"meta":{"versionId":"1","lastUpdated":"2020-01-01T00:00:00Z"';
const HEAD = `"id":"1",${META}`;

/** The subset of a resource given by its members, without its head. */
function part(type: string, members: string, how: Part): string {
  const text = subset(`{"resourceType":"${type}",${HEAD}},${members}}`, how);
  const head = `{"resourceType":"${type}",${HEAD},"tag":[${TAG}]}`;
  expect(text.slice(0, head.length)).toBe(head);
  return text.slice(head.length).replace(/^,/, '').slice(0, -1);
}

function refusalOf(type: string, elements: readonly string[]): Refusal {
  try {
    subset(`{"resourceType":"${type}"}`, { elements });
  } catch (fault) {
    if (fault instanceof Refusal) return fault;
    throw fault;
  }
  throw new Error('not refused');
}

describe('R4 search 3.1.1.5.8: _summary', () => {
  const TEXT = '"text":{"status":"generated","div":"<div xmlns=\\"http://www.w3.org/1999/xhtml\\">a</div>"}';

  test('true: the elements marked so, at all depths, and the mandatory ones; digits and order are kept', () => {
    const members = `${TEXT},"valueQuantity":{"value":1.00,"unit":"g"},"status":"final","note":[{"text":"a"}],"code":{"id":"a","coding":[{"code":"1","extension":[{"url":"u","valueCode":"a"}]}]},"component":[{"interpretation":[{"text":"a"}],"code":{"text":"b"},"valueQuantity":{"value":-0}}]`;
    expect(part('Observation', members, { summary: 'true' })).toBe(
      '"valueQuantity":{"value":1.00,"unit":"g"},"status":"final","code":{"coding":[{"code":"1"}]},"component":[{"code":{"text":"b"},"valueQuantity":{"value":-0}}]',
    );
  });

  test('true: modifiers stay, also within elements', () => {
    const modifier = '"modifierExtension":[{"url":"u","valueCode":"a"}]';
    const kept = `"implicitRules":"http://example.org",${modifier},"status":"final","code":{"text":"a"}`;
    expect(part('Observation', `${kept},"language":"de"`, { summary: 'true' })).toBe(kept);
    const contact = `"contact":[{${modifier},"name":{"text":"a"}}]`;
    expect(part('Patient', contact, { summary: 'true' })).toBe('');
    const link = `"link":[{${modifier},"other":{"reference":"Patient/2"},"type":"refer"}]`;
    expect(part('Patient', link, { summary: 'true' })).toBe(link);
  });

  test('true: what has nothing else is kept whole, as are primitives with their companions', () => {
    const kept =
      '"name":[{"given":["a",null],"_given":[null,{"extension":[{"url":"u","valueCode":"b"}]}]}],"managingOrganization":{"extension":[{"url":"u","valueCode":"unknown"}]}';
    expect(part('Patient', kept, { summary: 'true' })).toBe(kept);
  });

  test('true: resources within are summarized as what they are', () => {
    const members =
      '"type":"batch","entry":[{"id":"a","resource":{"resourceType":"Patient","active":true,"maritalStatus":{"text":"a"}}}]';
    expect(part('Bundle', members, { summary: 'true' })).toBe(
      '"type":"batch","entry":[{"resource":{"resourceType":"Patient","active":true}}]',
    );
  });

  test('text: text, and at the root what is mandatory or a modifier', () => {
    const members = `${TEXT},"implicitRules":"http://example.org","subject":{"reference":"Patient/1"},"status":"final","code":{"id":"a","text":"a"}`;
    expect(part('Observation', members, { summary: 'text' })).toBe(
      `${TEXT},"implicitRules":"http://example.org","status":"final","code":{"id":"a","text":"a"}`,
    );
  });

  test('data: all but text', () => {
    const rest =
      '"status":"final","code":{"text":"a"},"valueInteger":10000000000000000000000,"_status":{"id":"a"}';
    expect(part('Observation', `${TEXT},${rest}`, { summary: 'data' })).toBe(rest);
  });
});

describe('R4 search 3.1.1.5.9: _elements', () => {
  const members =
    '"status":"final","_status":{"id":"s"},"code":{"id":"a","text":"a"},"_issued":{"id":"b"},"effectiveDateTime":"2020","_effectiveDateTime":{"id":"c"},"valueQuantity":{"value":1e-3},"note":[{"text":"n"}]';
  const mandatory = '"status":"final","_status":{"id":"s"},"code":{"id":"a","text":"a"}';

  test.each([
    [['note'], `${mandatory},"note":[{"text":"n"}]`],
    [['value'], `${mandatory},"valueQuantity":{"value":1e-3}`],
    [['value[x]', 'Observation.note'], `${mandatory},"valueQuantity":{"value":1e-3},"note":[{"text":"n"}]`],
    [['valueQuantity'], `${mandatory},"valueQuantity":{"value":1e-3}`],
    [['valueString'], mandatory],
    [
      ['issued', 'effective'],
      `${mandatory},"_issued":{"id":"b"},"effectiveDateTime":"2020","_effectiveDateTime":{"id":"c"}`,
    ],
    [['Patient.name', 'id', 'meta'], mandatory],
    [[], mandatory],
  ])('%j', (elements, wanted) => {
    expect(part('Observation', members, { elements })).toBe(wanted);
  });

  test.each([
    [['kode'], /"kode" is no element of Observation: did you mean "code"\?/],
    [['Patient.nam'], /"Patient.nam" is no element of Patient: did you mean "name"\?/],
    [['code.coding'], /"code.coding" is no element of Observation: did you mean "code"\?/],
    [['xyzzyxyzzy'], /is no element of Observation: name elements at the root/],
    [['Nothing.code'], /is no element of Observation/],
    [['__proto__'], /is no element/],
    [[''], /is no element/],
  ])('an unknown name is refused: %j', (elements, message) => {
    const { status, message: said } = refusalOf('Observation', elements);
    expect(status).toBe(400);
    expect(said).toMatch(message);
  });
});

describe('R4 search 3.1.1.5.8: the tag SUBSETTED', () => {
  const tagsOf = (meta: string) =>
    JSON.parse(subset(`{"resourceType":"Patient"${meta}}`, { summary: 'data' })).meta.tag;

  test('joins other tags, stands once, and makes a meta where there is none', () => {
    const tag = JSON.parse(TAG);
    expect(tagsOf(',"meta":{"tag":[{"code":"SUBSETTED"}]}')).toEqual([{ code: 'SUBSETTED' }, tag]);
    expect(tagsOf(`,"meta":{"tag":[${TAG},{"code":"a"}]}`)).toEqual([tag, { code: 'a' }]);
    expect(tagsOf('')).toEqual([tag]);
  });
});

test('what is kept can be rendered after it was made a part', () => {
  const identity = { type: 'Patient', id: '1', version: 1, updated: '2020-01-01T00:00:00Z' };
  const { content } = readIncoming('{"active":true,"resourceType":"Patient","language":"de"}');
  expect(render(subset(content, { elements: ['active'] }), identity)).toBe(
    `{"resourceType":"Patient",${HEAD},"tag":[${TAG}]},"active":true}`,
  );
});

const examples = existsSync(EXAMPLES) ? test : test.skip;
examples('of the standard’s examples, every subset is as valid as the whole (skipped without them)', () => {
  const parts: Part[] = [{ summary: 'true' }, { summary: 'text' }, { summary: 'data' }, { elements: ['id'] }];
  for (const file of readdirSync(EXAMPLES)) {
    const text = readFileSync(join(EXAMPLES, file), 'utf8');
    const resource = JSON.parse(text);
    if (validator.validate(resource).length > 0) continue;
    for (const each of parts) {
      const taken = JSON.parse(subset(text, each));
      expect([file, each, validator.validate(taken)]).toEqual([file, each, []]);
    }
  }
});
