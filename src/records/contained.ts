/**
 * Contained resources (R4 search.html#contained): the index finds what contains such (store/index/contained.ts), and each
 * contained resource is judged on its own values. What it refers to may be contained as well, or its container.
 */
import type { List, Resource } from 'fhir/r4.js';
import { nameOf, type SearchParameter } from '../fhir/definitions.ts';
import { parseReference } from '../fhir/reference.ts';
import { leadsByUrl } from '../fhir/reference-paths.ts';
import { type Facts, matches } from '../search/match.ts';
import type { Filter } from '../search/request.ts';
import type { Analysis, Inner } from '../store/index/row.ts';
import { containerTypes } from '../store/search/contained.ts';
import { factsIn } from './facts.ts';
import { type Budget, type Candidate, candidates, joinsIn } from './judge.ts';
import type { ReadSetting } from './setting.ts';

/** A contained resource, in its container. */
export interface Within {
  readonly container: Candidate & Analysis;
  readonly inner: Inner;
}

type Of<Kind extends Filter['kind']> = Extract<Filter, { readonly kind: Kind }>;

/** Other ends of joins (far-ends.ts). */
export interface Ends {
  /** a filter there as the index answers it */
  at(type: string, filter: Filter): Promise<Filter>;
  /** a chain through canonicals as a search for these */
  byUrl(chain: Of<'chain'>): Promise<Filter>;
}

/** What a candidate contains. */
export function allWithin({ store, baseUrl }: ReadSetting, candidate: Candidate): readonly Within[] {
  const analysis = store.indexer.analyse(JSON.parse(candidate.content) as Resource, baseUrl);
  const container = { ...candidate, ...analysis };
  return analysis.contained.map((inner) => ({ container, inner }));
}

/** What the matcher is told of a contained resource: it was last updated when its container was. */
export function factsWithin(
  setting: ReadSetting,
  { container: { updated }, inner }: Within,
  joined?: Facts['joined'],
): Facts {
  return factsIn(setting, { ...inner, updated }, inner, joined);
}

/** Which of some contained resources of a type pass. */
export async function passing(
  setting: ReadSetting,
  filters: readonly Filter[],
  among: readonly Within[],
  ends: Ends,
): Promise<readonly Within[]> {
  if (among.length === 0) return among;
  const led = new Map<Filter, ReadonlySet<Within>>();
  for (const join of filters.flatMap(joinsIn)) led.set(join, await joined(setting, join, among, ends));
  return among.filter((within) =>
    matches(
      filters,
      factsWithin(setting, within, (join) => led.get(join)?.has(within) ?? false),
    ),
  );
}

/** Which of some contained resources pass a filter that other resources decide. */
async function joined(
  setting: ReadSetting,
  join: Filter,
  among: readonly Within[],
  ends: Ends,
): Promise<ReadonlySet<Within>> {
  switch (join.kind) {
    case 'chain': {
      const led = await ledTo(setting, join, among, ends);
      const { definitions } = setting;
      if (!among.some(({ inner }) => leadsByUrl(definitions, inner.type, join.parameter))) return led;
      const references = await ends.byUrl(join);
      return new Set(among.filter((one) => led.has(one) || matches([references], factsWithin(setting, one))));
    }
    case 'has':
      return referredTo(setting, join, among, ends);
    case 'list':
      return new Set(
        among.filter(({ container, inner }) => {
          const { resourceType } = container.resource;
          return resourceType === 'List' && container.id === join.id && isItem(container, inner);
        }),
      );
    default:
      throw new Error(`${join.kind} is not asked of what is contained`);
  }
}

/** Nothing but its container, and what that contains, can refer to a contained resource. */
async function referredTo(
  setting: ReadSetting,
  { type, parameter, filter }: Of<'has'>,
  among: readonly Within[],
  ends: Ends,
): Promise<ReadonlySet<Within>> {
  const byContainer = among.filter(
    ({ container, inner }) =>
      container.resource.resourceType === type && refersTo(container, parameter, inner),
  );
  const rids = byContainer.map(({ container }) => container.rid);
  const found =
    rids.length === 0
      ? new Set<number>()
      : await setting.store.searcher.among(type, await ends.at(type, filter), rids);
  const from = new Set(byContainer.filter(({ container }) => found.has(container.rid)));

  const byOthers = among.flatMap((within) => {
    const { container, inner } = within;
    const others = container.contained.filter(
      (other) => other.type === type && refersTo(other, parameter, inner),
    );
    return others.map((other) => ({ within, other: { container, inner: other } }));
  });
  const others = byOthers.map(({ other }) => other);
  const passed = new Set(await passing(setting, [filter], others, ends));
  for (const { within, other } of byOthers) if (passed.has(other)) from.add(within);
  return from;
}

/** From which of some contained resources a chain leads to what passes. */
async function ledTo(
  setting: ReadSetting,
  { parameter, targets }: Of<'chain'>,
  among: readonly Within[],
  ends: Ends,
): Promise<ReadonlySet<Within>> {
  const { searcher, numbers } = setting.store;
  const from = new Set<Within>();
  for (const { type, filter } of targets) {
    const steps = among.map((within) => ({ within, to: referred(setting, within, parameter, type) }));
    const others = steps.flatMap(({ within, to }) => to.inner.map((other) => ({ within, other })));
    const inner = others.map(({ other }) => other);
    const passed = new Set(await passing(setting, [filter], inner, ends));
    for (const { within, other } of others) if (passed.has(other)) from.add(within);

    const names = steps.flatMap(({ within, to }) => to.ids.map((id) => ({ within, type, id })));
    if (names.length === 0) continue;
    const rids = await numbers.find(names);
    const known = rids.filter((rid) => rid !== undefined);
    const found = await searcher.among(type, await ends.at(type, filter), known);
    for (const [i, { within }] of names.entries()) if (found.has(rids[i] as number)) from.add(within);
  }
  return from;
}

/** What of a type a contained resource refers to by a parameter: others beside it, and resources by their ids. */
function referred(
  { baseUrl, definitions }: ReadSetting,
  { container, inner }: Within,
  by: SearchParameter,
  type: string,
): { readonly inner: readonly Within[]; readonly ids: readonly string[] } {
  const others: Within[] = [];
  const ids: string[] = [];
  for (const reference of referencesOf(inner, by)) {
    const parsed = parseReference(reference, baseUrl, definitions.isResourceType);
    if (parsed.kind === 'local' && parsed.type === type) ids.push(parsed.id);
    if (parsed.kind !== 'contained') continue;
    if (parsed.id === '' && container.resource.resourceType === type) ids.push(container.id);
    const other = container.contained.find(({ id }) => id !== '' && id === parsed.id);
    if (other?.type === type) others.push({ container, inner: other });
  }
  return { inner: others, ids };
}

const referencesOf = ({ extracted }: Pick<Analysis, 'extracted'>, by: SearchParameter): readonly string[] =>
  extracted.flatMap(({ parameter, value }) =>
    nameOf(parameter) === nameOf(by) && value.kind === 'reference' ? (value.reference ?? []) : [],
  );

/**
 * The ids of resources of a type from which a chain leads to what they contain: "a chained condition will be evaluated
 * inside contained resources".
 *
 * @param beside filters that must hold too, as the index answers them
 */
export async function leadingWithin(
  setting: ReadSetting,
  type: string,
  chain: Of<'chain'>,
  beside: readonly Filter[],
  budget: Budget,
  ends: Ends,
): Promise<readonly string[]> {
  const { store, definitions } = setting;
  const containers = await containerTypes(
    store,
    chain.targets.map((target) => target.type),
    definitions.resourceTypes,
  );
  const targets = chain.targets.filter((target) => containers.get(target.type)?.has(type));
  if (targets.length === 0) return [];
  const ids = new Set<string>();
  const filters: Filter[] = [...beside, { kind: 'contains', targets }];
  for await (const stride of candidates(setting, type, filters, budget)) {
    const all = stride
      .flatMap((candidate) => allWithin(setting, candidate))
      .filter(({ container, inner }) => refersTo(container, chain.parameter, inner));
    for (const target of targets) {
      const own = all.filter(({ inner }) => inner.type === target.type);
      for (const { container } of await passing(setting, [target.filter], own, ends)) ids.add(container.id);
    }
  }
  return [...ids];
}

const refersTo = (one: Pick<Analysis, 'extracted'>, by: SearchParameter, { id }: Inner): boolean =>
  id !== '' && referencesOf(one, by).includes(`#${id}`);

/** Whether a contained resource is an item of its container, a List. */
const isItem = ({ resource }: Analysis, { id }: Inner): boolean =>
  id !== '' && ((resource as List).entry ?? []).some(({ item }) => item?.reference === `#${id}`);
