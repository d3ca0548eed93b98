/** The conditions of conditional interactions, from a URL or a header (R4 http.html#cond-update, #ccreate, #cdelete). */
import { invalid } from '../fhir/outcome.ts';
import { type Exchange, fhirBase } from '../http/exchange.ts';
import { understood } from '../http/understood.ts';
import type { Target } from '../records/records.ts';
import { type Condition, parseCondition } from '../search/condition.ts';
import { writeParameters } from '../search/query-string.ts';
import type { RestContext } from './selection.ts';

/** What an interaction at [type]/[id], or at [type]?[condition], is about. */
export async function readTarget(context: RestContext, { path, parameters }: Exchange): Promise<Target> {
  const { type, id } = path;
  if (path.pattern === '/:type/:id') return { type, id };
  const where = await understood(context, () =>
    parseCondition(context.definitions, type, writeParameters(parameters), fhirBase(context)),
  );
  return { type, where };
}

/** The condition of If-None-Exist, whose value is a query (R4 http.html#ccreate). */
export async function readIfNoneExist(
  context: RestContext,
  { request, path }: Exchange,
): Promise<Condition | undefined> {
  const header = request.headers['if-none-exist'];
  if (header === undefined) return undefined;
  if (typeof header !== 'string') throw invalid('invalid', 'If-None-Exist is given twice');
  return understood(context, () =>
    parseCondition(context.definitions, path.type, queryOf(header, path.type), fhirBase(context)),
  );
}

/** A query, also where it is written after its type. */
export function queryOf(text: string, type: string): string {
  return text.startsWith(`${type}?`) ? text.slice(type.length) : text;
}
