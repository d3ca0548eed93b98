/** FHIRPath Patch (R4 fhirpatch.html). */
import type { Definitions } from '../definitions.ts';
import type { Member } from '../members.ts';
import { refusal } from '../outcome.ts';
import {
  compileMembers,
  type Held,
  isList,
  listOf,
  type Members,
  objectAt,
  type Place,
  placeOf,
  setElement,
  setList,
  typeAt,
} from './element.ts';
import { type Operation, readParameters } from './parameters.ts';
import { type Draft, type Patch, unfit } from './patch.ts';
import { type Find, loadPaths } from './path.ts';
import { copyOf, plainOf, type Tree } from './tree.ts';
import { append, checkFree, heldOf, memberFor } from './value.ts';

/** Characters that the different paths of one patch may have together: the library reads one in some 5 µs. */
export const MAX_PATHS = 10_000;
/** Milliseconds for finding what the paths of one patch are about; an ordinary one takes less than 0.1. */
const PATIENCE = 500;

/**
 * Makes the function that reads a Parameters resource as a FHIRPath Patch. It is asynchronous as it loads the
 * FHIRPath library when first called.
 *
 * @returns throws Refusal 400 where the Parameters are malformed or a path is no FHIRPath, naming the part;
 *          413 where there is too much
 */
export function compileFhirPathPatch(definitions: Definitions): (parametersText: string) => Promise<Patch> {
  const members = compileMembers(definitions);
  return async (parametersText) => {
    const { operations, riskyNumber } = readParameters(parametersText);
    const compile = await loadPaths();
    const finds = new Map<string, Find>();
    let characters = 0;
    for (const { path, where } of operations) {
      if (finds.has(path)) continue;
      characters += path.length;
      if (characters > MAX_PATHS)
        throw refusal(
          413,
          'too-costly',
          `The paths of a patch may have ${MAX_PATHS} characters; split it.`,
          where,
        );
      finds.set(path, compile(path, where));
    }
    return (draft) => {
      const course = begin(members, draft, riskyNumber);
      for (const operation of operations) apply(course, operation, finds.get(operation.path)!);
    };
  };
}

/** A patch at work. */
interface Course {
  readonly members: Members;
  readonly draft: Draft;
  /** The resource as FHIRPath reads it, with JavaScript's numbers; the draft's own where that is the same */
  readonly plain: Tree;
  readonly deadline: number;
}

function begin(members: Members, draft: Draft, riskyNumber: boolean): Course {
  const resource = draft.resource as Tree;
  const plain = riskyNumber || draft.riskyNumber ? (plainOf(resource) as Tree) : resource;
  return { members, draft, plain, deadline: performance.now() + PATIENCE };
}

function apply(course: Course, operation: Operation, find: Find): void {
  const { members, plain, deadline } = course;
  const { where } = operation;
  const places = find(plain, deadline, where).map((trail) => {
    const place = placeOf(members, plain, trail);
    if (!place) throw unfit('The path leads to an element that R4 does not define.', where);
    return place;
  });
  if (operation.type === 'insert' || operation.type === 'move') changeList(course, operation, places);
  else if (places.length > 1)
    throw unfit(`The path finds ${places.length} elements; it must find one (R4 fhirpatch.html).`, where);
  else if (places.length === 1) changeElement(course, operation, places[0]!);
  // "Except for the delete operation, it is an error if no element matches the specified path"
  else if (operation.type !== 'delete')
    throw unfit(`${operation.path} finds nothing in this resource.`, where);
}

type OfType<T extends Operation['type']> = Extract<Operation, { readonly type: T }>;

function changeElement(course: Course, operation: OfType<'add' | 'replace' | 'delete'>, place: Place): void {
  const { members, plain } = course;
  const { where } = operation;
  if (operation.type === 'add') {
    const type = typeAt(plain, place);
    const member = memberFor(members, type, operation.name, operation.value, where);
    if (!isList(member)) checkFree(members, type, member, objectAt(plain, place), where);
    const held = heldOf(members, member, operation.value);
    change(course, [...place, { member }], held, (holder, copy) => append(holder, member, copy));
    return;
  }
  const last = place.at(-1);
  if (!last) throw unfit(`A patch cannot ${operation.type} the resource itself.`, where);
  const { member, index } = last;
  if (operation.type === 'delete') {
    change(course, place, NOTHING, (holder) => {
      if (index === undefined) setElement(holder, member, NOTHING);
      else setList(holder, member, listOf(holder, member).toSpliced(index, 1));
      course.draft.emptied.add(holder);
    });
    return;
  }
  // The element goes as a whole, its extensions, too: they were about the old value.
  const type = typeAt(plain, place.slice(0, -1));
  const successor = memberFor(members, type, member.segment, operation.value, where);
  change(course, place, heldOf(members, successor, operation.value), (holder, copy) => {
    if (index !== undefined) setList(holder, member, listOf(holder, member).with(index, copy));
    else {
      if (successor.name !== member.name) setElement(holder, member, NOTHING);
      setElement(holder, successor, copy);
    }
  });
}

const NOTHING: Held = { value: undefined };

function changeList(course: Course, operation: OfType<'insert' | 'move'>, places: readonly Place[]): void {
  const { members, plain } = course;
  const { where } = operation;
  const [place] = places;
  if (!place)
    throw unfit(
      `${operation.path} finds nothing in this resource; add puts the first element into a list.`,
      where,
    );
  const list = wholeList(plain, places);
  if (!list) throw unfit(`The path must find all elements of one list, to ${operation.type} in it.`, where);
  const { member, length } = list;
  if (operation.type === 'insert') {
    const { index, value } = operation;
    if (index > length) throw unfit(`The list has ${length} elements: index must be 0 to ${length}.`, where);
    const type = typeAt(plain, place.slice(0, -1));
    const fitting = memberFor(members, type, member.segment, value, where);
    change(course, place, heldOf(members, fitting, value), (holder, copy) =>
      setList(holder, member, listOf(holder, member).toSpliced(index, 0, copy)),
    );
    return;
  }
  const { source, destination } = operation;
  if (source >= length || destination >= length)
    throw unfit(`The list has ${length} elements: source and destination must be below that.`, where);
  change(course, place, NOTHING, (holder) => {
    const elements = listOf(holder, member);
    const moved = elements.splice(source, 1);
    setList(holder, member, elements.toSpliced(destination, 0, ...moved));
  });
}

/** The list that these are all elements of, in their order; undefined where they are not. */
function wholeList(resource: Tree, places: readonly Place[]): { member: Member; length: number } | undefined {
  const holders = new Set(places.map((place) => objectAt(resource, place.slice(0, -1))));
  const member = places[0]?.at(-1)?.member;
  if (!member || holders.size > 1) return undefined;
  const [holder] = holders;
  const { length } = listOf(holder!, member);
  const inOrder = places.every(
    (place, i) => place.at(-1)?.member.name === member.name && place.at(-1)?.index === i,
  );
  return inOrder && places.length === length ? { member, length } : undefined;
}

/**
 * Makes a change to what is kept, and the same to what FHIRPath reads.
 *
 * @param place of the element that changes
 * @param edit  is given the object that holds the element, and a copy of what shall be there
 */
function change(
  { draft, plain }: Course,
  place: Place,
  held: Held,
  edit: (holder: Tree, copy: Held) => void,
): void {
  if (place[0]!.member.name === 'text') draft.setsNarrative = true;
  const around = place.slice(0, -1);
  const make = (tree: Tree, form: (value: unknown) => unknown) =>
    edit(objectAt(tree, around), { value: form(held.value), beside: form(held.beside) });
  make(draft.resource as Tree, (value) => copyOf(value));
  if (plain !== draft.resource) make(plain, plainOf);
}
