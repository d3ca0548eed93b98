import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Resource } from 'fhir/r4.js';
import { loadDefinitions } from '../../src/fhir/definitions.ts';
import { parseKeepingNumbers } from '../../src/fhir/json.ts';
import { compileRewrite, type NewNames } from '../../src/fhir/rewrite.ts';

const SYNTHEA = join(import.meta.dirname, '../../../shared/data/synthea/smart-r4');
const PATIENT = 'urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a';
const BINARY = 'urn:uuid:88f151c0-a954-468a-88bd-5ae15c08e059';
const FOREIGN = 'http://example.org/fhir/Patient/23?a&b';
const NAMES: NewNames = new Map([
  [PATIENT, 'Patient/1'],
  [BINARY, 'Binary/2'],
  ['urn:oid:1.2.3', 'Organization/3'],
  [FOREIGN, 'Patient/4'],
]);

let rewrite: (resource: Resource, names: NewNames) => boolean;

beforeAll(async () => {
  rewrite = compileRewrite(await loadDefinitions());
});

/** The resource after rewriting; whether it changed is checked along. */
function rewritten(resource: object, names = NAMES): object {
  const copy = structuredClone(resource);
  expect(rewrite(copy as Resource, names)).toBe(rewrite(structuredClone(resource) as Resource, names));
  const changed = JSON.stringify(copy) !== JSON.stringify(resource);
  expect(rewrite(structuredClone(resource) as Resource, names)).toBe(changed);
  return copy;
}

describe('R4 http 3.1.0.11.2: links to entries of a transaction are replaced', () => {
  test.each([
    ['Reference.reference', { resourceType: 'Observation', subject: { reference: PATIENT } }],
    ['a url that is no urn', { resourceType: 'Observation', subject: { reference: FOREIGN } }],
    [
      'in lists',
      { resourceType: 'Observation', performer: [{ reference: 'Group/1' }, { reference: PATIENT }] },
    ],
    ['url', { resourceType: 'Media', content: { url: BINARY } }],
    ['uri', { resourceType: 'CarePlan', instantiatesUri: ['http://example.org', BINARY] }],
    [
      'oid and uuid',
      { resourceType: 'Basic', extension: [{ valueOid: 'urn:oid:1.2.3' }, { valueUuid: PATIENT }] },
    ],
    [
      'in contained resources',
      { resourceType: 'List', contained: [{ resourceType: 'Basic', subject: { reference: PATIENT } }] },
    ],
    [
      'in extensions of primitives',
      { resourceType: 'Patient', _birthDate: { extension: [{ valueUri: BINARY }] } },
    ],
  ])('%s', (_what, resource) => {
    const text = JSON.stringify(rewritten(resource));
    expect(text).toMatch(/"(Patient\/[14]|Binary\/2|Organization\/3)"/);
    expect(text).not.toMatch(new RegExp(`${PATIENT}|${BINARY}|example.org/fhir|urn:oid`));
  });

  test.each([
    [
      'canonical',
      { resourceType: 'CarePlan', instantiatesCanonical: [PATIENT], meta: { profile: [PATIENT] } },
    ],
    [
      'plain text',
      {
        resourceType: 'Basic',
        subject: { display: PATIENT },
        id: PATIENT,
        extension: [{ valueString: PATIENT }],
      },
    ],
    [
      'a part of a value',
      { resourceType: 'Media', content: { url: `${BINARY}#1` }, subject: { reference: `${PATIENT}0` } },
    ],
    [
      'a reference to one version',
      { resourceType: 'Basic', subject: { reference: `${FOREIGN}/_history/1` } },
    ],
    [
      'the world of a Bundle',
      {
        resourceType: 'Bundle',
        entry: [{ fullUrl: PATIENT, resource: { resourceType: 'Basic', subject: { reference: PATIENT } } }],
      },
    ],
    [
      'resources of Parameters',
      {
        resourceType: 'Parameters',
        parameter: [{ name: 'a', resource: { resourceType: 'Basic', subject: { reference: PATIENT } } }],
      },
    ],
    [
      'faulty ones',
      {
        resourceType: 'Basic',
        subject: { reference: [{ reference: 1 }] },
        author: null,
        identifier: 'urn:oid:1.2.3',
      },
    ],
  ])('not: %s', (_what, resource) => {
    expect(rewritten(resource)).toEqual(resource);
  });

  test('nothing to replace, nothing changed', () => {
    const basic = { resourceType: 'Basic', subject: { reference: PATIENT } };
    expect(rewritten(basic, new Map())).toEqual(basic);
  });

  test('numbers keep their digits', () => {
    const text = `{"resourceType":"Observation","subject":{"reference":"${PATIENT}"},"valueQuantity":{"value":1.00,"system":"urn:oid:1.2.3"}}`;
    const resource = parseKeepingNumbers(text);
    expect(rewrite(resource as unknown as Resource, NAMES)).toBe(true);
    expect(JSON.stringify(resource)).toBe(
      text.replace(PATIENT, 'Patient/1').replace('urn:oid:1.2.3', 'Organization/3'),
    );
  });
});

describe('R4 http 3.1.0.11.2: links in narratives are replaced', () => {
  const narrative = (inner: string) => {
    const of = (text: string) => ({
      resourceType: 'Basic',
      text: { status: 'generated', div: `<div xmlns="http://www.w3.org/1999/xhtml">${text}</div>` },
    });
    const { div } = (rewritten(of(inner)) as ReturnType<typeof of>).text;
    return div.slice('<div xmlns="http://www.w3.org/1999/xhtml">'.length, -'</div>'.length);
  };

  test.each([
    [`<a href="${PATIENT}">He</a>`, '<a href="Patient/1">He</a>'],
    [`<p><img alt='x > y' src='${BINARY}'/></p>`, `<p><img alt='x > y' src="Binary/2"/></p>`],
    [
      `<a\n class="c"\n href = "${PATIENT}" >1</a><a href="${BINARY}">2</a>`,
      '<a\n class="c"\n href = "Patient/1" >1</a><a href="Binary/2">2</a>',
    ],
    ['<a href="http://example.org/fhir/Patient/23?a&amp;b">x</a>', '<a href="Patient/4">x</a>'],
  ])('%s', (written, wanted) => {
    expect(narrative(written)).toBe(wanted);
  });

  test.each([
    ['the text', `<a href="#">href="${PATIENT}" ${PATIENT}</a>`],
    ['an attribute within an attribute', `<a title=' href="${PATIENT}"'>x</a>`],
    ['other attributes', `<a src="${PATIENT}" data-href="${PATIENT}">x</a><img href="${PATIENT}"/>`],
    ['other elements', `<abbr href="${PATIENT}">x</abbr><div src="${PATIENT}"/>`],
    ['a part', `<a href="${PATIENT}#a">x</a>`],
    ['faulty XHTML', `<a href="${PATIENT}`],
  ])('not: %s', (_what, written) => {
    expect(narrative(written)).toBe(written);
  });

  test.each(['<a ', '<a a', '<a "', ' ', 'a', '<a x="', '<img src=', '"', "'"])(
    'a megabyte of %j takes no time',
    (piece) => {
      const long = `<a x${piece.repeat(1_048_576 / piece.length)}`;
      const start = performance.now();
      expect(narrative(long)).toBe(long);
      expect(performance.now() - start).toBeLessThan(5000);
    },
  );
});

const synthea = existsSync(SYNTHEA) ? test : test.skip;
synthea(
  'of Synthea’s bundles no urn:uuid of an entry is left, and nothing else changes (skipped without them)',
  () => {
    for (const file of readdirSync(SYNTHEA).slice(0, 3)) {
      const { entry } = JSON.parse(readFileSync(join(SYNTHEA, file), 'utf8'));
      const names = new Map<string, string>(
        entry.map(({ fullUrl, resource }: { fullUrl: string; resource: Resource }) => [
          fullUrl,
          `${resource.resourceType}/${resource.id}`,
        ]),
      );
      for (const { resource } of entry) {
        let wanted = JSON.stringify(resource);
        for (const name of wanted.match(/urn:uuid:[0-9a-f-]{36}/g) ?? [])
          wanted = wanted.replace(`"${name}"`, JSON.stringify(names.get(name) ?? name));
        rewrite(resource, names);
        expect(JSON.stringify(resource)).toBe(wanted);
      }
    }
  },
);
