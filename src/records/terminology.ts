/**
 * `:in`, `:not-in`, `:above` and `:below` of tokens (R4 search.html#modifiers) become searches for the codes that these
 * stand for, by the value sets and code systems of the standard and those held here; of references, for the resources.
 */
import type {
  CodeSystemConcept,
  CodeSystem as CodeSystemResource,
  ValueSet as ValueSetResource,
} from 'fhir/r4.js';
import { demand } from '../access/access.ts';
import type { CoreTerminology } from '../fhir/core-terminology.ts';
import type { Definitions } from '../fhir/definitions.ts';
import { invalid } from '../fhir/outcome.ts';
import { withoutVersion } from '../fhir/reference.ts';
import { urlParameter } from '../fhir/reference-paths.ts';
import {
  type CodeSystem,
  type Codes,
  codesOf,
  hierarchyOf,
  type Terminology,
  type ValueSet,
} from '../fhir/terminology.ts';
import { isPrimitive } from '../fhir/token-types.ts';
import { innerOf } from '../search/inner.ts';
import type { Filter, TokenValue } from '../search/request.ts';
import { cutPage } from '../store/read/page.ts';
import { NEWEST_FIRST } from '../store/search/search.ts';
import { type Kin, kinOf } from './kin.ts';
import type { Caller } from './records.ts';
import { isSeen } from './seen.ts';
import type { ReadSetting } from './setting.ts';

/** So many codes may a parameter stand for. */
const MOST_CODES = 5000;

/** Gives the filters of a type with tokens and references in place of value sets and hierarchies. */
export type WithCodes = (type: string, filters: readonly Filter[]) => Promise<readonly Filter[]>;

/**
 * For one search, which may be of several types: what it names is looked up once.
 *
 * @returns a function that throws Refusal 400 where a value set is not held or cannot be enumerated; 403 where the
 *          caller may not search these
 */
export function withCodes(setting: ReadSetting, caller: Caller): WithCodes {
  let terminology: Promise<Terminology> | undefined;
  return async (type, filters) => {
    if (!filters.some(isOfTerms)) return filters;
    terminology ??= setting.coreTerminology().then((core) => remembering(heldBy(setting, caller, core)));
    const held = await terminology;
    const kin = (filter: Kin): Promise<Filter> => kinOf(setting, caller.access, filter);
    return Promise.all(filters.map((filter) => withCodesIn(setting.definitions, held, kin, type, filter)));
  };
}

function remembering({ valueSet, codeSystem }: Terminology): Terminology {
  return { valueSet: remembered(valueSet), codeSystem: remembered(codeSystem) };
}

function remembered<T>(ask: (name: string) => Promise<T>): (name: string) => Promise<T> {
  const known = new Map<string, Promise<T>>();
  return (name) => {
    const found = known.get(name) ?? ask(name);
    known.set(name, found);
    return found;
  };
}

function isOfTerms(filter: Filter): boolean {
  switch (filter.kind) {
    case 'value-set':
    case 'hierarchy':
    case 'kin':
      return true;
    default:
      return innerOf(filter).some(isOfTerms);
  }
}

async function withCodesIn(
  definitions: Definitions,
  terminology: Terminology,
  kin: (filter: Kin) => Promise<Filter>,
  type: string,
  filter: Filter,
): Promise<Filter> {
  const inner = (one: Filter, of = type): Promise<Filter> =>
    withCodesIn(definitions, terminology, kin, of, one);
  switch (filter.kind) {
    case 'kin':
      return kin(filter);
    case 'value-set':
    case 'hierarchy': {
      const { parameter } = filter;
      const each =
        filter.kind === 'value-set'
          ? filter.valueSets.map((name) => codesOf(terminology, name))
          : filter.values.map(async ({ system, code }): Promise<Codes> => {
              const found = await hierarchyOf(terminology, system, code, filter.direction);
              return new Map([[system, found]]);
            });
      const values = (await Promise.all(each)).flatMap((codes) =>
        tokensOf(codes, isPrimitive(definitions, type, parameter)),
      );
      if (values.length > MOST_CODES)
        throw invalid(
          'too-costly',
          `${parameter.code} would be one of ${values.length} codes: at most ${MOST_CODES} are looked for`,
        );
      return { kind: 'token', parameter, values };
    }
    case 'not':
      return { ...filter, filter: await inner(filter.filter) };
    case 'all':
    case 'any':
      return { ...filter, filters: await Promise.all(filter.filters.map((one) => inner(one))) };
    case 'chain': {
      const targets = filter.targets.map(async (target) => ({
        type: target.type,
        filter: await inner(target.filter, target.type),
      }));
      return { ...filter, targets: await Promise.all(targets) };
    }
    case 'has':
      return { ...filter, filter: await inner(filter.filter, filter.type) };
    default:
      return filter;
  }
}

/** @param primitive of elements that are codes alone: the system is that of their binding, and is not written */
function tokensOf(codes: Codes, primitive: boolean): TokenValue[] {
  return [...codes].flatMap(([system, each]): TokenValue[] => {
    if (each !== 'all') return Array.from(each, (code) => ({ system: primitive ? '' : system, code }));
    if (primitive)
      throw invalid(
        'not-supported',
        `The codes of ${system} are not held here, and the element does not name their system`,
      );
    return [{ system }];
  });
}

/** What the standard has, then what is here. */
function heldBy(setting: ReadSetting, caller: Caller, core: CoreTerminology): Terminology {
  const { store, definitions } = setting;
  const { access } = caller;

  /** The newest of a url; with a version that one. */
  async function byUrl<T extends { readonly version?: string }>(
    type: 'ValueSet' | 'CodeSystem',
    canonical: string,
  ): Promise<T | undefined> {
    const url = withoutVersion(canonical);
    const version = canonical.slice(url.length + 1);
    const parameter = urlParameter(definitions, type);
    if (!parameter) return undefined;
    const filters: Filter[] = [{ kind: 'uri', parameter, values: [url] }, ...access.within(type, 's')];
    const found = await store.searcher.find({ type, filters, sort: NEWEST_FIRST, count: MOST_VERSIONS });
    const all = (await cutPage(store.pool, found, MOST_VERSIONS)).map(
      ({ content }) => JSON.parse(content) as T,
    );
    return version === '' ? all[0] : all.find((one) => one.version === version);
  }

  return {
    async valueSet(canonical) {
      const url = withoutVersion(canonical);
      const version = canonical.slice(url.length + 1);
      const known = core.valueSet(url);
      if (known && (version === '' || version === known.version)) return known;
      const id = /^ValueSet\/([A-Za-z0-9.-]{1,64})$/.exec(url)?.[1];
      demand(access, 'ValueSet', id === undefined ? 's' : 'r');
      if (id === undefined) return valueSetOf(await byUrl<ValueSetResource>('ValueSet', canonical));
      const found = await store.read({ type: store.catalog.typeNumber('ValueSet'), id });
      const isHeld = await isSeen(setting, caller, 'r', { type: 'ValueSet', id, ...found });
      const { content } = found;
      return content === null || !isHeld ? undefined : valueSetOf(JSON.parse(content) as ValueSetResource);
    },
    async codeSystem(url) {
      const known = core.codeSystem(url);
      // What the caller may not see is not held for him.
      if (known || !access.allows('CodeSystem', 's')) return known;
      return codeSystemOf(await byUrl<CodeSystemResource>('CodeSystem', url));
    },
  };
}

const MOST_VERSIONS = 50;

/** By its composition, or where it has none by an expansion that is whole. */
function valueSetOf(resource: ValueSetResource | undefined): ValueSet | undefined {
  if (!resource) return undefined;
  const { compose, expansion, version } = resource;
  if (compose) return { version, include: compose.include, exclude: compose.exclude };
  const include: { system?: string; concept: { code: string }[] }[] = [];
  const visit = (contains: NonNullable<typeof expansion>['contains'] = []): void => {
    for (const { system, code, contains: inner, abstract } of contains) {
      if (code !== undefined && !abstract) include.push({ system, concept: [{ code }] });
      visit(inner);
    }
  };
  visit(expansion?.contains);
  const whole = expansion?.total === undefined || expansion.total <= include.length;
  return expansion && whole ? { version, include } : undefined;
}

function codeSystemOf(resource: CodeSystemResource | undefined): CodeSystem | undefined {
  if (!resource) return undefined;
  const above = new Map<string, string[]>();
  const visit = (concepts: readonly CodeSystemConcept[], parent?: string): void => {
    for (const { code, concept = [] } of concepts) {
      above.set(code, [...(above.get(code) ?? []), ...(parent === undefined ? [] : [parent])]);
      visit(concept, code);
    }
  };
  visit(resource.concept ?? []);
  return { complete: resource.content === 'complete', above };
}
