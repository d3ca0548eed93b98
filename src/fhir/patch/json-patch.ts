/** JSON Patch (RFC 6902) on resources (R4 http.html#patch). */
import { MAX_DEPTH, parseKeepingNumbers, readJson } from '../json.ts';
import { invalid, type Refusal, refusal } from '../outcome.ts';
import { type Draft, type Patch, unfit } from './patch.ts';
import { isPrefix, type Pointer, parsePointer } from './pointer.ts';
import { copyOf, isContainer, isTree, measure, memberOf, sameJson, setMember, type Tree } from './tree.ts';

/** No more operations than these in one patch. */
export const MAX_OPERATIONS = 1000;
/** Characters that `copy` and `move` may carry in one patch: copies of copies would grow without end. */
export const MAX_CARRIED = 4 * 1024 * 1024;

type Operation = { readonly name: string; readonly path: Pointer } & (
  | { readonly op: 'add' | 'replace' | 'test'; readonly value: unknown }
  | { readonly op: 'remove' }
  | { readonly op: 'move' | 'copy'; readonly from: Pointer }
);

/**
 * Reads a JSON Patch document. Applying it is all or nothing; what its removals leave empty goes, as FHIR has no
 * empty objects and arrays.
 *
 * @throws Refusal 400 where it is malformed, naming the operation by its index; 413 for too many operations
 */
export function readJsonPatch(text: string): Patch {
  const { value, riskyNumber } = readJson(text);
  if (!Array.isArray(value))
    throw invalid('structure', 'A JSON Patch is an array of operations (RFC 6902 §3).');
  if (value.length > MAX_OPERATIONS)
    throw tooCostly(`A JSON Patch may have ${MAX_OPERATIONS} operations, this one has ${value.length}`);
  const written = riskyNumber ? (parseKeepingNumbers(text) as unknown as unknown[]) : value;
  const operations = written.map(readOperation);
  return (draft) => {
    const course = { draft, carried: 0 };
    for (const operation of operations) apply(course, operation);
  };
}

const MEMBERS: Readonly<Record<string, 'value' | 'from' | undefined>> = {
  add: 'value',
  replace: 'value',
  test: 'value',
  remove: undefined,
  move: 'from',
  copy: 'from',
};

function readOperation(written: unknown, i: number): Operation {
  const fail = (what: string) =>
    invalid('structure', `Operation [${i}] of the JSON Patch: ${what} (RFC 6902 §4).`);
  const pointer = (member: 'path' | 'from'): Pointer => {
    const text = memberOf(written as Tree, member);
    if (typeof text !== 'string') throw fail(`"${member}" is required, a JSON Pointer`);
    const parsed = parsePointer(text);
    if (!parsed) throw fail(`"${member}" is no JSON Pointer; it begins with "/", and "~" is written "~0"`);
    if (parsed.length > MAX_DEPTH) throw fail(`"${member}" is deeper than ${MAX_DEPTH} levels`);
    return parsed;
  };
  if (!isTree(written)) throw fail('an operation is an object');
  const op = memberOf(written, 'op');
  if (typeof op !== 'string' || !Object.hasOwn(MEMBERS, op))
    throw fail('"op" must be add, remove, replace, move, copy or test');
  const path = pointer('path');
  const name = `Operation [${i}], ${op} ${shown(String(written.path))}`;
  if (MEMBERS[op] === 'value') {
    if (!Object.hasOwn(written, 'value')) throw fail('"value" is required');
    return { op: op as 'add', name, path, value: written.value };
  }
  if (op === 'remove') return { op, name, path };
  const from = pointer('from');
  if (op === 'move' && isPrefix(from, path) && from.length < path.length)
    throw fail('nothing can be moved into itself');
  return { op: op as 'move', name, path, from };
}

/** A patch at work. */
interface Course {
  readonly draft: Draft;
  carried: number;
}

function apply(course: Course, operation: Operation): void {
  const { draft } = course;
  const { name, op, path } = operation;
  if (op !== 'test' && (path[0] === 'text' || path.length === 0)) draft.setsNarrative = true;
  switch (op) {
    case 'test':
      if (!sameJson(find(draft, operation, path), operation.value))
        throw unfit(`${name}: the test has failed, the value there is another.`);
      break;
    case 'add':
      add(draft, operation, copyOf(operation.value));
      break;
    case 'remove':
      remove(draft, operation, path);
      break;
    case 'replace':
      replace(draft, operation, copyOf(operation.value));
      break;
    default: {
      const found = carried(course, operation, operation.from);
      if (op === 'copy') add(draft, operation, copyOf(found));
      else if (operation.from.length > 0) {
        remove(draft, operation, operation.from);
        add(draft, operation, found);
      }
    }
  }
}

/** What `copy` and `move` carry to another place. */
function carried(course: Course, operation: Operation, from: Pointer): unknown {
  const found = find(course.draft, operation, from);
  course.carried += measure(found).size;
  if (course.carried > MAX_CARRIED)
    throw tooCostly(`${operation.name}: the patch copies and moves more than ${MAX_CARRIED} characters`);
  return found;
}

/** @throws Refusal 422 where the path leads nowhere */
function find({ resource }: Draft, operation: Operation, pointer: Pointer): unknown {
  let value = resource;
  for (const token of pointer) {
    value = isContainer(value) ? childOf(value, token) : undefined;
    if (value === undefined) throw nowhere(operation, pointer);
  }
  return value;
}

function childOf(container: Tree | unknown[], token: string): unknown {
  if (!Array.isArray(container)) return memberOf(container, token);
  const index = indexOf(token);
  return index === undefined ? undefined : container[index];
}

/** An array index as RFC 6901 §4 writes it: without leading zeros. */
function indexOf(token: string): number | undefined {
  return /^(?:0|[1-9]\d{0,9})$/.test(token) ? Number(token) : undefined;
}

/** What holds the value that a pointer, not to the whole document, points to. */
function holderOf(draft: Draft, operation: Operation, pointer: Pointer): Tree | unknown[] {
  const holder = find(draft, operation, pointer.slice(0, -1));
  if (!isContainer(holder)) throw nowhere(operation, pointer);
  return holder;
}

function add(draft: Draft, operation: Operation, value: unknown): void {
  const { path } = operation;
  checkDepth(operation, value);
  if (path.length === 0) {
    draft.resource = value;
    return;
  }
  const holder = holderOf(draft, operation, path);
  const token = path.at(-1)!;
  if (!Array.isArray(holder)) {
    setMember(holder, token, value);
    return;
  }
  const index = token === '-' ? holder.length : indexOf(token);
  if (index === undefined || index > holder.length)
    throw unfit(
      `${operation.name}: the list there has ${holder.length} elements; the index must be 0 to ${holder.length}, or "-" for its end.`,
    );
  holder.splice(index, 0, value);
}

function remove(draft: Draft, operation: Operation, pointer: Pointer): void {
  find(draft, operation, pointer);
  if (pointer.length === 0) throw unfit(`${operation.name}: a patch cannot remove the resource itself.`);
  const holder = holderOf(draft, operation, pointer);
  const token = pointer.at(-1)!;
  if (Array.isArray(holder)) holder.splice(Number(token), 1);
  else delete holder[token];
  draft.emptied.add(holder);
}

function replace(draft: Draft, operation: Operation, value: unknown): void {
  const { path } = operation;
  find(draft, operation, path);
  checkDepth(operation, value);
  if (path.length === 0) {
    draft.resource = value;
    return;
  }
  const holder = holderOf(draft, operation, path);
  const token = path.at(-1)!;
  if (Array.isArray(holder)) holder[Number(token)] = value;
  else setMember(holder, token, value);
}

/** Values are as deep as a body may be, and so are paths: both together must not be deeper. */
function checkDepth({ name, path }: Operation, value: unknown): void {
  if (path.length + measure(value).depth > MAX_DEPTH)
    throw unfit(`${name}: the resource would be nested deeper than ${MAX_DEPTH} levels.`);
}

function nowhere(operation: Operation, pointer: Pointer): Refusal {
  const text = pointer.map((token) => `/${token.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
  const what = pointer === operation.path ? 'the path' : `"from" ${shown(text)}`;
  return unfit(`${operation.name}: ${what} leads nowhere in this resource.`);
}

function shown(pointer: string): string {
  return pointer.length > 100 ? `${pointer.slice(0, 100)}…` : pointer || '""';
}

function tooCostly(what: string): Refusal {
  return refusal(413, 'too-costly', `${what}: split it, or update the resource as a whole (PUT).`);
}
