/**
 * The resources that the benchmark is about, made from their numbers: who needs the nth Observation, or must know
 * how many there are of a kind, computes it, in whatever process.
 */
import type { Encounter, Observation, Patient, Practitioner } from 'fhir/r4.js';

/** How many there are. */
export interface Size {
  readonly observations: number;
  readonly patients: number;
  /** resources of other types, spread over the patients, beside one encounter of each */
  readonly others: number;
}

export const PRACTITIONERS = 500;

/** A tenth of all Observations is about patient 0; the next thousandth of patients by number are ill as well. */
export const frequentPatients = ({ observations }: Size): number => Math.ceil(observations / 1000);

const LOINC = 'http://loinc.org';
const UCUM = 'http://unitsofmeasure.org';

/** A kind of Observation and its share, in ten-thousandths of all. */
interface Kind {
  readonly code: string;
  readonly display: string;
  readonly unit: string;
  readonly share: number;
}

/** The shares make 500,000, 25,000, 12,500 and 4,600 of a million; patient 0 has none of the last kind. */
export const counted: readonly Kind[] = [
  { code: '8867-4', display: 'Heart rate', unit: '/min', share: 5000 },
  { code: '9279-1', display: 'Respiratory rate', unit: '/min', share: 250 },
  { code: '8310-5', display: 'Body temperature', unit: 'Cel', share: 125 },
  { code: '59408-5', display: 'Oxygen saturation by pulse oximetry', unit: '%', share: 46 },
];
const others: readonly Kind[] = Array.from({ length: 40 }, (_, n) => ({
  code: `${2000 + 7 * n}-${n % 10}`,
  display: `Serum constituent ${n + 1}`,
  unit: 'mmol/L',
  share: 0,
}));
/** The first of the others have two components each: a quarter of all Observations. */
const PANELS = 22;
export const COMPONENTS = ['8480-6', '8462-4'] as const;
/** What runs write: none of the counted kinds, so that their counts stay. */
const written: Kind = { code: '29463-7', display: 'Body weight', unit: 'kg', share: 0 };

/** A number that looks like chance, from 0 to below `below`, for the nth of something and a purpose. */
export function scatter(n: number, purpose: number, below: number): number {
  let hash = Math.imul(n + 1, 0x9e3779b1) ^ Math.imul(purpose + 1, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 16), 0x21f0aaad);
  hash = Math.imul(hash ^ (hash >>> 15), 0x735a2d97);
  return ((hash ^ (hash >>> 15)) >>> 0) % below;
}

// Ids grow with their number, as those of the server do with time (UUID v7).
const idOf = (kind: number, n: number) =>
  `01930000-${kind.toString(16).padStart(4, '0')}-7000-8000-${n.toString(16).padStart(12, '0')}`;
export const observationId = (n: number): string => idOf(1, n);
export const patientId = (n: number): string => idOf(2, n);
export const encounterId = (n: number): string => idOf(3, n);
export const practitionerId = (n: number): string => idOf(4, n);
export const otherId = (n: number): string => idOf(5, n);

/** Every 10,000 Observations in a row hold each kind as often as its share says. */
function kindOf(n: number): Kind {
  let slot = (Math.imul(n % 10_000, 7919) >>> 0) % 10_000;
  for (const kind of counted) {
    if (slot < kind.share) return kind;
    slot -= kind.share;
  }
  return others[scatter(n, 1, others.length)]!;
}

export const isCounted = (n: number): boolean => counted.includes(kindOf(n));

/** The number of the patient whom the nth Observation is about. */
export function subjectOf(n: number, size: Size): number {
  const frequent = frequentPatients(size);
  const tenth = scatter(n, 2, 10);
  if (tenth === 0) return kindOf(n) === counted[3] ? 1 : 0;
  // One of them has some thousands.
  if (tenth < 3) return scatter(n, 10, 41) === 0 ? 1 : 1 + scatter(n, 3, frequent);
  return 1 + scatter(n, 3, size.patients - 1);
}

/** How many Observations are about each patient, by number. */
export function observationsBySubject(size: Size): Map<number, number> {
  const counts = new Map<number, number>();
  for (let n = 0; n < size.observations; n++) {
    const subject = subjectOf(n, size);
    counts.set(subject, (counts.get(subject) ?? 0) + 1);
  }
  return counts;
}

const FROM = Date.UTC(2016, 0, 1);
const MINUTES = 10 * 365 * 24 * 60;

/** Minutes from 2016 to 2025. */
export const instantOf = (n: number) => new Date(FROM + scatter(n, 4, MINUTES) * 60_000).toISOString();

/** The nth Observation, with its id. */
export const observation = (n: number, size: Size): Observation =>
  build(n, kindOf(n), subjectOf(n, size), scatter(n, 5, 100_000));

/** An Observation to write, without id. */
export function newObservation(n: number, size: Size): Observation {
  const { id: _id, ...rest } = build(n, written, subjectOf(n, size), scatter(n, 5, 100_000));
  return rest;
}

/** The nth Observation after its value was corrected. */
export const corrected = (n: number, size: Size, value: number): Observation =>
  build(n, kindOf(n), subjectOf(n, size), value);

const isPanel = (kind: Kind): boolean => others.indexOf(kind) >= 0 && others.indexOf(kind) < PANELS;

const components = (n: number) =>
  COMPONENTS.map((code, i) => ({
    code: { coding: [{ system: LOINC, code }] },
    valueQuantity: { value: scatter(n, 11 + i, 100_000) / 100, unit: 'mmHg', system: UCUM, code: 'mm[Hg]' },
  }));

function build(n: number, kind: Kind, subject: number, value: number): Observation {
  const when = instantOf(n);
  return {
    resourceType: 'Observation',
    id: observationId(n),
    meta: { profile: ['http://hl7.org/fhir/StructureDefinition/vitalsigns'] },
    identifier: [{ system: 'https://devices.example.org/readings', value: `R${n}` }],
    status: 'final',
    category: [
      {
        coding: [
          {
            system: 'http://terminology.hl7.org/CodeSystem/observation-category',
            code: 'vital-signs',
            display: 'Vital Signs',
          },
        ],
      },
    ],
    code: { coding: [{ system: LOINC, code: kind.code, display: kind.display }], text: kind.display },
    subject: { reference: `Patient/${patientId(subject)}` },
    encounter: { reference: `Encounter/${encounterId(subject)}` },
    effectiveDateTime: when,
    issued: when,
    performer: [{ reference: `Practitioner/${practitionerId(scatter(n, 6, PRACTITIONERS))}` }],
    valueQuantity: { value: value / 100, unit: kind.unit, system: UCUM, code: kind.unit },
    ...(isPanel(kind) && { component: components(n) }),
  };
}

const SYLLABLES = [
  'an',
  'bor',
  'cal',
  'den',
  'el',
  'far',
  'gil',
  'hol',
  'in',
  'jar',
  'kel',
  'lor',
  'mar',
  'nor',
];
const GIVEN = [
  'Ada',
  'Bela',
  'Carla',
  'Dora',
  'Emil',
  'Fritz',
  'Gerda',
  'Hans',
  'Ida',
  'Jon',
  'Karl',
  'Lena',
];

/** One of 196 family names, evenly. */
export function familyOf(n: number): string {
  const name = SYLLABLES[n % 14]! + SYLLABLES[Math.floor(n / 14) % 14]!;
  return name[0]!.toUpperCase() + name.slice(1);
}

export const RECORD_NUMBERS = 'https://hospital.example.org/record-numbers';
export const recordNumber = (n: number): string => `MRN-${String(n).padStart(7, '0')}`;

/** Patients whose names begin with these: one, some hundreds, and all the rest. */
export const NAMED = { one: 'Zephyrine', some: 'Quill', rest: 'Vesper' } as const;
export const SOME = 400;
/** The patients of the first practitioner. */
export const isOfFirst = (n: number): boolean => scatter(n, 14, 4) === 0;

const givenOf = (n: number): string[] => {
  const [usual] = [GIVEN[scatter(n, 7, GIVEN.length)]!];
  if (n === 5) return [usual, NAMED.some, NAMED.one];
  return [usual, n < SOME ? NAMED.some : NAMED.rest];
};

export const patient = (n: number): Patient => ({
  resourceType: 'Patient',
  id: patientId(n),
  identifier: [{ use: 'official', system: RECORD_NUMBERS, value: recordNumber(n) }],
  active: true,
  name: [{ use: 'official', family: familyOf(n), given: givenOf(n) }],
  telecom: [{ system: 'phone', value: `+1 555 ${String(n).padStart(7, '0')}`, use: 'home' }],
  gender: n % 2 ? 'female' : 'male',
  birthDate: new Date(Date.UTC(1930, 0, 1 + scatter(n, 8, 33_000))).toISOString().slice(0, 10),
  address: [{ line: [`${1 + scatter(n, 9, 999)} High Street`], city: 'Denver', state: 'CO', country: 'US' }],
  generalPractitioner: [
    { reference: `Practitioner/${practitionerId(isOfFirst(n) ? 0 : 1 + scatter(n, 13, PRACTITIONERS - 1))}` },
  ],
});

export const encounter = (n: number): Encounter => ({
  resourceType: 'Encounter',
  id: encounterId(n),
  status: 'finished',
  class: { system: 'http://terminology.hl7.org/CodeSystem/v3-ActCode', code: 'AMB' },
  subject: { reference: `Patient/${patientId(n)}` },
  period: { start: instantOf(n) },
});

export const practitioner = (n: number): Practitioner => ({
  resourceType: 'Practitioner',
  id: practitionerId(n),
  identifier: [{ system: 'http://hl7.org/fhir/sid/us-npi', value: String(1_000_000_000 + n) }],
  name: [{ family: familyOf(n), given: ['Pat'], prefix: ['Dr.'] }],
});

/** How many Observations of a counted kind there are. */
export function countOf(kind: Kind, { observations }: Size): number {
  let count = 0;
  for (let n = 0; n < observations; n++) if (kindOf(n) === kind) count++;
  return count;
}

/** Numbers of frequent patients with at least `least` Observations of a counted kind on or after a day. */
export function patientsWith(kind: Kind, since: string, least: number, size: Size): number[] {
  const found = new Map<number, number>();
  const frequent = frequentPatients(size);
  for (let n = 0; n < size.observations; n++) {
    const subject = subjectOf(n, size);
    if (subject === 0 || subject > frequent || kindOf(n) !== kind || instantOf(n) < since) continue;
    found.set(subject, (found.get(subject) ?? 0) + 1);
  }
  return [...found].filter(([, count]) => count >= least).map(([subject]) => subject);
}
