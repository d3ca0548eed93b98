/** What random clients ask next. */
import type { Operation, Step } from './history.ts';
import type { Asked } from './wording.ts';

/** What all clients of a run know, and collide on. */
export interface World {
  /** begins all ids, marks and identifiers of the run */
  readonly run: string;
  /** resources that are there from the beginning, and never deleted: Bundles read them together */
  readonly stable: readonly string[];
  /** resources that come and go */
  readonly passing: readonly string[];
  /** created under ids of the server's, the latest last */
  readonly created: string[];
  /** the latest version of a resource that an answer told of */
  readonly versions: Map<string, number>;
  readonly started: number;
  marks: number;
}

const RESOURCES = 8;
/** So many that were created are gone on with. */
const CREATED = 30;
/** Identifiers that conditions compete for, and for how many ms, before there are others. */
const IDENTIFIERS = 5;
const ERA = 10_000;

export function makeWorld(run: string): World {
  const named = (letter: string) =>
    Array.from({ length: RESOURCES }, (_, i) => `Patient/${run}-${letter}${i}`);
  return {
    run,
    stable: named('s'),
    passing: named('p'),
    created: [],
    versions: new Map(),
    started: performance.now(),
    marks: 0,
  };
}

/** Keeps what answers tell. */
export function learn(world: World, { steps, kind, status }: Operation): void {
  if (kind !== 'single' && status !== 200) return;
  for (const { answer } of steps) {
    if (!answer?.resource || !answer.version || answer.status >= 300) continue;
    if (!(world.versions.get(answer.resource)! >= answer.version))
      world.versions.set(answer.resource, answer.version);
    if (answer.status !== 201 || answer.resource.includes(`/${world.run}-`)) continue;
    world.created.push(answer.resource);
    if (world.created.length > CREATED) world.versions.delete(world.created.shift()!);
  }
}

export interface Planned {
  readonly kind: Operation['kind'];
  readonly asked: readonly Asked[];
}

type Pick = () => Asked;

/** Plans the resources that have to be there. */
export function planSeed(world: World): Planned {
  return {
    kind: 'transaction',
    asked: world.stable.map((resource) => ({ step: { action: 'update', resource, mark: markOf(world) } })),
  };
}

export function planNext(world: World): Planned {
  const bundle = Math.random();
  if (bundle < 0.06) return { kind: 'transaction', asked: several(world.stable, 6).map(readOf) };
  if (bundle < 0.14) return { kind: 'transaction', asked: entries(world) };
  if (bundle < 0.18) {
    const asked = entries(world);
    const taken = new Set(asked.map(({ step }) => step.resource));
    const reads = several(world.stable, 3)
      .filter((resource) => !taken.has(resource))
      .map(readOf);
    return { kind: 'transaction', asked: shuffled([...asked, ...reads]) };
  }
  if (bundle < 0.22)
    return { kind: 'batch', asked: Array.from({ length: 2 + below(4) }, () => single(world)) };
  return { kind: 'single', asked: [single(world)] };
}

function single(world: World): Asked {
  const resource = one([...world.stable, ...world.passing, ...world.passing, ...world.created]);
  const passing = one([...world.passing, ...world.created]);
  const version = world.versions.get(resource);
  const known = one([...world.versions]);
  return weighed([
    [16, () => readOf(resource)],
    [3, () => ({ ...readOf(resource), unlessAt: version })],
    [
      4,
      () =>
        known
          ? { step: { action: 'vread', resource: known[0], version: 1 + below(known[1]) } }
          : readOf(resource),
    ],
    [5, () => write(world, 'create')],
    [12, () => conditional(world, 'create')],
    [12, () => write(world, 'update', { resource })],
    [6, () => write(world, 'update', { resource, ifMatch: version })],
    [3, () => write(world, 'update', { resource: passing, ifNew: true })],
    [6, () => conditional(world, 'update')],
    [10, () => patch(world, { resource })],
    [4, () => patch(world, { resource, ifMatch: version })],
    [5, () => patch(world, { condition: identifierOf(world) })],
    [5, () => remove({ resource: passing })],
    [2, () => remove({ resource: passing, ifMatch: world.versions.get(passing) })],
    [6, () => ({ ...remove({ condition: identifierOf(world) }), beside: beside() })],
  ]);
}

/** Writing entries of a transaction: each about another resource, and about another identifier. */
function entries(world: World): Asked[] {
  const stable = shuffled(world.stable);
  const passing = shuffled([...new Set([...world.passing, ...world.created])]);
  const identifiers = shuffled(Array.from({ length: IDENTIFIERS }, (_, i) => identifierOf(world, i)));
  const next = (): string => stable.pop()!;
  const asked = [write(world, 'update', { resource: next(), identifier: undefined })];
  for (let count = 1 + below(4); count > 0; count--) {
    const condition = identifiers.pop();
    const resource = next();
    const other = passing.pop()!;
    const version = world.versions.get(resource);
    asked.push(
      weighed([
        [24, () => write(world, 'update', { resource, identifier: undefined })],
        [2, () => write(world, 'update', { resource: other, identifier: condition })],
        [3, () => write(world, 'update', { resource: other, identifier: undefined, ifNew: true })],
        [4, () => write(world, 'update', { resource, identifier: undefined, ifMatch: version })],
        [6, () => patch(world, { resource })],
        [4, () => remove({ resource: other })],
        [4, () => write(world, 'create', { identifier: undefined })],
        [8, () => conditional(world, 'create', condition)],
        [3, () => conditional(world, 'update', condition)],
        [2, () => patch(world, { condition })],
        [2, () => remove({ condition })],
        [4, () => write(world, 'create', { identifier: undefined, refers: condition })],
      ]),
    );
  }
  return shuffled(asked);
}

const readOf = (resource: string): Asked => ({ step: { action: 'read', resource } });
const remove = (more: Partial<Step>): Asked => ({ step: { action: 'delete', ...more } });
const markOf = (world: World): string => `${world.run}-${++world.marks}`;
const beside = (): Asked['beside'] => (Math.random() < 0.5 ? 'active=true' : undefined);

/** A write, which without a word about it seldom brings an identifier that conditions ask for. */
function write(world: World, action: 'create' | 'update', more: Partial<Step> = {}): Asked {
  const identifier = Math.random() < 0.03 ? identifierOf(world) : undefined;
  return { step: { action, mark: markOf(world), identifier, ...more } };
}

function conditional(world: World, action: 'create' | 'update', condition = identifierOf(world)): Asked {
  // an update may take away what it was found by
  const identifier = action === 'create' || Math.random() < 0.7 ? condition : undefined;
  return { ...write(world, action, { condition, identifier }), beside: beside() };
}

function patch(world: World, more: Partial<Step>): Asked {
  const form = Math.random() < 0.5 ? 'JSON' : 'FHIRPath';
  return { step: { action: 'patch', mark: markOf(world), ...more }, patch: form };
}

function identifierOf({ run, started }: World, number = below(IDENTIFIERS)): string {
  return `${run}-i${Math.floor((performance.now() - started) / ERA)}-${number}`;
}

const below = (limit: number): number => Math.floor(Math.random() * limit);
const one = <T>(list: readonly T[]): T => list[below(list.length)]!;
const several = <T>(list: readonly T[], most: number): T[] => shuffled(list).slice(0, 2 + below(most - 1));

function shuffled<T>(list: readonly T[]): T[] {
  const left = [...list];
  return Array.from(list, () => left.splice(below(left.length), 1)[0]!);
}

function weighed(kinds: readonly (readonly [weight: number, pick: Pick])[]): Asked {
  let left = Math.random() * kinds.reduce((sum, [weight]) => sum + weight, 0);
  for (const [weight, pick] of kinds) {
    left -= weight;
    if (left <= 0) return pick();
  }
  return kinds[0]![1]();
}
