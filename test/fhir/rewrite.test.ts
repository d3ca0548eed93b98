import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import type { Resource } from 'fhir/r4.js';
import { loadDefinitions } from '../../src/fhir/definitions.ts';
import { parseKeepingNumbers } from '../../src/fhir/json.ts';
import { compileRewrite, type NewNames, type Rewrite } from '../../src/fhir/rewrite.ts';

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

let rewrite: Rewrite;

beforeAll(async () => {
  rewrite = compileRewrite(await loadDefinitions());
});

/** The resource after rewriting; whether it changed is checked along. */
function rewritten<T extends object>(resource: T, names = NAMES, fullUrl?: string): T {
  const copy = structuredClone(resource);
  const changed = rewrite(copy as unknown as Resource, names, fullUrl).size > 0;
  expect(changed).toBe(JSON.stringify(copy) !== JSON.stringify(resource));
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
      { resourceType: 'Media', content: { url: `${BINARY}/1` }, subject: { reference: `${PATIENT}0` } },
    ],
    [
      'a part of a resource, of which no Reference speaks',
      { resourceType: 'Basic', subject: { reference: `${PATIENT}#a` }, author: { reference: '#a' } },
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
    expect(rewrite(resource as unknown as Resource, NAMES).size).toBeGreaterThan(0);
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
    [`<p><img alt='x > y' src='${BINARY}'/></p>`, `<p><img alt='x > y' src='Binary/2'/></p>`],
    [
      `<a\n class="c"\n href = "${PATIENT}" >1</a><a href="${BINARY}">2</a>`,
      '<a\n class="c"\n href = "Patient/1" >1</a><a href="Binary/2">2</a>',
    ],
    ['<a href="http://example.org/fhir/Patient/23?a&amp;b">x</a>', '<a href="Patient/4">x</a>'],
    [`<a href="${PATIENT}#a&amp;b">x</a>`, '<a href="Patient/1#a&amp;b">x</a>'],
  ])('%s', (written, wanted) => {
    expect(narrative(written)).toBe(wanted);
  });

  test.each([
    ['the text', `<a href="#">href="${PATIENT}" ${PATIENT}</a>`],
    ['an attribute within an attribute', `<a title=' href="${PATIENT}"'>x</a>`],
    ['other attributes', `<a src="${PATIENT}" data-href="${PATIENT}">x</a><img href="${PATIENT}"/>`],
    ['other elements', `<abbr href="${PATIENT}">x</abbr><div src="${PATIENT}"/>`],
    ['a part', `<a href="${PATIENT}/a">x</a>`],
    ['the same resource', '<a href="#a">x</a><img src="#b"/>'],
    ['other entities', `<a href="${PATIENT}#&quot;">x</a>`],
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

describe('R4 bundle 2.36.4.1: relative links are resolved against the fullUrl of their own entry', () => {
  const names: NewNames = new Map([
    ['http://a.org/fhir/Patient/2', 'Patient/b'],
    ['http://a.org/fhir/Binary/2', 'Binary/b'],
    ['http://a.org/fhir/about', 'Basic/b'],
  ]);
  const own = 'http://a.org/fhir/Observation/1';
  const subject = (reference: string) => ({ resourceType: 'Observation', subject: { reference } });

  test.each([own, 'http://a.org/fhir/Patient/2'])('as under the root of %s', (fullUrl) => {
    expect(rewritten(subject('Patient/2'), names, fullUrl)).toEqual(subject('Patient/b'));
  });

  test.each([
    'https://a.org:8443/x/y/',
    // with characters that the regex of the standard leaves out
    'http://a.org/~x_y/',
  ])('a root is all before the type: %s', (root) => {
    const far = new Map([[`${root}Patient/2`, 'Patient/b']]);
    expect(rewritten(subject('Patient/2'), far, `${root}Observation/1`)).toEqual(subject('Patient/b'));
  });

  test('in url and uri elements, narratives, extensions and contained resources as well', () => {
    const document = (binary: string, patient: string) => ({
      resourceType: 'DocumentReference',
      text: { status: 'generated', div: `<div><a href="${patient}">P</a><img src="${binary}#x"/></div>` },
      contained: [{ resourceType: 'Basic', id: 'a', subject: { reference: patient } }],
      extension: [{ url: 'http://a.org/e', valueUri: binary }],
      content: [{ attachment: { url: binary } }, { attachment: { url: `${binary}#part` } }],
    });
    expect(rewritten(document('Binary/2', 'Patient/2'), names, own)).toEqual(
      document('Binary/b', 'Patient/b'),
    );
  });

  test.each([
    ['an entry without fullUrl', 'Patient/2', undefined],
    ['a urn as fullUrl', 'Patient/2', 'urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a'],
    ['another root', 'Patient/2', 'http://a.org/other/Observation/1'],
    ['a fullUrl that is not RESTful', 'Patient/2', 'http://a.org/fhir/1'],
    ['a type that is none', 'Patient/2', 'http://a.org/fhir/Nothing/1'],
    ['the host taken for a type', 'Patient/2', 'http://Observation/1'],
    ['what no entry is', 'Patient/3', own],
    ['what is no Type/id', 'about', own],
    ['a reference to one version', 'Patient/2/_history/1', own],
    ['canonicals', '', own],
  ])('not: %s', (_what, reference, fullUrl) => {
    const plan = { ...subject(reference), instantiatesCanonical: ['Patient/2'], resourceType: 'CarePlan' };
    expect(rewritten(plan, names, fullUrl)).toEqual(plan);
  });
});

describe('R4 http 3.1.0.11.2: canonicals are not replaced, nor what means the same', () => {
  const own = 'http://a.org/StructureDefinition/e';
  const names: NewNames = new Map([
    [own, 'StructureDefinition/1'],
    ['http://a.org/CodeSystem/c', 'CodeSystem/2'],
    ['http://a.org/Device/d', 'Device/3'],
    ['urn:uuid:f4d3ae5b-0ed1-4ae6-8ba5-1dd4c2a4b8f1', 'PlanDefinition/4'],
  ]);

  test.each([
    ['the canonical url of a definition', { resourceType: 'StructureDefinition', url: own }],
    ['Extension.url', { resourceType: 'Basic', extension: [{ url: own, valueBoolean: true }] }],
    [
      'Coding.system',
      { resourceType: 'Basic', code: { coding: [{ system: 'http://a.org/CodeSystem/c', code: 'c' }] } },
    ],
    ['meta.profile', { resourceType: 'Basic', meta: { profile: [own] } }],
  ])('not: %s', (_what, resource) => {
    expect(rewritten(resource, names, own)).toEqual(resource);
  });

  test('References and urls to definitions are replaced, and uris to others', () => {
    const guide = (definition: string, device: string, plan: string) => ({
      resourceType: 'Basic',
      subject: { reference: definition },
      extension: [{ valueUrl: definition }, { valueUri: device }, { valueUri: plan }],
    });
    const [definition, , device, plan] = [...names.keys()] as [string, string, string, string];
    expect(rewritten(guide(definition, device, plan), names)).toEqual(
      guide('StructureDefinition/1', 'Device/3', 'PlanDefinition/4'),
    );
  });
});

describe('R4 http 3.1.0.11.2: conditional references', () => {
  const condition = 'Patient?identifier=http://a.org|1&name=a#b';
  const names: NewNames = new Map([
    [condition, 'Patient/1'],
    ['Patient?name=a', 'Patient/2'],
  ]);

  test('are replaced as a whole, in References alone', () => {
    const everywhere = (reference: string) => ({
      resourceType: 'Observation',
      text: { status: 'generated', div: `<div><a href="Patient?name=a">x</a></div>` },
      contained: [{ resourceType: 'Basic', subject: { reference } }],
      extension: [{ valueUri: 'Patient?name=a' }, { valueUrl: 'Patient?name=a#b' }],
      focus: [{ reference: 'Patient?name=a#b' }, { reference }],
    });
    expect(rewritten(everywhere(condition), names, 'http://a.org/fhir/Observation/1')).toEqual(
      everywhere('Patient/1'),
    );
  });
});

describe('for any resource', () => {
  const names: NewNames = new Map([
    [PATIENT, 'Patient/1'],
    ['urn:oid:1.2.3', 'Organization/3'],
    ['http://a.org/fhir/Patient/2?a&b', 'Patient/4'],
    ['http://a.org/fhir/Group/2', 'Group/5'],
    ['Patient?identifier=a|b', 'Patient/6'],
  ]);
  const back: NewNames = new Map([...names].map(([name, id]) => [id, name]));

  const named = fc.constantFrom(...names.keys());
  const link = fc.oneof(
    named,
    fc.constantFrom('http://a.org', '#a', '', 'Group/2', 'Patient/9'),
    fc.webUrl({ withFragments: true }),
    fc.tuple(named, fc.constantFrom('#a', '/_history/1', '0', '#')).map((parts) => parts.join('')),
  );
  const quoted = link.map((url) => url.replaceAll('&', '&amp;'));
  const { resource } = fc.letrec<Record<'extension' | 'resource', Record<string, unknown>>>((tie) => ({
    extension: fc.oneof(
      { maxDepth: 3 },
      ...['Uri', 'Url', 'Oid', 'Uuid', 'Canonical', 'String', 'Markdown', 'Id'].map((type) =>
        link.map((url) => ({ url: 'http://a.org/e', [`value${type}`]: url })),
      ),
      link.map((reference) => ({ url: 'http://a.org/e', valueReference: { reference } })),
      fc.array(tie('extension'), { maxLength: 3 }).map((extension) => ({ url: 'http://a.org/e', extension })),
    ),
    resource: fc.record({
      resourceType: fc.constantFrom('CarePlan', 'Basic', 'DocumentReference', 'Bundle'),
      id: link,
      meta: fc.record({ profile: fc.array(link), source: link }),
      text: fc.array(quoted).map((urls) => ({
        div: `<div>${urls.map((url) => `<a class='a' href="${url}">${url}</a><img src='${url}'/>`).join('')}</div>`,
      })),
      contained: fc.oneof({ maxDepth: 1 }, fc.constant([]), fc.array(tie('resource'), { maxLength: 2 })),
      extension: fc.array(tie('extension')),
      subject: fc.record({ reference: link, display: link }),
      instantiatesUri: fc.array(link),
      instantiatesCanonical: fc.array(link),
      content: fc.array(link.map((url) => ({ attachment: { url } }))),
      entry: fc.array(link.map((fullUrl) => ({ fullUrl }))),
    }),
  }));

  test('new names and then the old ones give what was there', () => {
    fc.assert(
      fc.property(resource, (before) => {
        expect(rewritten(rewritten(before, names), back)).toEqual(before);
      }),
    );
  });

  test('canonicals, ids, plain text and entries never change, whatever the fullUrl', () => {
    const KEPT = /^(id|profile|instantiatesCanonical|display|entry|value(Canonical|String|Markdown|Id))$/;
    const kept = (value: object): unknown[] =>
      Object.entries(value).flatMap(([name, inner]) => {
        if (KEPT.test(name)) return [inner];
        return typeof inner === 'object' ? kept(inner) : [];
      });
    const fullUrl = fc.constantFrom('http://a.org/fhir/Basic/1', PATIENT, undefined);
    fc.assert(
      fc.property(resource, fullUrl, (before, own) => {
        expect(kept(rewritten(before, names, own))).toEqual(kept(before));
      }),
    );
  });

  test('no name is left in a Reference, none is made up', () => {
    fc.assert(
      fc.property(link, (reference) => {
        const { subject } = rewritten({ resourceType: 'Basic', subject: { reference } }, names);
        expect(subject.reference).toBe(names.get(reference) ?? reference);
      }),
    );
  });
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
