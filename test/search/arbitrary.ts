/** Resources and searches that meet often: both are drawn from the same few values, written in all the ways there are. */
import fc from 'fast-check';
import type { SearchParameter } from '../../src/fhir/definitions.ts';
import { BASE_URL } from '../support/records.ts';

export interface Asked {
  /** `%id3%` and `%updated3%` stand for those of a resource */
  readonly parameters: readonly (readonly [name: string, value: string])[];
  /** empty: by the type's date */
  readonly sort: string;
}

/** A list of the elements that came out, absent where none did. */
function list<T>(element: fc.Arbitrary<T>, maxLength = 3): fc.Arbitrary<T[] | undefined> {
  return fc.array(element, { maxLength }).map((all) => (all.length > 0 ? all : undefined));
}

const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(value, { nil: undefined });

/** An object of some of these members, one at least. */
function some(members: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<object> {
  return fc
    .record(members, { requiredKeys: [] })
    .filter((made) => Object.values(made).some((value) => value !== undefined));
}

const systems = ['http://a', 'http://a/b', 'urn:oid:1.2'];
const system = fc.constantFrom(undefined, ...systems);
const codes = ['x', 'X', 'y', 'a|b,c$d\\e'];
const code = fc.constantFrom('x', 'X', 'y');

const coding = fc.record({ system, code, display: fc.constantFrom(undefined, 'Display') });
const concept = some({ coding: list(coding), text: fc.constantFrom(undefined, 'Text', 'x') });
const identifier = fc
  .record({ system, value: fc.constantFrom(undefined, ...codes), type: maybe(concept) })
  .filter((made) => made.system !== undefined || made.value !== undefined);

/** Few days, at every precision, in several zones. */
const moment = fc
  .record({
    year: fc.constantFrom('2019', '2020', '2021'),
    month: fc.constantFrom('01', '02', '12'),
    day: fc.constantFrom('01', '15', '28'),
    time: fc.constantFrom('00:00:00', '10:30:00', '23:59:59'),
    fraction: fc.constantFrom('', '.5', '.123456'),
    zone: fc.constantFrom('Z', '+02:00', '-11:30'),
  })
  .map(({ year, month, day, time, fraction, zone }) => ({
    year,
    month: `${year}-${month}`,
    day: `${year}-${month}-${day}`,
    minute: `${year}-${month}-${day}T${time.slice(0, 5)}${zone}`,
    instant: `${year}-${month}-${day}T${time}${fraction}${zone}`,
  }));
const date = fc.tuple(moment, fc.constantFrom('year', 'month', 'day')).map(([made, to]) => made[to as 'day']);
const dateTime = fc.oneof(
  date,
  moment.map(({ instant }) => instant),
);
const period = fc
  .tuple(maybe(dateTime), maybe(dateTime))
  .filter(([start, end]) => start !== undefined || end !== undefined)
  // by the year: which of two dates is the earlier is not what is tested here
  .filter(([start = '0', end = '9']) => start.slice(0, 4) < end.slice(0, 4))
  .map(([start, end]) => ({ start, end }));

export const names = [
  'Søren',
  'soren',
  'SÖREN Æ',
  'Łuka  Ðor',
  'İbrahim',
  'Straße',
  '王秀英',
  "O'Brien, Jr|$\\",
  'Παπαδάκης',
  '😀b',
  // longer than what the index keeps together, and the same but for its end
  `${'Äb😀 '.repeat(150)}Ende`,
  `${'Äb😀 '.repeat(150)}ende`,
];
const name = fc.constantFrom(...names);
const humanName = some({ family: maybe(name), given: list(name, 2), text: maybe(name) });
const address = some({ city: maybe(name), line: list(name, 2), country: maybe(name) });

const urls = [
  'http://a/q',
  'http://a/q|1',
  'http://a/Q',
  'http://a/',
  'urn:uuid:c757873d-ec9a-4326-a141-556f43239520',
];
const url = fc.constantFrom(...urls);
export const ids = ['1', '11', 'p.1'];

const numbers = [0, 5, 5.35, 5.4, 5.45, 99.5, 100, 100.4999, 1000, -5.4];
const units = ['mg', 'g', 'kg', 'Cel', 'K', '[pH]', '[iU]', 'milligrams'];
const quantity = fc.record({
  value: fc.constantFrom(...numbers, 5400, 0.0054, 278.55, 278.5),
  comparator: fc.constantFrom(undefined, undefined, undefined, '<', '<=', '>', '>='),
  system: fc.constantFrom(undefined, 'http://unitsofmeasure.org', 'http://unitsofmeasure.org', 'http://a'),
  code: fc.constantFrom(undefined, ...units),
  unit: fc.constantFrom(undefined, ...units),
});
const sampled = fc.record({
  origin: fc.record({ value: fc.constantFrom(...numbers), unit: fc.constant('mg') }),
  period: fc.constant(10),
  dimensions: fc.constant(1),
  data: fc.constantFrom('0 1 2', '5', 'L 1'),
});

/** Every way to say a target, and ways to say none. */
function reference(...types: string[]): fc.Arbitrary<object> {
  return fc
    .record({ type: fc.constantFrom(...types), id: fc.constantFrom(...ids), logical: maybe(identifier) })
    .chain(({ type, id, logical }) =>
      fc
        .constantFrom<object>(
          { reference: `${type}/${id}` },
          { reference: `${BASE_URL}/${type}/${id}` },
          { reference: `${type}/${id}/_history/2` },
          { reference: `${type}/${id}/_history/3` },
          { reference: `${BASE_URL}/${type}/${id}/_history/2` },
          { reference: `http://elsewhere/fhir/${type}/${id}` },
          { reference: `http://elsewhere/fhir/${type}/${id}/_history/2` },
          { reference: urls[4] },
          { type },
          { type, display: `${type}/${id}` },
        )
        .map((made) => ({ ...made, identifier: logical })),
    );
}

const canonical = fc.oneof(
  url,
  fc.constantFrom(...ids).map((id) => `Questionnaire/${id}|2`),
  fc.constantFrom(...ids).map((id) => `${BASE_URL}/Questionnaire/${id}`),
);

const meta = some({ tag: list(coding), security: list(coding), profile: list(url), source: maybe(url) });
const about = reference('Patient', 'Group');

const RESOURCES: Record<string, fc.Arbitrary<object>> = {
  Patient: fc.record({
    meta: maybe(meta),
    identifier: list(identifier),
    active: maybe(fc.boolean()),
    name: list(humanName),
    telecom: list(fc.record({ system: fc.constantFrom('phone', 'email'), value: code })),
    gender: fc.constantFrom(undefined, 'female', 'male'),
    birthDate: maybe(date),
    deceasedDateTime: maybe(dateTime),
    address: list(address, 2),
    generalPractitioner: list(reference('Practitioner', 'Organization')),
    managingOrganization: maybe(reference('Organization')),
  }),
  Observation: fc
    .record({
      meta: maybe(meta),
      identifier: list(identifier),
      status: fc.constantFrom('final', 'amended'),
      category: list(concept),
      code: concept,
      subject: maybe(about),
      encounter: maybe(reference('Encounter')),
      effective: maybe(
        fc.oneof(
          dateTime.map((effectiveDateTime) => ({ effectiveDateTime })),
          period.map((effectivePeriod) => ({ effectivePeriod })),
          fc.array(moment, { minLength: 1, maxLength: 3 }).map((event) => ({
            effectiveTiming: { event: event.map(({ instant }) => instant) },
          })),
        ),
      ),
      value: maybe(
        fc.oneof(
          concept.map((valueCodeableConcept) => ({ valueCodeableConcept })),
          dateTime.map((valueDateTime) => ({ valueDateTime })),
          period.map((valuePeriod) => ({ valuePeriod })),
          name.map((valueString) => ({ valueString })),
          quantity.map((valueQuantity) => ({ valueQuantity })),
          quantity.map((valueQuantity) => ({ valueQuantity })),
          sampled.map((valueSampledData) => ({ valueSampledData })),
        ),
      ),
      performer: list(reference('Patient', 'Practitioner', 'Organization')),
      derivedFrom: list(reference('Observation')),
      component: list(
        fc
          .record({
            code: concept,
            value: maybe(
              fc.oneof(
                concept.map((valueCodeableConcept) => ({ valueCodeableConcept })),
                quantity.map((valueQuantity) => ({ valueQuantity })),
                sampled.map((valueSampledData) => ({ valueSampledData })),
              ),
            ),
            dataAbsentReason: maybe(concept),
          })
          .map(({ value, ...rest }) => ({ ...rest, ...value })),
        2,
      ),
    })
    .map(({ effective, value, ...rest }) => ({ ...rest, ...effective, ...value })),
  Encounter: fc.record({
    identifier: list(identifier),
    status: fc.constantFrom('planned', 'finished'),
    class: coding,
    subject: maybe(about),
    period: maybe(period),
    participant: list(fc.record({ individual: reference('Practitioner', 'RelatedPerson') })),
    location: list(fc.record({ location: reference('Location'), period: maybe(period) })),
  }),
  Immunization: fc.record({
    status: fc.constant('completed'),
    vaccineCode: concept,
    patient: reference('Patient'),
    occurrenceDateTime: dateTime,
  }),
  Questionnaire: fc.record({
    url: maybe(url.filter((one) => !one.includes('|'))),
    status: fc.constant('draft'),
    title: maybe(name),
    date: maybe(dateTime),
    effectivePeriod: maybe(period),
    subjectType: list(fc.constantFrom('Patient', 'Group')),
  }),
  QuestionnaireResponse: fc.record({
    identifier: maybe(identifier),
    questionnaire: maybe(canonical),
    status: fc.constant('completed'),
    subject: maybe(about),
    authored: maybe(dateTime),
  }),
};

RESOURCES.RiskAssessment = fc.record({
  status: fc.constant('final'),
  subject: about,
  prediction: list(
    fc.oneof(
      fc.constantFrom(...numbers).map((probabilityDecimal) => ({ probabilityDecimal })),
      fc
        .tuple(fc.constantFrom(...numbers), fc.nat(20))
        .map(([low, more]) => ({ probabilityRange: { low: { value: low }, high: { value: low + more } } })),
    ),
  ),
});

RESOURCES.MolecularSequence = fc.record({
  coordinateSystem: fc.constant(0),
  referenceSeq: maybe(
    some({
      chromosome: concept,
      referenceSeqId: concept,
      windowStart: fc.constantFrom(5, 99, 100),
      windowEnd: fc.constantFrom(100, 101, 1000),
    }),
  ),
  variant: list(some({ start: fc.constantFrom(5, 99, 100), end: fc.constantFrom(100, 101, 1000) })),
});

RESOURCES.Location = fc.record({
  name: maybe(name),
  position: maybe(
    fc.record({
      latitude: fc.constantFrom(0, 42.36, 42.37, -89.99, 90),
      longitude: fc.constantFrom(0, -71.06, -71.1, 179.99, -179.99),
    }),
  ),
});

RESOURCES.Library = fc.record({
  status: fc.constant('draft'),
  type: concept,
  useContext: list(
    fc
      .record({
        code: coding,
        value: fc.oneof(
          concept.map((valueCodeableConcept) => ({ valueCodeableConcept })),
          quantity.map(({ comparator, ...valueQuantity }) => ({ valueQuantity })),
          fc
            .tuple(fc.constantFrom(...numbers), fc.nat(20))
            .map(([low, more]) => ({ valueRange: { low: { value: low }, high: { value: low + more } } })),
        ),
      })
      .map(({ code: what, value }) => ({ code: what, ...value })),
  ),
});

export const TYPES = Object.keys(RESOURCES);

/** A resource of a type, without its type and id. */
export const resourceOf = (type: string): fc.Arbitrary<object> =>
  // JSON leaves out what is undefined.
  (RESOURCES[type] as fc.Arbitrary<object>).map((drawn) => JSON.parse(JSON.stringify(drawn)));

const escaped = (text: string): string => text.replace(/[\\,|$]/g, '\\$&');

const n = fc.nat({ max: 11 });
const exact = ['', 'eq', 'ne', 'gt', 'lt', 'ge', 'le', 'sa', 'eb'];
const prefix = fc.constantFrom(...exact, 'ap');
const written = fc
  .tuple(moment, fc.constantFrom('year', 'month', 'day', 'minute', 'instant'))
  .map(([made, to]) => made[to as 'day']);

/** Values of parameters, by their types. */
export const VALUES: Readonly<Partial<Record<SearchParameter['type'], fc.Arbitrary<string>>>> = {
  date: fc.tuple(prefix, written).map((both) => both.join('')),
  token: fc.oneof(
    fc.constantFrom(...codes, 'female', 'true', 'final', 'phone', 'Patient', 'Text').map(escaped),
    fc
      .tuple(fc.constantFrom('', ...systems), fc.constantFrom('', ...codes))
      .filter(([from, what]) => from !== '' || what !== '')
      .map(([from, what]) => `${escaped(from)}|${escaped(what)}`),
  ),
  string: fc
    .tuple(name, fc.nat({ max: 5 }), fc.boolean())
    .map(([text, length, upper]) =>
      escaped([...(upper ? text.toUpperCase() : text)].slice(0, length + 1).join('')),
    ),
  uri: url.map(escaped),
  special: fc
    .tuple(
      fc.constantFrom('42.36|-71.06', '0|180', '90|10', '-90|0'),
      fc.constantFrom('', '|1|km', '|10|km', '|20000|km'),
    )
    .map((both) => both.join('')),
  number: fc.tuple(prefix, fc.constantFrom(...numbers, '1e2', '100.0', '5.40')).map((both) => both.join('')),
  quantity: fc
    .tuple(
      prefix,
      fc.constantFrom(...numbers, '1e2', '100.0', '5.4e-3', 278.55),
      fc.constantFrom(
        '',
        ...units.flatMap((unit) => [`||${unit}`, `|http://unitsofmeasure.org|${unit}`]),
        '|http://a|mg',
        '|http://a|',
      ),
    )
    .map((all) => all.join('')),
};

/** Modifiers of a type of parameter, and values for them. */
const MODIFIED: Readonly<
  Partial<Record<SearchParameter['type'], Readonly<Record<string, fc.Arbitrary<string>>>>>
> = {
  token: {
    not: VALUES.token as fc.Arbitrary<string>,
    text: fc.constantFrom('text', 'DISP', 'x', 'none'),
    'of-type': fc
      .tuple(fc.constantFrom('', ...systems), code, fc.constantFrom(...codes))
      .map((parts) => parts.map(escaped).join('|')),
  },
  string: {
    exact: name.map(escaped),
    contains: fc.oneof(
      fc.constantFrom('end', 'b😀 a'.repeat(40)),
      fc
        .tuple(name, fc.nat({ max: 3 }))
        .map(([text, from]) => escaped([...text].slice(from, from + 2).join(''))),
    ),
  },
  uri: {
    below: fc.constantFrom('http://a', 'http://a/', 'http://a/q|'),
    above: fc.constantFrom('http://a/q/more', 'http://a/Q'),
  },
  reference: { identifier: VALUES.token as fc.Arbitrary<string> },
};

/** A search with a modifier, or none where the parameter has none. */
function modified({
  code: name,
  type,
}: SearchParameter): fc.Arbitrary<readonly [string, string]> | undefined {
  // Combinations have no modifiers.
  if (name === '_id' || name === '_lastUpdated' || type === 'composite') return undefined;
  const own = Object.entries(MODIFIED[type] ?? {})
    // Identifiers have types of their own.
    .filter(([modifier]) => modifier !== 'of-type' || name.endsWith('identifier'))
    .map(([modifier, value]) => several(value).map((values) => [`${name}:${modifier}`, values] as const));
  const missing = fc.constantFrom('true', 'false').map((value) => [`${name}:missing`, value] as const);
  return fc.oneof(missing, ...own);
}

/** A search by references: to the types that the parameter can have, or by modifier to one of them. */
function byReference({ code: name, target = [] }: SearchParameter): fc.Arbitrary<readonly [string, string]> {
  const one = (types: readonly string[]): fc.Arbitrary<string> =>
    fc.oneof(
      fc.constantFrom(...ids),
      fc.constantFrom(...urls, 'http://a/q|2').map(escaped),
      fc
        .tuple(
          fc.constantFrom('', `${BASE_URL}/`, 'http://elsewhere/fhir/'),
          fc.constantFrom(...types),
          fc.constantFrom(...ids),
          fc.constantFrom('', '', '/_history/2', '/_history/3'),
        )
        .map(([base, type, id, version]) => `${base}${type}/${id}${version}`),
    );
  return fc.oneof(
    several(one(target)).map((value) => [name, value] as const),
    fc
      .constantFrom(...target)
      .chain((type) => several(one([type])).map((value) => [`${name}:${type}`, value] as const)),
  );
}

const several = (value: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.array(value, { minLength: 1, maxLength: 3 }).map((all) => all.join(','));

function parameter(searched: SearchParameter, partsOf: PartsOf): fc.Arbitrary<readonly [string, string]> {
  const { code: name, type } = searched;
  if (type === 'reference') return byReference(searched);
  const value =
    name === '_id'
      ? n.map((which) => `%id${which}%`)
      : name === '_lastUpdated'
        ? // ap of what was written just now means another moment at each look
          fc.tuple(fc.constantFrom(...exact), n).map(([how, which]) => `${how}%updated${which}%`)
        : type === 'composite'
          ? composite(partsOf(searched))
          : (VALUES[type] as fc.Arbitrary<string>);
  return several(value).map((values) => [name, values]);
}

/** The parameters that a composite is made of. */
export type PartsOf = (composite: SearchParameter) => readonly SearchParameter[];

/** The values of a composite's parts, apart by `$`. */
export const composite = (parts: readonly SearchParameter[]): fc.Arbitrary<string> =>
  fc.tuple(...parts.map(({ type }) => VALUES[type] as fc.Arbitrary<string>)).map((all) => all.join('$'));

/** A search by one or two of these parameters, in an order that the store walks or one that it sorts. */
export const searchBy = (parameters: readonly SearchParameter[], partsOf: PartsOf): fc.Arbitrary<Asked> =>
  fc.record({
    parameters: fc.array(
      fc
        .tuple(fc.constantFrom(...parameters), fc.nat({ max: 2 }))
        .chain(([one, which]) => (which === 0 && modified(one)) || parameter(one, partsOf)),
      { minLength: 1, maxLength: 2 },
    ),
    sort: fc.constantFrom('', '_sort=-_lastUpdated'),
  });
