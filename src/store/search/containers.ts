/** In which types of resources others are contained: a search looks for these only. */
import { containedKey } from '../index/contained.ts';
import { type Keys, keyText } from '../index/keys.ts';
import { type Executor, run } from '../pool.ts';

const CONTAINERS = {
  name: 'container_types',
  text: 'select code::text, key::text from code_key where code = any ($1::bigint[])',
};

/**
 * The types of resources that contain, or once contained, some of these types: for each of these its containers.
 *
 * @param among names of all resource types
 */
export async function containerTypes(
  { pool, keys }: { readonly pool: Executor; readonly keys: Keys },
  types: readonly string[],
  among: Iterable<string>,
): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const rows = await run(pool, CONTAINERS, [types.map((type) => containedKey(keys, type))]);
  const found = new Map<string, Set<string>>();
  if (rows.length === 0) return found;
  const byKey = new Map(Array.from(among, (type) => [keyText(keys.type(type)), type]));
  const contained = new Map(types.map((type) => [containedKey(keys, type), type]));
  for (const [code, key] of rows) {
    const [type, container] = [contained.get(code as string), byKey.get(key as string)];
    if (type === undefined || container === undefined) continue;
    found.set(type, (found.get(type) ?? new Set()).add(container));
  }
  return found;
}
