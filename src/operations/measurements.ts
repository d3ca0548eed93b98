/** The measurements that a subject's observations hold, by code and unit: their own, of components, and of members. */
import type { CodeableConcept, Coding, Observation, ObservationComponent } from 'fhir/r4.js';
import { invalid } from '../fhir/outcome.ts';
import { parseReference } from '../fhir/reference.ts';
import { type Context, fhirBase } from '../http/exchange.ts';
import { understood } from '../http/understood.ts';
import type { Caller, Stored } from '../records/records.ts';
import { parseSearch } from '../search/parse.ts';
import type { Parameter } from '../search/query-string.ts';
import { effectiveOf } from './groups.ts';
import type { Measurement } from './statistics.ts';

export interface Collecting {
  /** whose they are, as a parameter of a search */
  readonly subject: Parameter;
  /** those that are asked for */
  readonly codings: readonly Coding[];
  /** so many observations are kept, the newest */
  readonly sources: number;
}

export interface Group {
  readonly coding: Coding;
  /** of all, also of those without a valid result */
  total: number;
  /** by UCUM code: what is measured in several units is not mixed */
  readonly byUnit: Map<string, Measurement[]>;
}

export interface Collected {
  readonly groups: ReadonlyMap<string, Group>;
  readonly sources: readonly Stored[];
}

const STRIDE = 1000;
/** So many observations one call may look at, and so many it may return. */
const MOST = 100_000;
const MOST_SOURCES = 10_000;
/** So many ids one search lists. */
const MOST_IDS = 500;

const UCUM = 'http://unitsofmeasure.org';

/** @throws Refusal 400 too-costly; as a search */
export async function collect(
  context: Context,
  caller: Caller,
  query: readonly Parameter[],
  { subject, codings, sources: wanted }: Collecting,
): Promise<Collected> {
  const base = fhirBase(context);
  const groups = new Map(codings.map((coding) => [nameOf(coding), newGroup(coding)]));
  const asked = new Set(groups.keys());
  const sources: Stored[] = [];
  const seen = new Set<string>();
  const members = new Set<string>();
  const panels = new Set<string>();

  for await (const stored of searched(context, caller, [subject, ...query])) take(stored, false);
  const ids = [...members].filter((id) => !seen.has(id));
  for (let i = 0; i < ids.length; i += MOST_IDS) {
    const some = ids.slice(i, i + MOST_IDS).join(',');
    const pairs = [subject, ['_id', some] as const, ['status:not', 'entered-in-error'] as const];
    for await (const stored of searched(context, caller, pairs)) take(stored, true);
  }
  // A panel has no result of its own: those of its parts stand for it.
  for (const name of panels) if (groups.get(name)?.total === 0) groups.delete(name);
  return { groups, sources };

  /** @param isMember whether it is one of a panel that was asked for: then all of it counts */
  function take(stored: Stored, isMember: boolean): void {
    if (seen.has(stored.id)) return;
    seen.add(stored.id);
    if (seen.size > MOST) throw tooCostly(`more than ${MOST} observations: ask for a shorter time`);
    if (sources.length < wanted) {
      if (sources.length === MOST_SOURCES) throw tooCostly(`more than ${MOST_SOURCES} sources: give a limit`);
      sources.push(stored);
    }
    const observation = JSON.parse(stored.content) as Observation;
    const { component = [], hasMember = [] } = observation;
    const at = effectiveOf(observation);
    const own = codingOf(observation.code, isMember);
    const isPanel = component.length > 0 || hasMember.length > 0;
    if (own && isPanel && !observation.valueQuantity) panels.add(nameOf(own));
    else if (own) count(own, observation, observation, at);
    for (const one of component) {
      const coding = codingOf(one.code, own !== undefined);
      if (coding) count(coding, one, observation, at);
    }
    if (!own) return;
    for (const { reference = '' } of hasMember) {
      const parsed = parseReference(reference, base, context.definitions.isResourceType);
      if (parsed.kind === 'local' && parsed.type === 'Observation') members.add(parsed.id);
    }
  }

  /** The coding that was asked for; of what belongs to a panel otherwise its first. */
  function codingOf({ coding = [] }: CodeableConcept, any: boolean): Coding | undefined {
    return coding.find((one) => asked.has(nameOf(one))) ?? (any ? coding[0] : undefined);
  }

  function count(
    coding: Coding,
    { valueQuantity }: ObservationComponent,
    { modifierExtension }: Observation,
    at: number | undefined,
  ): void {
    const name = nameOf(coding);
    const group = groups.get(name) ?? newGroup(coding);
    groups.set(name, group);
    group.total++;
    // "<5" is no number to be reckoned with, and nobody knows what a modifier makes of one.
    const { value, system, code, comparator } = valueQuantity ?? {};
    if (value === undefined || system !== UCUM || code === undefined || comparator || modifierExtension)
      return;
    const measurements = group.byUnit.get(code) ?? [];
    group.byUnit.set(code, measurements);
    measurements.push({ at, value });
  }
}

const newGroup = ({ system, code, display }: Coding): Group => ({
  coding: { system, code, display },
  total: 0,
  byUnit: new Map(),
});

const nameOf = ({ system = '', code = '' }: Coding): string => `${system}|${code}`;

async function* searched(
  context: Context,
  caller: Caller,
  pairs: readonly Parameter[],
): AsyncGenerator<Stored> {
  const request = await understood(context, () =>
    parseSearch(context.definitions, 'Observation', pairs, fhirBase(context)),
  );
  for (let after: string | undefined, first = true; first || after !== undefined; first = false) {
    const page = await context.records.search(caller, { ...request, count: STRIDE, after });
    yield* page.entries;
    after = page.next;
  }
}

const tooCostly = (what: string) => invalid('too-costly', `There are ${what}`);
