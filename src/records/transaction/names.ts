/** What entries call each other, and what conditional references find (R4 http.html#trules). */
import type { Resource } from 'fhir/r4.js';
import { error, invalid, Refusal } from '../../fhir/outcome.ts';
import { nearest } from '../../fhir/validation/nearest.ts';
import { type Condition, parseCondition } from '../../search/condition.ts';
import { MOST_CANDIDATES } from '../../store/read/candidates.ts';
import { demandConditions, type Resolution } from '../conditions.ts';
import type { Caller, Entry } from '../records.ts';
import type { Setting } from '../setting.ts';
import { type Contents, makeContents, type ValuesOf } from './contents.ts';
import { type Decisions, inTurns, type Step } from './steps.ts';

/** A conditional reference, and the first place where it stands. */
export interface Link {
  /** as written: `Patient?identifier=s|n` */
  readonly text: string;
  readonly condition: Condition;
  readonly step: Step;
  /** FHIRPath within the resource */
  readonly path: string;
}

// Few resources have one: the others are not walked.
const MAY_BE_LINK = /"reference"\s*:\s*"([A-Za-z]+)(?:\?|\\u003[fF])/g;

/**
 * The conditional references of all resources that come in, each text once.
 *
 * @throws Refusal 400 where one is no condition, 403 where the caller may not search what it is about
 */
export async function linksOf(
  setting: Setting,
  caller: Caller,
  steps: readonly Step[],
): Promise<readonly Link[]> {
  const links = new Map<string, Link>();
  await inTurns(steps, (step) => {
    if ('body' in step.entry) addLinks(setting, caller, links, step, step.entry.body, step.resource);
  });
  return [...links.values()];
}

/** Those that patches bring. */
export function patchedLinks(setting: Setting, caller: Caller, decisions: Decisions): readonly Link[] {
  const links = new Map<string, Link>();
  for (const [step, { patched }] of decisions)
    if (patched)
      addLinks(setting, caller, links, step, patched.text, () => JSON.parse(patched.text) as Resource);
  return [...links.values()];
}

function addLinks(
  setting: Setting,
  caller: Caller,
  links: Map<string, Link>,
  step: Step,
  written: string,
  resource: () => Resource,
): void {
  const types = [...written.matchAll(MAY_BE_LINK)].map(([, type]) => type as string);
  if (types.length === 0) return;
  for (const type of types) checkType(setting, type);
  const made = resource();
  if (made.resourceType !== step.entry.type) return;
  for (const { text, path } of setting.conditionalReferences(made))
    if (!links.has(text))
      links.set(text, { text, path, step, condition: readLink(setting, caller, text, path) });
}

function checkType({ definitions }: Setting, type: string): void {
  if (definitions.isResourceType(type)) return;
  const meant = nearest(type, definitions.resourceTypes);
  throw invalid(
    'not-supported',
    `The conditional reference ${type}?… names no resource type${meant ? `: did you mean ${meant}?` : ''}`,
  );
}

function readLink({ definitions, baseUrl }: Setting, caller: Caller, text: string, path: string): Condition {
  const mark = text.indexOf('?');
  try {
    const condition = parseCondition(definitions, text.slice(0, mark), text.slice(mark), baseUrl);
    demandConditions(caller, [condition]);
    return condition;
  } catch (fault) {
    if (!(fault instanceof Refusal)) throw fault;
    const issues = fault.issues.map((issue) => ({ ...issue, expression: path }));
    throw new Refusal(fault.status, issues);
  }
}

/** @throws Refusal 400 where two entries have one fullUrl (R4 bundle.html, bdl-7) */
export function checkFullUrls(entries: readonly Entry[]): void {
  const seen = new Set<string>();
  entries.forEach((entry, i) => {
    if (!('fullUrl' in entry) || entry.fullUrl === undefined) return;
    if (seen.has(entry.fullUrl))
      throw invalid(
        'invalid',
        `Another entry has the fullUrl ${entry.fullUrl.slice(0, 100)}, too: give each its own`,
        `Bundle.entry[${i}].fullUrl`,
      );
    seen.add(entry.fullUrl);
  });
}

/**
 * All that is to be rewritten: each entry's fullUrl, and each conditional reference, to `Type/id`.
 *
 * @throws Refusal 412 where a conditional reference finds none or several
 */
export function namesOf(
  setting: Setting,
  decisions: Decisions,
  links: readonly Link[],
  resolution: Resolution,
  valuesOf: ValuesOf,
): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const [{ entry }, { type, id }] of decisions)
    if ('fullUrl' in entry && entry.fullUrl !== undefined) names.set(entry.fullUrl, `${type}/${id}`);
  if (links.length === 0) return names;

  // Conditional references see what the transaction leaves behind.
  const touched = new Set<string>();
  const idOf = (step: Step): string => decisions.get(step)?.id as string;
  const contents: Contents = makeContents(setting, valuesOf, idOf, { compared: 0 });
  for (const [step, { act, type, id, also = [] }] of decisions) {
    if (act === 'none') continue;
    for (const one of [id, ...also.map((other) => other.id)]) touched.add(`${type}/${one}`);
    if (act === 'write') contents.add(step);
  }
  for (const link of links) {
    const { type } = link.condition;
    const found = [...(resolution.get(link.condition.key) ?? []).map(({ id }) => `${type}/${id}`)].filter(
      (name) => !touched.has(name),
    );
    const ids = [...found, ...contents.meeting(link.condition).map((step) => `${type}/${idOf(step)}`)];
    if (ids.length !== 1) throw unresolved(link, ids.length);
    names.set(link.text, ids[0] as string);
  }
  return names;
}

function unresolved({ condition, step, path }: Link, count: number): Refusal {
  const many = count >= MOST_CANDIDATES ? `${MOST_CANDIDATES} or more` : count;
  const what = `The conditional reference ${condition.text}`;
  const resource = step.entry.type;
  const place = `Bundle.entry[${step.index}].resource${path.slice(resource.length)}`;
  const issue =
    count === 0
      ? error('not-found', `${what} finds nothing: write what it means first, or in this Bundle`, place)
      : error(
          'multiple-matches',
          `${what} finds ${many} resources: make it more exact, so that it means one`,
          place,
        );
  return new Refusal(412, [issue]);
}

/** The search values of what steps bring, each worked out once for one attempt. */
export function makeValuesOf({ store, baseUrl }: Setting, decisions: () => Decisions): ValuesOf {
  const known = new Map<Step, ReturnType<ValuesOf>>();
  return (step) => {
    let values = known.get(step);
    if (!values) {
      const patched = decisions().get(step)?.patched;
      const resource = patched ? (JSON.parse(patched.text) as Resource) : step.resource();
      // What is no such resource has none, and is refused when it is judged.
      const sound = resource.resourceType === step.entry.type;
      values = sound ? store.indexer.analyse(resource, baseUrl).extracted : [];
      known.set(step, values);
    }
    return values;
  };
}
