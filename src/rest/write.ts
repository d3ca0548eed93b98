/** create, update and delete (R4 http.html#create, #update, #upsert, #delete, #concurrency). */
import { invalid, Refusal } from '../fhir/outcome.ts';
import { answerEmpty, answerJson } from '../http/answer.ts';
import { readText } from '../http/body.ts';
import type { Exchange } from '../http/exchange.ts';
import { demandFhirJson } from '../http/negotiation.ts';
import { once } from '../http/parameters.ts';
import { readReturn } from '../http/prefer.ts';
import { etagOf, httpDate, NO_VERSION, readTags } from '../http/versions.ts';
import { writeBinary } from './binary.ts';
import { answerWritten, informing } from './resource.ts';
import type { RestContext } from './selection.ts';

/** POST [base]/[type] */
export async function create(context: RestContext, exchange: Exchange): Promise<void> {
  const { request, path, parameters, caller } = exchange;
  once(parameters, []);
  refuseCondition(exchange, 'if-none-exist', 'If-None-Exist (conditional create)');
  if (path.type === 'Binary') return writeBinary(context, exchange);
  demandFhirJson(request.headers['content-type']);
  const body = await readText(request, context.config.maxBody);
  return answerWritten(context, exchange, await context.records.create(caller, path.type, body));
}

/** PUT [base]/[type]/[id] */
export async function update(context: RestContext, exchange: Exchange): Promise<void> {
  const { request, path, parameters, caller } = exchange;
  once(parameters, []);
  refuseCondition(exchange, 'if-none-match', 'If-None-Match with PUT (create only what is not there)');
  const ifMatch = await readIfMatch(context, exchange);
  if (path.type === 'Binary') return writeBinary(context, exchange, path.id, ifMatch);
  demandFhirJson(request.headers['content-type']);
  const body = await readText(request, context.config.maxBody);
  const written = await context.records.update(caller, path.type, path.id, body, ifMatch);
  return answerWritten(context, exchange, written);
}

/** DELETE [base]/[type]/[id]: 204, or 200 where something is to be told */
export async function remove(context: RestContext, exchange: Exchange): Promise<void> {
  const { request, path, parameters, caller } = exchange;
  once(parameters, []);
  const ifMatch = await readIfMatch(context, exchange);
  const removed = await context.records.remove(caller, path.type, path.id, ifMatch);
  const { existed, version, updated } = removed;
  const headers = version === undefined ? [] : ['ETag', etagOf(version)];
  if (updated !== undefined) headers.push('Last-Modified', httpDate(updated));
  if (readReturn(request.headers.prefer as string | undefined, 'minimal') !== 'OperationOutcome')
    return answerEmpty(exchange, 204, headers);
  const what = `${path.type}/${path.id}`;
  const done = existed ? `${what} was deleted` : `There was no ${what} to delete`;
  return answerJson(exchange, 200, headers, informing(done));
}

/** A condition that is not judged must not be passed over: the client would take the write for a guarded one. */
function refuseCondition({ request }: Exchange, header: string, name: string): void {
  if (request.headers[header] !== undefined) throw invalid('not-supported', `${name} is not supported yet`);
}

/**
 * The version that If-Match allows to be changed. A list or `*` is judged on the current version, which then must
 * still be the one when it is written.
 *
 * @returns undefined without the header; NO_VERSION where none of its tags can match, or nothing is there
 * @throws  Refusal 400 where the header is malformed
 */
async function readIfMatch({ records }: RestContext, exchange: Exchange): Promise<number | undefined> {
  const header = exchange.request.headers['if-match'];
  if (header === undefined) return undefined;
  const match = readTags(header, 'If-Match');
  if (match !== '*' && match.length === 1) return match[0];
  const { type, id } = exchange.path;
  try {
    const { version } = await records.read(exchange.caller, type, id);
    return match === '*' || match.includes(version) ? version : NO_VERSION;
  } catch (fault) {
    // RFC 9110 §13.1.1: what is not there matches nothing, and nothing is written.
    if (fault instanceof Refusal && (fault.status === 404 || fault.status === 410)) return NO_VERSION;
    throw fault;
  }
}
