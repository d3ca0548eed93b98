/** `/fhir/.well-known/smart-configuration` (SMART App Launch 2.2, conformance.html#using-well-known). */
import { answerJson } from '../http/answer.ts';
import type { Interaction } from '../http/exchange.ts';

/** Makes the route; it is plain JSON whatever is asked for. */
export function wellKnown(configuration: Readonly<Record<string, unknown>>): Interaction {
  const text = JSON.stringify(configuration);
  return {
    name: 'smart-configuration',
    open: (visit) =>
      answerJson({ ...visit, format: { ...visit.format, contentType: 'application/json' } }, 200, [], text),
  };
}
