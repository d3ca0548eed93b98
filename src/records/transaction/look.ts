/** The reading entries of a transaction: they see what it has written (R4 http.html#trules). */
import { inBundleEntry, Refusal, refusal } from '../../fhir/outcome.ts';
import { type Executor, PLAN_EACH } from '../../store/pool.ts';
import { history } from '../history.ts';
import { read, vread } from '../read.ts';
import type { Caller, Entry, Outcome, Read } from '../records.ts';
import { search } from '../search.ts';
import type { ReadSetting, Setting } from '../setting.ts';

/** A transaction that only reads: all entries see the same moment. */
export function look(setting: Setting, caller: Caller, entries: readonly Entry[]): Promise<Outcome[]> {
  return setting.store.atOneMoment(async (executor) => {
    const outcomes: Outcome[] = [];
    await lookInside(setting, caller, entries, executor, new Map(), (i, outcome) => {
      outcomes[i] = outcome;
    });
    return outcomes;
  });
}

/**
 * Reads inside a transaction.
 *
 * @param written numbers of what it has created, by Type/id
 * @throws        Refusal naming the entry
 */
export async function lookInside(
  setting: Setting,
  caller: Caller,
  entries: readonly Entry[],
  executor: Executor,
  written: ReadonlyMap<string, number>,
  found: (index: number, outcome: Outcome) => void,
): Promise<void> {
  await executor.query(PLAN_EACH);
  const { store } = setting;
  const inside: ReadSetting = { ...setting, store: { ...store, ...store.inside(executor, written) } };
  let read = 0;
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i] as Entry;
    if (entry.method !== 'GET') continue;
    try {
      const outcome = await lookAt(inside, caller, entry.read);
      read += lengthOf(outcome);
      if (read > MOST_READ) throw tooMuch();
      found(i, outcome);
    } catch (fault) {
      throw fault instanceof Refusal ? inBundleEntry(fault, i) : fault;
    }
  }
}

/** One reading entry. */
export async function lookAt(setting: ReadSetting, caller: Caller, wanted: Read): Promise<Outcome> {
  switch (wanted.kind) {
    case 'read':
      return { kind: 'read', resource: await read(setting, caller, wanted.type, wanted.id) };
    case 'vread': {
      const { type, id, version } = wanted;
      return { kind: 'read', resource: await vread(setting, caller, type, id, version) };
    }
    case 'history':
      return { kind: 'history', page: await history(setting, caller, wanted.request) };
    case 'search':
      return { kind: 'search', page: await search(setting, caller, wanted.request) };
  }
}

/** So much is read for one Bundle, in characters. */
export const MOST_READ = 64 * 2 ** 20;

/** What an outcome holds of resources that were read, in characters. */
export function lengthOf(outcome: Outcome): number {
  if (outcome.kind === 'read' || outcome.kind === 'unchanged') return outcome.resource.content.length;
  if (outcome.kind === 'search' || outcome.kind === 'history')
    return outcome.page.entries.reduce((sum, { content }) => sum + content.length, 0);
  return 0;
}

/** 413 */
export function tooMuch(): Refusal {
  return refusal(
    413,
    'too-costly',
    'This Bundle reads too much at once: ask for less, or in several Bundles',
  );
}
