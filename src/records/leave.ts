/** Whether a caller whose access is limited may write this: judged on what is there, and on what comes. */
import type { Resource } from 'fhir/r4.js';
import type { Letter } from '../access/access.ts';
import { isDuring } from '../access/consent.ts';
import { openingsOf } from '../access/openings.ts';
import type { Extracted } from '../fhir/extract.ts';
import { namesOthers } from '../fhir/masking.ts';
import { type Refusal, refusal } from '../fhir/outcome.ts';
import { parseReference } from '../fhir/reference.ts';
import { about } from '../search/compartment.ts';
import { type Facts, matches } from '../search/match.ts';
import type { Draft } from './draft.ts';
import { factsIn } from './facts.ts';
import type { Caller } from './records.ts';
import { isSeen, newestSeen, type Seeable } from './seen.ts';
import type { Setting } from './setting.ts';

/** @throws Refusal 403 where the caller finds what a condition means, but may not do this to it */
export async function demandMatched(
  setting: Setting,
  caller: Caller,
  letter: Letter,
  matched: Seeable,
): Promise<void> {
  if (!(await isSeen(setting, caller, letter, matched))) throw forbidden(letter, matched.type);
}

/** @throws Refusal 403 where the caller is shown a part of it only: the rest would be lost */
export function demandWhole({ access }: Caller, { type, content }: Seeable): void {
  if (!access.isShown || !namesOthers(content ?? '', access.isShown)) return;
  throw refusal(
    403,
    'forbidden',
    `This ${type} is about others, too, whom this access token is not shown: change it by a patch, which leaves them as they are`,
  );
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
  const facts = factsIn(setting, { type, id, updated: Date.now() }, analysis);
  if (!matches(limits, facts) || !concernsOwn(setting, caller, letter, facts, before))
    throw forbidden(letter, type);
  demandGiving(setting, caller, { ...resource, id }, before);
}

/**
 * Who opens a patient's records to somebody has to see all of them: only one's own view can be given on.
 *
 * @throws Refusal 403
 */
function demandGiving(
  setting: Setting,
  { access: { gives } }: Caller,
  resource: Resource & { readonly id: string },
  before: Seeable | undefined,
): void {
  // Nobody has records yet of a patient who is made just now.
  if (!gives || (resource.resourceType === 'Patient' && !before)) return;
  const now = Date.now();
  const known = before?.content
    ? openingsOf(setting, { ...JSON.parse(before.content), id: before.id }, (period) => isDuring(period, now))
    : [];
  const opened = openingsOf(setting, resource, () => true).find(
    ({ patient, to }) =>
      !gives(patient, to) && !known.some((one) => one.patient === patient && one.to === to),
  );
  if (opened)
    throw refusal(
      403,
      'forbidden',
      `This ${resource.resourceType} would open the records of Patient/${opened.patient} to ${opened.to}: that takes the patient, somebody who stands for them, or who treats them and sees all of these records`,
    );
}

/**
 * Whether what comes in is about nobody but patients whose records are the caller's, or whom it was about before: so nobody
 * becomes somebody's patient, and nobody's record grows, by the word of a stranger.
 */
function concernsOwn(
  setting: Setting,
  { access }: Caller,
  letter: Letter,
  facts: Facts,
  before: Seeable | undefined,
): boolean {
  const { type } = facts;
  const { concerning } = access;
  if (!concerning || type === 'Patient') return true;
  const others = concerned(setting, type, facts.values).filter(
    (id) => !matches(concerning(id, type, letter), facts),
  );
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

const DOES: Readonly<Record<Letter, string>> = {
  c: 'create',
  r: 'read',
  u: 'change',
  d: 'delete',
  s: 'find',
};

export const forbidden = (letter: Letter, type: string): Refusal =>
  refusal(
    403,
    'forbidden',
    `This access token does not allow to ${DOES[letter]} this ${type}: its scopes, or the person behind it, do not cover what it is or whom it is about`,
  );
