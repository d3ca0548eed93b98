/** Observation/$lastn (R4 observation-operation-lastn.html): of each kind of observation the last few. */
import type { CodeableConcept, Observation } from 'fhir/r4.js';
import { readRange } from '../fhir/date.ts';
import { invalid } from '../fhir/outcome.ts';
import { type Context, type Exchange, fhirBase } from '../http/exchange.ts';
import { prefersLenient } from '../http/prefer.ts';
import { answerSearchset } from '../http/searchset.ts';
import { understood } from '../http/understood.ts';
import type { Caller, Stored } from '../records/records.ts';
import { parseSearch } from '../search/parse.ts';
import { type Parameter, writeParameters } from '../search/query-string.ts';
import type { SearchRequest } from '../search/request.ts';
import { readArguments } from './arguments.ts';

/** So many are looked at at a time. */
const STRIDE = 1000;

/** Parameters that shape a result: here `max` does. */
const SHAPING =
  /^_(count|sort|summary|elements|total|after|page|include|revinclude|contained|containedType)(:|$)/;

/** GET or POST [base]/Observation/$lastn?patient=…&category=…&max=… with any search parameter of Observation */
export async function lastn(context: Context, exchange: Exchange): Promise<void> {
  const { caller, format, request: sent } = exchange;
  const { others, parameters, text } = await readArguments(context, exchange, (name) => !SHAPING.test(name));
  demandSubjectAndCode(others);
  const lenient = prefersLenient(sent.headers.prefer);
  const request = await understood(context, () =>
    parseSearch(context.definitions, 'Observation', others, fhirBase(context), lenient),
  );
  const found = await lastOf(context, caller, request, Number(text('max') ?? 1));
  const asked = [...request.parameters, ...parameters, ...format.asked];
  const url = `${fhirBase(context)}/Observation/$lastn?${writeParameters(asked)}`;
  const entries = found.map((resource) => ({ resource, mode: 'match' as const }));
  return answerSearchset(context, exchange, [{ relation: 'self', url }], [entries]);
}

/** What a request has to name, by R4. */
function demandSubjectAndCode(parameters: readonly Parameter[]): void {
  const names = parameters.map(([name]) => name.split(/[:.]/)[0] as string);
  if (!names.some((name) => name === 'patient' || name === 'subject'))
    throw invalid('required', '$lastn needs the subject: give the parameter patient or subject');
  if (!names.some((name) => name === 'category' || /(^|-)code(-|$)/.test(name)))
    throw invalid(
      'required',
      '$lastn needs category, or a parameter of codes such as code or code-value-concept',
    );
}

/** The last of each group, newest first. Searches come newest first: of each group a few are held, however many there are. */
async function lastOf(
  { records }: Context,
  caller: Caller,
  request: SearchRequest,
  max: number,
): Promise<Stored[]> {
  const groups = makeGroups(max);
  for (let after: string | undefined, first = true; first || after !== undefined; first = false) {
    const page = await records.search(caller, { ...request, sort: [], count: STRIDE, total: 'none', after });
    for (const stored of page.entries) groups.add(stored, JSON.parse(stored.content) as Observation);
    after = page.next;
  }
  return groups.all();
}

interface Held {
  /** how many came before */
  readonly order: number;
  /** milliseconds; undefined where the observation says no time */
  readonly effective: number | undefined;
  readonly stored: Stored;
}

/**
 * Observations by code: those of one subject that share a coding, or are joined by others that do, are one group (R4:
 * "the grouping by code SHALL follow the transitive property of equality").
 */
function makeGroups(max: number): { add(stored: Stored, observation: Observation): void; all(): Stored[] } {
  const groupOf = new Map<string, { held: Held[] }>();
  let order = 0;

  /** Of equally old ones all stay (R4: "In case of a tie … both will be returned"). */
  function trimmed(held: readonly Held[]): Held[] {
    const last = held[max - 1];
    return held.filter(
      ({ effective }, i) => i < max || (effective !== undefined && effective === last?.effective),
    );
  }

  return {
    add(stored, observation) {
      const names = namesOf(observation);
      const found = new Set(names.flatMap((name) => groupOf.get(name) ?? []));
      const [group = { held: [] }, ...others] = found;
      if (others.length > 0) {
        const all = [...found].flatMap(({ held }) => held).sort((a, b) => a.order - b.order);
        group.held = trimmed(all);
        for (const [name, one] of groupOf) if (found.has(one)) groupOf.set(name, group);
      }
      for (const name of names) groupOf.set(name, group);
      group.held = trimmed([...group.held, { order: order++, effective: effectiveOf(observation), stored }]);
    },
    all() {
      const held = [...new Set(groupOf.values())].flatMap((group) => group.held);
      return held.sort((a, b) => a.order - b.order).map(({ stored }) => stored);
    },
  };
}

/** What an observation is grouped by: each of its codings, or the text of a code without any. */
function namesOf({ subject, code }: Observation): string[] {
  const codings = codingsOf(code).map(({ system = '', code: own }) => ['coding', system, own]);
  const names = codings.length > 0 ? codings : [['text', code.text]];
  return names.map((name) => JSON.stringify([subject?.reference, ...name]));
}

const codingsOf = ({ coding = [] }: CodeableConcept) => coding.filter(({ code }) => code !== undefined);

/** When an observation was made, or began to be; milliseconds. */
export function effectiveOf(observation: Observation): number | undefined {
  const { effectiveDateTime, effectiveInstant, effectivePeriod, effectiveTiming } = observation;
  const text = effectiveDateTime ?? effectiveInstant ?? effectivePeriod?.start ?? effectiveTiming?.event?.[0];
  return text === undefined ? undefined : readRange(text)?.low;
}
