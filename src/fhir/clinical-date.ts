/** The parameter behind a type's clinical date: `at` and `until` of its index rows, and the order of timelines. */
import type { Definitions, SearchParameter } from './definitions.ts';

/** Where it is not `date`. */
const CODES: Readonly<Record<string, string>> = {
  Account: 'period',
  Basic: 'created',
  Bundle: 'timestamp',
  ChargeItem: 'occurrence',
  Claim: 'created',
  ClaimResponse: 'created',
  Communication: 'sent',
  CommunicationRequest: 'authored',
  Condition: 'onset-date',
  Contract: 'issued',
  CoverageEligibilityRequest: 'created',
  CoverageEligibilityResponse: 'created',
  DetectedIssue: 'identified',
  DeviceRequest: 'authored-on',
  DocumentManifest: 'created',
  ExplanationOfBenefit: 'created',
  Goal: 'start-date',
  ImagingStudy: 'started',
  Media: 'created',
  MedicationAdministration: 'effective-time',
  MedicationDispense: 'whenhandedover',
  MedicationRequest: 'authoredon',
  MedicationStatement: 'effective',
  NutritionOrder: 'datetime',
  Patient: 'birthdate',
  PaymentNotice: 'created',
  PaymentReconciliation: 'created',
  Person: 'birthdate',
  Provenance: 'recorded',
  QuestionnaireResponse: 'authored',
  RelatedPerson: 'birthdate',
  RequestGroup: 'authored',
  ServiceRequest: 'authored',
  Slot: 'start',
  Specimen: 'collected',
  Task: 'authored-on',
  TestReport: 'issued',
  VisionPrescription: 'datewritten',
};

/** The clinical date of a type; undefined where it has none. */
export function clinicalDate(definitions: Definitions, type: string): SearchParameter | undefined {
  const code = CODES[type] ?? 'date';
  return definitions
    .searchParameters(type)
    .find(({ code: own, type: sort, posted }) => own === code && sort === 'date' && posted === undefined);
}
