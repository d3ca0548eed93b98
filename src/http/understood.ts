/** What leans on search parameters, read by those that there are now. */
import { Refusal } from '../fhir/outcome.ts';
import { Redefined } from '../records/answering.ts';
import type { Context } from './exchange.ts';

/**
 * Reads a search or a condition. Where it is not understood, it is read again by the definitions of now: another process
 * may have been told of a parameter, or have finished to index by it.
 *
 * @param isWhole whether nothing was left out for not being understood
 */
export async function understood<T>(
  { records }: Pick<Context, 'records'>,
  read: () => T | Promise<T>,
  isWhole: (found: T) => boolean = () => true,
): Promise<T> {
  try {
    const found = await read();
    if (isWhole(found)) return found;
  } catch (fault) {
    if (!(fault instanceof Refusal)) throw fault;
  }
  await records.refreshDefinitions();
  return read();
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
