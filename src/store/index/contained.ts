/**
 * Contained resources in the index: their container has keys of theirs, under types that no other search asks for
 * (`#Medication`). So what has none costs nothing, and what has some is found by them; whether a contained resource
 * passes is judged on itself, as the keys of several stand together.
 */
import type { Extracted } from '../../fhir/extract.ts';
import { type ParsedReference, withoutVersion } from '../../fhir/reference.ts';
import { type Keys, localKey } from './keys.ts';
import { addValue, type Making, push } from './values.ts';

/** The type under which contained resources of a type have their keys; its own key all that contain one have. */
export const within = (type: string): string => `#${type}`;

/**
 * Adds the keys of a contained resource: one that it is there, those of its tokens, uris and references; and to the
 * dictionary, in which types of resources its type is contained.
 */
export function addContained(
  made: Making,
  keys: Keys,
  containerType: string,
  { type, extracted }: { readonly type: string; readonly extracted: readonly Extracted[] },
  parse: (reference: string) => ParsedReference,
): void {
  const own = keys.type(within(type));
  push(made.others, own);
  push(made.codes, own);
  push(made.codes, keys.type(containerType));
  for (const { parameter, value } of extracted) {
    if (value.kind !== 'token' && value.kind !== 'uri' && value.kind !== 'reference') continue;
    // Where a parameter is posted for a type, what contains such is not indexed anew.
    if (parameter.posted !== undefined) continue;
    const key = keys.parameter(within(type), parameter);
    addValue(made, key, value, true);
    if (value.kind !== 'reference' || value.reference === undefined) continue;
    const parsed = parse(withoutVersion(value.reference));
    if (parsed.kind === 'local') push(made.others, localKey(key, parsed.type, parsed.id));
  }
}
