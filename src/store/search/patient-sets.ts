/**
 * Sets of patients as they are sent to PostgreSQL: those of a person stay the same from request to request, and may be
 * thousands, so that what is made of one is kept as long as the set is.
 */
import type { PatientSet } from '../../search/request.ts';
import { int8Array } from '../arrays.ts';

export interface PatientNumbers {
  readonly numbers: readonly number[];
  /** as a parameter */
  readonly parameter: unknown;
}

export interface PatientSets {
  numbersOf(set: PatientSet): PatientNumbers;
  /** Whether all of one set are in another. */
  areWithin(small: PatientSet, large: PatientSet): boolean;
}

export function makePatientSets(): PatientSets {
  const known = new WeakMap<PatientSet, PatientNumbers>();
  const within = new WeakMap<PatientSet, WeakMap<PatientSet, boolean>>();
  return {
    numbersOf(set) {
      const kept = known.get(set);
      if (kept) return kept;
      const numbers = [...set.values()];
      const made = { numbers, parameter: int8Array(numbers) };
      known.set(set, made);
      return made;
    },
    areWithin(small, large) {
      const ofLarge = within.get(large) ?? new WeakMap<PatientSet, boolean>();
      within.set(large, ofLarge);
      const kept = ofLarge.get(small);
      if (kept !== undefined) return kept;
      const are = small.size <= large.size && [...small.keys()].every((id) => large.has(id));
      ofLarge.set(small, are);
      return are;
    },
  };
}
