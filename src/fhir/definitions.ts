/**
 * What R4 4.0.1 defines, read from the generated file: types and their elements, search parameters, operations. Posted
 * SearchParameters come to it (posted-parameters.ts).
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type PostedSet, withPosted } from './posted-parameters.ts';
import type { SearchParameter } from './search-parameter.ts';

export { nameOf, type SearchParameter } from './search-parameter.ts';

/** One element of a type (R4 elementdefinition.html), of its snapshot only what the server needs. */
export interface ElementDefinition {
  /** `Observation.value[x]` */
  readonly path: string;
  /** Type codes; FHIRPath system types are given as FHIR types */
  readonly types: readonly string[];
  /** The profile that the element's Quantity must follow, itself a name for `elements()` */
  readonly quantityProfile?: 'SimpleQuantity' | 'MoneyQuantity';
  /** Types that a Reference may point to; absent where it may point to any */
  readonly targets?: readonly string[];
  readonly min: number;
  /** Infinity where unlimited */
  readonly max: number;
  readonly summary: boolean;
  readonly modifier: boolean;
  /** Path of the element whose children this one shares */
  readonly contentReference?: string;
  /** The value set without its version, '' where only a description binds */
  readonly binding?: { readonly strength: string; readonly valueSet: string };
}

/** An OperationDefinition of the standard: at which levels it is called, and on which types. */
export interface Operation {
  readonly code: string;
  readonly system: boolean;
  readonly type: boolean;
  readonly instance: boolean;
  /** `Resource` stands for all types */
  readonly resource: readonly string[];
  readonly url: string;
  /** what it is called with */
  readonly parameters: readonly OperationParameter[];
}

export interface OperationParameter {
  readonly name: string;
  /** absent where it is made of parts */
  readonly type?: string;
  readonly min: number;
  /** absent where unlimited */
  readonly max?: number;
}

export interface Definitions {
  /** The 146 concrete types, alphabetical */
  readonly resourceTypes: readonly string[];
  isResourceType(name: string): boolean;
  /**
   * The children of a type or of an element with children of its own, by element name (`value[x]` as such), in
   * the standard's order. Empty for names that have none.
   *
   * @param type  resource type, data type, or path of a backbone element (`Observation.component`)
   */
  elements(type: string): ReadonlyMap<string, ElementDefinition>;
  /**
   * Search parameters of a resource type with those of Resource and DomainResource, sorted by code, as of now: posted
   * ones are among them when all resources are indexed by them. The same list as long as nothing of it has changed.
   */
  searchParameters(type: string): readonly SearchParameter[];
  /** Types whose resources have compartments (R4 compartmentdefinition.html). */
  readonly compartments: ReadonlySet<string>;
  /**
   * Codes of the search parameters that put a resource of a type in a compartment; empty where it has no place there.
   *
   * @param of the type that has the compartment
   */
  compartment(of: string, type: string): readonly string[];
  /** Those that resources of a type are indexed by: also posted ones that do not answer yet. */
  indexedBy(type: string): readonly SearchParameter[];
  /** The posted ones, with what becomes of them. */
  readonly posted: PostedSet;
  readonly operations: readonly Operation[];
}

/** The file as scripts/generate/definitions.ts writes it: an element lacks what is its default. */
interface Written {
  readonly resourceTypes: readonly string[];
  readonly elements: Readonly<Record<string, Readonly<Record<string, WrittenElement>>>>;
  readonly searchParameters: readonly SearchParameter[];
  readonly compartments: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
  readonly operations: readonly Operation[];
}
type WrittenElement = Pick<ElementDefinition, 'types'> & Partial<Omit<ElementDefinition, 'path'>>;

const FILE = join(import.meta.dirname, '../../generated/r4/definitions.json');

/**
 * Reads the definitions.
 *
 * @throws  Error saying how to make them, where they are missing
 */
export async function loadDefinitions(): Promise<OpenDefinitions> {
  return withPosted(standard(JSON.parse(await read())));
}

/** Definitions that posted SearchParameters come to and go from. */
export interface OpenDefinitions extends Definitions {
  /** From now on these are the posted ones. */
  adopt(posted: PostedSet): void;
}

/** What the standard alone defines. */
function standard(written: Written): Omit<Definitions, 'indexedBy' | 'posted'> {
  const resourceTypes = new Set(written.resourceTypes);
  const byType = new Map(Object.entries(written.elements));
  const compartments = new Map(
    Object.entries(written.compartments).map(([of, members]) => [of, new Map(Object.entries(members))]),
  );
  const byBase = new Map<string, SearchParameter[]>();
  for (const parameter of written.searchParameters)
    for (const base of parameter.base) byBase.set(base, [...(byBase.get(base) ?? []), parameter]);

  const elements = memoized((type): ReadonlyMap<string, ElementDefinition> => {
    const at = type.lastIndexOf('.');
    const shared = at > 0 && byType.get(type.slice(0, at))?.[type.slice(at + 1)]?.contentReference;
    const parent = shared || type;
    const defaults = { min: 0, max: Infinity, summary: false, modifier: false };
    const children = Object.entries(byType.get(parent) ?? {});
    return new Map(
      children.map(([name, element]) => [name, { path: `${parent}.${name}`, ...defaults, ...element }]),
    );
  });
  return {
    resourceTypes: written.resourceTypes,
    operations: written.operations,
    isResourceType: (name) => resourceTypes.has(name),
    elements,
    searchParameters: memoized((type) => {
      if (!resourceTypes.has(type)) return [];
      const inherited = elements(type).has('contained') ? ['Resource', 'DomainResource'] : ['Resource'];
      return [type, ...inherited]
        .flatMap((base) => byBase.get(base) ?? [])
        .sort((a, b) => (a.code < b.code ? -1 : 1));
    }),
    compartments: new Set(compartments.keys()),
    compartment: (of, type) => compartments.get(of)?.get(type) ?? [],
  };
}

async function read(): Promise<string> {
  try {
    return await readFile(FILE, 'utf8');
  } catch (cause) {
    throw new Error('The FHIR definitions are missing: run "npm run generate".', { cause });
  }
}

/** A name that is none of the standard's gives an empty answer, which is not kept: such names could be without end. */
function memoized<T extends { readonly size: number } | { readonly length: number }>(
  make: (type: string) => T,
) {
  const made = new Map<string, T>();
  return (type: string): T => {
    let value = made.get(type);
    if (value === undefined) {
      value = make(type);
      const count = 'size' in value ? value.size : value.length;
      if (count > 0) made.set(type, value);
    }
    return value;
  };
}
