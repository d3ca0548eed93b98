/** batch (R4 http.html#brules): each entry for itself. */
import type { SplitEntry } from '../fhir/entries.ts';
import { inBundleEntry, Refusal } from '../fhir/outcome.ts';
import type { Exchange } from '../http/exchange.ts';
import { faultOf, tracesOf } from '../http/faults.ts';
import type { Return } from '../http/prefer.ts';
import { lengthOf, MOST_READ, tooMuch } from '../records/transaction/look.ts';
import type { BundleEntry } from './bundle.ts';
import { type Asked, makeEntryReader } from './entries.ts';
import { entryOf, refusedEntry } from './responses.ts';
import type { RestContext } from './selection.ts';

/** So many entries are under way at once: they share statements, and other requests have their turn. */
const ABREAST = 8;

/** Changes come before reads, in the order of a transaction; within each kind entries go side by side. */
const WAVES: readonly (readonly string[])[] = [['DELETE'], ['POST'], ['PUT', 'PATCH'], ['GET', 'HEAD']];

/**
 * Carries out the entries.
 *
 * @returns an entry of the answer for each, in their order, refusals among them
 */
export async function batch(
  context: RestContext,
  exchange: Exchange,
  entries: readonly SplitEntry[],
  wanted: Return,
): Promise<readonly BundleEntry[]> {
  const answers: BundleEntry[] = [];
  const asked: (Asked | undefined)[] = [];
  const read = makeEntryReader(context, exchange.caller.agent);
  for (const [i, entry] of entries.entries()) {
    try {
      asked[i] = await read(entry, i);
    } catch (thrown) {
      answers[i] = refused(context, exchange, thrown, i);
    }
  }
  let length = 0;
  const one = async (i: number): Promise<void> => {
    const each = asked[i] as Asked;
    try {
      if (length > MOST_READ) throw tooMuch();
      const outcome = await context.records.carryOut(exchange.caller, each.entry);
      length += lengthOf(outcome);
      answers[i] = entryOf(context, exchange.caller.agent, each, outcome, wanted);
    } catch (thrown) {
      const { entry } = each;
      answers[i] = refused(context, exchange, thrown, i, entry.method === 'GET' ? undefined : entry.type);
    }
  };
  for (const methods of WAVES) {
    const wave = asked
      .flatMap((each, i) => (each && methods.includes(each.entry.method) ? [i] : []))
      .values();
    const lane = async (): Promise<void> => {
      for (const i of wave) await one(i);
    };
    await Promise.all(Array.from({ length: ABREAST }, lane));
  }
  return answers;
}

function refused(
  { log }: RestContext,
  { id }: Exchange,
  thrown: unknown,
  index: number,
  type?: string,
): BundleEntry {
  const placed = thrown instanceof Refusal ? inBundleEntry(thrown, index, type) : thrown;
  const { status, issues, own } = faultOf(placed, id);
  if (own) log.error({ id, status, fault: tracesOf(thrown) }, 'failed');
  return refusedEntry(status, issues);
}
