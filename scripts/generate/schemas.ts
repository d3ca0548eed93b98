/**
 * A JSON Schema for each type, backbone element and quantity profile. The keywords are ours (keywords.ts): JSON
 * Schema's own cannot say that a choice has one value at most, or that a primitive's companion stands in for it.
 */
import type { Reduced, WrittenElement } from './definitions.ts';
import type { Source } from './source.ts';

/** What the value of an element must be. */
export type ValueSchema =
  | { readonly primitive: string; readonly codes?: string }
  | { readonly $ref: string }
  | { readonly resource: true }
  | { readonly list: ValueSchema; readonly pairedWith?: string };

/** An array of a data type. */
export interface ListSchema {
  readonly $id: string;
  readonly list: ValueSchema;
}

/** An object with these elements and no others. */
export interface TypeSchema {
  readonly $id: string;
  /** By name in JSON */
  readonly elements: Readonly<Record<string, ValueSchema>>;
  /** Elements that must be there: a name of the definitions, and the names in JSON of which one will do */
  readonly required: Readonly<Record<string, readonly string[]>>;
  /** By the name of a choice: its names in JSON, those of one type together */
  readonly choices: Readonly<Record<string, readonly (readonly string[])[]>>;
  readonly kind: 'resource' | 'element' | 'companion';
}

export interface Schemas {
  readonly types: readonly (TypeSchema | ListSchema)[];
  /** Codes by value set */
  readonly codes: ReadonlyMap<string, readonly string[]>;
}

/** The schemas of everything that a resource can hold, and the codes that they refer to. */
export function makeSchemas(reduced: Reduced, source: Source): Schemas {
  const isPrimitive = (type: string) => source.structures.get(type)?.kind === 'primitive-type';
  const codes = new Map<string, readonly string[]>();

  const codesOf = (element: WrittenElement): string | undefined => {
    if (element.binding?.strength !== 'required') return undefined;
    const { valueSet } = element.binding;
    const found = codes.get(valueSet) ?? enumerate(valueSet, source);
    if (found) codes.set(valueSet, found);
    return found && valueSet;
  };

  const schemaOf = (type: string, path: string, element: WrittenElement): ValueSchema => {
    if (isPrimitive(type)) return { primitive: type, codes: type === 'code' ? codesOf(element) : undefined };
    if (type === 'Resource') return { resource: true };
    if (type === 'Quantity' && element.quantityProfile) return { $ref: element.quantityProfile };
    if (element.contentReference) return { $ref: element.contentReference };
    return { $ref: reduced.elements[path] ? path : type };
  };

  const makeType = ([name, children]: [string, Readonly<Record<string, WrittenElement>>]): TypeSchema => {
    const elements: Record<string, ValueSchema> = {};
    const companions: Record<string, ValueSchema> = {};
    const required: Record<string, string[]> = {};
    const choices: Record<string, string[][]> = {};
    for (const [child, element] of Object.entries(children)) {
      const names: string[][] = [];
      for (const type of element.types) {
        const jsonName = child.replace('[x]', type.charAt(0).toUpperCase() + type.slice(1));
        const value = schemaOf(type, `${name}.${child}`, element);
        const isList = element.max === undefined || element.max > 1;
        elements[jsonName] = isList ? listOf(value, `_${jsonName}`) : value;
        names.push([jsonName]);
        // Ids, and urls that XML keeps in an attribute, have no room for extensions (R4 element.html#id)
        if (!('primitive' in value) || type === 'xhtml' || isAttribute(name, child)) continue;
        const companion = { $ref: 'Element' };
        companions[`_${jsonName}`] = isList ? { list: companion, pairedWith: jsonName } : companion;
        names.at(-1)!.push(`_${jsonName}`);
      }
      if (element.min) required[child] = names.flat();
      if (child.endsWith('[x]')) choices[child] = names;
    }
    const isResource = reduced.resourceTypes.includes(name);
    return {
      $id: name,
      elements: { ...elements, ...companions },
      required,
      choices,
      kind: isResource ? 'resource' : name === 'Element' ? 'companion' : 'element',
    };
  };

  const types = Object.entries(reduced.elements)
    .filter(([name]) => !isPrimitive(name) && name !== 'Resource' && name !== 'DomainResource')
    .map(makeType);
  const lists = types
    .filter(({ $id }) => !$id.includes('.'))
    .map(({ $id }): ListSchema => ({ $id: listName($id), list: { $ref: $id } }));
  return { types: [...types, ...lists], codes };
}

/** Lists of a data type share one schema, as their code would be in each of 600 objects again. */
function listOf(value: ValueSchema, companion: string): ValueSchema {
  if ('primitive' in value) return { list: value, pairedWith: companion };
  return '$ref' in value && !value.$ref.includes('.') ? { $ref: listName(value.$ref) } : { list: value };
}

function listName(type: string): string {
  return `${type}-list`;
}

function isAttribute(type: string, child: string): boolean {
  return child === 'id' || (type === 'Extension' && child === 'url');
}

/**
 * All codes of a value set, where core holds them: undefined for currencies, MIME types and units, whose code
 * systems are kept elsewhere.
 */
function enumerate(url: string, source: Source): readonly string[] | undefined {
  const compose = source.valueSets.get(url)?.compose;
  if (!compose || compose.exclude) return undefined;
  const codes = new Set<string>();
  for (const { system, concept, filter, valueSet } of compose.include) {
    const codeSystem = source.codeSystems.get(system ?? '');
    const listed = concept ?? (codeSystem?.content === 'complete' ? codeSystem.concept : undefined);
    if (!listed || filter || valueSet) return undefined;
    for (const code of codesIn(listed)) codes.add(code);
  }
  return [...codes];
}

interface Concept {
  readonly code: string;
  readonly concept?: readonly Concept[];
}

function codesIn(concepts: readonly Concept[]): string[] {
  return concepts.flatMap(({ code, concept = [] }) => [code, ...codesIn(concept)]);
}
