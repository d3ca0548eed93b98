/** batch (R4 http.html#brules): each entry for itself. */
import type { SplitEntry } from '../fhir/entries.ts';
import { type Refusal, refusal } from '../fhir/outcome.ts';
import type { Exchange } from '../http/exchange.ts';
import { faultOf, tracesOf } from '../http/faults.ts';
import type { Return } from '../http/prefer.ts';
import type { Outcome } from '../records/records.ts';
import type { BundleEntry } from './bundle.ts';
import { type Asked, readEntry } from './entries.ts';
import { entryOf, refusedEntry } from './responses.ts';
import type { RestContext } from './selection.ts';

/** So many entries are under way at once: they share statements, and other requests have their turn. */
const ABREAST = 8;

/** What is read for one answer, in characters. */
const MOST = 64 * 2 ** 20;

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
  for (const [i, entry] of entries.entries()) {
    try {
      asked[i] = await readEntry(context, entry, `Bundle.entry[${i}]`);
    } catch (thrown) {
      answers[i] = refused(context, exchange, thrown);
    }
  }
  let read = 0;
  const one = async (i: number): Promise<void> => {
    const each = asked[i] as Asked;
    try {
      if (read > MOST) throw tooMuch();
      const outcome = await context.records.carryOut(exchange.caller, each.entry);
      read += lengthOf(outcome);
      answers[i] = entryOf(context, each, outcome, wanted);
    } catch (thrown) {
      answers[i] = refused(context, exchange, thrown);
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

function refused({ log }: RestContext, { id }: Exchange, thrown: unknown): BundleEntry {
  const { status, issues, own } = faultOf(thrown, id);
  if (own) log.error({ id, status, fault: tracesOf(thrown) }, 'failed');
  return refusedEntry(status, issues);
}

function lengthOf(outcome: Outcome): number {
  if (outcome.kind === 'read') return outcome.resource.content.length;
  if (outcome.kind === 'search' || outcome.kind === 'history')
    return outcome.page.entries.reduce((sum, { content }) => sum + content.length, 0);
  return 0;
}

function tooMuch(): Refusal {
  return refusal(413, 'too-costly', 'This batch reads too much at once: ask for less, or in several batches');
}
