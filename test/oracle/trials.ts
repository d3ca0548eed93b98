/** Whether PostgreSQL, the matcher and the oracle give the same answers; where not, the least that shows it. */
import fc from 'fast-check';
import type { Resource } from 'fhir/r4.js';
import { compileExtractor, type Extractor } from '../../src/fhir/extract.ts';
import { matches } from '../../src/search/match.ts';
import { parseSearch } from '../../src/search/parse.ts';
import { BASE_URL } from '../support/records.ts';
import { resourceOf, TYPES } from './arbitrary/resources.ts';
import { search as anySearch, type Search, type Vocabulary } from './arbitrary/searches.ts';
import { world as anyWorld, named, type World } from './arbitrary/worlds.ts';
import { asRequest, type Ground, type Loaded } from './ground.ts';
import { type Oracle, oracleOf, type Present } from './oracle.ts';
import { compositesOf, valuesOf } from './values.ts';
import { restless } from './walks.ts';

export interface Tally {
  searches: number;
  matches: number;
  /** searches that find something */
  finding: number;
  /** that the matcher judged as well */
  judged: number;
  /** searches that were refused, by the reason */
  readonly refused: Map<string, number>;
  walks: number;
  readonly disagreements: string[];
}

export interface Plan {
  readonly seed: number;
  readonly searches: number;
  /** so many of one world */
  readonly ofEach: number;
  /** is told now and then */
  readonly progress?: (tally: Tally) => void;
}

/** Tries random searches of random worlds. */
export async function tryAll(ground: Ground, { seed, searches, ofEach, progress }: Plan): Promise<Tally> {
  const { definitions } = ground.app.app;
  const trial: Trial = { ground, extractor: compileExtractor(definitions) };
  const vocabulary: Vocabulary = { definitions, parametersOf: usedParameters(ground) };
  const tally: Tally = {
    searches: 0,
    matches: 0,
    finding: 0,
    judged: 0,
    refused: new Map(),
    walks: 0,
    disagreements: [],
  };
  for (let i = 0; tally.searches < searches; i++) {
    const [world] = fc.sample(anyWorld, { numRuns: 1, seed: seed + i }) as [World];
    const some = fc.sample(anySearch(vocabulary), { numRuns: ofEach, seed: seed + i });
    await tryWorld(trial, world, some.slice(0, searches - tally.searches), tally, seed + i);
    progress?.(tally);
  }
  return tally;
}

interface Trial {
  readonly ground: Ground;
  readonly extractor: Extractor;
}

/** So many searches are under way at once. */
const ABREAST = 4;

async function tryWorld(
  trial: Trial,
  world: World,
  searches: readonly Search[],
  tally: Tally,
  seed: number,
): Promise<void> {
  const { ground } = trial;
  const loaded = await ground.load(world);
  const oracle = oracleOf(ground.app.app.definitions, loaded.present);
  const wrong: Search[] = [];
  const queue = searches.values();
  const worker = async (): Promise<void> => {
    for (const one of queue) {
      const {
        says,
        refused,
        matches: found,
        judged,
      } = await judge(trial, loaded, oracle, filled(one, loaded));
      tally.searches++;
      tally.matches += found;
      if (found > 0) tally.finding++;
      if (judged) tally.judged++;
      if (refused) tally.refused.set(refused, (tally.refused.get(refused) ?? 0) + 1);
      if (says !== undefined) wrong.push(one);
    }
  };
  await Promise.all(Array.from({ length: ABREAST }, worker));
  const walks = await restless(
    ground,
    loaded,
    oracle,
    searches.map((one) => filled(one, loaded)),
    seed,
  );
  tally.walks += walks.done;
  tally.disagreements.push(...walks.faults);
  await loaded.clear(walks.touched);
  for (const search of wrong) tally.disagreements.push(await least(trial, world, search));
}

/** A search of a world that is loaded: by the name and the times that it has there. */
function filled(search: Search, { name, present }: Loaded): Search {
  return JSON.parse(
    JSON.stringify(named(search, name)).replace(/%updated(\d+)%/g, (_, n) =>
      new Date(present[Number(n) % present.length]?.updated ?? 0).toISOString(),
    ),
  );
}

interface Judgement {
  /** what is wrong */
  readonly says?: string;
  readonly refused?: string;
  readonly matches: number;
  readonly judged: boolean;
}

const url = ({ type, id }: Present): string => `${type}/${id}`;

async function judge(trial: Trial, { present }: Loaded, oracle: Oracle, search: Search): Promise<Judgement> {
  const wanted = oracle.find(search);
  const answer = await trial.ground.search(search);
  const judged = byMatcher(trial, present, search);
  const tell = (says: string | undefined): Judgement => ({
    says,
    matches: wanted.length,
    judged: judged !== undefined,
  });
  if (answer.status === 400 && answer.found.length === 0)
    return { refused: `${answer.diagnostics}`, matches: 0, judged: false };
  if (answer.status !== 200) return tell(`${answer.status}: ${answer.diagnostics}`);
  const expected = wanted.map(url);
  const apart = (found: readonly string[]): string | undefined => {
    const more = found.filter((one) => !expected.includes(one));
    const fewer = expected.filter((one) => !found.includes(one));
    return more.length + fewer.length > 0
      ? `finds ${more.join(' ') || 'nothing'} too much and ${fewer.join(' ') || 'nothing'} too little`
      : undefined;
  };
  const said = apart(answer.found);
  if (said) return tell(`PostgreSQL ${said}`);
  if (answer.found.length > expected.length) return tell(`pages repeat: ${answer.found.join(' ')}`);
  const inOrder = answer.found.map((one) => wanted.find((each) => url(each) === one) as Present);
  const early = inOrder.findIndex(
    (one, i) => i > 0 && !oracle.mayPrecede(search, inOrder[i - 1] as Present, one),
  );
  if (search.sort && early > 0)
    return tell(`the order is ${answer.found.join(' ')}, and may be ${expected.join(' ')}`);
  if (answer.total !== undefined ? answer.total !== expected.length : search.total)
    return tell(`the total is ${answer.total} of ${expected.length}`);
  if (!judged) return tell(undefined);
  const byValues = apart(judged.map(url));
  return tell(byValues && `the matcher ${byValues}`);
}

/** Undefined where it cannot tell: other resources decide. */
function byMatcher(
  { ground, extractor }: Trial,
  present: readonly Present[],
  search: Search,
): Present[] | undefined {
  const { definitions } = ground.app.app;
  const [type = '', ...others] = search.types;
  if (search.within || others.length > 0) return undefined;
  try {
    const { filters } = parseSearch(definitions, type, search.parameters, BASE_URL);
    return present
      .filter((one) => one.type === type)
      .filter(({ id, updated, resource }) =>
        matches(filters, {
          type,
          id,
          updated,
          resource,
          values: extractor.extract(resource as Resource),
          baseUrl: BASE_URL,
          isResourceType: definitions.isResourceType,
        }),
      );
  } catch {
    return undefined;
  }
}

/** The parameters for which resources have values, as some of them show. */
function usedParameters({ app }: Ground): Vocabulary['parametersOf'] {
  const { definitions } = app.app;
  const used = new Map(
    TYPES.map((type) => {
      const some = fc.sample(resourceOf(type), { numRuns: 40, seed: 1 });
      const resources = some.map((one) => ({ resourceType: type, id: 'x', ...one }));
      const isUsed = ({ code, ...one }: (typeof all)[number]): boolean =>
        /^_(?:id|lastUpdated|text|content)$/.test(code) ||
        resources.some((resource) =>
          one.type === 'composite'
            ? compositesOf({ code, ...one }, [], resource).length > 0
            : valuesOf({ code, ...one }, resource).length > 0,
        );
      const all = definitions.searchParameters(type).filter(({ code }) => !/^_(?:query|filter)$/.test(code));
      return [type, all.filter(isUsed)] as const;
    }),
  );
  return (type) => used.get(type) ?? [];
}

/** So often a smaller world or search is tried. */
const TRIES = 200;

/** The smallest world and search that can be found to show it, in words. */
async function least(trial: Trial, world: World, search: Search): Promise<string> {
  let tries = 0;
  let shown: { world: World; search: Search; says: string; asked: string } | undefined;
  const isWrong = async (smaller: World, simpler: Search): Promise<boolean> => {
    if (tries++ >= TRIES) return false;
    const loaded = await trial.ground.load(smaller).catch(() => undefined);
    // What is left may be no valid resource.
    if (!loaded) return false;
    try {
      const oracle = oracleOf(trial.ground.app.app.definitions, loaded.present);
      const asked = filled(simpler, loaded);
      const { says } = await judge(trial, loaded, oracle, asked);
      if (says === undefined) return false;
      const { path, query } = asRequest(asked);
      shown = {
        world: named(smaller, loaded.name),
        search: simpler,
        says,
        asked: `${path}?${decodeURIComponent(query.replaceAll('+', ' '))}`,
      };
      return true;
    } finally {
      await loaded.clear();
    }
  };
  if (!(await isWrong(world, search))) return `${JSON.stringify(search)}: wrong once, and not again`;
  for (const simpler of simplerThan(search)) if (await isWrong(world, simpler)) search = simpler;
  for (let size = Math.ceil(world.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2))
    for (let at = 0; at < world.length; ) {
      const smaller = [...world.slice(0, at), ...world.slice(at + size)];
      if (await isWrong(smaller, search)) world = smaller;
      else at += size;
    }
  for (const [i, entry] of world.entries())
    for (const member of Object.keys(entry.now)) {
      const { [member]: _, ...now } = (world[i] as (typeof world)[number]).now as Record<string, unknown>;
      const smaller = world.with(i, { ...entry, now, before: undefined });
      if (await isWrong(smaller, search)) world = smaller;
    }
  const { says, asked } = shown as NonNullable<typeof shown>;
  const resources = (shown as NonNullable<typeof shown>).world.map(({ type, id, now, before, deleted }) =>
    JSON.stringify({
      resourceType: type,
      id,
      ...now,
      ...(before && { before }),
      ...(deleted && { deleted }),
    }),
  );
  return [`${asked}: ${says}`, ...resources].join('\n  ');
}

/** Searches with one thing less. */
function simplerThan(search: Search): Search[] {
  const without = search.parameters.map((_, i) => ({
    ...search,
    parameters: search.parameters.filter((__, j) => i !== j),
  }));
  return [
    ...without,
    { ...search, sort: '' },
    { ...search, count: 20 },
    { ...search, total: false, post: false },
  ];
}
