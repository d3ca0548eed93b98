/**
 * Whether a caller whose access is limited may do what entries ask for: judged on what is there, and on what they bring.
 * What it may not see is for it as if it had never been.
 */
import type { Resource } from 'fhir/r4.js';
import type { Letter } from '../../access/access.ts';
import type { Extracted } from '../../fhir/extract.ts';
import { Refusal, refusal } from '../../fhir/outcome.ts';
import { parseReference } from '../../fhir/reference.ts';
import { about } from '../../search/compartment.ts';
import { matches } from '../../search/match.ts';
import { absent, type Draft } from '../draft.ts';
import { notFound } from '../read.ts';
import type { Caller } from '../records.ts';
import { isSeen, type Newest, newestSeen, type Seeable } from '../seen.ts';
import type { Setting } from '../setting.ts';
import type { Decisions } from './decide.ts';
import { inEntry, type Step } from './steps.ts';

/** What entries that name a resource by its id find there. */
export type Named = ReadonlyMap<Step, Newest | undefined>;

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
    const changeable = await newestSeen(setting, caller, letter, asked);
    const readable = await newestSeen(setting, caller, 'r', asked);
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

/** @throws Refusal 403 where the caller finds what a condition means, but may not do this to it */
export async function demandMatched(
  setting: Setting,
  caller: Caller,
  letter: Letter,
  matched: Seeable,
): Promise<void> {
  if (!(await isSeen(setting, caller, letter, matched))) throw forbidden(letter, matched.type);
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

/**
 * What comes in has to be what its writer may write: of a Binary, it belongs to nobody yet or to what the writer sees.
 *
 * @throws Refusal 403
 */
export async function demandDraft(
  setting: Setting,
  caller: Caller,
  letter: 'c' | 'u',
  id: string,
  { resource, analysis }: Pick<Draft, 'resource' | 'analysis'>,
  before?: Seeable,
): Promise<void> {
  const { access } = caller;
  if (!access.limited) return;
  const { resourceType: type } = resource;
  const limits = access.within(type, letter);
  if (limits.length === 0) return;
  if (type === 'Binary') {
    const owner = analysis.edges.find(({ path }) => path === 'Binary.securityContext');
    if (owner && !(await newestSeen(setting, caller, 'r', [owner])).has(`${owner.type}/${owner.id}`))
      throw forbidden(letter, type);
    return;
  }
  const { baseUrl, definitions } = setting;
  const { isResourceType } = definitions;
  const facts = {
    type,
    id,
    updated: Date.now(),
    values: analysis.extracted,
    resource,
    baseUrl,
    isResourceType,
  };
  if (!matches(limits, facts) || !concernsOwn(setting, caller, type, analysis.extracted, before))
    throw forbidden(letter, type);
}

/**
 * Whether what comes in is about nobody but patients whose records are the caller's, or whom it was about before: so nobody
 * becomes somebody's patient, and nobody's record grows, by the word of a stranger.
 */
function concernsOwn(
  setting: Setting,
  { access }: Caller,
  type: string,
  values: readonly Extracted[],
  before: Seeable | undefined,
): boolean {
  const { mayConcern } = access;
  if (!mayConcern || type === 'Patient') return true;
  const others = concerned(setting, type, values).filter((id) => !mayConcern(id));
  if (others.length === 0) return true;
  if (!before?.content) return false;
  const resource = JSON.parse(before.content) as Resource;
  const known = new Set(
    concerned(setting, type, setting.store.indexer.analyse(resource, setting.baseUrl).extracted),
  );
  return others.every((id) => known.has(id));
}

/** Ids of the patients whom a resource is about. */
function concerned(
  { definitions, baseUrl }: Setting,
  type: string,
  values: readonly Extracted[],
): readonly string[] {
  const codes = new Set(about(definitions, type).map(({ code }) => code));
  return values.flatMap(({ parameter, value }) => {
    if (value.kind !== 'reference' || !codes.has(parameter.code)) return [];
    const parsed = parseReference(value.reference ?? '', baseUrl, definitions.isResourceType);
    return parsed.kind === 'local' && parsed.type === 'Patient' ? parsed.id : [];
  });
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

const DOES: Readonly<Record<Letter, string>> = {
  c: 'create',
  r: 'read',
  u: 'change',
  d: 'delete',
  s: 'find',
};

const forbidden = (letter: Letter, type: string): Refusal =>
  refusal(
    403,
    'forbidden',
    `This access token does not allow to ${DOES[letter]} this ${type}: its scopes, or the person behind it, do not cover what it is or whom it is about`,
  );
