/**
 * Whether events can have happened in an order: each at one moment between its request and its answer, and each
 * after all that it is known to follow. Where such moments exist, the history is as if all was done one by one.
 */

export interface Graph {
  /** bounds of the moment of each event, in ms */
  readonly invoked: number[];
  readonly returned: number[];
  /** for each event those that follow it */
  readonly followers: number[][];
}

export interface Settled {
  /** the bounds of each event's moment that those before and after it leave */
  readonly earliest: Float64Array;
  readonly latest: Float64Array;
  /** The events that bound the moment of one: those that it follows, and those that follow it. */
  readonly bounding: (event: number) => number[];
  /** Chains of events, each following the one before it, whose first was asked for after the last was answered. */
  readonly late: readonly (readonly number[])[];
  /** events that follow each other in a ring, one such ring */
  readonly ring?: readonly number[];
}

export function makeGraph(): Graph {
  return { invoked: [], returned: [], followers: [] };
}

/** Adds an event. */
export function addEvent({ invoked, returned, followers }: Graph, from: number, to: number): number {
  invoked.push(from);
  returned.push(to);
  return followers.push([]) - 1;
}

/** `after` follows `before`. */
export function addEdge({ followers }: Graph, before: number, after: number): void {
  if (before !== after) followers[before]!.push(after);
}

export function settle(graph: Graph): Settled {
  const { invoked, returned, followers } = graph;
  const order = sorted(graph);
  const earliest = Float64Array.from(invoked);
  const latest = Float64Array.from(returned);
  const cause = new Int32Array(invoked.length).fill(-1);
  const late: number[][] = [];
  for (const event of order) {
    if (earliest[event]! > returned[event]!) {
      late.push(chain(cause, event));
      // told once: what follows is judged as if this one were right
      earliest[event] = invoked[event]!;
      cause[event] = -1;
    }
    for (const next of followers[event]!)
      if (earliest[event]! > earliest[next]!) {
        earliest[next] = earliest[event]!;
        cause[next] = event;
      }
  }
  const limit = new Int32Array(invoked.length).fill(-1);
  for (const event of order.toReversed())
    for (const next of followers[event]!)
      if (latest[next]! < latest[event]!) {
        latest[event] = Math.max(invoked[event]!, latest[next]!);
        limit[event] = next;
      }
  const bounding = (event: number) => [...chain(cause, event), ...chain(limit, event)];
  const ring = order.length < invoked.length ? ringOf(graph, order) : undefined;
  return { earliest, latest, bounding, late, ring };
}

/** The events in an order that has each after those that it follows; those in rings, and after them, are missing. */
function sorted({ invoked, followers }: Graph): number[] {
  const waiting = new Int32Array(invoked.length);
  for (const list of followers) for (const next of list) waiting[next]! += 1;
  const order: number[] = [];
  waiting.forEach((count, event) => {
    if (count === 0) order.push(event);
  });
  for (let i = 0; i < order.length; i++)
    for (const next of followers[order[i]!]!) {
      waiting[next]! -= 1;
      if (waiting[next] === 0) order.push(next);
    }
  return order;
}

/** From the first cause to the event itself. */
function chain(cause: Int32Array, last: number): number[] {
  const events: number[] = [];
  for (let event = last; event >= 0; event = cause[event]!) events.push(event);
  return events.reverse();
}

/** So many events are tried as the first of a ring. */
const TRIED = 50;

/** The shortest of some rings. */
function ringOf(graph: Graph, order: readonly number[]): number[] {
  // What only follows a ring, or only leads to one, is in none.
  const free = new Set([...order, ...sorted(reversed(graph))]);
  let best: number[] | undefined;
  const held = graph.followers.keys().filter((event) => !free.has(event));
  for (const first of held.take(TRIED))
    best = shortest(graph.followers, first, best?.length ?? Infinity) ?? best;
  return best!;
}

function reversed({ followers, ...bounds }: Graph): Graph {
  const back: number[][] = followers.map(() => []);
  followers.forEach((list, event) => {
    for (const next of list) back[next]!.push(event);
  });
  return { ...bounds, followers: back };
}

/** The shortest way from an event back to itself, if it is shorter than `most`. */
function shortest(followers: readonly number[][], first: number, most: number): number[] | undefined {
  const from = new Map<number, number>();
  let edge = [first];
  for (let length = 1; length < most && edge.length > 0; length++) {
    const next: number[] = [];
    for (const event of edge)
      for (const follower of followers[event]!) {
        if (follower === first) return [...wayTo(from, event, first)];
        if (from.has(follower)) continue;
        from.set(follower, event);
        next.push(follower);
      }
    edge = next;
  }
  return undefined;
}

function wayTo(from: ReadonlyMap<number, number>, last: number, first: number): number[] {
  const way: number[] = [];
  for (let event = last; event !== first; event = from.get(event)!) way.push(event);
  return [first, ...way.reverse()];
}
