/**
 * Binary in its own form and as a resource (R4 binary.html#rest): read as a resource only where FHIR JSON is named
 * in Accept or `_format`, written as one only where the body is one.
 */
import { Readable } from 'node:stream';
import { parseJson } from '../fhir/json.ts';
import { invalid, refusal } from '../fhir/outcome.ts';
import { answerBlob, PRINTABLE } from '../http/blob.ts';
import { decodeText, readBytes } from '../http/body.ts';
import { type Exchange, fhirBase, type Headers } from '../http/exchange.ts';
import { demandFhirJson, isFhirJson, namesFhir } from '../http/negotiation.ts';
import { etagOf, httpDate } from '../http/versions.ts';
import type { Provided, Stored, Target } from '../records/records.ts';
import type { Condition } from '../search/condition.ts';
import { answerFound, answerWritten } from './resource.ts';
import type { RestContext, Selection } from './selection.ts';

/** Answers with a Binary: as a resource, or its bytes, perhaps a range of them. */
export async function readBinary(
  context: RestContext,
  exchange: Exchange,
  stored: Stored,
  selection: Selection,
): Promise<void> {
  const { request, format } = exchange;
  const headers = ['Last-Modified', httpDate(stored.updated), 'Vary', 'Accept'] as Headers;
  const { contentType, securityContext } = JSON.parse(stored.content);
  const proxy = securityContext?.reference;
  if (typeof proxy === 'string' && PRINTABLE.test(proxy)) headers.push('X-Security-Context', proxy);
  if (!selection.isWhole || namesFhir(request.headers.accept, format))
    return answerFound(context, exchange, [...headers, 'ETag', etagOf(stored.version)], stored, selection);
  return answerBlob(context, exchange, { ...stored, contentType }, headers);
}

/**
 * Creates or updates a Binary. A body that is itself a Binary in FHIR JSON is one; anything else is its content,
 * also other resources. JSON has to be read to tell, and so is bounded by MAX_BODY; other content is streamed.
 *
 * @param target undefined creates
 */
export async function writeBinary(
  context: RestContext,
  exchange: Exchange,
  target?: Target,
  provided: Provided = {},
  ifNoneExist?: Condition,
): Promise<void> {
  const { request, caller } = exchange;
  const { records, config } = context;
  const contentType = request.headers['content-type']?.trim() || 'application/octet-stream';
  const securityContext = request.headers['x-security-context'] as string | undefined;
  const keepOriginal = readFlag(request.headers['x-keep-original'], 'X-Keep-Original');
  const raw = async (stream: Readable): Promise<void> => {
    if (ifNoneExist || target?.where || provided.ifNew)
      throw invalid(
        'not-supported',
        'Raw content is written without a condition: send a Binary in FHIR JSON',
      );
    const bytes = { contentType, securityContext, keepOriginal, stream };
    const written = await records.writeBinary(caller, target?.id, bytes, provided);
    const { original } = written;
    const headers: Headers =
      original === undefined ? [] : ['Link', `<${fhirBase(context)}/Binary/${original}>; rel="original"`];
    return answerWritten(context, exchange, written, 'minimal', headers);
  };
  if (!isFhirJson(contentType)) {
    if (request.headers['content-encoding'] !== undefined)
      throw refusal(415, 'not-supported', 'Raw content is stored as it is: send it without Content-Encoding');
    return raw(request);
  }
  const body = await readBytes(request, config.maxBody);
  if (!isBinary(body, contentType)) return raw(Readable.from([body]));
  demandFhirJson(contentType);
  const text = decodeText(body);
  const written = target
    ? await records.update(caller, target, text, provided)
    : await records.create(caller, 'Binary', text, ifNoneExist);
  return answerWritten(context, exchange, written);
}

/** @throws Refusal 400 for another value than true and false */
function readFlag(header: string | string[] | undefined, name: string): boolean {
  if (header === undefined || header === 'false') return false;
  if (header === 'true') return true;
  throw invalid('value', `${name} is true or false`);
}

/**
 * Whether a body is a Binary resource.
 *
 * @throws Refusal 400 where it says to be FHIR JSON and is no JSON at all
 */
function isBinary(body: Buffer, contentType: string): boolean {
  try {
    return JSON.parse(body.toString())?.resourceType === 'Binary';
  } catch {
    if (/fhir/i.test(contentType)) parseJson(decodeText(body));
    return false;
  }
}
