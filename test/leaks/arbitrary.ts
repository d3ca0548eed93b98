/** Random worlds of people, patients and their records, random tokens, and random requests. */
import fc from 'fast-check';
import type { ConsentProvision, Resource } from 'fhir/r4.js';
import type { Letter, ScopeModel, TokenModel } from './model.ts';

const PATIENTS = ['p0', 'p1', 'p2', 'p3'];
const PRACTITIONERS = ['d0', 'd1', 'd2'];
const ORGANIZATIONS = ['o0', 'o1'];
const RELATED = ['r0', 'r1'];
const BINARIES = ['b0', 'b1', 'b2'];
/** of patients, by which DICOM files find them */
export const MRN = 'https://hospital.example/mrn';
const CODES = ['hiv', 'flu', 'x'];
const LOINC = 'http://loinc.org';
const ACT = 'http://terminology.hl7.org/CodeSystem/v3-ActCode';
const CONFIDENTIALITY = 'http://terminology.hl7.org/CodeSystem/v3-Confidentiality';

/** Ids of one world: each has its own, as all are in one database. */
export const idIn = (world: string, id: string): string => `${world}-${id}`;

const oneOf = <T>(...values: readonly T[]) => fc.constantFrom(...values);
const maybe = <T>(arbitrary: fc.Arbitrary<T>, weight = 2) =>
  fc.oneof({ arbitrary, weight }, { arbitrary: fc.constant(undefined), weight: 1 });

export interface WorldMade {
  readonly resources: readonly Resource[];
  /** that are written after these */
  readonly late: readonly Resource[];
  /** ids of the patients of DICOM studies */
  readonly studies: readonly string[];
}

/** @param world its name, by which all is tagged */
export function worldOf(world: string): fc.Arbitrary<WorldMade> {
  const to = (type: string, id: string) => ({ reference: `${type}/${idIn(world, id)}` });
  const patient = oneOf(...PATIENTS).map((id) => to('Patient', id));
  const practitioner = oneOf(...PRACTITIONERS).map((id) => to('Practitioner', id));
  const organization = oneOf(...ORGANIZATIONS).map((id) => to('Organization', id));
  const somebody = fc.oneof(practitioner, organization);
  const code = oneOf(...CODES).map((one) => ({ coding: [{ system: LOINC, code: one }] }));
  const security = fc.subarray(
    [
      { system: ACT, code: 'HIV' },
      { system: CONFIDENTIALITY, code: 'R' },
      { system: CONFIDENTIALITY, code: 'V' },
    ],
    { maxLength: 2 },
  );
  const labels = fc.oneof({ arbitrary: fc.constant([]), weight: 3 }, { arbitrary: security, weight: 1 });
  const provision = (depth: number): fc.Arbitrary<ConsentProvision> =>
    fc
      .record({
        type: depth === 0 ? maybe(oneOf('permit', 'deny')) : oneOf('permit', 'deny'),
        actor: maybe(
          somebody.map((reference) => [{ role: { coding: [{ code: 'PRCP' }] }, reference }]),
          3,
        ),
        action: fc.option(
          oneOf('access', 'collect', 'correct').map((one) => [
            { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/consentaction', code: one }] },
          ]),
          { nil: undefined, freq: 4 },
        ),
        securityLabel: fc.option(fc.constant([{ system: ACT, code: 'HIV' }]), { nil: undefined, freq: 4 }),
        class: fc.option(
          oneOf('Observation', 'Condition', 'Communication').map((one) => [
            { system: 'http://hl7.org/fhir/resource-types', code: one },
          ]),
          { nil: undefined, freq: 4 },
        ),
        code: fc.option(
          code.map((one) => [one]),
          { nil: undefined, freq: 4 },
        ),
        provision:
          depth < 2
            ? fc.option(fc.array(provision(depth + 1), { minLength: 1, maxLength: 2 }), {
                nil: undefined,
                freq: 2,
              })
            : fc.constant(undefined),
      })
      // A root without anything but exceptions says when, and nothing else.
      .map((one) =>
        one.actor || one.action || one.securityLabel || one.class || one.code
          ? one
          : { ...one, type: one.type ?? 'deny' },
      ) as fc.Arbitrary<ConsentProvision>;

  const kinds: fc.Arbitrary<object>[] = [
    fc.record({
      resourceType: fc.constant('Observation'),
      status: fc.constant('final'),
      code,
      subject: maybe(patient, 5),
      performer: maybe(fc.array(fc.oneof(patient, practitioner), { minLength: 1, maxLength: 2 })),
      security: labels,
    }),
    fc.record({
      resourceType: fc.constant('Observation'),
      status: fc.constant('final'),
      code,
      subject: maybe(patient, 5),
      security: labels,
    }),
    fc.record({
      resourceType: fc.constant('Condition'),
      code,
      subject: patient,
      asserter: maybe(fc.oneof(patient, practitioner), 1),
      security: labels,
    }),
    fc.record({ resourceType: fc.constant('Device'), patient: maybe(patient, 5), security: labels }),
    fc.record({
      resourceType: fc.constant('Communication'),
      status: fc.constant('completed'),
      subject: maybe(patient),
      sender: maybe(fc.oneof(practitioner, patient), 1),
      recipient: maybe(fc.array(fc.oneof(somebody, patient), { minLength: 1, maxLength: 2 })),
      security: labels,
    }),
    fc.record({
      resourceType: fc.constant('Task'),
      status: oneOf('requested', 'accepted', 'completed', 'on-hold'),
      intent: fc.constant('order'),
      code,
      for: maybe(patient, 5),
      owner: maybe(somebody),
      requester: maybe(practitioner),
      security: labels,
    }),
    fc.record({
      resourceType: fc.constant('List'),
      status: fc.constant('current'),
      mode: fc.constant('working'),
      subject: maybe(patient),
      source: maybe(fc.oneof(patient, practitioner), 1),
      security: labels,
    }),
    fc.record({
      resourceType: fc.constant('Appointment'),
      status: fc.constant('booked'),
      participant: fc.array(
        fc.oneof(patient, practitioner).map((actor) => ({ actor, status: 'accepted' })),
        { minLength: 1, maxLength: 3 },
      ),
      security: labels,
    }),
    fc.record({
      resourceType: fc.constant('CareTeam'),
      status: oneOf('active', 'inactive'),
      subject: maybe(patient, 5),
      participant: maybe(
        fc.array(
          fc.oneof(somebody, patient).map((member) => ({ member })),
          { minLength: 1, maxLength: 2 },
        ),
      ),
      security: labels,
    }),
    fc.record({
      resourceType: fc.constant('Encounter'),
      status: oneOf('finished', 'cancelled', 'in-progress'),
      class: fc.constant({ code: 'AMB' }),
      subject: maybe(patient, 5),
      participant: maybe(
        practitioner.map((individual) => [{ individual }]),
        1,
      ),
      serviceProvider: maybe(organization, 1),
      security: labels,
    }),
    fc.record({
      resourceType: fc.constant('Consent'),
      status: oneOf('active', 'active', 'active', 'draft'),
      scope: fc.constant({
        coding: [{ system: 'http://terminology.hl7.org/CodeSystem/consentscope', code: 'patient-privacy' }],
      }),
      category: fc.constant([{ text: 'x' }]),
      patient: maybe(patient, 5),
      policyRule: oneOf('OPTIN', 'OPTOUT', 'other').map((one) => ({ coding: [{ system: ACT, code: one }] })),
      provision: maybe(provision(0), 5),
      security: labels,
    }),
  ];
  // Many deny a part, so that it matters who gives the rest on.
  const partly = fc.record({
    resourceType: fc.constant('Consent'),
    status: fc.constant('active'),
    scope: fc.constant({ coding: [{ code: 'patient-privacy' }] }),
    category: fc.constant([{ text: 'x' }]),
    patient,
    policyRule: fc.constant({ text: 'x' }),
    provision: code.map((one) => ({ type: 'deny', code: [one] })),
  });
  // What shows pictures; each of the first Binaries is referred to once, and so belongs to that, but where it says otherwise.
  const media = (binary: string) =>
    fc.record({
      resourceType: fc.constant('Media'),
      status: fc.constant('completed'),
      subject: maybe(patient, 5),
      content: fc.constant({ contentType: 'text/plain', url: `Binary/${idIn(world, binary)}` }),
      security: labels,
    });
  const bytes = fc.record({
    resourceType: fc.constant('Binary'),
    contentType: fc.constant('text/plain'),
    data: fc.constant(Buffer.from('what only some may read').toString('base64')),
    securityContext: fc.option(patient, { nil: undefined, freq: 1 }),
  });
  const tag = [{ code: world }];
  const tagged = ({ security = [], ...rest }: { security?: unknown[] }, id: string): Resource =>
    JSON.parse(
      JSON.stringify({
        ...rest,
        id: idIn(world, id),
        meta: { tag, ...(security.length > 0 ? { security } : {}) },
      }),
    );
  const fixed = fc.record({
    patients: fc.tuple(
      ...PATIENTS.map(() =>
        fc.record({
          generalPractitioner: maybe(fc.array(somebody, { minLength: 1, maxLength: 1 }), 1),
          managingOrganization: maybe(organization, 1),
          security: labels,
        }),
      ),
    ),
    roles: fc.array(fc.record({ practitioner, organization, active: maybe(fc.boolean(), 1) }), {
      maxLength: 3,
    }),
    related: fc.tuple(...RELATED.map(() => fc.record({ patient, active: maybe(fc.boolean(), 1) }))),
    binaries: fc.tuple(...BINARIES.map(() => bytes)),
    media: fc.tuple(...BINARIES.map(media)),
    // They come later, and refer to what is another's.
    late: fc.tuple(...BINARIES.map(media)),
    studies: fc.array(oneOf(...PATIENTS), { minLength: 1, maxLength: 2 }),
    partly: fc.array(partly, { maxLength: 2 }),
    others: fc.array(fc.oneof(...kinds), { minLength: 20, maxLength: 30 }),
  });
  return fixed.map(
    ({ patients, roles, related, binaries, media: pictures, late, studies, partly: denials, others }) => ({
      late: late.map((one, i) => tagged(one as object, `late${i}`)),
      studies: studies.map((id) => idIn(world, id)),
      resources: [
        ...ORGANIZATIONS.map((id) => tagged({ resourceType: 'Organization', name: id } as object, id)),
        ...PRACTITIONERS.map((id) =>
          tagged({ resourceType: 'Practitioner', name: [{ family: id }] } as object, id),
        ),
        ...patients.map((one, i) =>
          tagged(
            {
              resourceType: 'Patient',
              identifier: [{ system: MRN, value: idIn(world, PATIENTS[i] as string) }],
              name: [{ family: `name${i}` }],
              ...one,
            } as object,
            PATIENTS[i] as string,
          ),
        ),
        ...roles.map((one, i) => tagged({ resourceType: 'PractitionerRole', ...one } as object, `role${i}`)),
        ...related.map((one, i) =>
          tagged({ resourceType: 'RelatedPerson', ...one } as object, RELATED[i] as string),
        ),
        ...others.map((one, i) => tagged(one as object, `x${i}`)),
        ...denials.map((one, i) => tagged(one as object, `c${i}`)),
        ...binaries.map((one, i) => tagged(one as object, BINARIES[i] as string)),
        ...pictures.map((one, i) => tagged(one as object, `m${i}`)),
      ],
    }),
  );
}

const TYPES = [
  '*',
  '*',
  'Observation',
  'Condition',
  'Patient',
  'Communication',
  'Task',
  'Consent',
  'Practitioner',
];
const LETTERS = ['cruds', 'cruds', 'cruds', 'cruds', 'rs', 'r', 's', 'cu', 'd'];

export function tokenOf(world: string): fc.Arbitrary<TokenModel> {
  const level = oneOf<ScopeModel['level']>('patient', 'user');
  const scope = (of: fc.Arbitrary<ScopeModel['level']>): fc.Arbitrary<ScopeModel> =>
    fc
      .record({
        level: of,
        type: oneOf(...TYPES),
        letters: oneOf(...LETTERS),
        code: fc.option(oneOf(...CODES), { nil: undefined, freq: 3 }),
      })
      .map(({ code, ...one }) =>
        code !== undefined && (one.type === 'Observation' || one.type === 'Condition')
          ? { ...one, code }
          : one,
      );
  const person = fc.oneof(
    { arbitrary: oneOf(...PRACTITIONERS).map((id) => `Practitioner/${idIn(world, id)}`), weight: 3 },
    { arbitrary: oneOf(...PATIENTS).map((id) => `Patient/${idIn(world, id)}`), weight: 1 },
    { arbitrary: oneOf(...RELATED).map((id) => `RelatedPerson/${idIn(world, id)}`), weight: 1 },
  );
  const ofPeople = fc.record({
    scopes: fc.array(scope(level), { minLength: 1, maxLength: 3 }),
    patient: oneOf(...PATIENTS).map((id) => idIn(world, id)),
    fhirUser: person,
  });
  const ofSystems = fc.record({
    scopes: fc.array(scope(fc.constant('system' as const)), { minLength: 1, maxLength: 2 }),
  });
  const limited = fc.record({
    scopes: fc.array(scope(fc.constant('system' as const)), { minLength: 1, maxLength: 2 }),
    organizations: fc
      .subarray([...ORGANIZATIONS], { minLength: 1 })
      .map((ids) => ids.map((id) => idIn(world, id))),
  });
  return fc.oneof(
    { arbitrary: ofPeople, weight: 9 },
    { arbitrary: ofSystems, weight: 1 },
    { arbitrary: limited, weight: 3 },
  );
}

export const scopeText = ({ level, type, letters, code }: ScopeModel): string =>
  `${level}/${type}.${letters}${code === undefined ? '' : `?code=${code}`}`;

/** A way in; `pick` chooses what it is about among what there is. */
export interface Way {
  readonly kind:
    | 'read'
    | 'vread'
    | 'history'
    | 'search'
    | 'count'
    | 'chain'
    | 'has'
    | 'include'
    | 'revinclude'
    | 'everything'
    | 'batch'
    | 'create'
    | 'update'
    | 'move'
    | 'delete'
    | 'conditional'
    | 'give'
    | 'bytes'
    | 'picture'
    | 'gallery'
    | 'image'
    | 'images'
    | 'provenance'
    | 'events'
    | 'typeHistory';
  readonly pick: number;
  readonly other: number;
}

export const way: fc.Arbitrary<Way> = fc.record({
  kind: oneOf<Way['kind']>(
    'read',
    'read',
    'vread',
    'history',
    'search',
    'search',
    'search',
    'count',
    'chain',
    'has',
    'include',
    'revinclude',
    'everything',
    'batch',
    'create',
    'update',
    'move',
    'delete',
    'conditional',
    'give',
    'give',
    'bytes',
    'picture',
    'gallery',
    'image',
    'images',
    'provenance',
    'events',
    'typeHistory',
  ),
  pick: fc.nat(1000),
  other: fc.nat(1000),
});

export const SEARCHED = [
  'Observation',
  'Condition',
  'Device',
  'Communication',
  'Task',
  'List',
  'Appointment',
  'CareTeam',
  'Encounter',
  'Consent',
  'Patient',
  'Practitioner',
  'RelatedPerson',
  'Organization',
  'PractitionerRole',
  'Media',
  'ImagingStudy',
] as const;
export type { Letter };
