/** What leans on search parameters, read by those that there are now. */
import { Refusal } from '../fhir/outcome.ts';
import { Redefined } from '../records/answering.ts';
import type { Context } from './exchange.ts';

type Reads = Pick<Context, 'records'>;

/**
 * Makes what reads several searches or conditions. Where one is not understood, it is read again by the definitions of now:
 * another process may have been told of a parameter, or have finished to index by it. These are looked up once for all.
 */
export function makeUnderstood({ records }: Reads) {
  let isOfNow = false;
  /** @param isWhole whether nothing was left out for not being understood */
  return async <T>(read: () => T | Promise<T>, isWhole: (found: T) => boolean = () => true): Promise<T> => {
    try {
      const found = await read();
      if (isOfNow || isWhole(found)) return found;
    } catch (fault) {
      if (isOfNow || !(fault instanceof Refusal)) throw fault;
    }
    isOfNow = true;
    await records.refreshDefinitions();
    return read();
  };
}

/** Reads one. */
export function understood<T>(
  context: Reads,
  read: () => T | Promise<T>,
  isWhole?: (found: T) => boolean,
): Promise<T> {
  return makeUnderstood(context)(read, isWhole);
}

/** Does what reads a search and asks for it; once more, where a parameter was redefined between the two. */
export async function asDefined<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (fault) {
    if (!(fault instanceof Redefined)) throw fault;
    return work();
  }
}
