/** Resources of some types, that refer to each other. */
import fc from 'fast-check';
import {
  address,
  canonical,
  code,
  coding,
  concept,
  date,
  dateTime,
  humanName,
  identifier,
  list,
  maybe,
  meta,
  moment,
  name,
  narrative,
  number,
  period,
  quantity,
  range,
  reference,
  sampled,
  some,
  url,
} from './elements.ts';

const about = reference('Patient', 'Group');

/** One of these members, by its name. */
const either = (members: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<object> =>
  fc.oneof(...Object.entries(members).map(([name, value]) => value.map((one) => ({ [name]: one }))));

/** All that a resource of any type may have, and one of each of these choices. */
const resource = (
  members: Record<string, fc.Arbitrary<unknown>>,
  ...choices: Record<string, fc.Arbitrary<unknown>>[]
): fc.Arbitrary<object> =>
  fc
    .tuple(
      fc.record({ meta: maybe(meta), text: fc.option(narrative, { freq: 2, nil: undefined }), ...members }),
      ...choices.map((choice) => fc.option(either(choice), { freq: 6, nil: {} })),
    )
    .map((parts) => Object.assign({}, ...parts));

const values = {
  valueCodeableConcept: concept,
  valueQuantity: quantity,
  valueSampledData: sampled,
};
const timing = fc
  .array(moment, { minLength: 1, maxLength: 3 })
  .map((event) => ({ event: event.map(({ instant }) => instant) }));

const RESOURCES: Record<string, fc.Arbitrary<object>> = {
  Patient: resource(
    {
      identifier: list(identifier),
      active: maybe(fc.boolean()),
      name: list(humanName),
      telecom: list(fc.record({ system: fc.constantFrom('phone', 'email'), value: code })),
      gender: fc.constantFrom(undefined, 'female', 'male'),
      birthDate: maybe(date),
      address: list(address, 2),
      generalPractitioner: list(reference('Practitioner', 'Organization')),
      managingOrganization: maybe(reference('Organization')),
      link: list(fc.record({ other: reference('Patient'), type: fc.constant('seealso') }), 1),
    },
    { deceasedDateTime: dateTime, deceasedBoolean: fc.boolean() },
  ),
  Practitioner: resource({
    identifier: list(identifier),
    name: list(humanName),
    gender: fc.constantFrom(undefined, 'female', 'male'),
  }),
  Organization: resource({
    identifier: list(identifier),
    name: maybe(name),
    type: list(concept),
    partOf: maybe(reference('Organization')),
  }),
  Group: resource({
    type: fc.constant('person'),
    actual: fc.boolean(),
    member: list(fc.record({ entity: reference('Patient', 'Group') })),
    characteristic: list(
      fc.record({ code: concept, valueCodeableConcept: concept, exclude: fc.constant(false) }),
    ),
  }),
  Observation: resource(
    {
      identifier: list(identifier),
      status: fc.constantFrom('final', 'amended'),
      category: list(concept),
      code: concept,
      subject: maybe(about),
      encounter: maybe(reference('Encounter')),
      performer: list(reference('Patient', 'Practitioner', 'Organization')),
      derivedFrom: list(reference('Observation')),
      hasMember: list(reference('Observation', 'QuestionnaireResponse')),
      component: list(
        fc
          .tuple(
            fc.record({ code: concept, dataAbsentReason: maybe(concept) }),
            fc.option(either(values), { nil: {} }),
          )
          .map((parts) => Object.assign({}, ...parts)),
        2,
      ),
    },
    { effectiveDateTime: dateTime, effectivePeriod: period, effectiveTiming: timing },
    {
      ...values,
      valueQuantity: fc.oneof(quantity, quantity),
      valueDateTime: dateTime,
      valuePeriod: period,
      valueString: name,
    },
  ),
  Condition: resource(
    {
      code: maybe(concept),
      category: list(concept),
      subject: about,
      encounter: maybe(reference('Encounter')),
      recordedDate: maybe(dateTime),
      evidence: list(some({ code: list(concept), detail: list(reference('Observation')) })),
    },
    {
      onsetDateTime: dateTime,
      onsetPeriod: period,
      onsetAge: quantity,
      onsetRange: range,
      onsetString: name,
    },
  ),
  Encounter: resource({
    identifier: list(identifier),
    status: fc.constantFrom('planned', 'finished'),
    class: coding,
    subject: maybe(about),
    period: maybe(period),
    partOf: maybe(reference('Encounter')),
    participant: list(fc.record({ individual: reference('Practitioner', 'RelatedPerson') })),
    location: list(fc.record({ location: reference('Location'), period: maybe(period) })),
    length: maybe(quantity.map(({ comparator, ...length }) => length)),
  }),
  DeviceUseStatement: resource({
    status: fc.constant('active'),
    // Of this one `patient` is what is a Group as well.
    subject: about,
    device: reference('Device'),
  }),
  Immunization: resource({
    status: fc.constant('completed'),
    vaccineCode: concept,
    patient: reference('Patient'),
    occurrenceDateTime: dateTime,
  }),
  List: resource({
    status: fc.constant('current'),
    mode: fc.constant('working'),
    title: maybe(name),
    subject: maybe(about),
    entry: list(fc.record({ item: reference('Patient', 'Observation', 'Encounter', 'Organization') }), 6),
  }),
  Questionnaire: resource({
    url: maybe(url.filter((one) => !one.includes('|'))),
    version: fc.constantFrom(undefined, '1', '1.2', 'A'),
    status: fc.constant('draft'),
    title: maybe(name),
    date: maybe(dateTime),
    effectivePeriod: maybe(period),
    subjectType: list(fc.constantFrom('Patient', 'Group')),
  }),
  QuestionnaireResponse: resource({
    identifier: maybe(identifier),
    questionnaire: maybe(canonical),
    status: fc.constant('completed'),
    subject: maybe(about),
    authored: maybe(dateTime),
  }),
  RiskAssessment: resource({
    status: fc.constant('final'),
    subject: about,
    prediction: list(
      fc.oneof(
        number.map((probabilityDecimal) => ({ probabilityDecimal })),
        range.map((probabilityRange) => ({ probabilityRange })),
      ),
    ),
  }),
  MolecularSequence: resource({
    coordinateSystem: fc.constant(0),
    patient: maybe(reference('Patient')),
    referenceSeq: maybe(
      some({
        chromosome: concept,
        referenceSeqId: concept,
        windowStart: fc.constantFrom(5, 99, 100),
        windowEnd: fc.constantFrom(100, 101, 1000),
      }),
    ),
    variant: list(some({ start: fc.constantFrom(5, 99, 100), end: fc.constantFrom(100, 101, 1000) })),
  }),
  Location: resource({
    name: maybe(name),
    partOf: maybe(reference('Location')),
    position: maybe(
      fc.record({
        latitude: fc.constantFrom(0, 42.36, 42.37, -89.99, 90),
        longitude: fc.constantFrom(0, -71.06, -71.1, 179.99, -179.99),
      }),
    ),
  }),
  Library: resource({
    url: maybe(url.filter((one) => !one.includes('|'))),
    status: fc.constant('draft'),
    type: concept,
    useContext: list(
      fc
        .tuple(
          coding,
          either({
            valueCodeableConcept: concept,
            valueQuantity: quantity.map(({ comparator, ...rest }) => rest),
            valueRange: range,
          }),
        )
        .map(([what, value]) => ({ code: what, ...value })),
    ),
  }),
};

export const TYPES = Object.keys(RESOURCES);

/** A resource of a type, without its type and id. */
export const resourceOf = (type: string): fc.Arbitrary<object> =>
  // JSON leaves out what is undefined.
  (RESOURCES[type] as fc.Arbitrary<object>).map((drawn) => JSON.parse(JSON.stringify(drawn)));
