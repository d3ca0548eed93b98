/** One resource against a search: by rule and section of R4 search.html; `_filter` then against what SQL answers (test/oracle has the other searches). */
import fc from 'fast-check';
import type { Resource } from 'fhir/r4.js';
import type { SearchParameter } from '../../src/fhir/definitions.ts';
import { compileExtractor, type Extractor } from '../../src/fhir/extract.ts';
import { matches } from '../../src/search/match.ts';
import { componentsOf, searchable } from '../../src/search/parameters.ts';
import { parseSearch } from '../../src/search/parse.ts';
import type { Filter } from '../../src/search/request.ts';
import { resourceOf, TYPES } from '../oracle/arbitrary/resources.ts';
import { BASE_URL, openTestRecords, type TestRecords } from '../support/records.ts';
import { searching } from '../support/searching.ts';
import { type Asked, filterBy } from './arbitrary-filter.ts';

let it: TestRecords;
let extractor: Extractor;
beforeAll(async () => {
  it = await openTestRecords();
  extractor = compileExtractor(it.definitions);
});
afterAll(() => it.close());

const UPDATED = Date.UTC(2024, 4, 31, 10, 0, 0, 250);

/** The judgement, by a query as it stands in a URL. */
function meets(resource: object, text: string): boolean {
  const { resourceType } = resource as Resource;
  const { filters } = parseSearch(it.definitions, resourceType, new URLSearchParams(text), BASE_URL);
  return judge(filters, { id: 'own', ...resource } as Resource, UPDATED);
}

function judge(filters: readonly Filter[], resource: Resource, updated: number): boolean {
  return matches(filters, {
    type: resource.resourceType,
    id: resource.id as string,
    updated,
    values: extractor.extract(resource),
    baseUrl: BASE_URL,
    isResourceType: it.definitions.isResourceType,
  });
}

const patient = (more: object): object => ({ resourceType: 'Patient', ...more });
const observation = (more: object): object => ({ resourceType: 'Observation', status: 'final', ...more });

describe('R4 search #combining: parameters must all hold, values are alternatives', () => {
  const resource = patient({ active: true, gender: 'female', name: [{ given: ['Ada', 'Eva'] }] });
  test.each([
    ['', true],
    ['gender=female&active=true', true],
    ['gender=female&active=false', false],
    ['gender=male,female', true],
    ['given=ada&given=eva', true],
    ['given=ada&given=ida', false],
  ])('%s: %s', (text, expected) => expect(meets(resource, text)).toBe(expected));
});

describe('R4 search #all: parameters for all resources', () => {
  test.each([
    ['_id=own', true],
    ['_id=other,own', true],
    ['_id=OWN', false],
    ['_lastUpdated=2024-05-31', true],
    ['_lastUpdated=2024-05-31T10:00:00.250Z', true],
    ['_lastUpdated=gt2024-05-31T10:00:00.250Z', false],
    ['_lastUpdated=sa2024-05-31T10:00:00.249Z', true],
    ['_lastUpdated=lt2024-05-31', false],
  ])('%s: %s', (text, expected) => expect(meets(patient({}), text)).toBe(expected));
});

describe('R4 search #prefix, #date: ranges against ranges', () => {
  const day = { effectiveDateTime: '1990-06-15' };
  const year = { effectiveDateTime: '1990' };
  const open = { effectivePeriod: { start: '1990-06-15' } };
  const until = { effectivePeriod: { end: '1990-06-15' } };
  test.each([
    ['1990', day, true],
    ['1990-06-15T12:00', day, false],
    ['eq1990-06', year, false],
    ['ne1990-06', year, true],
    ['ne1990', day, false],
    ['gt1990-06-14', day, true],
    ['gt1990-06-15', day, false],
    ['gt1990-06', year, true],
    ['lt1990-06-15', day, false],
    ['lt1990-06', year, true],
    ['ge1990-06-15', day, true],
    ['ge1990-06-16', day, false],
    ['le1990-06-15', day, true],
    ['le1990-06-14', day, false],
    ['sa1990-06-14', day, true],
    ['sa1990-06', year, false],
    ['eb1990-06-16', day, true],
    ['eb1990-06', year, false],
    ['gt2500', open, true],
    ['eq1990', open, false],
    ['lt0500', until, true],
    ['sa1990-06-14', open, true],
    ['eb1990-06-16', until, true],
    ['ap1986', day, true],
    ['ap1800', day, false],
    ['ne1990', {}, false],
    ['2024,1990-06-15', day, true],
  ])('date=%s of %j: %s', (value, date, expected) =>
    expect(meets(observation(date), `date=${value}`)).toBe(expected),
  );
});

describe('R4 search #token: code, system|code, |code, system|', () => {
  const both = { coding: [{ system: 'http://a', code: 'x' }, { code: 'y' }], text: 'z' };
  test.each([
    ['code=x', true],
    ['code=http://a|x', true],
    ['code=|x', false],
    ['code=|y', true],
    ['code=http://a|', true],
    ['code=http://a|y', false],
    ['code=X', false],
    ['code=z', false],
    ['code=http://b|x,|y', true],
    ['combo-code=x', true],
    ['category=x', false],
  ])('%s: %s', (text, expected) => expect(meets(observation({ code: both }), text)).toBe(expected));

  test.each([
    ['identifier=urn:mrn|A%5C|1%5C,2', true],
    ['identifier=A%5C|1%5C,2', true],
    ['identifier=a%5C|1%5C,2', false],
    ['identifier=urn:none|', true],
    ['phone=555-0100', true],
    ['active=true', true],
  ])('%s: %s', (text, expected) => {
    const identifier = [{ system: 'urn:mrn', value: 'A|1,2' }, { system: 'urn:none' }];
    const telecom = [{ system: 'phone', value: '555-0100' }];
    expect(meets(patient({ active: true, identifier, telecom }), text)).toBe(expected);
  });
});

describe('R4 search #string: without case and accents, from the beginning', () => {
  test.each([
    ['name=sonder', true],
    ['name=BJØRN', true],
    ['name=ergaard', false],
    ['name=bjorn  k', true],
    ['given=sonder', false],
    ['family=x,søn', true],
    ['address-city=sonder', false],
  ])('%s: %s', (text, expected) => {
    const name = [{ family: 'Søndergaard', given: ['Bjørn Kai'] }];
    expect(meets(patient({ name }), text)).toBe(expected);
  });
});

describe('R4 search #reference: where it leads, not how it is written', () => {
  const base = `${BASE_URL}/Patient/p`;
  test.each([
    ['subject=p', 'Patient/p', true],
    ['subject=p', 'Group/p', true],
    ['patient=p', 'Group/p', false],
    ['subject=Patient/p', base, true],
    [`subject=${base}`, 'Patient/p', true],
    ['subject:Patient=p', 'Group/p', false],
    ['subject:Group=p', 'Group/p', true],
    ['patient=p', 'Patient/p/_history/2', true],
    ['patient=p', 'Patient/pp', false],
    // a version as only canonicals have it
    ['patient=p', 'Patient/p|2', false],
    ['patient=p', 'http://elsewhere/Patient/p', false],
    ['subject=http://elsewhere/Patient/p', 'http://elsewhere/Patient/p', true],
    ['subject=http://elsewhere/Patient/p', 'http://elsewhere/Patient/p2', false],
    ['subject=urn:uuid:1', 'urn:uuid:1', true],
    ['subject=p', '#p', false],
  ])('%s of %s: %s', (text, reference, expected) =>
    expect(meets(observation({ subject: { reference } }), text)).toBe(expected),
  );

  test('a reference by identifier alone is none to the resource', () => {
    const subject = { identifier: { system: 'urn:mrn', value: 'p' }, type: 'Patient' };
    expect(meets(observation({ subject }), 'subject=p')).toBe(false);
  });

  test.each([
    ['http://a/q', true],
    ['http://a/q|2', true],
    ['http://a/q|1', false],
    ['http://a/', false],
  ])('a canonical is found without its version, too: questionnaire=%s: %s', (url, expected) => {
    const response = { resourceType: 'QuestionnaireResponse', questionnaire: 'http://a/q|2' };
    expect(meets(response, `questionnaire=${url}`)).toBe(expected);
  });
});

test.each([
  ['http://a/Q', true],
  ['http://a/q', false],
  ['http://a/', false],
])('R4 search #uri: it is the whole text, exactly: url=%s: %s', (url, expected) =>
  expect(meets({ resourceType: 'Questionnaire', url: 'http://a/Q' }, `url=${encodeURIComponent(url)}`)).toBe(
    expected,
  ),
);

describe('SQL and the matcher', () => {
  const { put, pages } = searching(() => it);
  let run = 0;

  /** Those that the arbitrary filters are of. */
  const KINDS = new Set([
    'token',
    'date',
    'string',
    'reference',
    'uri',
    'number',
    'quantity',
    'composite',
    'special',
  ]);

  /** The parameters that resources of a type have values for. */
  function parametersOf(type: string): SearchParameter[] {
    const sample = fc.sample(resourceOf(type), { numRuns: 100, seed: 1 });
    const extracted = sample.flatMap((rest) =>
      extractor.extract({ resourceType: type, ...rest } as Resource).map(({ parameter }) => parameter.code),
    );
    const codes = new Set(['_id', '_lastUpdated', ...extracted]);
    return searchable(it.definitions, type).filter(
      ({ code, type: kind }) => codes.has(code) && KINDS.has(kind),
    );
  }

  /** Compares the answers to some searches of some resources; gives how many matched. */
  async function compare(
    type: string,
    resources: readonly object[],
    searches: readonly Asked[],
  ): Promise<number> {
    run++;
    const ids = resources.map((_, i) => `run${run}-${i}`);
    for (const [i, rest] of resources.entries()) await put(type, ids[i] as string, rest);
    const updated = new Map<string, number>();
    for (const entry of (await pages(type, `_id=${ids}&_count=1000`)).flat())
      updated.set(entry.id, Date.parse(entry.updated));
    let found = 0;
    for (const { parameters, sort } of searches) {
      const pairs = parameters.map(([name, value]): [string, string] => {
        const filled = value.replace(/%(id|updated)(\d+)%/g, (_, what, n) => {
          const id = ids[Number(n) % ids.length] as string;
          return what === 'id' ? id : new Date(updated.get(id) as number).toISOString();
        });
        return [name, filled];
      });
      const query = `${new URLSearchParams(pairs)}&_count=1000&${sort}`;
      const { filters } = parseSearch(it.definitions, type, pairs, BASE_URL);
      const judged = ids.filter((id, i) => {
        const resource = { resourceType: type, id, ...resources[i] } as Resource;
        return judge(filters, resource, updated.get(id) as number);
      });
      const bySql = new Set((await pages(type, query)).flat().map(({ id }) => id));
      expect({ query, found: judged }).toEqual({ query, found: ids.filter((id) => bySql.has(id)) });
      found += judged.length;
    }
    return found;
  }

  test.each(TYPES)('of any %s give the same answers to any _filter', async (type) => {
    let found = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(resourceOf(type), { minLength: 8, maxLength: 12 }),
        fc.array(
          filterBy(parametersOf(type), (one) => componentsOf(it.definitions, type, one)),
          { minLength: 20, maxLength: 30 },
        ),
        async (resources, searches) => {
          found += await compare(type, resources, searches);
        },
      ),
      // Time enough for some shrinking.
      { numRuns: 10, interruptAfterTimeLimit: 15_000 },
    );
    // Not the same because they are empty.
    expect(found).toBeGreaterThan(100);
  });

  const group = { status: 'draft', intent: 'plan', instantiatesCanonical: ['PlanDefinition/1'] };
  const about = { status: 'final', code: { text: 'x' }, subject: { reference: 'Patient/p' } };
  const response = { status: 'completed', questionnaire: 'http://a/q|1' };
  test.each<[type: string, rest: object, name: string, value: string, found: number]>([
    // The types of its targets are not defined: an id alone finds nothing.
    ['RequestGroup', group, 'instantiates-canonical', '1', 0],
    ['RequestGroup', group, 'instantiates-canonical', 'PlanDefinition/1', 1],
    // Marks and white space are nothing once folded: whatever has a name begins with it.
    ['Patient', { name: [{ family: 'x' }] }, 'name', '\u0301', 1],
    ['Patient', { name: [{ family: '\u0301' }] }, 'name', ' ', 1],
    ['Patient', { name: [{ family: '-' }] }, 'name', 'x', 0],
    ['Patient', { name: [{ family: 'a'.repeat(600) }] }, 'name', 'a'.repeat(500), 1],
    ['Observation', about, 'subject', 'urn:x,p,Group/p', 1],
    ['QuestionnaireResponse', response, 'questionnaire', 'http://a/q', 1],
    ['QuestionnaireResponse', response, 'questionnaire', 'http://a/q|2', 0],
  ])('agree on %s %j by %s', async (type, rest, name, value, found) => {
    expect(await compare(type, [rest], [{ parameters: [[name, value]], sort: '' }])).toBe(found);
  });
});
