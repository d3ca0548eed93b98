/** Where a reference parameter finds its references, and what these are: what chains, `_has` and includes follow. */
import { type Definitions, nameOf, type SearchParameter } from './definitions.ts';
import { compileExpression } from './extraction/compile.ts';
import { parseExpression } from './extraction/fhirpath.ts';
import { place } from './extraction/plan.ts';

/**
 * The paths of a parameter's References within a type, as edges name them: `Observation.performer`, and
 * `MedicationRequest.medication` for `(MedicationRequest.medication as Reference)`. Of a posted parameter whose
 * References are a part of those at a path, as those of one extension are, there are edges of its own.
 *
 * @returns undefined where it cannot be told: canonicals, and of the standard's a part of the references at a path only
 */
export function referencePaths(
  definitions: Definitions,
  type: string,
  parameter: SearchParameter,
): readonly string[] | undefined {
  const plain = plainPaths(definitions, type, parameter);
  if (plain || !isOfReferences(definitions, type, parameter)) return plain;
  return [`${type}#${nameOf(parameter)}`];
}

/** The path of a posted parameter's own edges; undefined where it has none. */
export function ownEdges(
  definitions: Definitions,
  type: string,
  parameter: SearchParameter,
): string | undefined {
  if (parameter.posted === undefined || parameter.type !== 'reference') return undefined;
  return plainPaths(definitions, type, parameter)
    ? undefined
    : referencePaths(definitions, type, parameter)?.[0];
}

function isOfReferences(
  definitions: Definitions,
  type: string,
  { posted, expression }: SearchParameter,
): boolean {
  if (posted === undefined) return false;
  const start = { place: place<unknown>(), type };
  return compileExpression(definitions, parseExpression(expression ?? ''), { start, resource: start }).every(
    (cursor) => cursor.type === 'Reference',
  );
}

function plainPaths(
  definitions: Definitions,
  type: string,
  { expression = '' }: SearchParameter,
): readonly string[] | undefined {
  const paths: string[] = [];
  for (const part of expression.split('|')) {
    const path = part
      .trim()
      .replace(/\.where\(resolve\(\) is \w+\)$/, '')
      .replace(/^\((.*?) as \w+\)/, '$1')
      .replace(/\.as\(\w+\)/, '');
    if (!path.startsWith(`${type}.`)) continue;
    if (!/^[A-Za-z]+(\.[A-Za-z]+)+$/.test(path) || !isReference(definitions, path)) return undefined;
    paths.push(path);
  }
  return paths.length > 0 ? paths : undefined;
}

function isReference(definitions: Definitions, path: string): boolean {
  return typesAt(definitions, path).includes('Reference');
}

/** The types of the elements at a path; none where there are no such. */
function typesAt(definitions: Definitions, path: string): readonly string[] {
  const [type = '', ...names] = path.split('.');
  let at = type;
  for (const [i, name] of names.entries()) {
    const elements = definitions.elements(at);
    const element = elements.get(name) ?? elements.get(`${name}[x]`);
    if (!element) return [];
    if (i === names.length - 1) return element.types;
    // a backbone element is known by its path, a data type by its name
    const [only = ''] = element.types;
    at = definitions.elements(element.path).size > 0 ? element.path : only;
  }
  return [];
}

/** The types of what a parameter refers to, where its expression says them: `Encounter.subject.where(resolve() is Patient)`. */
export function typesSaid(type: string, { expression = '' }: SearchParameter): readonly string[] | undefined {
  const parts = expression
    .split('|')
    .map((part) => part.trim())
    .filter((part) => part.startsWith(`${type}.`));
  const said = parts.flatMap((part) => /\.where\(resolve\(\) is (\w+)\)$/.exec(part)?.[1] ?? []);
  return said.length > 0 && said.length === parts.length ? said : undefined;
}

const URLS = ['canonical', 'uri', 'url'];

/** Whether all that a parameter refers to within a type is named by url: by canonicals, or uris in their place. */
export function leadsByUrl(
  definitions: Definitions,
  type: string,
  { expression = '' }: SearchParameter,
): boolean {
  const paths = expression
    .split('|')
    .map((part) =>
      part
        .trim()
        .replace(/\.where\(.*?\)/, '')
        .replace(/^\((.*?) as (?:canonical|uri)\)/, '$1'),
    )
    .filter((path) => path.startsWith(`${type}.`));
  const areUrls = (path: string): boolean =>
    /^[A-Za-z]+(\.[A-Za-z]+)+$/.test(path) &&
    typesAt(definitions, path).some((one) => URLS.includes(one)) &&
    !isReference(definitions, path);
  return paths.length > 0 && paths.every(areUrls);
}

/** Whether it is known where all that a parameter refers to within a type is. */
export const canFollow = (definitions: Definitions, type: string, parameter: SearchParameter): boolean =>
  referencePaths(definitions, type, parameter) !== undefined || leadsByUrl(definitions, type, parameter);

/** The parameter by which resources of a type are named by url; undefined where they have none. */
export const urlParameter = (definitions: Definitions, type: string): SearchParameter | undefined =>
  definitions.searchParameters(type).find(({ code, type: of }) => code === 'url' && of === 'uri');
