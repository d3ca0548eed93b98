/** The paths of FHIRPath Patch: FHIRPath by the library, as far as it selects elements and costs little. */
import type { ResourceNode } from 'fhirpath';
import { invalid, type Refusal } from '../outcome.ts';
import { unfit } from './patch.ts';
import type { Tree } from './tree.ts';

export const MAX_PATH = 500;
const MAX_NESTING = 20;
const MAX_UNIT = 200;

/** An element that a path has found, by the names in FHIRPath (`value`) that lead to it from the resource. */
export type Trail = readonly { readonly name: string; readonly index?: number }[];

/**
 * Finds elements in a resource.
 *
 * @param deadline when to give up, of `performance.now()`
 * @param where    of the operation, for what is thrown
 * @throws         Refusal 422 where the path cannot be evaluated, takes too long, or makes values of its own
 */
export type Find = (resource: Tree, deadline: number, where: string) => Trail[];

/**
 * Makes the functions that find. The library, 1.4 MB, is loaded at the first call.
 *
 * @returns compiles a path; throws Refusal 400 where it is no FHIRPath, or outside the permitted part
 */
export async function loadPaths(): Promise<(path: string, where: string) => Find> {
  const [{ default: fhirpath }, { default: r4 }] = await Promise.all([
    import('fhirpath'),
    import('fhirpath/fhir-context/r4'),
  ]);
  return (path, where) => {
    const text = permitted(path, where);
    let evaluate: (resource: Tree, variables: object, options: object) => unknown[];
    try {
      evaluate = fhirpath.compile(text, r4, { resolveInternalTypes: false });
    } catch (fault) {
      throw unreadable(where, `the path is not FHIRPath: ${messageOf(fault)}`);
    }
    return (resource, deadline, operation) => {
      // the library calls it after each step
      const watch = (_context: unknown, _focus: unknown, result: Result | readonly Result[]) => {
        if (performance.now() > deadline) throw new Error('it takes too long');
        const isLong = Array.isArray(result) ? result.some(hasLongUnit) : hasLongUnit(result as Result);
        if (isLong) throw new Error('a unit is too long');
      };
      let found: unknown[];
      try {
        found = evaluate(resource, { resource, rootResource: resource }, { debugger: watch });
      } catch (fault) {
        throw unfit(`The path cannot be evaluated: ${messageOf(fault)}.`, operation);
      }
      return found.map((node) => {
        const trail = trailOf(node as ResourceNode, resource);
        if (!trail) throw unfit('The path gives a value that is no element of the resource.', operation);
        return trail;
      });
    };
  };
}

function messageOf(fault: unknown): string {
  return String((fault as Error).message)
    .split('\n', 1)[0]!
    .slice(0, 200);
}

/** What a step of an evaluation gives: a node, or a value of FHIRPath's own. */
type Result = ResourceNode | string | number | boolean | null | undefined;

/** The library reads the units of quantities that are compared in quadratic time: of 160,000 characters in a minute. */
function hasLongUnit(result: Result): boolean {
  const data: Tree | undefined = (result as ResourceNode | undefined)?.data;
  return data?.system === 'http://unitsofmeasure.org' && String(data.code).length > MAX_UNIT;
}

/** The names that lead to a node; undefined for one that is not in the resource. */
function trailOf(node: ResourceNode | undefined, resource: Tree): Trail | undefined {
  const trail: { name: string; index?: number }[] = [];
  let at: ResourceNode | null | undefined = node;
  while (at?.parentResNode) {
    if (!at.propName) return undefined;
    trail.push({ name: at.propName, index: at.index ?? undefined });
    at = at.parentResNode;
  }
  return at?.data === resource ? trail.reverse() : undefined;
}

const TOKEN =
  /\s+|'(?:[^'\\]|\\.)*'|(`?)([A-Za-z_]\w*)\1(\s*\()?|%[A-Za-z]+|\$this|\$index|@[\dT:.Z+-]+|\d+(?:\.\d+)?|!=|[<>]=?|[=.,()[\]-]/y;

// What selects, and costs no more than there are elements. Others make values, search with regular expressions,
// go through all the resource at each step, or ask other servers.
const FUNCTIONS = new Set(
  'where exists empty not all first last single tail skip take count extension hasValue ofType as is startsWith endsWith contains lower upper'.split(
    ' ',
  ),
);
const OPERATORS = new Set(['and', 'or', 'xor', 'implies', 'in', 'contains', 'is', 'as']);
const VARIABLES = new Set(['%resource', '%context', '%rootResource']);

/**
 * The path for the library, judged by its words before it is parsed. The element `div` is quoted, as it is a
 * keyword to the grammar; the standard's own cases do not do that.
 *
 * @throws Refusal 400 naming what is not permitted
 */
function permitted(path: string, where: string): string {
  if (path.length > MAX_PATH) throw unreadable(where, `the path is longer than ${MAX_PATH} characters`);
  let depth = 0;
  let before = '';
  let text = '';
  for (let at = 0; at < path.length; ) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(path);
    if (!match) throw unreadable(where, `"${path.slice(at, at + 20)}" is not for selecting elements`);
    at = TOKEN.lastIndex;
    const [token, , name, call] = match;
    if (call && !FUNCTIONS.has(name!) && !OPERATORS.has(name!))
      throw unreadable(
        where,
        `${name}() is not for selecting elements; there are ${[...FUNCTIONS].join(', ')}`,
      );
    if (token.startsWith('%') && !VARIABLES.has(token)) throw unreadable(where, `${token} is not known here`);
    if (call || token === '(' || token === '[') depth++;
    else if (token === ')' || token === ']') depth--;
    if (depth > MAX_NESTING) throw unreadable(where, `the path is nested deeper than ${MAX_NESTING} levels`);
    text += token === 'div' && before === '.' ? '`div`' : token;
    before = token;
  }
  return text;
}

function unreadable(where: string, what: string): Refusal {
  return invalid('value', `The path cannot be read: ${what}.`, where);
}
