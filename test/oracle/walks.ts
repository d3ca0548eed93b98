/** Walks over the pages of searches while others write (R4 http.html#paging). */
import fc from 'fast-check';
import { resourceOf } from './arbitrary/resources.ts';
import type { Search } from './arbitrary/searches.ts';
import { named } from './arbitrary/worlds.ts';
import type { Ground, Loaded } from './ground.ts';
import type { Oracle, Present } from './oracle.ts';

export interface Walked {
  readonly done: number;
  readonly faults: readonly string[];
  /** what was written, as `Type/id` */
  readonly touched: ReadonlySet<string>;
}

/** So many walks of one world, over results of so many at least. */
const WALKS = 2;
const LONG = 4;

/** Searches that the resource itself decides: what others change leaves its answer as it is. */
const isAlone = ({ parameters, within }: Search): boolean =>
  !within && parameters.every(([name]) => !/[.]|^_has|^_list|:(?:above|below)/.test(name));

/**
 * Walks over what searches find, a few entries at a time, while a writer changes, deletes and creates resources of
 * the same type: an entry that is left alone comes exactly once, one that is changed at most once more.
 */
export async function restless(
  ground: Ground,
  { name, present }: Loaded,
  oracle: Oracle,
  searches: readonly Search[],
  seed: number,
): Promise<Walked> {
  const touched = new Set<string>();
  const faults: string[] = [];
  const long = searches
    .filter((one) => one.types.length === 1 && isAlone(one))
    .map((one) => ({ search: { ...one, count: 2, total: false }, found: oracle.find(one) }))
    .filter(({ found }) => found.length >= LONG);
  // Each of another type: what a walk has changed is not what the oracle knows.
  const walks = [...new Map(long.map((one) => [one.search.types[0], one])).values()].slice(0, WALKS);
  for (const { search, found } of walks) {
    const [type = ''] = search.types;
    const isTouched = (_: unknown, i: number): boolean => (i + seed) % 3 === 0;
    const mine = present.filter((one) => one.type === type).filter(isTouched);
    const changing = write(ground, type, mine, name, seed, touched);
    const { status, found: seen, diagnostics } = await ground.search(search, () => changing.some());
    await changing.end();
    if (status !== 200)
      faults.push(`a walk over ${JSON.stringify(search)} ends with ${status}: ${diagnostics}`);
    const times = (url: string): number => seen.filter((one) => one === url).length;
    for (const { id } of found) {
      const url = `${type}/${id}`;
      if (!touched.has(url) && times(url) !== 1)
        faults.push(
          `${JSON.stringify(search)}: ${url}, unchanged, came ${times(url)} times in ${seen.join(' ')}`,
        );
    }
    for (const url of new Set(seen))
      if (times(url) > 2) faults.push(`${JSON.stringify(search)}: ${url} came ${times(url)} times`);
  }
  return { done: walks.length, faults, touched };
}

/** A writer: it goes on by itself until its end. */
function write(
  ground: Ground,
  type: string,
  own: readonly Present[],
  name: string,
  seed: number,
  touched: Set<string>,
): { some(): Promise<void>; end(): Promise<void> } {
  const contents = fc.sample(resourceOf(type), { numRuns: 30, seed }).map((one) => named(one, name));
  let [written, ended] = [0, false];
  const one = async (): Promise<void> => {
    const n = written++;
    const { id } = own[n % Math.max(1, own.length)] ?? { id: `${name}new` };
    const kind = own.length === 0 ? 1 : n % 3;
    const url = `${type}/${kind === 1 ? `${name}new${n % 7}` : id}`;
    touched.add(url);
    const resource = { resourceType: type, id: url.slice(type.length + 1), ...contents[n % contents.length] };
    const { status, body } =
      kind === 2 ? await ground.send('DELETE', `/${url}`) : await ground.send('PUT', `/${url}`, resource);
    if (status >= 300) throw new Error(`the writer is refused: ${status} ${JSON.stringify(body)}`);
  };
  const writing = (async () => {
    while (!ended && written < 60) await one();
  })();
  return {
    // The walk waits until something more is written.
    async some() {
      const before = written;
      while (written === before && written < 60) await new Promise((resolve) => setTimeout(resolve, 1));
    },
    async end() {
      ended = true;
      await writing;
    },
  };
}
