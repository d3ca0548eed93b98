/**
 * What names other patients is taken out of what is shown, whatever path it comes by: around all of the door, as nothing
 * else may forget it. Which resources are shown is decided further in.
 */
import { masked as maskedContent } from '../fhir/masking.ts';
import type { Caller, Gathered, Outcome, Records, SearchPage, Stored, Written } from './records.ts';

export function masked(records: Records): Records {
  const one = <T extends Stored>({ access: { isShown } }: Caller, stored: T): T =>
    isShown ? { ...stored, content: maskedContent(stored.content, isShown) } : stored;
  const all = <T extends Stored>(caller: Caller, resources: readonly T[]): readonly T[] =>
    caller.access.isShown ? resources.map((resource) => one(caller, resource)) : resources;
  const page = (caller: Caller, found: SearchPage): SearchPage => ({
    ...found,
    entries: all(caller, found.entries),
    included: all(caller, found.included),
  });

  async function* pieces<T extends Stored>(
    caller: Caller,
    given: AsyncIterable<readonly T[]>,
  ): AsyncGenerator<readonly T[]> {
    for await (const piece of given) yield all(caller, piece);
  }

  function outcome(caller: Caller, found: Outcome): Outcome {
    switch (found.kind) {
      case 'written':
        return { ...found, resource: one(caller, found.resource) };
      case 'unchanged':
      case 'read':
        return { ...found, resource: one(caller, found.resource) };
      case 'history':
        return { ...found, page: { ...found.page, entries: all(caller, found.page.entries) } };
      case 'search':
        return { ...found, page: page(caller, found.page) };
      case 'removed':
        return found;
    }
  }

  return {
    ...records,
    read: async (caller, ...of) => one(caller, await records.read(caller, ...of)),
    readAll: async (caller, ...of) => {
      const found = await records.readAll(caller, ...of);
      return new Map([...found].map(([id, stored]) => [id, one(caller, stored)]));
    },
    vread: async (caller, ...of) => one(caller, await records.vread(caller, ...of)),
    create: async (caller, ...of): Promise<Written> => one(caller, await records.create(caller, ...of)),
    update: async (caller, ...of): Promise<Written> => one(caller, await records.update(caller, ...of)),
    patch: async (caller, ...of): Promise<Written> => one(caller, await records.patch(caller, ...of)),
    changeMeta: async (caller, ...of) => one(caller, await records.changeMeta(caller, ...of)),
    async history(caller, request) {
      const found = await records.history(caller, request);
      return { ...found, entries: all(caller, found.entries) };
    },
    search: async (caller, request) => page(caller, await records.search(caller, request)),
    async everything(caller, request) {
      const found = await records.everything(caller, request);
      return { ...found, pieces: pieces<Gathered>(caller, found.pieces) };
    },
    document: async (caller, id) => pieces(caller, await records.document(caller, id)),
    carryOut: async (caller, entry) => outcome(caller, await records.carryOut(caller, entry)),
    async transaction(caller, entries) {
      const outcomes = await records.transaction(caller, entries);
      return caller.access.isShown ? outcomes.map((each) => outcome(caller, each)) : outcomes;
    },
  };
}
