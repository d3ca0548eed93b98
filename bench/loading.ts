/** All resources of the benchmark in the order of loading: what is referred to first. */
import type { Condition, DiagnosticReport, MedicationRequest, Procedure } from 'fhir/r4.js';
import {
  encounter,
  encounterId,
  instantOf,
  observation,
  observationId,
  otherId,
  PRACTITIONERS,
  patient,
  patientId,
  practitioner,
  practitionerId,
  type Size,
  scatter,
  subjectOf,
} from './dataset.ts';

export const totalOf = ({ observations, patients, others }: Size): number =>
  PRACTITIONERS + 2 * patients + observations + others;

export function* dataset(size: Size) {
  for (let n = 0; n < PRACTITIONERS; n++) yield practitioner(n);
  for (let n = 0; n < size.patients; n++) {
    yield patient(n);
    yield encounter(n);
  }
  for (let n = 0; n < size.observations; n++) yield observation(n, size);
  for (let n = 0; n < size.others; n++) yield other(n, size);
}

/** Every fifth is a report; the others are conditions, prescriptions and procedures. */
const other = (n: number, size: Size) =>
  (n % 5 === 0 ? report : [condition, prescription, procedure][n % 3]!)(n, size);

/** Which Observation the nth report is about. */
export const reported = (n: number, { observations }: Size): number => scatter(n, 20, observations);

const SNOMED = 'http://snomed.info/sct';
const coded = (n: number, purpose: number, least: number) => ({
  coding: [{ system: SNOMED, code: String(least + scatter(n, purpose, 300)) }],
});
const about = (n: number, size: Size) => ({
  reference: `Patient/${patientId(1 + scatter(n, 21, size.patients - 1))}`,
});

function report(n: number, size: Size): DiagnosticReport {
  const result = reported(n, size);
  const subject = subjectOf(result, size);
  return {
    resourceType: 'DiagnosticReport',
    id: otherId(n),
    status: 'final',
    code: coded(n, 22, 1000),
    subject: { reference: `Patient/${patientId(subject)}` },
    encounter: { reference: `Encounter/${encounterId(subject)}` },
    effectiveDateTime: instantOf(result),
    performer: [{ reference: `Practitioner/${practitionerId(scatter(n, 23, PRACTITIONERS))}` }],
    result: [{ reference: `Observation/${observationId(result)}` }],
  };
}

const condition = (n: number, size: Size): Condition => ({
  resourceType: 'Condition',
  id: otherId(n),
  clinicalStatus: {
    coding: [{ system: 'http://terminology.hl7.org/CodeSystem/condition-clinical', code: 'active' }],
  },
  code: coded(n, 24, 2000),
  subject: about(n, size),
  recordedDate: instantOf(n),
});

const prescription = (n: number, size: Size): MedicationRequest => ({
  resourceType: 'MedicationRequest',
  id: otherId(n),
  status: 'active',
  intent: 'order',
  medicationCodeableConcept: coded(n, 25, 3000),
  subject: about(n, size),
  authoredOn: instantOf(n),
  requester: { reference: `Practitioner/${practitionerId(scatter(n, 26, PRACTITIONERS))}` },
});

const procedure = (n: number, size: Size): Procedure => ({
  resourceType: 'Procedure',
  id: otherId(n),
  status: 'completed',
  code: coded(n, 27, 4000),
  subject: about(n, size),
  performedDateTime: instantOf(n),
});
