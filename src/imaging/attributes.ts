/** What is read of DICOM JSON in many places. */
import type { Attributes, JsonValue, PersonName } from './dicom/json.ts';

/** The first value. */
export const firstOf = (attributes: Attributes, tag: string): JsonValue | undefined =>
  attributes[tag]?.Value?.[0] ?? undefined;

/** The first value as a text; undefined where there is none, or it is empty. */
export function textIn(attributes: Attributes, tag: string): string | undefined {
  const value = firstOf(attributes, tag);
  if (typeof value === 'object') return (value as PersonName).Alphabetic;
  return value === undefined || value === '' ? undefined : String(value);
}

/** The first value as FHIR takes a text: without control characters, and with single blanks between words. */
export function wordsIn(attributes: Attributes, tag: string): string | undefined {
  const words = textIn(attributes, tag)
    ?.replaceAll(/[\s\p{Cc}]+/gu, ' ')
    .trim();
  return words === '' ? undefined : words;
}

/** The first value as a whole number. */
export function wholeIn(attributes: Attributes, tag: string): number | undefined {
  const value = firstOf(attributes, tag);
  return typeof value === 'number' && Number.isInteger(value) ? value : undefined;
}

/** The items of a sequence. */
export const itemsIn = (attributes: Attributes, tag: string): readonly Attributes[] =>
  (attributes[tag]?.Value ?? []).filter((one) => typeof one === 'object' && one !== null) as Attributes[];
