/** create, update, patch and delete (R4 http.html#create, #update, #upsert, #patch, #delete, #concurrency). */
import { invalid, Refusal } from '../fhir/outcome.ts';
import { answerEmpty, answerJson } from '../http/answer.ts';
import { readText } from '../http/body.ts';
import type { Exchange } from '../http/exchange.ts';
import { demandFhirJson } from '../http/negotiation.ts';
import { once } from '../http/parameters.ts';
import { readReturn } from '../http/prefer.ts';
import { etagOf, httpDate, NO_VERSION, readTags } from '../http/versions.ts';
import type { Target } from '../records/records.ts';
import { writeBinary } from './binary.ts';
import { readIfNoneExist, readTarget } from './condition.ts';
import { patchReader } from './patch.ts';
import { answerWritten, informing } from './resource.ts';
import type { RestContext } from './selection.ts';

/** POST [base]/[type] */
export async function create(context: RestContext, exchange: Exchange): Promise<void> {
  const { request, path, parameters, caller } = exchange;
  once(parameters, []);
  refuseConditions(exchange, ['if-none-exist']);
  const ifNoneExist = await readIfNoneExist(context, exchange);
  if (path.type === 'Binary') return writeBinary(context, exchange, undefined, {}, ifNoneExist);
  demandFhirJson(request.headers['content-type']);
  const body = await readText(request, context.config.maxBody);
  return answerWritten(context, exchange, await context.records.create(caller, path.type, body, ifNoneExist));
}

/** PUT [base]/[type]/[id], PUT [base]/[type]?[condition] */
export async function update(context: RestContext, exchange: Exchange): Promise<void> {
  const { request, path, parameters, caller } = exchange;
  const target = await readTarget(context, exchange);
  if (!target.where) once(parameters, []);
  refuseConditions(exchange, ['if-match', 'if-none-match']);
  const provided = {
    ifMatch: await readIfMatch(context, exchange, target),
    ifNew: readIfNew(exchange, target),
  };
  if (path.type === 'Binary') return writeBinary(context, exchange, target, provided);
  demandFhirJson(request.headers['content-type']);
  const body = await readText(request, context.config.maxBody);
  return answerWritten(context, exchange, await context.records.update(caller, target, body, provided));
}

/** PATCH [base]/[type]/[id], PATCH [base]/[type]?[condition] */
export async function patch(context: RestContext, exchange: Exchange): Promise<void> {
  const { request, parameters, caller } = exchange;
  const target = await readTarget(context, exchange);
  if (!target.where) once(parameters, []);
  refuseConditions(exchange, ['if-match']);
  const ifMatch = await readIfMatch(context, exchange, target);
  const read = patchReader(context.patches, request.headers['content-type']);
  const body = await readText(request, context.config.maxBody);
  const written = await context.records.patch(caller, target, await read(body), { ifMatch });
  return answerWritten(context, exchange, written);
}

/** DELETE [base]/[type]/[id], DELETE [base]/[type]?[condition]: 204, or 200 where something is to be told */
export async function remove(context: RestContext, exchange: Exchange): Promise<void> {
  const { request, path, parameters, caller } = exchange;
  const target = await readTarget(context, exchange);
  if (!target.where) once(parameters, []);
  refuseConditions(exchange, ['if-match']);
  const ifMatch = await readIfMatch(context, exchange, target);
  const removed = await context.records.remove(caller, target, { ifMatch });
  const { existed, version, updated } = removed;
  const headers = version === undefined ? [] : ['ETag', etagOf(version)];
  if (updated !== undefined) headers.push('Last-Modified', httpDate(updated));
  if (readReturn(request.headers.prefer as string | undefined, 'minimal') !== 'OperationOutcome')
    return answerEmpty(exchange, 204, headers);
  const what = target.where ? `what matched ${target.where.text}` : `${path.type}/${path.id}`;
  return answerJson(
    exchange,
    200,
    headers,
    informing(existed ? `${what} was deleted` : `There was no ${what} to delete`),
  );
}

/** Headers that make a request depend on something. */
const CONDITIONS = [
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
  'if-none-exist',
] as const;

/** A condition that is not judged must not be passed over: the client would take the write for a guarded one. */
function refuseConditions({ request }: Exchange, judged: readonly string[]): void {
  for (const name of CONDITIONS)
    if (request.headers[name] !== undefined && !judged.includes(name))
      throw invalid('not-supported', `${name} is not judged with ${request.method}: leave it out`);
}

/** Whether If-None-Match asks that nothing be there yet (RFC 9110 §13.1.2). */
function readIfNew({ request }: Exchange, { where }: Target): boolean {
  const header = request.headers['if-none-match'];
  if (header === undefined) return false;
  if (header.trim() !== '*' || where)
    throw invalid(
      'not-supported',
      'If-None-Match with PUT is * at [type]/[id], to create only what is not there',
    );
  return true;
}

/**
 * The version that If-Match allows to be changed. A list or `*` is judged on the current version, which then must
 * still be the one when it is written.
 *
 * @returns undefined without the header; NO_VERSION where none of its tags can match, or nothing is there
 * @throws  Refusal 400 where the header is malformed
 */
async function readIfMatch(
  { records }: RestContext,
  exchange: Exchange,
  { type, id, where }: Target,
): Promise<number | undefined> {
  const header = exchange.request.headers['if-match'];
  if (header === undefined) return undefined;
  const match = readTags(header, 'If-Match');
  if (match !== '*' && match.length === 1) return match[0];
  if (where) throw invalid('not-supported', 'If-Match beside a condition is one entity tag, such as W/"3"');
  try {
    const { version } = await records.read(exchange.caller, type, id);
    return match === '*' || match.includes(version) ? version : NO_VERSION;
  } catch (fault) {
    // RFC 9110 §13.1.1: what is not there matches nothing, and nothing is written.
    if (fault instanceof Refusal && (fault.status === 404 || fault.status === 410)) return NO_VERSION;
    throw fault;
  }
}
