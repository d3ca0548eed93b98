/**
 * DocumentReference/$docref (US Core OperationDefinition docref): a patient's documents of a kind, of care in a time. None
 * is made on demand, so that `on-demand` changes nothing.
 */
import type { CodeableConcept } from 'fhir/r4.js';
import { invalid } from '../fhir/outcome.ts';
import { type Context, type Exchange, fhirBase } from '../http/exchange.ts';
import { answerSearchset } from '../http/searchset.ts';
import type { SearchPage, Stored } from '../records/records.ts';
import { escaped } from '../search/escapes.ts';
import { parseSearch } from '../search/parse.ts';
import { type Parameter, writeParameters } from '../search/query-string.ts';
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
  let found = await find(context, exchange, [...own, ...(types ?? [['type', SUMMARY]])], latest);
  if (found.length === 0 && !types) found = await find(context, exchange, own, latest);
  const query = writeParameters([...given.parameters, ...exchange.format.asked]);
  const url = `${fhirBase(context)}/DocumentReference/$docref?${query}`;
  const entries = found.map((resource) => ({ resource, mode: 'match' as const }));
  return answerSearchset(context, exchange, [{ relation: 'self', url }], [entries]);
}

/** The last where no time is named, else all. */
async function find(
  { records, definitions, config }: Context,
  { caller }: Exchange,
  parameters: readonly Parameter[],
  latest: boolean,
): Promise<Stored[]> {
  const asked: Parameter[] = [...parameters, ['_sort', '-date'], ['_count', latest ? '1' : String(PAGE)]];
  const request = parseSearch(definitions, 'DocumentReference', asked, `${config.baseUrl}/fhir`);
  const found: Stored[] = [];
  for (let page: SearchPage | undefined; ; ) {
    page = await records.search(caller, { ...request, after: page?.next });
    found.push(...page.entries);
    if (latest || page.next === undefined) return found;
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
