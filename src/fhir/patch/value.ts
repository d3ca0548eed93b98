/** Values of a FHIRPath Patch as elements of the place they are meant for: "the type of the value must be correct". */
import type { Member } from '../members.ts';
import { type Held, holds, isList, listOf, type Members, setElement, setList } from './element.ts';
import type { Given } from './parameters.ts';
import { unfit } from './patch.ts';
import { isTree, type Tree } from './tree.ts';

/**
 * The member of a type that a value under this name goes to: of a choice, the one of the value's type.
 *
 * @throws Refusal 422 where there is no such element, or it is of another type
 */
export function memberFor(members: Members, type: string, name: string, given: Given, where: string): Member {
  const named = members(type).filter((each) => each.segment === name || each.name === name);
  if (named.length === 0) throw unfit(`${type} has no element "${name.slice(0, 60)}".`, where);
  const fitting = named.filter((member) => fits(member, given));
  if (fitting.length === 1) return fitting[0]!;
  const types = named.map((member) => (member.type.includes('.') ? 'given in parts' : member.type));
  throw unfit(`The value does not fit ${type}.${name}: it must be ${types.join(', ')}.`, where);
}

function fits(member: Member, given: Given): boolean {
  if (given.kind === 'parts') return member.holds === 'elements';
  if (given.kind === 'resource') return member.holds === 'a resource';
  const isChoice = member.element.path.endsWith('[x]');
  if (isChoice) return member.name === member.segment + given.type;
  if (member.holds === 'elements') return member.type === given.type;
  const type = given.type[0]!.toLowerCase() + given.type.slice(1);
  return (
    member.holds === 'a primitive' && !isTree(given.value) && jsonTypeOf(type) === jsonTypeOf(member.type)
  );
}

const NOT_STRINGS: Readonly<Record<string, string>> = {
  boolean: 'boolean',
  decimal: 'number',
  integer: 'number',
  positiveInt: 'number',
  unsignedInt: 'number',
};

/**
 * Among primitives that JSON holds alike the form decides, which the validator judges: no value[x] is of type
 * xhtml, and the standard's own cases give a Period.end as a date.
 */
function jsonTypeOf(primitive: string): string {
  return NOT_STRINGS[primitive] ?? 'string';
}

/**
 * What JSON holds of a value.
 *
 * @param member as memberFor has found it
 * @throws       Refusal 422 where a part has no place in the type
 */
export function heldOf(members: Members, member: Member, given: Given): Held {
  if (given.kind === 'type') return { value: given.value, beside: given.beside };
  if (given.kind === 'resource') return { value: given.value };
  const value: Tree = {};
  for (const part of given.parts) {
    const inner = memberFor(members, member.type, part.name, part.value, part.where);
    if (!isList(inner)) checkFree(members, member.type, inner, value, part.where);
    append(value, inner, heldOf(members, inner, part.value));
  }
  return { value };
}

/** @throws Refusal 422 where an element that can be there once is there, in whichever of its types */
export function checkFree(
  members: Members,
  type: string,
  { segment }: Member,
  holder: Tree,
  where: string,
): void {
  const taken = members(type).some((each) => each.segment === segment && holds(holder, each));
  if (taken)
    throw unfit(`${type}.${segment} is set already, and can be there only once: replace it instead.`, where);
}

/** Puts an element at the end of its list, or in its place if it is no list. */
export function append(holder: Tree, member: Member, held: Held): void {
  if (isList(member)) setList(holder, member, [...listOf(holder, member), held]);
  else setElement(holder, member, held);
}
