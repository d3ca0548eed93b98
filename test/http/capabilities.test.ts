/** The CapabilityStatement lists exactly what is supported, per type (R4 capabilitystatement.html): walked, and tried. */
import type {
  CapabilityStatement,
  CapabilityStatementRest,
  CapabilityStatementRestResource,
  CapabilityStatementRestResourceSearchParam as Listed,
} from 'fhir/r4.js';
import type { SearchParameter } from '../../src/fhir/definitions.ts';
import { componentsOf } from '../../src/search/parameters.ts';
import { startApp, type TestApp } from './app.ts';

let app: TestApp;
let rest: CapabilityStatementRest;
let types: readonly CapabilityStatementRestResource[];
beforeAll(async () => {
  app = await startApp();
  const { body } = await app.send('get', '/metadata').expect(200);
  [rest] = (body as CapabilityStatement).rest as [CapabilityStatementRest];
  types = rest.resource as CapabilityStatementRestResource[];
});
afterAll(() => app.close());

const VALUES: Readonly<Partial<Record<SearchParameter['type'], string>>> = {
  number: '1',
  date: 'ge2020',
  string: 'x',
  token: 'http://a|x',
  quantity: '1||mg',
  uri: 'http://a',
  special: '1|1',
};

function valueFor(type: string, { name, type: kind }: Pick<Listed, 'name' | 'type'>): string {
  if (name === '_filter') return '_id eq x';
  if (name === '_list' || name === '_id') return '42';
  const { definitions } = app.app;
  const parameter = definitions.searchParameters(type).find(({ code }) => code === name) as SearchParameter;
  if (kind === 'reference') return parameter.target?.length ? `${parameter.target[0]}/x` : 'http://a/x';
  if (kind !== 'composite') return VALUES[kind] as string;
  const parts = componentsOf(definitions, type, parameter);
  return parts
    .map((part) => valueFor(part.base[0] as string, { name: part.code, type: part.type }))
    .join('$');
}

/** Asks for all of them, some side by side; those that are answered otherwise. */
async function notAnswered(paths: readonly string[], status: number): Promise<string[]> {
  const wrong: string[] = [];
  const rest = [...paths];
  const one = async (): Promise<void> => {
    for (let path = rest.pop(); path !== undefined; path = rest.pop()) {
      const answer = await app.send('get', path);
      if (answer.status !== status) wrong.push(`${answer.status} ${path}`);
      if (answer.status >= 500) throw new Error(path);
    }
  };
  await Promise.all(Array.from({ length: 8 }, one));
  return wrong;
}

const query = (type: string, name: string, value: string): string =>
  `/${type}?${name}=${encodeURIComponent(value)}&_count=1`;

/** Of those without a modifier of their own. */
const MODIFIER_VALUES: Readonly<Record<string, string>> = {
  missing: 'true',
  'of-type': 'http://a|x|1',
  in: 'http://hl7.org/fhir/ValueSet/administrative-gender',
  'not-in': 'http://hl7.org/fhir/ValueSet/administrative-gender',
  above: 'http://terminology.hl7.org/CodeSystem/v3-ActCode|AMB',
  below: 'http://terminology.hl7.org/CodeSystem/v3-ActCode|AMB',
};

test('each listed parameter of each type takes a value', async () => {
  const paths = types.flatMap(({ type, searchParam = [], searchRevInclude = [] }) =>
    searchParam
      // Nothing refers to Parameters.
      .filter(({ name }) => name !== '_has' || searchRevInclude.length > 0)
      .map((one) =>
        one.name === '_has'
          ? query(type, `_has:${searchRevInclude[1]}:_id`, 'x')
          : query(type, one.name, valueFor(type, one)),
      ),
  );
  expect(paths.length).toBeGreaterThan(3000);
  expect(await notAnswered(paths, 200)).toEqual([]);
}, 120_000);

test('R4 operationslist.html: operations by type, each by the definition that its calls are checked against', () => {
  const of = (wanted: string) =>
    types
      .find(({ type }) => type === wanted)
      ?.operation?.map(({ name, definition }) => `${name} ${definition}`)
      .sort();
  const core = 'http://hl7.org/fhir/OperationDefinition';
  const meta = ['meta', 'meta-add', 'meta-delete'].map((code) => `${code} ${core}/Resource-${code}`);
  const own = 'https://consilium.example/fhir/OperationDefinition';
  expect(of('Patient')).toEqual([`everything ${core}/Patient-everything`, `gallery ${own}/gallery`, ...meta]);
  expect(of('Media')).toEqual([`content ${own}/content`, `link ${own}/link`, ...meta]);
  expect(of('Observation')).toEqual([
    `lastn ${core}/Observation-lastn`,
    ...meta,
    `stats ${core}/Observation-stats`,
  ]);
  expect(of('DocumentReference')).toEqual([
    `content ${own}/content`,
    'docref http://hl7.org/fhir/us/core/OperationDefinition/docref',
    `link ${own}/link`,
    ...meta,
  ]);
  expect(of('Composition')).toEqual([`document ${core}/Composition-document`, ...meta]);
  expect(of('Group')).toEqual(meta);
  expect(rest.operation?.map(({ name }) => name)).toEqual(['reindex']);
});

test('each that is not listed is 400', async () => {
  const all = [...new Set(types.flatMap(({ searchParam = [] }) => searchParam.map(({ name }) => name)))];
  const paths = types.flatMap(({ type, searchParam = [] }, i) => {
    const listed = new Set(searchParam.map(({ name }) => name));
    const others = all.filter((name) => !listed.has(name));
    return [
      ...Array.from({ length: 6 }, (_, k) => others[(i * 37 + k * 101) % others.length] as string),
      '_query',
      'nonsense',
    ].map((name) => query(type, name, 'x'));
  });
  expect(await notAnswered(paths, 400)).toEqual([]);
}, 120_000);

/** Types whose resources may be part of others. */
const PARTS = ['CarePlan', 'Encounter', 'Location', 'Organization', 'ResearchStudy', 'Task'];

test('each modifier that its documentation tells is taken, and others are 400', async () => {
  const told = types
    .filter((_, i) => i % 12 === 0)
    .flatMap(({ type, searchParam = [] }) =>
      searchParam.flatMap((one) => {
        const modifiers = [...(one.documentation ?? '').matchAll(/ :(\S+)/g)].map(
          ([, modifier]) => modifier as string,
        );
        return { type, one, modifiers };
      }),
    )
    .filter(({ one }) => !['_has', '_list', '_filter'].includes(one.name));
  const taken = told.flatMap(({ type, one, modifiers }) =>
    modifiers.map((modifier) => {
      const target = app.app.definitions.searchParameters(type).find(({ code }) => code === one.name)?.target;
      // Any reference may be a canonical, with versions below it.
      if (one.type === 'reference' && modifier === 'below')
        return query(type, `${one.name}:below`, 'http://a/x|1');
      if (one.type === 'reference' && modifier === 'above')
        return query(type, `${one.name}:above`, `${target?.find((each) => PARTS.includes(each))}/x`);
      if (modifier === '[type]') return query(type, `${one.name}:${target?.[0] ?? 'Patient'}`, 'x');
      const value = modifier === 'missing' || one.type === 'token' ? MODIFIER_VALUES[modifier] : undefined;
      return query(
        type,
        `${one.name}:${modifier}`,
        value ?? valueFor(type, modifier === 'identifier' ? { name: one.name, type: 'token' } : one),
      );
    }),
  );
  expect(await notAnswered(taken, 200)).toEqual([]);
  const refused = told.flatMap(({ type, one, modifiers }) =>
    ['exact', 'contains', 'not', 'text', 'in', 'of-type', 'above', 'below', 'identifier', 'nonsense']
      .filter((modifier) => !modifiers.includes(modifier))
      .map((modifier) => query(type, `${one.name}:${modifier}`, valueFor(type, one))),
  );
  expect(await notAnswered(refused, 400)).toEqual([]);
}, 120_000);

test('each listed include and revinclude is taken, and others are 400', async () => {
  const some = types.filter((_, i) => i % 12 === 0);
  const paths = some.flatMap(({ type, searchInclude = [], searchRevInclude = [] }) => [
    ...searchInclude.map((value) => query(type, '_include', value)),
    ...searchRevInclude.slice(0, 40).map((value) => query(type, '_revinclude', value)),
  ]);
  expect(await notAnswered(paths, 200)).toEqual([]);
  const wrong = some.flatMap(({ type }) => [
    query(type, '_include', `${type}:nonsense`),
    query(type, '_include', 'Nonsense:subject'),
    query(type, '_revinclude', `${type}:nonsense`),
  ]);
  expect(await notAnswered(wrong, 400)).toEqual([]);
});

test('R4 compartmentdefinition.html: all five compartments are listed', () => {
  const names = (rest.compartment ?? []).map((url) => url.slice(url.lastIndexOf('/') + 1)).sort();
  expect(names).toEqual(['device', 'encounter', 'patient', 'practitioner', 'relatedPerson']);
});

test('what is listed for all types is taken by a search of the system', async () => {
  const listed = rest.searchParam as Listed[];
  const values: Readonly<Record<string, string>> = {
    _type: 'Patient,Observation',
    _count: '1',
    _sort: '_lastUpdated',
    _summary: 'true',
    _elements: 'id',
    _total: 'none',
    _contained: 'false',
    _containedType: 'container',
    _include: 'Observation:subject',
    _revinclude: 'Observation:subject',
  };
  const paths = listed
    .map((one) => {
      const name = one.name === '_has' ? '_has:Observation:subject:_id' : one.name;
      return `/?${name}=${encodeURIComponent(values[one.name] ?? (one.name === '_has' ? 'x' : valueFor('Patient', one)))}`;
    })
    .map((path) => (path.includes('_type=') ? path : `${path}&_type=Patient,Group`));
  expect(await notAnswered(paths, 200)).toEqual([]);
});

test.each([
  ['/Patient?nmae=x', /did you mean "name"/],
  ['/Patient?nonsense=x', /possible are .*birthdate/],
  ['/Observation?patient.nmae=x', /Patient has no search parameter "nmae": did you mean "name"/],
  [
    '/Patient?_has:Observation:patient:cod=x',
    /Observation has no search parameter "cod": did you mean "code"/,
  ],
  ['/Patient?_cuont=1', /did you mean "_count"/],
  ['/Patient?_fliter=x', /did you mean "_filter"/],
  ['/Patient?name:exat=x', /:exact, :contains/],
  ['/Patient?_has=x', /_has:Type:reference:parameter/],
  ['/Patient?_filter:x=name eq y', /no modifiers/],
  ['/Patient?_list.x=1', /no modifiers/],
  ['/Patient?identifier-x=1', /did you mean "identifier"/],
])('%s is 400, saying what is possible', async (path, says) => {
  const { body } = await app.send('get', path).expect(400);
  expect(body.issue[0].diagnostics).toMatch(says);
});

describe('R4 search.html#errors: handling=lenient', () => {
  const lenient = (path: string) => app.send('get', path).set('Prefer', 'handling=lenient');
  const self = (body: { link: { relation: string; url: string }[] }): string =>
    decodeURIComponent(body.link.find(({ relation }) => relation === 'self')?.url ?? '').slice(
      app.base.length,
    );

  test.each([
    ['/Patient?nonsense=1&name=x', '/Patient?name=x'],
    ['/Patient?name=x&nonsense:exact=1&_count=5000', '/Patient?name=x&_count=1000'],
    ['/Observation?patient.nonsense=x&code=y', '/Observation?code=y'],
    ['/Patient?name=&gender=,&_sort=&birthdate=2020', '/Patient?birthdate=2020'],
    ['/?_type=Patient,Observation&code=x&_id=1', '/?_type=Patient,Observation&_id=1'],
  ])('%s: self says what was done, %s', async (path, done) => {
    const { body } = await lenient(path).expect(200);
    expect(self(body).replace(/^\?/, '/?')).toBe(done);
  });

  test.each([
    '/Patient?name:nonsense=x',
    '/Patient?birthdate=xx2020',
    '/Patient?birthdate=never',
    '/Patient?_count=x',
    '/Patient?_filter=nonsense eq 1',
    '/Patient?_filter=name zz 1',
    '/Patient?_filter:x=name eq 1',
    '/Observation?patient._filter=nonsense eq 1',
    '/Patient?_has=x',
    '/Patient?_include=Nonsense:x',
    '/Patient?_sort=nonsense',
    '/Patient?_query=x',
    '/Patient?__explain=maybe',
  ])('%s stays 400', async (path) => {
    await lenient(encodeURI(path)).expect(400);
  });
});

test('an empty value asks for nothing, strictly as well', async () => {
  const { body } = await app.send('get', '/Patient?name=&identifier=,,&_count=7').expect(200);
  expect(body.link[0].url).toBe(`${app.base}/Patient?_count=7`);
  await app.send('get', '/?_type=,').expect(400);
  // A condition of nothing would be met by everything.
  await app.send('delete', '/Patient?name=').expect(400);
  await app.send('delete', '/Patient?name=,').expect(400);
});
