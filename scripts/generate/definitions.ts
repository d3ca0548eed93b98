/** Reduces the definitions to what the server asks of them at run time: see src/fhir/definitions.ts. */
import type { ElementDefinitionType, ElementDefinition as Snapshot } from 'fhir/r4.js';
import type { ElementDefinition, Operation, SearchParameter } from '../../src/fhir/definitions.ts';
import type { Source } from './source.ts';
import { tokensOf } from './tokens.ts';

/**
 * An element as written to the file, which every start reads: without its path, which its place says, without
 * what is the most frequent, and without `max` where unlimited, as JSON has no Infinity.
 */
export type WrittenElement = Pick<ElementDefinition, 'types'> & Partial<Omit<ElementDefinition, 'path'>>;

export interface Reduced {
  readonly resourceTypes: readonly string[];
  /** By type name or, for elements with children of their own, by path */
  readonly elements: Readonly<Record<string, Readonly<Record<string, WrittenElement>>>>;
  readonly searchParameters: readonly SearchParameter[];
  readonly compartments: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
  readonly operations: readonly Operation[];
}

export function reduceDefinitions(source: Source): Reduced {
  const elements = reduceElements(source);
  const concrete = [...source.structures.values()].filter(
    (structure) => structure.kind === 'resource' && !structure.abstract,
  );
  return {
    resourceTypes: concrete.map((structure) => structure.name).sort(),
    elements,
    searchParameters: source.searchParameters.map((parameter) => ({
      code: parameter.code,
      type: parameter.type,
      base: parameter.base,
      expression: parameter.expression,
      target: parameter.target,
      url: parameter.url,
      component: parameter.component?.map(({ definition, expression }) => ({ definition, expression })),
      multipleOr: parameter.multipleOr,
      ...tokensOf(elements, source, parameter),
    })),
    compartments: Object.fromEntries(
      source.compartments.map(({ code, resource = [] }) => [
        code,
        Object.fromEntries(
          resource.flatMap(({ code: type, param = [] }) => {
            // `{def}` is the resource itself.
            const parameters = param.filter((name) => name !== '{def}');
            return parameters.length > 0 ? [[type, parameters]] : [];
          }),
        ),
      ]),
    ),
    operations: source.operations.map(
      ({ code, system, type, instance, resource = [], url = '', parameter = [] }) => ({
        code,
        system,
        type,
        instance,
        resource,
        url,
        parameters: parameter
          .filter(({ use }) => use === 'in')
          .map((one) => ({
            name: one.name,
            type: one.type,
            min: one.min,
            max: one.max === '*' ? undefined : Number(one.max),
          })),
      }),
    ),
  };
}

function reduceElements(source: Source): Reduced['elements'] {
  const elements: Record<string, Record<string, WrittenElement>> = {};
  for (const structure of source.structures.values()) {
    const snapshot = structure.snapshot!.element;
    // A profile of a data type (SimpleQuantity) has the paths of its type: they are put under its own name.
    const named = (path: string) => path.replace(/^[^.]+/, structure.name);
    for (const element of snapshot.slice(1)) {
      const path = named(element.path);
      const at = path.lastIndexOf('.');
      const isSlice = element.sliceName !== undefined;
      // A primitive's value is the JSON value itself (R4 json.html#primitive); xhtml can carry no extension.
      const isValue = structure.kind === 'primitive-type' && path.endsWith('.value');
      if (isSlice || isValue || element.max === '0') continue;
      const parent = path.slice(0, at);
      elements[parent] ??= {};
      elements[parent][path.slice(at + 1)] = reduceElement(
        element,
        path,
        snapshot,
        structure.kind === 'resource',
      );
    }
  }
  return elements;
}

function reduceElement(
  element: Snapshot,
  path: string,
  snapshot: readonly Snapshot[],
  inResource: boolean,
): WrittenElement {
  const contentReference = element.contentReference?.slice(1);
  const shared = contentReference && snapshot.find(({ id }) => id === contentReference);
  const types = (shared ? shared.type : element.type) ?? [];
  const targets = types.filter(({ code }) => code === 'Reference').flatMap(targetsOf);
  return {
    types: types.map((type) => typeName(type, path, inResource)),
    quantityProfile: types.map(quantityProfile).find((profile) => profile !== undefined),
    targets: targets.length === 0 || targets.includes('Resource') ? undefined : targets,
    min: element.min || undefined,
    max: element.max === '*' ? undefined : Number(element.max),
    summary: element.isSummary || undefined,
    modifier: element.isModifier || undefined,
    contentReference: shared ? shared.path : undefined,
    binding: element.binding && {
      strength: element.binding.strength,
      valueSet: element.binding.valueSet?.split('|')[0] ?? '',
    },
  };
}

/**
 * The name of an element's type. The snapshots give some as FHIRPath system types with the FHIR type in an
 * extension; a resource's own id says "string" there, though the standard's text and its regex mean `id`
 * (R4 resource.html#id).
 */
function typeName(type: ElementDefinitionType, path: string, inResource: boolean): string {
  if (inResource && /^[^.]+\.id$/.test(path)) return 'id';
  if (!type.code.startsWith('http://hl7.org/fhirpath/')) return type.code;
  const named = type.extension?.find(({ url }) => url.endsWith('structuredefinition-fhir-type'));
  return named?.valueUrl ?? 'string';
}

function quantityProfile(type: ElementDefinitionType): ElementDefinition['quantityProfile'] {
  const profile = type.code === 'Quantity' && type.profile?.[0]?.replace(/.*\//, '');
  return profile === 'SimpleQuantity' || profile === 'MoneyQuantity' ? profile : undefined;
}

function targetsOf(type: ElementDefinitionType): string[] {
  return (type.targetProfile ?? ['Resource']).map((url) =>
    url.replace('http://hl7.org/fhir/StructureDefinition/', ''),
  );
}
