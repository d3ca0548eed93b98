/** How R4 types stand to each other, and the type that a reference points to. */
import type { Definitions } from '../definitions.ts';

/** Types by their parent (R4 datatypes.html), where a parameter's expression could name the parent. */
const PARENT: Readonly<Record<string, string>> = {
  code: 'string',
  id: 'string',
  markdown: 'string',
  canonical: 'uri',
  url: 'uri',
  oid: 'uri',
  uuid: 'uri',
  positiveInt: 'integer',
  unsignedInt: 'integer',
  Age: 'Quantity',
  Count: 'Quantity',
  Distance: 'Quantity',
  Duration: 'Quantity',
  SimpleQuantity: 'Quantity',
  MoneyQuantity: 'Quantity',
};

/** FHIRPath's own names for types of primitive values; parameters use them for FHIR's (`value.as(DateTime)`). */
const SYSTEM: Readonly<Record<string, string>> = {
  Boolean: 'boolean',
  String: 'string',
  Integer: 'integer',
  Decimal: 'decimal',
  Date: 'date',
  DateTime: 'dateTime',
  Time: 'time',
};

/** Whether a type is the named one or a kind of it. */
export function isKindOf(definitions: Definitions, type: string, name: string): boolean {
  const wanted = SYSTEM[name] ?? name;
  if (type === wanted || PARENT[type] === wanted) return true;
  if (wanted === 'Resource') return type === 'DomainResource' || definitions.isResourceType(type);
  return (
    wanted === 'DomainResource' &&
    definitions.isResourceType(type) &&
    definitions.elements(type).has('contained')
  );
}

/**
 * The type of resource that a reference points to, judged without looking it up: by the type its text names, the
 * contained resource it means, or else by Reference.type.
 *
 * @param reference  a Reference, canonical or uri
 * @param resource   the resource that the reference stands in
 */
export function referencedType(
  definitions: Definitions,
  reference: unknown,
  resource: unknown,
): string | undefined {
  if (typeof reference === 'string') return typeInText(definitions, reference, resource);
  const { reference: text, type } = reference as { reference?: unknown; type?: unknown };
  const named = typeof text === 'string' ? typeInText(definitions, text, resource) : undefined;
  if (named !== undefined || typeof type !== 'string') return named;
  // Reference.type is a uri, relative to http://hl7.org/fhir/StructureDefinition/
  return type.slice(type.lastIndexOf('/') + 1);
}

function typeInText(definitions: Definitions, text: string, resource: unknown): string | undefined {
  if (text.startsWith('#')) return containedType(text.slice(1), resource);
  const history = text.indexOf('/_history/');
  const end = text.lastIndexOf('/', history < 0 ? text.length : history - 1);
  if (end <= 0) return undefined;
  const type = text.slice(text.lastIndexOf('/', end - 1) + 1, end);
  return definitions.isResourceType(type) ? type : undefined;
}

function containedType(id: string, resource: unknown): string | undefined {
  type Contained = { id?: unknown; resourceType?: string } | null;
  const { resourceType, contained } = resource as { resourceType?: string; contained?: unknown };
  const inner = Array.isArray(contained) ? contained.find((one: Contained) => one?.id === id) : undefined;
  // The container itself, which a contained resource has among the others (fhir/contained.ts).
  return inner?.resourceType ?? (id === '' ? resourceType : undefined);
}
