/** Observation/$lastn (R4 observation-operation-lastn.html): of each kind of observation the last few. */
import type { Observation } from 'fhir/r4.js';
import { invalid } from '../fhir/outcome.ts';
import { type Context, type Exchange, fhirBase } from '../http/exchange.ts';
import { answerSearchset } from '../http/gathered.ts';
import { prefersLenient } from '../http/prefer.ts';
import { understood } from '../http/understood.ts';
import type { Caller, Stored } from '../records/records.ts';
import { parseSearch } from '../search/parse.ts';
import { type Parameter, writeParameters } from '../search/query-string.ts';
import type { SearchRequest } from '../search/request.ts';
import { readArguments } from './arguments.ts';
import { makeGroups } from './groups.ts';

/** So many are looked at at a time. */
const STRIDE = 1000;
/** So many one call may look at. */
const MOST_SEEN = 250_000;

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
  let seen = 0;
  for (let after: string | undefined, first = true; first || after !== undefined; first = false) {
    const page = await records.search(caller, { ...request, sort: [], count: STRIDE, total: 'none', after });
    for (const stored of page.entries) groups.add(stored, JSON.parse(stored.content) as Observation);
    after = page.next;
    seen += page.entries.length;
    if (after !== undefined && seen >= MOST_SEEN)
      throw invalid(
        'too-costly',
        `$lastn looks at ${MOST_SEEN} observations at most, and here are more: name codes, or a date`,
      );
  }
  return groups.all();
}
