/**
 * What a set of paths looks for in a resource, merged into one tree: every common beginning of paths is walked
 * once, however many search parameters share it.
 */

/** What a walk carries along. */
export interface Walk<T> {
  /** The whole resource, for what looks beyond its element: `%resource`, contained targets of references */
  readonly resource: unknown;
  readonly out: T[];
}

/** What is done with a value that the walk has come to. */
export type Sink<T> = (value: unknown, walk: Walk<T>) => void;

/** A place in the tree: what is done with each value here, and which members of it are looked into. */
export interface Place<T> {
  readonly sinks: Sink<T>[];
  readonly members: { readonly name: string; readonly place: Place<T> }[];
  /** Filters that lead from here, by their text, so that equal ones are walked once; used only while compiling */
  readonly filtered: Map<string, Place<T>>;
}

export function place<T>(): Place<T> {
  return { sinks: [], members: [], filtered: new Map() };
}

/** The place of a member, made where it is new. */
export function memberPlace<T>(from: Place<T>, name: string): Place<T> {
  const known = from.members.find((member) => member.name === name);
  if (known) return known.place;
  const made = place<T>();
  from.members.push({ name, place: made });
  return made;
}

/** The place of those values here that pass a test, made where it is new. */
export function filteredPlace<T>(from: Place<T>, text: string, test: Test): Place<T> {
  const known = from.filtered.get(text);
  if (known) return known;
  const made = place<T>();
  from.filtered.set(text, made);
  from.sinks.push((value, walk) => {
    if (test(value, walk.resource)) visit(made, value, walk);
  });
  return made;
}

export type Test = (value: unknown, resource: unknown) => boolean;

/** Walks a value and what is in it. Arrays are walked by their elements; null in arrays of primitives is no value. */
export function visit<T>(at: Place<T>, value: unknown, walk: Walk<T>): void {
  const { sinks, members } = at;
  for (let i = 0; i < sinks.length; i++) sinks[i]!(value, walk);
  if (typeof value !== 'object') return;
  for (let i = 0; i < members.length; i++) {
    const { name, place: next } = members[i]!;
    const child = (value as Record<string, unknown>)[name];
    if (child === undefined || child === null) continue;
    if (Array.isArray(child)) {
      for (let j = 0; j < child.length; j++) if (child[j] != null) visit(next, child[j], walk);
    } else visit(next, child, walk);
  }
}
