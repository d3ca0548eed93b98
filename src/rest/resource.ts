/** How one resource is answered, after it was read or written. */
import { piecesOf } from '../fhir/attachments.ts';
import { stamped } from '../fhir/content.ts';
import { error, operationOutcome } from '../fhir/outcome.ts';
import { answerEmpty, answerJson, answerStream } from '../http/answer.ts';
import { base64Length, base64Of, dataLength, withData } from '../http/base64.ts';
import { type Exchange, fhirBase, type Headers } from '../http/exchange.ts';
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
  const apart = selection.isWhole && !stored.container && piecesOf(stored.content, stored.type);
  if (apart) return answerWithData({ records }, exchange, status, headers, stored);
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

/** Answers with a resource whose large data is kept apart: it is streamed back into its place. */
async function answerWithData(
  { records }: Pick<RestContext, 'records'>,
  exchange: Exchange,
  status: number,
  headers: Headers,
  stored: Stored,
): Promise<void> {
  const pieces = piecesOf(stamped(stored.content, stored), stored.type) ?? [];
  let size = 0;
  for (const piece of pieces)
    size +=
      'text' in piece
        ? Buffer.byteLength(piece.text)
        : base64Length((await records.describeBlob(piece.blob)).size);
  async function* texts(): AsyncGenerator<string> {
    for (const piece of pieces) {
      if ('text' in piece) yield piece.text;
      else yield* base64Of((await records.openBlob(piece.blob)).stream);
    }
  }
  return answerStream(exchange, status, headers, texts(), size);
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
