/** Elements of a resource, named as FHIRPath names them and found as JSON holds them (R4 json.html). */
import type { Definitions } from '../definitions.ts';
import { type Member, membersOf } from '../members.ts';
import type { Trail } from './path.ts';
import { memberOf, type Tree } from './tree.ts';

/** The members of a type, as membersOf lists them. */
export type Members = (type: string) => readonly Member[];

/** Lists the members of each type once. */
export function compileMembers(definitions: Definitions): Members {
  const known = new Map<string, Member[]>();
  return (type) => {
    let members = known.get(type);
    if (!members) {
      members = membersOf(definitions, type);
      // Names that are no types are not kept: contained resources name them as clients write.
      if (members.length > 0) known.set(type, members);
    }
    return members;
  };
}

/** What JSON holds of one element: its value, and beside a primitive its id and extensions. */
export interface Held {
  readonly value: unknown;
  readonly beside?: unknown;
}

/** Where an element is: a member at each step, and the place in its list. The resource itself has no steps. */
export type Place = readonly { readonly member: Member; readonly index?: number }[];

/** The place that a trail leads to; undefined where the definitions know no such element. */
export function placeOf(members: Members, resource: Tree, trail: Trail): Place | undefined {
  const place: { member: Member; index?: number }[] = [];
  for (const { name, index } of trail) {
    const holder = objectAt(resource, place);
    const member = members(typeAt(resource, place)).find(
      (each) => (each.segment === name || each.name === name) && holds(holder, each),
    );
    if (!member) return undefined;
    place.push({ member, index });
  }
  return place;
}

/** The type whose members the object at a place has. */
export function typeAt(resource: Tree, place: Place): string {
  const member = place.at(-1)?.member;
  if (member?.holds === 'elements') return member.type;
  if (member?.holds === 'a primitive') return 'Element';
  return String(objectAt(resource, place).resourceType);
}

/** The object at a place that exists; that of a primitive is beside it, and is made where there is none. */
export function objectAt(resource: Tree, place: Place): Tree {
  let object = resource;
  for (const { member, index } of place) {
    const name = member.holds === 'a primitive' ? `_${member.name}` : member.name;
    if (index === undefined) {
      object[name] ??= {};
      object = object[name] as Tree;
    } else {
      object[name] ??= [];
      const list = object[name] as unknown[];
      while (list.length <= index) list.push(null);
      list[index] ??= {};
      object = list[index] as Tree;
    }
  }
  return object;
}

export function holds(holder: Tree, { name, holds }: Member): boolean {
  return Object.hasOwn(holder, name) || (holds === 'a primitive' && Object.hasOwn(holder, `_${name}`));
}

export function isList(member: Member): boolean {
  return member.element.max > 1;
}

/** The elements of a list. */
export function listOf(holder: Tree, { name }: Member): Held[] {
  const values = arrayOf(holder, name);
  const beside = arrayOf(holder, `_${name}`);
  const length = Math.max(values.length, beside.length);
  return Array.from({ length }, (_, i) => ({
    value: values[i] ?? undefined,
    beside: beside[i] ?? undefined,
  }));
}

function arrayOf(holder: Tree, name: string): unknown[] {
  const value = memberOf(holder, name);
  return Array.isArray(value) ? value : [];
}

/** Puts a list in place, with `null` where a value has nothing beside it, or the other way round. */
export function setList(holder: Tree, { name }: Member, list: readonly Held[]): void {
  const set = (member: string, values: unknown[]) => {
    if (values.some((value) => value !== null)) holder[member] = values;
    else delete holder[member];
  };
  set(
    name,
    list.map(({ value }) => value ?? null),
  );
  set(
    `_${name}`,
    list.map(({ beside }) => beside ?? null),
  );
}

/** Puts an element that is in no list in place; what it does not hold is taken away. */
export function setElement(holder: Tree, { name }: Member, { value, beside }: Held): void {
  const set = (member: string, its: unknown) => {
    if (its !== undefined) holder[member] = its;
    else delete holder[member];
  };
  set(name, value);
  set(`_${name}`, beside);
}
