/** Who a person is, or the organizations that a system is limited to, and whose records are theirs to see. */
import type { Consent } from 'fhir/r4.js';
import type { PatientSet } from '../search/request.ts';
import type { Asker } from './consent.ts';

export interface Person {
  /** of a Practitioner, Patient, RelatedPerson or Person; of a system's organizations the first */
  readonly type: string;
  readonly id: string;
  /** a patient, or who stands for patients, sees all of their compartments; who treats them what is about them */
  readonly sees: 'compartments' | 'patients';
  /** themselves, those for whom they stand, or those whom they treat */
  readonly patients: PatientSet;
  /** others, who share their records with them by a Consent */
  readonly sharing: PatientSet;
  /** of all these, for whom they have broken the glass */
  readonly emergency: PatientSet;
  /** ids of the organizations that a practitioner works for now, or that a system is limited to */
  readonly organizations: readonly string[];
  /** privacy Consents of patients, by their ids; a patient's own do not bind the patient */
  readonly consents: ReadonlyMap<string, readonly Consent[]>;
  /** of http://terminology.hl7.org/CodeSystem/v3-Confidentiality the highest label that they may see */
  readonly clearance: Clearance;
}

export type Clearance = 'N' | 'R' | 'V';

/** For whom an access token was given, and to whom. */
export interface Whose {
  /** id of the patient in whose records the app was launched */
  readonly patient?: string;
  /** undefined of a system that is not limited to organizations */
  readonly person?: Person;
}

/** Somebody of whom nothing is known but their name. */
export const stranger = (type: string, id: string): Person => ({
  type,
  id,
  sees: 'compartments',
  patients: new Map(),
  sharing: new Map(),
  emergency: new Map(),
  organizations: [],
  consents: new Map(),
  clearance: 'N',
});

/** Whether a patient is one whose records are theirs to see, in part at least. */
export const opens = ({ patients, sharing, emergency }: Person, patient: string): boolean =>
  patients.has(patient) || sharing.has(patient) || emergency.has(patient);

/** Under what names a person is referred to: their own, and those of their organizations. */
export function namesOf({
  type,
  id,
  organizations,
}: Pick<Person, 'type' | 'id' | 'organizations'>): readonly { readonly type: string; readonly id: string }[] {
  const others = organizations.map((one) => ({ type: ORGANIZATION, id: one }));
  return type === ORGANIZATION ? others : [{ type, id }, ...others];
}

export const ORGANIZATION = 'Organization';

/** As whom a person's requests are judged by Consents. */
export function askerOf(person: Person): Asker {
  const names = namesOf(person).map(({ type, id }) => `${type}/${id}`);
  return { names: new Set(names), purpose: person.sees === 'patients' ? 'TREAT' : 'PATRQT' };
}
