/** What is not there, or is for the caller as if it were not: the same words for both. */
import { type Refusal, refusal } from '../fhir/outcome.ts';

/** 404 */
export function notFound(type: string, id: string): Refusal {
  return refusal(404, 'not-found', `${type}/${id} is not known here`);
}
