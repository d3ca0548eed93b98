/** Who a person is, and whose records are theirs to see. */
import type { PatientSet } from '../search/request.ts';

export interface Person {
  /** of a Practitioner, Patient, RelatedPerson or Person */
  readonly type: string;
  readonly id: string;
  /** a patient, or who stands for patients, sees all of their compartments; who treats them what is about them */
  readonly sees: 'compartments' | 'patients';
  readonly patients: PatientSet;
  /** ids of the organizations that a practitioner works for now */
  readonly organizations: readonly string[];
}

/** For whom an access token was given, and to whom. */
export interface Whose {
  /** id of the patient in whose records the app was launched */
  readonly patient?: string;
  /** undefined of a system */
  readonly person?: Person;
}
