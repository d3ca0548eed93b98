import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Resource } from 'fhir/r4.js';
import { loadDefinitions } from '../../src/fhir/definitions.ts';
import { type ConditionalReference, compileConditions } from '../../src/fhir/rewrite.ts';

const SYNTHEA = join(import.meta.dirname, '../../../shared/data/synthea/blaze-uscore');

let conditionsOf: (resource: object) => readonly ConditionalReference[];

beforeAll(async () => {
  const conditions = compileConditions(await loadDefinitions());
  conditionsOf = (resource) => conditions(resource as Resource);
});

describe('R4 http 3.1.0.11.2: conditional references', () => {
  const condition = 'Patient?identifier=http://a.org|1&name=a#b';

  test('are listed with the FHIRPath of their first place, each once', () => {
    const performer = ['Practitioner/1', 'Practitioner?a=1', 'Group/1', 'Practitioner?a=1'];
    const observation = {
      resourceType: 'Observation',
      subject: { reference: condition },
      performer: performer.map((reference) => ({ reference })),
      note: [{ text: 'a' }, { authorReference: { reference: 'Practitioner?a=2' } }],
      contained: [
        { resourceType: 'Patient' },
        { resourceType: 'Specimen', parent: [{ reference: 'Specimen?a' }] },
      ],
      component: [
        { extension: [{ url: 'u', extension: [{ valueReference: { reference: 'Patient?' } }] }] },
        { _valueString: { extension: [{}, { valueReference: { reference: 'Group?a=b' } }] } },
      ],
    };
    expect(conditionsOf(observation)).toEqual([
      { text: condition, path: 'Observation.subject' },
      { text: 'Practitioner?a=1', path: 'Observation.performer[1]' },
      { text: 'Practitioner?a=2', path: 'Observation.note[1].author' },
      { text: 'Specimen?a', path: 'Observation.contained[1].parent[0]' },
      { text: 'Patient?', path: 'Observation.component[0].extension[0].extension[0].value' },
      { text: 'Group?a=b', path: 'Observation.component[1].value.extension[1].value' },
    ]);
  });

  test.each([
    [
      'other references',
      ['Patient/1', '#a', 'urn:uuid:1?a', 'Nothing?a=1', '?a=1', 'http://a.org/Patient?a=1', 'Patient/?a'],
    ],
    ['faulty ones', [null, 1, { reference: 'Patient?a=1' }]],
  ])('not: %s', (_what, references) => {
    const focus = (references as unknown[]).map((reference) => ({ reference }));
    expect(conditionsOf({ resourceType: 'Observation', focus })).toEqual([]);
  });

  test('not: in the entries of a Bundle, in Parameters, in other elements', () => {
    const basic = { resourceType: 'Basic', subject: { reference: 'Patient?a=1' } };
    for (const resource of [
      { resourceType: 'Bundle', entry: [{ resource: basic }], link: [{ url: 'Patient?a=1' }] },
      { resourceType: 'Parameters', parameter: [{ name: 'a', resource: basic, valueUri: 'Patient?a=1' }] },
    ])
      expect(conditionsOf(resource)).toEqual([]);
  });
});

const synthea = existsSync(SYNTHEA) ? test : test.skip;
synthea('of Synthea’s bundles: all that its text has (skipped without them)', () => {
  for (const file of readdirSync(SYNTHEA).slice(0, 4)) {
    const { entry } = JSON.parse(readFileSync(join(SYNTHEA, file), 'utf8'));
    for (const { resource } of entry) {
      const written = JSON.stringify(resource).matchAll(/"reference":"([A-Za-z]+\?[^"]+)"/g);
      const wanted = new Set([...written].map(([, text]) => text));
      expect(conditionsOf(resource).map(({ text }) => text)).toEqual([...wanted]);
    }
  }
});
