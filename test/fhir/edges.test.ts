import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Resource } from 'fhir/r4.js';
import { type Definitions, loadDefinitions } from '../../src/fhir/definitions.ts';
import { compileEdges, type Edge } from '../../src/fhir/edges.ts';
import { parseReference } from '../../src/fhir/reference.ts';

const EXAMPLES = join(import.meta.dirname, '../../../shared/data/r4-examples');
const BASE = 'https://example.org/fhir';

let definitions: Definitions;
let edgesOf: (resource: object) => Edge[];

beforeAll(async () => {
  definitions = await loadDefinitions();
  const edges = compileEdges(definitions);
  edgesOf = (resource) => edges(resource as Resource, BASE);
});

/** Edges as short texts. */
const shown = (resource: object): string[] =>
  edgesOf(resource).map(
    ({ path, type, id, version }) => `${path} ${type}/${id}${version ? `@${version}` : ''}`,
  );

describe('edges: every local reference and url of a resource', () => {
  test.each([
    ['a relative reference', { subject: { reference: 'Patient/1' } }, ['Observation.subject Patient/1']],
    [
      'one under the base',
      { subject: { reference: `${BASE}/Patient/1` } },
      ['Observation.subject Patient/1'],
    ],
    [
      'one to a version',
      { focus: [{ reference: 'Patient/1/_history/2' }] },
      ['Observation.focus Patient/1@2'],
    ],
    [
      'in a list',
      { performer: [{ reference: 'Practitioner/1' }, { reference: 'Practitioner/2' }] },
      ['Observation.performer Practitioner/1', 'Observation.performer Practitioner/2'],
    ],
    [
      'the same twice from one element is one edge, from two elements two',
      {
        performer: [{ reference: 'Practitioner/1' }, { reference: `${BASE}/Practitioner/1` }],
        note: [{ authorReference: { reference: 'Practitioner/1' } }],
      },
      ['Observation.performer Practitioner/1', 'Observation.note.author Practitioner/1'],
    ],
    [
      'within contained resources',
      { contained: [{ resourceType: 'Specimen', id: 's', subject: { reference: 'Patient/1' } }] },
      ['Observation.contained.subject Patient/1'],
    ],
    [
      'within extensions of the resource, of elements, of references, of primitives and of extensions',
      {
        extension: [{ url: 'u', extension: [{ url: 'v', valueReference: { reference: 'Group/1' } }] }],
        code: { coding: [{ extension: [{ url: 'u', valueReference: { reference: 'Group/2' } }] }] },
        subject: { extension: [{ url: 'u', valueReference: { reference: 'Group/3' } }] },
        _status: { extension: [{ url: 'u', valueReference: { reference: 'Group/4' } }] },
      },
      [
        'Observation.extension.extension.value Group/1',
        'Observation.code.coding.extension.value Group/2',
        'Observation.subject.extension.value Group/3',
        'Observation.status.extension.value Group/4',
      ],
    ],
    [
      'the assigner of a logical reference',
      { subject: { identifier: { assigner: { reference: 'Organization/1' } } } },
      ['Observation.subject.identifier.assigner Organization/1'],
    ],
    [
      'elements shared by contentReference',
      {
        component: [{ referenceRange: [{ appliesTo: [{ extension: [{ url: 'u', valueUri: 'List/1' }] }] }] }],
      },
      ['Observation.component.referenceRange.appliesTo.extension.value List/1'],
    ],
  ])('%s', (_what, more, wanted) => {
    expect(shown({ resourceType: 'Observation', ...more })).toEqual(wanted);
  });

  test('urls of attachments, relative or under the base', () => {
    const content = [
      { attachment: { url: 'Binary/1' } },
      { attachment: { url: `${BASE}/Binary/2` } },
      { attachment: { url: 'https://elsewhere.org/fhir/Binary/3' } },
    ];
    expect(shown({ resourceType: 'DocumentReference', content })).toEqual([
      'DocumentReference.content.attachment.url Binary/1',
      'DocumentReference.content.attachment.url Binary/2',
    ]);
  });

  test('canonicals and uris, without their business version or fragment', () => {
    const plan = {
      resourceType: 'CarePlan',
      meta: { profile: [`${BASE}/StructureDefinition/s|1.0`] },
      instantiatesCanonical: [`${BASE}/PlanDefinition/p#part`, 'http://hl7.org/fhir/PlanDefinition/q'],
      instantiatesUri: ['PlanDefinition/r', 'urn:uuid:1'],
    };
    expect(shown(plan)).toEqual([
      'CarePlan.meta.profile StructureDefinition/s',
      'CarePlan.instantiatesCanonical PlanDefinition/p',
      'CarePlan.instantiatesUri PlanDefinition/r',
    ]);
  });

  test('items of items, however deep', () => {
    const leaf = { linkId: '3', answer: [{ valueReference: { reference: 'Patient/1' } }] };
    const answers = {
      resourceType: 'QuestionnaireResponse',
      item: [{ item: [{ answer: [{ item: [leaf] }] }] }],
    };
    expect(shown(answers)).toEqual(['QuestionnaireResponse.item.item.answer.item.answer.value Patient/1']);
  });

  test('not of plain strings, foreign, contained and logical references, or faulty ones', () => {
    const observation = {
      resourceType: 'Observation',
      valueString: 'Patient/1',
      subject: { display: 'Patient/1' },
      focus: [
        { reference: '#p' },
        { reference: 'urn:uuid:1' },
        { reference: 'Nothing/1' },
        { reference: 5 },
        null,
      ],
      performer: [{ reference: 'https://elsewhere.org/fhir/Practitioner/1' }, { identifier: { value: '1' } }],
    };
    expect(shown(observation)).toEqual([]);
  });

  test('not of the entries of a Bundle nor of resources in Parameters, but of references beside them', () => {
    const patient = { resourceType: 'Patient', managingOrganization: { reference: 'Organization/1' } };
    const signature = { who: { reference: 'Practitioner/1' } };
    expect(
      shown({ resourceType: 'Bundle', entry: [{ fullUrl: 'Patient/1', resource: patient }], signature }),
    ).toEqual(['Bundle.signature.who Practitioner/1']);
    const parameter = [
      { name: 'a', resource: patient, part: [{ valueReference: { reference: 'Group/1' } }] },
    ];
    expect(shown({ resourceType: 'Parameters', parameter })).toEqual([
      'Parameters.parameter.part.value Group/1',
    ]);
  });

  test('a Group of 5,000 members, each twice', () => {
    const member = Array.from({ length: 10_000 }, (_, i) => ({
      entity: { reference: `Patient/${i % 5000}` },
    }));
    expect(edgesOf({ resourceType: 'Group', member })).toHaveLength(5000);
  });

  const examples = existsSync(EXAMPLES) ? test : test.skip;
  examples(
    'of the standard’s examples: all that a walk over every "reference" finds (skipped without them)',
    () => {
      let count = 0;
      for (const file of readdirSync(EXAMPLES)) {
        const resource = JSON.parse(readFileSync(join(EXAMPLES, file), 'utf8'));
        const found = new Set(edgesOf(resource).map(({ type, id }) => `${type}/${id}`));
        const wanted = new Set(referencesIn(resource));
        count += wanted.size;
        expect([file, [...wanted].filter((each) => !found.has(each))]).toEqual([file, []]);
      }
      expect(count).toBeGreaterThan(1500);
    },
  );
});

/** Local references by name alone, without the definitions. */
function referencesIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value)) return value.flatMap(referencesIn);
  return Object.entries(value).flatMap(([name, child]) => {
    if (name === 'entry' && (value as { resourceType?: string }).resourceType === 'Bundle') return [];
    if (name === 'resource' && 'name' in value) return [];
    if (name !== 'reference' || typeof child !== 'string') return referencesIn(child);
    const parsed = parseReference(child, BASE, definitions.isResourceType);
    return parsed.kind === 'local' ? [`${parsed.type}/${parsed.id}`] : [];
  });
}
