/** Scopes in the words of the person who is to grant them. */
import type { Letter, Scope } from '../access/scopes.ts';

/** What a scope lets an app do, in a sentence's parts. */
export interface Described {
  /** with a capital, such as "Allergies" */
  readonly what: string;
  /** such as "see, add and change" */
  readonly may: string;
  /** which of it, where it is not all */
  readonly only?: string;
}

/** A part of a type's resources to which a person may narrow a scope. */
export interface Category {
  readonly says: string;
  /** `system|code` */
  readonly token: string;
}

const OBSERVATIONS = 'http://terminology.hl7.org/CodeSystem/observation-category';
const CONDITIONS = 'http://terminology.hl7.org/CodeSystem/condition-category';
const US_CORE = 'http://hl7.org/fhir/us/core/CodeSystem';

/** Those of US Core, whose scopes apps ask for (US Core 8.0.0, scopes.html). */
const CATEGORIES: Readonly<Record<string, readonly Category[]>> = {
  Observation: [
    { says: 'laboratory results', token: `${OBSERVATIONS}|laboratory` },
    { says: 'vital signs, such as blood pressure and weight', token: `${OBSERVATIONS}|vital-signs` },
    { says: 'ways of life, such as smoking', token: `${OBSERVATIONS}|social-history` },
    { says: 'answers to questionnaires', token: `${OBSERVATIONS}|survey` },
    { says: 'findings in images', token: `${OBSERVATIONS}|imaging` },
    { says: 'circumstances, such as housing and food', token: `${US_CORE}/us-core-category|sdoh` },
  ],
  Condition: [
    { says: 'lasting problems', token: `${CONDITIONS}|problem-list-item` },
    { says: 'diagnoses of single visits', token: `${CONDITIONS}|encounter-diagnosis` },
    { says: 'worries about health', token: `${US_CORE}/condition-category|health-concern` },
  ],
  DiagnosticReport: [
    { says: 'laboratory reports', token: 'http://terminology.hl7.org/CodeSystem/v2-0074|LAB' },
    { says: 'reports of images', token: 'http://loinc.org|LP29684-5' },
    { says: 'heart reports', token: 'http://loinc.org|LP29708-2' },
    { says: 'tissue reports', token: 'http://loinc.org|LP7839-6' },
  ],
  DocumentReference: [
    {
      says: 'notes of doctors and nurses',
      token: `${US_CORE}/us-core-documentreference-category|clinical-note`,
    },
  ],
};

/** To which parts a scope can be narrowed; none where it has been already, or is for all types. */
export function categoriesOf({ type, query }: Scope): readonly Category[] {
  return query === undefined ? (CATEGORIES[type] ?? []) : [];
}

/** A scope for one category of what another is for, in the syntax of SMART v2, as v1 has no queries. */
export function narrowed({ level, type, letters }: Scope, { token }: Category): string {
  return `${level}/${type}.${[...letters].join('')}?category=${token}`;
}

export function describe(scope: Scope): Described {
  const { type, letters, query } = scope;
  const what = type === '*' ? 'Everything in the record' : (TYPES[type] ?? spaced(type));
  const only = query === undefined ? undefined : narrowing(type, query);
  return { what, may: mayOf(letters), ...(only ? { only } : {}) };
}

function mayOf(letters: ReadonlySet<Letter>): string {
  const words = [
    letters.has('r') || letters.has('s') ? 'see' : undefined,
    letters.has('c') ? 'add' : undefined,
    letters.has('u') ? 'change' : undefined,
    letters.has('d') ? 'delete' : undefined,
  ].filter((word) => word !== undefined);
  return words.length > 1 ? `${words.slice(0, -1).join(', ')} and ${words.at(-1)}` : (words[0] as string);
}

function narrowing(type: string, query: string): string {
  const plain = decoded(query);
  const known = CATEGORIES[type]?.find(({ token }) => plain === `category=${token}`);
  return known ? `only ${known.says}` : `only where ${plain.replaceAll('&', ' and ')}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** "CarePlan" as "Care plan". */
const spaced = (type: string): string =>
  type.replace(/(?<=[a-z])[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

const TYPES: Readonly<Record<string, string>> = {
  AllergyIntolerance: 'Allergies',
  Appointment: 'Appointments',
  Binary: 'Files',
  CarePlan: 'Care plans',
  CareTeam: 'Who takes care of the patient',
  Communication: 'Messages',
  Condition: 'Problems and diagnoses',
  Consent: 'What was consented to',
  Coverage: 'Insurance',
  Device: 'Devices',
  DiagnosticReport: 'Reports of laboratories and examinations',
  DocumentReference: 'Documents and notes',
  Encounter: 'Visits',
  Endpoint: 'Addresses of other systems',
  FamilyMemberHistory: 'Illnesses in the family',
  Goal: 'Goals',
  ImagingStudy: 'X-rays, scans and other images',
  Immunization: 'Vaccinations',
  Location: 'Places of care',
  Media: 'Photographs and videos',
  Medication: 'Which medicines there are',
  MedicationAdministration: 'Medicines that were given',
  MedicationDispense: 'Medicines that were handed out',
  MedicationRequest: 'Prescribed medicines',
  MedicationStatement: 'Medicines that are taken',
  Observation: 'Measurements and laboratory results',
  Organization: 'Clinics and other organizations',
  Patient: 'Name, date of birth, address and other personal details',
  Practitioner: 'Doctors, nurses and other professionals',
  PractitionerRole: 'Where professionals work',
  Procedure: 'Operations and other procedures',
  Provenance: 'Who has written what',
  Questionnaire: 'Questionnaires',
  QuestionnaireResponse: 'Answers to questionnaires',
  RelatedPerson: 'Relatives and other close people',
  ServiceRequest: 'Orders and referrals',
  Specimen: 'Samples',
  Task: 'Tasks',
};
