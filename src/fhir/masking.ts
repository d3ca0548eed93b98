/** Taking out of a resource what names other patients: who may see it learns of them nothing. */
import { parseKeepingNumbers } from './json.ts';

// Contents are kept without white space.
const NAMED = /"reference":"(?:[^"]*\/)?Patient\/([A-Za-z0-9.-]{1,64})(?:\/_history\/[^"]*)?"/g;

/** Of characters that need none: some writers escape all slashes, and anybody can hide a name so (RFC 8259 §7). */
const NEEDLESS_ESCAPE = /\\(?:\/|u00[2-7])/;

/**
 * Whether a resource refers to a patient who is not to be shown. One who is named by an identifier or in words alone (R4
 * references.html#logical) may be anybody, and is not.
 */
export function namesOthers(content: string, isShown: (patient: string) => boolean): boolean {
  const text = NEEDLESS_ESCAPE.test(content) ? JSON.stringify(JSON.parse(content)) : content;
  if (text.includes('Patient/'))
    for (const [, id = ''] of text.matchAll(NAMED)) if (!isShown(id)) return true;
  return MAY_BE_LOGICAL.test(text) && hasLogical(JSON.parse(text), '');
}

/** Elements that are for patients, where a reference does not say to what type it is. */
const FOR_PATIENTS = new Set(['subject', 'patient', 'beneficiary', 'for']);

/** References by an id, which nearly all are, are told without parsing. */
const MAY_BE_LOGICAL =
  /"type":"(?:[^"]*\/)?Patient"|"(?:subject|patient|beneficiary|for)":(?:\[|\{(?!"reference"))/;

function isLogical({ reference, type, identifier, display }: Element, name: string): boolean {
  if (reference !== undefined || (identifier === undefined && display === undefined)) return false;
  return type === undefined ? FOR_PATIENTS.has(name) : /(?:^|\/)Patient$/.test(String(type));
}

function hasLogical(value: unknown, name: string): boolean {
  if (Array.isArray(value)) return value.some((one) => hasLogical(one, name));
  if (!isElement(value)) return false;
  return isLogical(value, name) || Object.entries(value).some(([inner, one]) => hasLogical(one, inner));
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
  const kept = maskedIn(resource, '', isShown) as Element;
  return JSON.stringify({ ...kept, meta: { ...meta, security: [...(meta.security ?? []), LABEL] } });
}

function maskedIn(value: unknown, name: string, isShown: (patient: string) => boolean): unknown {
  if (Array.isArray(value)) return value.map((one) => maskedIn(one, name, isShown));
  if (!isElement(value)) return value;
  const { reference } = value;
  if (typeof reference === 'string' && isMasked(reference, isShown)) return MASKED;
  if (isLogical(value, name)) return MASKED;
  return Object.fromEntries(
    Object.entries(value).map(([inner, one]) => [inner, maskedIn(one, inner, isShown)]),
  );
}

/** A number that keeps its digits is an object without a prototype. */
const isElement = (value: unknown): value is Element =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) !== null;

function isMasked(reference: string, isShown: (patient: string) => boolean): boolean {
  if (reference.startsWith('#')) return true;
  const id = /(?:^|\/)Patient\/([A-Za-z0-9.-]{1,64})(?:\/_history\/.*)?$/.exec(reference)?.[1];
  return id !== undefined && !isShown(id);
}
