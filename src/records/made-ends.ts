/**
 * `_has` of resources that are made when they are asked for (made.ts), which no index knows: those that pass are looked
 * through first, and what they refer to is found by its ids, beside what those refer to that were posted.
 */
import type { Resource } from 'fhir/r4.js';
import { nameOf } from '../fhir/definitions.ts';
import { invalid } from '../fhir/outcome.ts';
import { parseReference } from '../fhir/reference.ts';
import { innerOf, withInner } from '../search/inner.ts';
import type { Filter } from '../search/request.ts';
import type { Ends } from './contained.ts';
import { type Maker, withoutChains } from './made.ts';
import { makerOf } from './makers.ts';
import type { Caller } from './records.ts';
import type { ReadSetting } from './setting.ts';

/** So many resources may be referred to by those that pass. */
const MOST = 10_000;

type Of<Kind extends Filter['kind']> = Extract<Filter, { readonly kind: Kind }>;

/**
 * A filter of a type, with what is made as its index has it.
 *
 * @throws Refusal 400 where chains lead to what is made, and nowhere else: nothing refers to it
 */
export async function withMade(
  setting: ReadSetting,
  caller: Caller,
  ends: Ends,
  type: string,
  filter: Filter,
): Promise<Filter> {
  const at = (of: string, one: Filter) => withMade(setting, caller, ends, of, one);
  switch (filter.kind) {
    case 'chain': {
      const [only, ...others] = filter.targets;
      if (only && others.length === 0 && makerOf(setting, only.type)) throw notLedTo(only.type);
      const targets = [];
      for (const target of filter.targets)
        targets.push({ ...target, filter: await at(target.type, target.filter) });
      return { ...filter, targets };
    }
    case 'has': {
      const posted = { ...filter, filter: await at(filter.type, filter.filter) };
      const maker = makerOf(setting, filter.type);
      if (!maker) return posted;
      return { kind: 'any', filters: [posted, await hasMade(setting, caller, ends, maker, type, posted)] };
    }
    default: {
      const inner = new Map<Filter, Filter>();
      for (const one of innerOf(filter)) inner.set(one, await at(type, one));
      return inner.size === 0 ? filter : withInner(filter, (one) => inner.get(one) ?? one);
    }
  }
}

/** Resources of a type that those refer to which pass. */
async function hasMade(
  setting: ReadSetting,
  caller: Caller,
  ends: Ends,
  { type: made, all }: Maker,
  type: string,
  { parameter, filter }: Of<'has'>,
): Promise<Filter> {
  const { store, baseUrl, definitions } = setting;
  // The patients of a Provenance are those of its targets, whom it does not name.
  if (made === 'Provenance' && parameter.code === 'patient') throw notByPatient();
  const ids = new Set<string>();
  for await (const { stored } of all(caller, [await withoutChains(setting, ends, filter)], undefined)) {
    const resource = { ...JSON.parse(stored.content), id: stored.id } as Resource;
    for (const one of store.indexer.analyse(resource, baseUrl).extracted) {
      if (nameOf(one.parameter) !== nameOf(parameter) || one.value.kind !== 'reference') continue;
      const parsed = parseReference(one.value.reference ?? '', baseUrl, definitions.isResourceType);
      if (parsed.kind === 'local' && parsed.type === type) ids.add(parsed.id);
    }
    if (ids.size > MOST) throw tooMany(made);
  }
  return { kind: 'id', ids: [...ids] };
}

const notLedTo = (type: string) =>
  invalid(
    'not-supported',
    `No chain leads to the ${type}s that this server makes of its trail: search ${type} by itself`,
  );

const notByPatient = () =>
  invalid(
    'not-supported',
    'The patients of Provenances that this server makes of its trail are those of their targets: search Provenance?patient=…, or by _has:Provenance:target',
  );

const tooMany = (type: string) =>
  invalid(
    'too-costly',
    `The ${type}s that pass refer to more than ${MOST} resources: add a parameter that narrows them, such as a date`,
  );
