/** Putting resources in and searching for them, through the door to records. */
import type { Stored } from '../../src/records/records.ts';
import { parseSearch } from '../../src/search/parse.ts';
import { BASE_URL, type TestRecords } from './records.ts';

export interface Searching {
  put(type: string, id: string, rest: object): Promise<void>;
  /** all pages */
  pages(type: string, query: string): Promise<readonly Stored[][]>;
  ids(type: string, query: string): Promise<string[]>;
  /** the ids, sorted */
  set(type: string, query: string): Promise<string[]>;
  count(type: string, query: string): Promise<number>;
}

/** @param opened gives the records, once they are open */
export function searching(opened: () => TestRecords): Searching {
  async function pages(type: string, query: string): Promise<readonly Stored[][]> {
    const { records, operator, definitions } = opened();
    const found: Stored[][] = [];
    for (let after: string | undefined, first = true; first || after; first = false) {
      const request = parseSearch(definitions, type, new URLSearchParams(query), BASE_URL);
      const page = await records.search(operator, { ...request, after });
      found.push([...page.entries]);
      after = page.next;
    }
    return found;
  }
  const ids = async (type: string, query: string): Promise<string[]> =>
    (await pages(type, query)).flat().map(({ id }) => id);
  return {
    pages,
    ids,
    set: async (type, query) => (await ids(type, query)).sort(),
    async put(type, id, rest) {
      const { records, operator } = opened();
      await records.update(operator, { type, id }, JSON.stringify({ resourceType: type, id, ...rest }));
    },
    async count(type, query) {
      const { records, operator, definitions } = opened();
      const parameters = new URLSearchParams(`${query}&_summary=count`);
      return (await records.search(operator, parseSearch(definitions, type, parameters, BASE_URL)))
        .total as number;
    },
  };
}

export const observation = (code: object, more: object = {}): object => ({ status: 'final', code, ...more });
