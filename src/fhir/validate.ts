/**
 * Whether a resource is built as R4 says: its elements, their number and JSON types, primitives' forms, codes
 * of required bindings. The rules are in generated code (scripts/generate/); this file finds the validator of
 * each resource, the contained ones and those in Bundles and Parameters too. Invariants, profiles, references
 * and coded concepts are judged elsewhere.
 */
import type { Definitions } from './definitions.ts';
import { error, type Issue } from './outcome.ts';
import { type Fault, isObject } from './validation/faults.ts';
import { issueOf } from './validation/issues.ts';
import { nearest } from './validation/nearest.ts';

/** No more issues than these are told of one resource. */
export const MAX_ISSUES = 20;

export interface Validator {
  /**
   * What is wrong with a resource; empty where it is sound. Never throws, whatever JSON it is given.
   *
   * @param resource      parsed JSON
   * @param expectedType  the type that the request's address names, where it does
   * @returns             at most MAX_ISSUES errors: `structure`, `required`, `value`, `code-invalid`, `invariant`
   */
  validate(resource: unknown, expectedType?: string): readonly Issue[];
}

/** As ajv makes them: the faults are left on the function. */
interface TypeValidator {
  (resource: unknown): boolean;
  errors: Fault[] | null;
}

/** A resource and where it is: FHIRPath from the outermost resource. */
interface Placed {
  readonly resource: unknown;
  readonly path: string;
}

/**
 * Loads the validators of all types (about 30 ms).
 *
 * @throws  Error saying how to make them, where they are missing
 */
export async function loadValidator(definitions: Definitions): Promise<Validator> {
  const [validators, { codes }] = await load();

  const typeIssue = (resource: unknown, path: string, expected?: string): Issue | undefined => {
    if (!isObject(resource))
      return error('structure', 'A resource must be a JSON object.', path || undefined);
    const { resourceType } = resource;
    const where = path ? `${path}.resourceType` : 'resourceType';
    const hint = expected ? `: here it is "${expected}"` : ', such as "Patient"';
    if (resourceType === undefined) return error('required', `"resourceType" is required${hint}.`, where);
    if (typeof resourceType !== 'string')
      return error('structure', `"resourceType" must be a JSON string${hint}.`, where);
    if (!definitions.isResourceType(resourceType)) {
      const near = nearest(resourceType, definitions.resourceTypes);
      const says = '"resourceType" is not a type of FHIR R4';
      return error('structure', near ? `${says}: did you mean "${near}"?` : `${says}.`, where);
    }
    if (expected && resourceType !== expected)
      return error(
        'structure',
        `The resource is of type ${resourceType}, and ${expected} is expected here.`,
        where,
      );
    return undefined;
  };

  const collect = ({ resource, path }: Placed, issues: Issue[], expected?: string): void => {
    if (issues.length >= MAX_ISSUES) return;
    const wrongType = typeIssue(resource, path, expected);
    if (wrongType) {
      issues.push(wrongType);
      return;
    }
    const known = resource as { resourceType: string };
    const at = path || known.resourceType;
    const check = validators.get(known.resourceType)!;
    if (!check(resource)) {
      const found = { definitions, codes, resource, path: at };
      for (const fault of check.errors!.slice(0, MAX_ISSUES - issues.length))
        issues.push(issueOf(fault, found));
    }
    for (const inner of resourcesIn(known, at)) collect(inner, issues);
  };

  return {
    validate(resource, expectedType) {
      const issues: Issue[] = [];
      try {
        collect({ resource, path: '' }, issues, expectedType);
      } catch (cause) {
        // Whoever parses bounds the depth (json.ts): this is for callers that have not
        if (!(cause instanceof RangeError)) throw cause;
        return [error('structure', 'The resource is nested too deeply.')];
      }
      return issues;
    },
  };
}

/** The resources directly inside another one; what is not built as it should be is left out. */
function* resourcesIn(outer: Record<string, unknown>, path: string): Generator<Placed> {
  if (Array.isArray(outer.contained))
    for (const [i, resource] of outer.contained.entries())
      if (isObject(resource)) yield { resource, path: `${path}.contained[${i}]` };
  if (outer.resourceType === 'Bundle') yield* resourcesInEntries(outer.entry, `${path}.entry`);
  if (outer.resourceType === 'Parameters') yield* resourcesInParameters(outer.parameter, `${path}.parameter`);
}

function* resourcesInEntries(entries: unknown, path: string): Generator<Placed> {
  if (!Array.isArray(entries)) return;
  for (const [i, entry] of entries.entries()) {
    if (!isObject(entry)) continue;
    if (isObject(entry.resource)) yield { resource: entry.resource, path: `${path}[${i}].resource` };
    if (isObject(entry.response) && isObject(entry.response.outcome))
      yield { resource: entry.response.outcome, path: `${path}[${i}].response.outcome` };
  }
}

function* resourcesInParameters(parameters: unknown, path: string): Generator<Placed> {
  if (!Array.isArray(parameters)) return;
  for (const [i, parameter] of parameters.entries()) {
    if (!isObject(parameter)) continue;
    if (isObject(parameter.resource)) yield { resource: parameter.resource, path: `${path}[${i}].resource` };
    yield* resourcesInParameters(parameter.part, `${path}[${i}].part`);
  }
}

async function load(): Promise<
  [ReadonlyMap<string, TypeValidator>, { codes: ReadonlyMap<string, ReadonlySet<string>> }]
> {
  // Computed addresses, as the type checker must not look for files that are made later
  const generated = (name: string) => new URL(`../../generated/r4/${name}`, import.meta.url).href;
  try {
    const [validators, codes] = await Promise.all([
      import(generated('validators.js')),
      import(generated('codes.js')),
    ]);
    return [new Map(Object.entries(validators)), codes];
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    throw new Error('The validators are missing: run "npm run generate".', { cause });
  }
}
