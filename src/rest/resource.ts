/** How one resource is answered, after it was read or written. */
import { error, operationOutcome } from '../fhir/outcome.ts';
import { answerEmpty, answerJson, answerStream } from '../http/answer.ts';
import { dataLength, withData } from '../http/base64.ts';
import { type Exchange, fhirBase, type Headers } from '../http/exchange.ts';
import { lengthWithData, partsOf, withParts } from '../http/inline.ts';
import { type Return, readReturn } from '../http/prefer.ts';
import { etagOf, httpDate, notModified } from '../http/versions.ts';
import type { Stored, Written } from '../records/records.ts';
import { type RestContext, type Selection, WHOLE } from './selection.ts';

/** Headers that name a version (R4 http.html#read). */
export function versionHeaders({ version, updated }: Stored): Headers {
  return ['ETag', etagOf(version), 'Last-Modified', httpDate(updated)];
}

/**
 * Answers with a resource.
 *
 * @param headers beside its type and length
 */
async function answerResource(
  { records }: RestContext,
  exchange: Exchange,
  status: number,
  headers: Headers,
  stored: Stored,
  selection: Selection = WHOLE,
): Promise<void> {
  const parts = selection.isWhole ? partsOf(stored) : undefined;
  const length = parts && (await lengthWithData(records, parts));
  // where some of it is lost, urls say at least which
  if (parts && length !== undefined)
    return answerStream(exchange, status, headers, withParts(records, parts), length);
  const json = selection.show(stored);
  if (stored.blob === null || !selection.withData) return answerJson(exchange, status, headers, json);
  const bytes = await records.openBlob(stored.blob);
  if (exchange.request.method === 'HEAD') bytes.stream.destroy();
  const size = Buffer.byteLength(json) + dataLength(bytes.size);
  return answerStream(exchange, status, headers, withData(json, bytes.stream), size);
}

/** Answers a read: with 304 where the client has that version (R4 http.html#cread). */
export async function answerFound(
  context: RestContext,
  exchange: Exchange,
  headers: Headers,
  stored: Stored,
  selection: Selection,
): Promise<void> {
  if (notModified(exchange.request.headers, stored)) return answerEmpty(exchange, 304, headers);
  return answerResource(context, exchange, 200, headers, stored, selection);
}

/**
 * Answers a create or an update: 201 with Location where there is a new resource, 200 otherwise, and what Prefer
 * asks for (R4 http.html#create, #upsert, #ops).
 *
 * @param fallback what is returned where nothing is preferred
 * @param own      headers beside those of a write
 */
export async function answerWritten(
  context: RestContext,
  exchange: Exchange,
  written: Written,
  fallback: Return = 'representation',
  own: Headers = [],
): Promise<void> {
  const { type, id, version, created } = written;
  const status = created ? 201 : 200;
  const headers = [...versionHeaders(written), ...own];
  if (created || exchange.request.headers['if-none-exist'] !== undefined)
    headers.push('Location', `${fhirBase(context)}/${type}/${id}/_history/${version}`);
  // What may not be read is not shown.
  const wanted =
    written.content === ''
      ? 'minimal'
      : readReturn(exchange.request.headers.prefer as string | undefined, fallback);
  if (wanted === 'representation') return answerResource(context, exchange, status, headers, written);
  if (wanted === 'minimal') return answerEmpty(exchange, status, headers);
  const done = `${type}/${id} was ${created ? 'created' : 'updated'}: this is its version ${version}`;
  return answerJson(exchange, status, headers, informing(done));
}

/** The text of an OperationOutcome that tells of a success. */
export function informing(diagnostics: string): string {
  const issue = { ...error('informational', diagnostics), severity: 'information' as const };
  return JSON.stringify(operationOutcome([issue]));
}
