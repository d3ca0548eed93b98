/**
 * Contained resources in the index: their container has keys of theirs, under types that no other search asks for
 * (`#Medication`). So what has none costs nothing, and what has some is found by them; whether a contained resource
 * passes is judged on itself, as the keys of several stand together.
 */
import type { Extracted } from '../../fhir/extract.ts';
import { type ParsedReference, withoutVersion } from '../../fhir/reference.ts';
import type { ChainTarget, Filter } from '../../search/request.ts';
import {
  codeKey,
  identifierKey,
  type Keys,
  keyText,
  localKey,
  ofTypeKey,
  systemKey,
  tokenKey,
  uriKey,
} from './keys.ts';
import { addValue, type Making, push } from './values.ts';

/** The type under which contained resources of a type have their keys. */
const within = (type: string): string => `#${type}`;

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
    const key = keys.parameter(within(type), parameter);
    addValue(made, key, value, true);
    if (value.kind !== 'reference' || value.reference === undefined) continue;
    const parsed = parse(withoutVersion(value.reference));
    if (parsed.kind === 'local') push(made.others, localKey(key, parsed.type, parsed.id));
  }
}

/** The key that all have which contain a resource of a type. */
export const containedKey = (keys: Keys, type: string): string => keyText(keys.type(within(type)));

/** Keys of a container, one of each set, where what it contains of a type may pass a filter. */
export function containedKeys(keys: Keys, { type, filter }: ChainTarget): readonly (readonly string[])[] {
  const sets = setsOf(keys, within(type), filter);
  return sets.length > 0 ? sets : [[containedKey(keys, type)]];
}

function setsOf(keys: Keys, type: string, filter: Filter): readonly (readonly string[])[] {
  if (filter.kind === 'all') return filter.filters.flatMap((one) => setsOf(keys, type, one));
  if (!('parameter' in filter)) return [];
  const own = keys.parameter(type, filter.parameter);
  switch (filter.kind) {
    case 'token':
      return [
        filter.values.flatMap(({ system, code }) => {
          if (code === undefined) return [keyText(systemKey(own, system ?? ''))];
          if (system !== undefined) return [keyText(tokenKey(own, system, code))];
          return [keyText(codeKey(own, code)), keyText(tokenKey(own, '', code))];
        }),
      ];
    case 'of-type':
      return [filter.values.map(({ system, code, value }) => keyText(ofTypeKey(own, system, code, value)))];
    case 'uri':
      return filter.modifier ? [] : [filter.values.map((uri) => keyText(uriKey(own, uri)))];
    case 'reference-identifier':
      return [filter.values.map(({ system = '', code = '' }) => keyText(identifierKey(own, system, code)))];
    case 'reference':
      return [
        filter.values.flatMap((value) => {
          if (value.kind === 'absolute') return [keyText(uriKey(own, value.url))];
          const types = value.type === undefined ? (filter.parameter.target ?? []) : [value.type];
          return types.map((target) => keyText(localKey(own, target, value.id)));
        }),
      ];
    default:
      return [];
  }
}
