/** Taking out of a resource what names other patients: who may see it learns of them nothing. */
import { parseKeepingNumbers } from './json.ts';

// Contents are kept without white space.
const NAMED = /"reference":"(?:[^"]*\/)?Patient\/([A-Za-z0-9.-]{1,64})(?:\/_history\/[^"]*)?"/g;

/** Of characters that need none: some writers escape all slashes, and anybody can hide a name so (RFC 8259 §7). */
const NEEDLESS_ESCAPE = /\\(?:\/|u00[2-7])/;

/** Whether a resource refers to a patient who is not to be shown. */
export function namesOthers(content: string, isShown: (patient: string) => boolean): boolean {
  const text = NEEDLESS_ESCAPE.test(content) ? JSON.stringify(JSON.parse(content)) : content;
  if (!text.includes('Patient/')) return false;
  for (const [, id = ''] of text.matchAll(NAMED)) if (!isShown(id)) return true;
  return false;
}

const MASKED = {
  extension: [{ url: 'http://hl7.org/fhir/StructureDefinition/data-absent-reason', valueCode: 'masked' }],
};
const LABEL = { system: 'http://terminology.hl7.org/CodeSystem/v3-ObservationValue', code: 'MASKED' };

type Element = { [name: string]: unknown };

/**
 * A resource without the references to patients who are not to be shown. The narrative and what is contained, which may name
 * them too, go with them; a label says so (R4 security-labels.html).
 *
 * @param content JSON as it is kept, which is given back as it is where there is nothing to mask
 */
export function masked(content: string, isShown: (patient: string) => boolean): string {
  if (!namesOthers(content, isShown)) return content;
  const { text: _text, contained: _contained, ...resource } = parseKeepingNumbers(content) as Element;
  const meta = (resource.meta ?? {}) as { security?: unknown[] };
  const kept = maskedIn(resource, isShown) as Element;
  return JSON.stringify({ ...kept, meta: { ...meta, security: [...(meta.security ?? []), LABEL] } });
}

function maskedIn(value: unknown, isShown: (patient: string) => boolean): unknown {
  if (Array.isArray(value)) return value.map((one) => maskedIn(one, isShown));
  // A number that keeps its digits is an object without a prototype.
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) === null) return value;
  const { reference } = value as Element;
  if (typeof reference === 'string' && isMasked(reference, isShown)) return MASKED;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, maskedIn(one, isShown)]));
}

function isMasked(reference: string, isShown: (patient: string) => boolean): boolean {
  if (reference.startsWith('#')) return true;
  const id = /(?:^|\/)Patient\/([A-Za-z0-9.-]{1,64})(?:\/_history\/.*)?$/.exec(reference)?.[1];
  return id !== undefined && !isShown(id);
}
