/**
 * Whether a caller whose access is limited may do what entries ask for: judged on what is there, and on what they bring.
 * What it may not see is for it as if it had never been.
 */
import { Refusal } from '../../fhir/outcome.ts';
import { absent, type Draft } from '../draft.ts';
import { demandDraft, forbidden } from '../leave.ts';
import { notFound } from '../not-found.ts';
import type { Caller } from '../records.ts';
import { byName, type Newest, newestOf, newestSeen, seenAmong } from '../seen.ts';
import type { Setting } from '../setting.ts';
import { type Decisions, inEntry, type Named, type Step } from './steps.ts';

/**
 * Looks at what entries name by ids.
 *
 * @returns undefined where access is not limited, and nothing has to be looked at
 * @throws  Refusal 403 for what the caller may read but not change; 404 for a PUT to an id that it does not see
 */
export async function findNamed(
  setting: Setting,
  caller: Caller,
  steps: readonly Step[],
): Promise<Named | undefined> {
  if (!caller.access.limited) return undefined;
  const named = new Map<Step, Newest | undefined>();
  for (const letter of ['u', 'd'] as const) {
    const asked = steps.flatMap((step) => {
      const { entry } = step;
      const isAsked =
        entry.method !== 'POST' && !entry.where && (entry.method === 'DELETE') === (letter === 'd');
      return isAsked ? [{ step, type: entry.type, id: entry.id }] : [];
    });
    if (asked.length === 0) continue;
    const newest = await newestOf(setting, asked);
    const changeable = byName(await seenAmong(setting, caller, letter, newest));
    const readable = byName(await seenAmong(setting, caller, 'r', newest));
    for (const { step, type, id } of asked) {
      const found = changeable.get(`${type}/${id}`);
      const seen = readable.get(`${type}/${id}`);
      try {
        if (!found && seen && !seen.deleted) throw forbidden(letter, type);
        // What a patch makes tells what was there.
        if (step.entry.method === 'PATCH' && found && !seen) throw forbidden('r', type);
        // Else who chooses an id would learn which are taken.
        if (step.entry.method === 'PUT' && (!found || found.deleted || step.entry.ifNew))
          throw notFound(type, id);
      } catch (fault) {
        throw fault instanceof Refusal ? inEntry(fault, step) : fault;
      }
      named.set(step, found);
    }
  }
  return named;
}

/** @throws Refusal 403 where what an entry brings is not the caller's to write */
export async function demandBrought(setting: Setting, caller: Caller, decisions: Decisions): Promise<void> {
  if (!caller.access.limited) return;
  for (const [step, decision] of decisions) {
    const { act, id, expected, made } = decision;
    if (act !== 'write' || !made) continue;
    const letter = step.entry.method === 'POST' || (step.condition && expected === undefined) ? 'c' : 'u';
    try {
      await demandDraft(setting, caller, letter, id, made, decision.before);
      if (setting.checkReferences) await demandTargets(setting, caller, decisions, made);
    } catch (fault) {
      throw fault instanceof Refusal ? inEntry(fault, step) : fault;
    }
  }
}

/** REFERENCES=check must not tell what is there: what the writer could not see in any of its scopes is not. */
async function demandTargets(
  setting: Setting,
  caller: Caller,
  decisions: Decisions,
  { analysis }: Draft,
): Promise<void> {
  const here = new Set([...decisions.values()].map(({ type, id }) => `${type}/${id}`));
  const others = analysis.edges.filter(({ type, id }) => !here.has(`${type}/${id}`));
  if (others.length === 0) return;
  const reaching: Caller = { ...caller, access: caller.access.reach };
  const seen = await newestSeen(setting, reaching, 'r', others);
  const missing = others.find(({ type, id }) => !seen.has(`${type}/${id}`));
  if (missing) throw absent(missing);
}
