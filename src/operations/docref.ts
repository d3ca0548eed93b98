/**
 * DocumentReference/$docref (US Core OperationDefinition docref): a patient's documents of a kind, of care in a time. None
 * is made on demand, so that who asks for such alone (`on-demand=true`) finds nothing.
 */
import type { CodeableConcept } from 'fhir/r4.js';
import { invalid } from '../fhir/outcome.ts';
import { type Context, type Exchange, fhirBase } from '../http/exchange.ts';
import { answerSearchset, type Found } from '../http/gathered.ts';
import type { SearchPage } from '../records/records.ts';
import { escaped } from '../search/escapes.ts';
import { parseSearch } from '../search/parse.ts';
import { type Parameter, writeParameters } from '../search/query-string.ts';
import type { SearchRequest } from '../search/request.ts';
import { type Arguments, readArguments } from './arguments.ts';

/** The summary of care that is meant where no type is named. */
const SUMMARY = 'http://loinc.org|34133-9';

/** So many are found at a time. */
const PAGE = 500;

export async function docref(context: Context, exchange: Exchange): Promise<void> {
  const given = await readArguments(context, exchange);
  if (given.texts('profile').length > 0)
    throw invalid('not-supported', 'profile is not supported: name the kind of document by its type');
  const own = queryOf(given);
  const types = typesOf(given);
  const latest = given.text('start') === undefined && given.text('end') === undefined;
  const find = (parameters: readonly Parameter[]) =>
    firstPage(context, exchange, [...own, ...parameters], latest);
  let found = await find(types ?? [['type', SUMMARY]]);
  if (found.page.entries.length === 0 && !types) found = await find([]);
  const query = writeParameters([...given.parameters, ...exchange.format.asked]);
  const url = `${fhirBase(context)}/DocumentReference/$docref?${query}`;
  const links = [{ relation: 'self', url }];
  const entries = given.text('on-demand') === 'true' ? [] : entriesOf(context, exchange, found, latest);
  return answerSearchset(context, exchange, links, entries);
}

interface FirstPage {
  readonly request: SearchRequest;
  readonly page: SearchPage;
}

/** @param latest where no time is named, only the last is meant */
async function firstPage(
  context: Context,
  { caller }: Exchange,
  parameters: readonly Parameter[],
  latest: boolean,
): Promise<FirstPage> {
  const asked: Parameter[] = [...parameters, ['_sort', '-date'], ['_count', latest ? '1' : String(PAGE)]];
  const request = parseSearch(context.definitions, 'DocumentReference', asked, fhirBase(context));
  return { request, page: await context.records.search(caller, request) };
}

/** Each page is read when the one before is taken. */
async function* entriesOf(
  { records }: Context,
  { caller }: Exchange,
  { request, page: first }: FirstPage,
  latest: boolean,
): AsyncGenerator<Found[]> {
  for (let page = first; ; page = await records.search(caller, { ...request, after: page.next })) {
    yield page.entries.map((resource) => ({ resource, mode: 'match' }));
    if (latest || page.next === undefined) return;
  }
}

function queryOf(given: Arguments): Parameter[] {
  const [start, end] = [given.text('start'), given.text('end')];
  return [
    ['patient', given.text('patient') as string],
    ['status', 'current'],
    ...(start === undefined ? [] : [['period', `ge${start}`] as const]),
    ...(end === undefined ? [] : [['period', `le${end}`] as const]),
  ];
}

function typesOf(given: Arguments): Parameter[] | undefined {
  const [type] = given.values('type');
  if (!type) return undefined;
  const { coding = [] } = type as CodeableConcept;
  if (coding.length === 0) throw invalid('value', 'type has a coding, by which documents are found');
  const tokens = coding.map(
    ({ system, code = '' }) => `${system === undefined ? '' : `${escaped(system)}|`}${escaped(code)}`,
  );
  return [['type', tokens.join(',')]];
}
