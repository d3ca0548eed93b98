/**
 * A visit and all that comes of it: fifty resources of nine types that refer to each other, 0.5 to 2 KB each, made
 * from its number as those of dataset.ts are.
 */
import type {
  AllergyIntolerance,
  CodeableConcept,
  Condition,
  DiagnosticReport,
  Encounter,
  Immunization,
  MedicationRequest,
  Observation,
  Patient,
  Procedure,
  Reference,
  Resource,
} from 'fhir/r4.js';
import { PRACTITIONERS, practitionerId, scatter } from './dataset.ts';

/** How many there are of each type, in the order of their places. */
const SHARES = [
  ['Patient', 1],
  ['Encounter', 1],
  ['AllergyIntolerance', 2],
  ['Condition', 4],
  ['Procedure', 3],
  ['Immunization', 2],
  ['MedicationRequest', 6],
  ['Observation', 28],
  ['DiagnosticReport', 3],
] as const;

export type VisitType = (typeof SHARES)[number][0];

/** The type of the resource at each place of a visit; the Patient's place is 0. */
export const places: readonly VisitType[] = SHARES.flatMap(([type, count]) =>
  Array.from({ length: count }, () => type),
);

/** Where a type's places begin, and how many it has. */
export const placesOf = (type: VisitType): { readonly first: number; readonly count: number } => ({
  first: places.indexOf(type),
  count: places.filter((other) => other === type).length,
});

/** The id of the resource at a place of the nth visit, for whoever chooses ids. */
export const visitId = (n: number, place: number): string =>
  `019a0000-${place.toString(16).padStart(4, '0')}-7000-8000-${n.toString(16).padStart(12, '0')}`;

export const VISIT_NUMBERS = 'https://hospital.example.org/visit-patients';

/** What one resource of a visit knows of the others. */
interface Visit {
  readonly n: number;
  /** another number for another content of the same resource */
  readonly edition: number;
  /** what the resource at a place is called by references */
  readonly nameOf: (place: number) => string;
}

/**
 * The resources of a visit in the order of their places, without ids.
 *
 * @param nameOf what the resource at a place is called by the references of the others
 */
export function visit(n: number, nameOf: Visit['nameOf'], edition = 0): Resource[] {
  const made = { n, edition, nameOf };
  return places.map((type, place) => makers[type](made, place));
}

/** A transaction Bundle that creates the resources of some visits; they refer to each other by their fullUrl. */
export function visitsBundle(numbers: readonly number[]): string {
  const entry = numbers.flatMap((n) => {
    const nameOf = (place: number) => `urn:uuid:${visitId(n, place)}`;
    return visit(n, nameOf).map((resource, place) => ({
      fullUrl: nameOf(place),
      resource,
      request: { method: 'POST', url: resource.resourceType },
    }));
  });
  return JSON.stringify({ resourceType: 'Bundle', type: 'transaction', entry });
}

const LOINC = 'http://loinc.org';
const SNOMED = 'http://snomed.info/sct';
const RXNORM = 'http://www.nlm.nih.gov/research/umls/rxnorm';
const UCUM = 'http://unitsofmeasure.org';
const TERMS = 'http://terminology.hl7.org/CodeSystem';

const concept = (system: string, code: string, display: string): CodeableConcept => ({
  coding: [{ system, code, display }],
  text: display,
});

const status = (system: string, code: string): CodeableConcept => ({
  coding: [{ system: `${TERMS}/${system}`, code }],
});

/** A number that looks like chance, for a place of a visit and a purpose. */
const chance = ({ n }: Visit, place: number, purpose: number, below: number): number =>
  scatter(64 * n + place, 100 + purpose, below);

const HOUR = 3_600_000;

/** Visits are spread over 2024 and 2025; what comes of them follows in the order of places. */
const instantOf = ({ n }: Visit, place: number): string =>
  new Date(Date.UTC(2024, 0, 1) + scatter(n, 99, 17_520) * HOUR + place * 240_000).toISOString();

const subject = ({ nameOf, n }: Visit): Reference => ({
  reference: nameOf(0),
  display: `${GIVEN[n % GIVEN.length]} Visitor-${n}`,
});
const encounter = ({ nameOf }: Visit): Reference => ({ reference: nameOf(1) });
const doctor = (visit: Visit, place: number): Reference => ({
  reference: `Practitioner/${practitionerId(chance(visit, place, 1, PRACTITIONERS))}`,
  display: 'Dr. Pat',
});
const identifier = ({ n }: Visit, place: number) => [
  { system: 'https://hospital.example.org/orders', value: `V${n}-${place}` },
];
const note = (visit: Visit, place: number) => [
  {
    authorReference: doctor(visit, place),
    time: instantOf(visit, place),
    text: `Seen together with the family, who will call if anything changes. Edition ${visit.edition}.`,
  },
];

const GIVEN = ['Ada', 'Bela', 'Carla', 'Dora', 'Emil', 'Fritz', 'Gerda', 'Hans', 'Ida', 'Jon', 'Karl'];

/** A code and what it is called, by chance. */
function oneOf(visit: Visit, place: number, system: string, list: readonly string[]): CodeableConcept {
  const [code = '', display = ''] = list[chance(visit, place, 2, list.length)]!.split(' = ');
  return concept(system, code, display);
}

const CONDITIONS = [
  '38341003 = Hypertensive disorder',
  '44054006 = Diabetes mellitus type 2',
  '195967001 = Asthma',
  '55822004 = Hyperlipidemia',
  '271737000 = Anemia',
  '10509002 = Acute bronchitis',
];
const ALLERGIES = ['91936005 = Allergy to penicillin', '300913006 = Allergy to shellfish'];
const PROCEDURES = [
  '29303009 = Electrocardiographic procedure',
  '399208008 = Plain chest X-ray',
  '40701008 = Echocardiography',
  '430193006 = Medication reconciliation',
];
const VACCINES = ['140 = Influenza, seasonal, injectable', '115 = Tdap', '33 = Pneumococcal polysaccharide'];
const MEDICINES = [
  '197361 = Amlodipine 5 MG Oral Tablet',
  '860975 = Metformin hydrochloride 500 MG Oral Tablet',
  '314076 = Lisinopril 10 MG Oral Tablet',
  '259255 = Atorvastatin 80 MG Oral Tablet',
  '745679 = Albuterol 0.09 MG/ACTUAT Inhaler',
];
/** Code, name, unit, lowest and highest normal value. */
const MEASURES = [
  ['2345-7', 'Glucose [Mass/volume] in Serum or Plasma', 'mg/dL', 70, 99],
  ['2160-0', 'Creatinine [Mass/volume] in Serum or Plasma', 'mg/dL', 0.6, 1.2],
  ['2951-2', 'Sodium [Moles/volume] in Serum or Plasma', 'mmol/L', 136, 145],
  ['2823-3', 'Potassium [Moles/volume] in Serum or Plasma', 'mmol/L', 3.5, 5.1],
  ['718-7', 'Hemoglobin [Mass/volume] in Blood', 'g/dL', 12, 17],
  ['6690-2', 'Leukocytes [#/volume] in Blood', '10*3/uL', 4.5, 11],
  ['777-3', 'Platelets [#/volume] in Blood', '10*3/uL', 150, 400],
  ['4548-4', 'Hemoglobin A1c/Hemoglobin.total in Blood', '%', 4, 5.6],
  ['2093-3', 'Cholesterol [Mass/volume] in Serum or Plasma', 'mg/dL', 100, 200],
] as const;

const makers: Readonly<Record<VisitType, (visit: Visit, place: number) => Resource>> = {
  Patient: ({ n, edition }): Patient => ({
    resourceType: 'Patient',
    identifier: [
      {
        use: 'official',
        type: concept(`${TERMS}/v2-0203`, 'MR', 'Medical Record Number'),
        system: VISIT_NUMBERS,
        value: `P${n}`,
      },
      { system: 'http://hl7.org/fhir/sid/us-ssn', value: `999-${10 + (n % 90)}-${1000 + (n % 9000)}` },
    ],
    active: true,
    name: [{ use: 'official', family: `Visitor-${n}`, given: [GIVEN[n % GIVEN.length]!, 'Maria'] }],
    telecom: [
      { system: 'phone', value: `+1 555 ${String(n + 10_000 * edition).padStart(7, '0')}`, use: 'mobile' },
      { system: 'email', value: `visitor${n}@example.org` },
    ],
    gender: n % 2 ? 'female' : 'male',
    birthDate: new Date(Date.UTC(1930, 0, 1 + scatter(n, 98, 33_000))).toISOString().slice(0, 10),
    address: [
      {
        use: 'home',
        line: [`${1 + (n % 999)} Low Street`],
        city: 'Boston',
        state: 'MA',
        postalCode: '02101',
        country: 'US',
      },
    ],
    maritalStatus: concept(`${TERMS}/v3-MaritalStatus`, 'M', 'Married'),
    communication: [{ language: concept('urn:ietf:bcp:47', 'en-US', 'English (United States)') }],
  }),

  Encounter: (visit, place): Encounter => ({
    resourceType: 'Encounter',
    identifier: identifier(visit, place),
    status: 'finished',
    class: { system: `${TERMS}/v3-ActCode`, code: 'AMB', display: 'ambulatory' },
    type: [concept(SNOMED, '185349003', 'Encounter for check up')],
    subject: subject(visit),
    participant: [
      {
        type: [concept(`${TERMS}/v3-ParticipationType`, 'PPRF', 'primary performer')],
        period: { start: instantOf(visit, 0) },
        individual: doctor(visit, place),
      },
    ],
    period: { start: instantOf(visit, 0), end: instantOf(visit, places.length + visit.edition) },
    reasonCode: [oneOf(visit, place, SNOMED, CONDITIONS)],
    serviceProvider: { display: 'Example Hospital, Internal Medicine' },
  }),

  AllergyIntolerance: (visit, place): AllergyIntolerance => ({
    resourceType: 'AllergyIntolerance',
    identifier: identifier(visit, place),
    clinicalStatus: status('allergyintolerance-clinical', 'active'),
    verificationStatus: status('allergyintolerance-verification', 'confirmed'),
    type: 'allergy',
    category: ['medication'],
    criticality: 'high',
    code: oneOf(visit, place, SNOMED, ALLERGIES),
    patient: subject(visit),
    encounter: encounter(visit),
    recordedDate: instantOf(visit, place),
    recorder: doctor(visit, place),
    note: note(visit, place),
    reaction: [{ manifestation: [concept(SNOMED, '271807003', 'Eruption of skin')], severity: 'moderate' }],
  }),

  Condition: (visit, place): Condition => ({
    resourceType: 'Condition',
    identifier: identifier(visit, place),
    clinicalStatus: status('condition-clinical', 'active'),
    verificationStatus: status('condition-ver-status', 'confirmed'),
    category: [concept(`${TERMS}/condition-category`, 'encounter-diagnosis', 'Encounter Diagnosis')],
    code: oneOf(visit, place, SNOMED, CONDITIONS),
    subject: subject(visit),
    encounter: encounter(visit),
    onsetDateTime: instantOf(visit, place).slice(0, 10),
    recordedDate: instantOf(visit, place),
    recorder: doctor(visit, place),
    note: note(visit, place),
  }),

  Procedure: (visit, place): Procedure => ({
    resourceType: 'Procedure',
    identifier: identifier(visit, place),
    status: 'completed',
    code: oneOf(visit, place, SNOMED, PROCEDURES),
    subject: subject(visit),
    encounter: encounter(visit),
    performedPeriod: { start: instantOf(visit, place), end: instantOf(visit, place + 3) },
    performer: [{ actor: doctor(visit, place) }],
    reasonReference: [{ reference: visit.nameOf(placesOf('Condition').first) }],
    note: note(visit, place),
  }),

  Immunization: (visit, place): Immunization => ({
    resourceType: 'Immunization',
    identifier: identifier(visit, place),
    status: 'completed',
    vaccineCode: oneOf(visit, place, 'http://hl7.org/fhir/sid/cvx', VACCINES),
    patient: subject(visit),
    encounter: encounter(visit),
    occurrenceDateTime: instantOf(visit, place),
    primarySource: true,
    lotNumber: `LOT${chance(visit, place, 3, 100_000)}`,
    site: concept(`${TERMS}/v3-ActSite`, 'LA', 'left arm'),
    doseQuantity: { value: 0.5, unit: 'mL', system: UCUM, code: 'mL' },
    performer: [{ actor: doctor(visit, place) }],
    note: note(visit, place),
  }),

  MedicationRequest: (visit, place): MedicationRequest => ({
    resourceType: 'MedicationRequest',
    identifier: identifier(visit, place),
    status: 'active',
    intent: 'order',
    category: [concept(`${TERMS}/medicationrequest-category`, 'outpatient', 'Outpatient')],
    medicationCodeableConcept: oneOf(visit, place, RXNORM, MEDICINES),
    subject: subject(visit),
    encounter: encounter(visit),
    authoredOn: instantOf(visit, place),
    requester: doctor(visit, place),
    reasonReference: [{ reference: visit.nameOf(placesOf('Condition').first + (place % 4)) }],
    note: note(visit, place),
    dosageInstruction: [
      {
        sequence: 1,
        text: 'one tablet by mouth each morning',
        timing: { repeat: { frequency: 1, period: 1, periodUnit: 'd' } },
        route: concept(SNOMED, '26643006', 'Oral route'),
        doseAndRate: [
          {
            doseQuantity: { value: 1, unit: 'tablet', system: `${TERMS}/v3-orderableDrugForm`, code: 'TAB' },
          },
        ],
      },
    ],
    dispenseRequest: { numberOfRepeatsAllowed: 3, quantity: { value: 90 } },
  }),

  Observation: (visit, place): Observation => {
    const [code, name, unit, low, high] = MEASURES[chance(visit, place, 4, MEASURES.length)]!;
    const part = (chance(visit, place, 5, 140) - 20 + visit.edition) / 100;
    return {
      resourceType: 'Observation',
      identifier: identifier(visit, place),
      status: visit.edition > 0 ? 'corrected' : 'final',
      category: [concept(`${TERMS}/observation-category`, 'laboratory', 'Laboratory')],
      code: concept(LOINC, code, name),
      subject: subject(visit),
      encounter: encounter(visit),
      effectiveDateTime: instantOf(visit, place),
      issued: instantOf(visit, place),
      performer: [doctor(visit, place)],
      valueQuantity: {
        value: Number((low + part * (high - low)).toFixed(2)),
        unit,
        system: UCUM,
        code: unit,
      },
      referenceRange: [
        {
          low: { value: low, unit, system: UCUM, code: unit },
          high: { value: high, unit, system: UCUM, code: unit },
        },
      ],
    };
  },

  DiagnosticReport: (visit, place): DiagnosticReport => {
    const { first, count } = placesOf('Observation');
    const part = place - placesOf('DiagnosticReport').first;
    return {
      resourceType: 'DiagnosticReport',
      identifier: identifier(visit, place),
      status: visit.edition > 0 ? 'amended' : 'final',
      category: [concept(`${TERMS}/v2-0074`, 'LAB', 'Laboratory')],
      code: concept(LOINC, '24323-8', 'Comprehensive metabolic 2000 panel - Serum or Plasma'),
      subject: subject(visit),
      encounter: encounter(visit),
      effectiveDateTime: instantOf(visit, place),
      issued: instantOf(visit, place),
      performer: [doctor(visit, place)],
      result: Array.from({ length: Math.floor(count / 3) }, (_, i) => ({
        reference: visit.nameOf(first + part + 3 * i),
      })),
      conclusion: `Within the limits of the laboratory, or flagged. Edition ${visit.edition}.`,
    };
  },
};
