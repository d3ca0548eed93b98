/** Resources by what they contain (R4 search.html#contained): the index tells which may have what is asked for. */
import type { ChainTarget, Filter } from '../../search/request.ts';
import { within } from '../index/contained.ts';
import { type Keys, keyText, localKey, ofTypeKey, uriKey } from '../index/keys.ts';
import { type Executor, run } from '../pool.ts';
import { hasOneOf, or, type Setting } from './setting.ts';
import type { Sql } from './sql.ts';
import { tokenValueKeys } from './tokens.ts';

const CONTAINERS = {
  name: 'container_types',
  text: 'select code::text, key::text from code_key where code = any ($1::bigint[])',
};

/**
 * In resources of which types some types are contained, or once were: a search looks for these only.
 *
 * @param among names of all resource types
 * @returns     for each type its containers'
 */
export async function containerTypes(
  { pool, keys }: { readonly pool: Executor; readonly keys: Keys },
  types: readonly string[],
  among: Iterable<string>,
): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const contained = new Map(types.map((type) => [containedKey(keys, type), type]));
  const rows = await run(pool, CONTAINERS, [[...contained.keys()]]);
  const found = new Map<string, Set<string>>();
  if (rows.length === 0) return found;
  const byKey = new Map(Array.from(among, (type) => [keyText(keys.type(type)), type]));
  for (const [code, key] of rows) {
    const [type, container] = [contained.get(code as string), byKey.get(key as string)];
    if (type && container) found.set(type, (found.get(type) ?? new Set()).add(container));
  }
  return found;
}

/** Of so many types each is looked for by what is asked of it; of more it is enough that one is there. */
const FEW_TYPES = 4;

/** The row contains what may pass. */
export function containsCondition(
  sql: Sql,
  { targets }: Extract<Filter, { readonly kind: 'contains' }>,
  { keys, row }: Pick<Setting, 'keys' | 'row'>,
): string {
  if (targets.length > FEW_TYPES)
    return hasOneOf(
      sql,
      row,
      targets.map(({ type }) => containedKey(keys, type)),
    );
  return or(
    targets.map(
      (target) =>
        `(${keysOf(keys, target)
          .map((set) => hasOneOf(sql, row, set))
          .join(' and ')})`,
    ),
  );
}

const containedKey = (keys: Keys, type: string): string => keyText(keys.type(within(type)));

/** Of each set a container has one, where what it contains of a type passes a filter. */
function keysOf(keys: Keys, { type, filter }: ChainTarget): readonly (readonly string[])[] {
  const sets = setsOf(keys, within(type), filter);
  return sets.length > 0 ? sets : [[containedKey(keys, type)]];
}

function setsOf(keys: Keys, type: string, filter: Filter): readonly (readonly string[])[] {
  if (filter.kind === 'all') return filter.filters.flatMap((one) => setsOf(keys, type, one));
  if (!('parameter' in filter) || filter.parameter.posted !== undefined) return [];
  const own = keys.parameter(type, filter.parameter);
  switch (filter.kind) {
    case 'token':
    case 'reference-identifier':
      return [filter.values.flatMap((value) => tokenValueKeys(own, value)).map(keyText)];
    case 'of-type':
      return [filter.values.map(({ system, code, value }) => keyText(ofTypeKey(own, system, code, value)))];
    case 'uri':
      return filter.modifier ? [] : [filter.values.map((uri) => keyText(uriKey(own, uri)))];
    case 'reference':
      return [
        filter.values.flatMap((value) => {
          if (value.kind === 'absolute') return [keyText(uriKey(own, value.url))];
          const types = value.type === undefined ? (filter.parameter.target ?? []) : [value.type];
          return types.map((target) => keyText(localKey(own, target, value.id)));
        }),
      ];
    default:
      return [];
  }
}
