/**
 * References by url (R4 references.html#canonical). With a version one leads to what has both; without, to the newest of
 * that url that is here, by when it was written.
 */
import type { Resource } from 'fhir/r4.js';
import { nameOf, type SearchParameter } from '../fhir/definitions.ts';
import { parseReference, withoutVersion } from '../fhir/reference.ts';
import { leadsByUrl, urlParameter } from '../fhir/reference-paths.ts';
import { tooCostly } from '../search/faults.ts';
import type { Filter, Include, ReferenceValue } from '../search/request.ts';
import type { From } from '../store/search/include.ts';
import { type Budget, candidates, newBudget, passingAt } from './judge.ts';
import type { ReadSetting } from './setting.ts';

type Of<Kind extends Filter['kind']> = Extract<Filter, { readonly kind: Kind }>;

/** What is named by a url. */
interface Named {
  readonly rid: number;
  readonly type: string;
  readonly id: string;
  readonly url?: string;
  readonly version?: string;
}

/** At the end of a chain through canonicals there may be so many. */
const MOST_NAMED = 1000;

const named = ({ rid, id, content }: Pick<From, 'rid' | 'id' | 'content'>, type: string): Named => {
  const { url, version } = JSON.parse(content) as { url?: string; version?: string };
  return { rid, type, id, url, version };
};

/** The canonicals of a resource, by a parameter; a part that they name belongs to the whole. */
function canonicalsOf(
  { store, baseUrl }: ReadSetting,
  content: string,
  by: SearchParameter,
): readonly string[] {
  const { extracted } = store.indexer.analyse(JSON.parse(content) as Resource, baseUrl);
  return extracted.flatMap(({ parameter, value }) =>
    nameOf(parameter) === nameOf(by) && value.kind === 'reference' && value.reference
      ? value.reference.replace(/(?<=.)#.*/s, '')
      : [],
  );
}

/** What canonicals lead to among some types: with a version all that have it, without one the newest of each type. */
async function ledTo(
  setting: ReadSetting,
  types: readonly string[],
  canonicals: Iterable<string>,
  budget: Budget,
): Promise<ReadonlyMap<string, readonly Named[]>> {
  const { definitions, store, baseUrl } = setting;
  const led = new Map<string, Named[]>();
  const lead = (text: string, to: Named): void => void led.set(text, [...(led.get(text) ?? []), to]);
  const texts = [...new Set(canonicals)];
  const urls = [...new Set(texts.map(withoutVersion))];
  for (const type of types) {
    const parameter = urlParameter(definitions, type);
    if (!parameter || urls.length === 0) continue;
    // The newest come first.
    const byUrl = new Map<string, Named[]>();
    for await (const stride of candidates(setting, type, [{ kind: 'uri', parameter, values: urls }], budget))
      for (const candidate of stride) {
        const one = named(candidate, type);
        if (one.url) byUrl.set(one.url, [...(byUrl.get(one.url) ?? []), one]);
      }
    for (const text of texts) {
      const url = withoutVersion(text);
      const version = text.slice(url.length + 1);
      const all = byUrl.get(url) ?? [];
      const to = version === '' ? all.slice(0, 1) : all.filter((one) => one.version === version);
      for (const one of to) lead(text, one);
    }
  }
  // Some write the resource's own place where its url belongs.
  const places = texts.flatMap((text) => {
    const parsed = parseReference(withoutVersion(text), baseUrl, definitions.isResourceType);
    return parsed.kind === 'local' && types.includes(parsed.type)
      ? [{ text, type: parsed.type, id: parsed.id }]
      : [];
  });
  const rids = places.length === 0 ? [] : await store.numbers.find(places);
  for (const [i, { text, type, id }] of places.entries()) {
    const rid = rids[i];
    if (rid !== undefined) lead(text, { rid, type, id });
  }
  return led;
}

/** A chain through canonicals as a search for the references themselves. */
export async function chainByUrl(
  setting: ReadSetting,
  { parameter, targets }: Of<'chain'>,
  budget: Budget,
): Promise<Filter> {
  const values: ReferenceValue[] = [];
  for (const { type, filter } of targets) {
    const found: Named[] = [];
    for await (const stride of passingAt(setting, type, filter, budget)) {
      found.push(...stride.map((candidate) => named(candidate, type)));
      if (found.length > MOST_NAMED)
        throw tooCostly(
          `The chain by ${parameter.code} leads to more than ${MOST_NAMED} of ${type}: ask for fewer of them`,
        );
    }
    const newest = await ledTo(
      setting,
      [type],
      found.flatMap(({ url }) => url ?? []),
      budget,
    );
    for (const { rid, id, url, version } of found) {
      values.push({ kind: 'local', type, id });
      if (url === undefined) continue;
      if (version !== undefined) values.push({ kind: 'absolute', url: `${url}|${version}` });
      if (newest.get(url)?.[0]?.rid === rid) values.push({ kind: 'absolute', url, bare: true });
    }
  }
  return { kind: 'reference', parameter, values };
}

/** `_has` by canonicals as the ids of what they lead to. */
export async function hasByUrl(
  setting: ReadSetting,
  type: string,
  { type: source, parameter, filter }: Of<'has'>,
  budget: Budget,
): Promise<Filter> {
  const texts = new Set<string>();
  for await (const stride of passingAt(setting, source, filter, budget))
    for (const { content } of stride)
      for (const text of canonicalsOf(setting, content, parameter)) texts.add(text);
  const led = await ledTo(setting, [type], texts, budget);
  return { kind: 'id', ids: [...new Set([...led.values()].flat().map(({ id }) => id))] };
}

/** Follows canonicals from and to resources, for `_include` and `_revinclude`. */
export function followByUrl(
  setting: ReadSetting,
): (from: readonly From[], include: Include, most: number) => Promise<readonly number[]> {
  const budget = newBudget();
  return (from, include, most) =>
    (include.reverse ? backward : forward)(setting, from, include, most, budget);
}

/** The parameters of a type that an include goes by, as far as they are of canonicals. */
const parametersOf = ({ definitions }: ReadSetting, type: string, { parameter }: Include) =>
  (parameter ? [parameter] : definitions.searchParameters(type)).filter(
    (one) => one.type === 'reference' && leadsByUrl(definitions, type, one),
  );

async function forward(
  setting: ReadSetting,
  from: readonly From[],
  include: Include,
  most: number,
  budget: Budget,
): Promise<readonly number[]> {
  const { definitions } = setting;
  const { source, target } = include;
  const sources = source === '*' ? [...new Set(from.map(({ type }) => type))] : [source];
  const rids: number[] = [];
  for (const type of sources)
    for (const parameter of parametersOf(setting, type, include)) {
      const own = from.filter((one) => one.type === type);
      const texts = own.flatMap(({ content }) => canonicalsOf(setting, content, parameter));
      if (texts.length === 0) continue;
      const possible = parameter.target?.length ? parameter.target : [...definitions.resourceTypes];
      const types = possible.filter((one) => target === undefined || one === target);
      const led = await ledTo(setting, types, texts, budget);
      rids.push(...[...led.values()].flat().map(({ rid }) => rid));
    }
  return rids.slice(0, most);
}

async function backward(
  setting: ReadSetting,
  from: readonly From[],
  include: Include,
  most: number,
  budget: Budget,
): Promise<readonly number[]> {
  const { definitions } = setting;
  const { source, target } = include;
  const aimed = from.filter(
    ({ type }) => (target === undefined || type === target) && urlParameter(definitions, type),
  );
  if (aimed.length === 0) return [];
  const sources = source === '*' ? definitions.resourceTypes : [source];
  const pairs = sources.flatMap((type) =>
    parametersOf(setting, type, include).map((parameter) => ({ type, parameter })),
  );
  const rids: number[] = [];
  for (const { type: referring, parameter } of pairs) {
    const all = aimed
      .filter(({ type }) => !parameter.target?.length || parameter.target.includes(type))
      .map((one) => named(one, one.type));
    if (all.length === 0) continue;
    const values = all.flatMap(({ type, id, url }): ReferenceValue[] => [
      { kind: 'local', type, id },
      ...(url ? [{ kind: 'absolute' as const, url }] : []),
    ]);
    const known = new Set(all.map(({ rid }) => rid));
    const types = [...new Set(all.map(({ type }) => type))];
    const filter: Filter = { kind: 'reference', parameter, values };
    for await (const stride of candidates(setting, referring, [filter], budget)) {
      const texts = stride.map(({ content }) => canonicalsOf(setting, content, parameter));
      const led = await ledTo(setting, types, texts.flat(), budget);
      for (const [i, { rid }] of stride.entries())
        if (texts[i]?.some((text) => led.get(text)?.some((to) => known.has(to.rid)))) rids.push(rid);
      if (rids.length >= most) return rids.slice(0, most);
    }
  }
  return rids;
}
