/**
 * Binary in its own form and as a resource (R4 binary.html#rest): read as a resource only where FHIR JSON is named
 * in Accept or `_format`, written as one only where the body is one.
 */
import { Readable } from 'node:stream';
import { parseJson } from '../fhir/json.ts';
import { error, invalid, Refusal, refusal } from '../fhir/outcome.ts';
import { answerBytes, answerEmpty } from '../http/answer.ts';
import { decodeText, readBytes } from '../http/body.ts';
import type { Exchange, Headers } from '../http/exchange.ts';
import { demandFhirJson, isFhirJson, namesFhir } from '../http/negotiation.ts';
import { byteRanges, contentRange, type Range, readRanges } from '../http/range.ts';
import { bytesEtagOf, etagOf, httpDate } from '../http/versions.ts';
import type { Provided, Stored, Target } from '../records/records.ts';
import type { Condition } from '../search/condition.ts';
import { answerResource, answerWritten } from './resource.ts';
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
    return answerResource(
      context,
      exchange,
      200,
      [...headers, 'ETag', etagOf(stored.version)],
      stored,
      selection,
    );

  const type = PRINTABLE.test(contentType) ? contentType : 'application/octet-stream';
  headers.push('Content-Security-Policy', "sandbox; default-src 'none'; frame-ancestors 'none'");
  headers.push(
    'Content-Disposition',
    `${SHOWN.test(contentType) ? 'inline' : 'attachment'}; filename="${stored.id}"`,
  );
  headers.push('Accept-Ranges', 'bytes');
  if (stored.blob === null)
    return answerEmpty(exchange, 200, [...headers, 'ETag', etagOf(stored.version), 'Content-Type', type]);

  const { blob } = stored;
  const whole = await context.records.openBlob(blob);
  const { size } = whole;
  const etag = bytesEtagOf(stored.version, whole.sha256);
  headers.push('ETag', etag);
  const ranges = isCurrent(exchange, stored, etag) ? readRanges(request.headers.range, size) : undefined;
  if (ranges === undefined) {
    headers.push('Content-Type', type, 'Content-Length', size);
    return answerBytes(exchange, 200, headers, whole.stream);
  }
  whole.stream.destroy();
  if (ranges === 'unsatisfiable') {
    const issue = error('value', `The range is outside of the ${size} bytes that there are`);
    throw new Refusal(416, [issue], { 'Content-Range': `bytes */${size}` });
  }
  const open = async (range: Range): Promise<Readable> =>
    (await context.records.openBlob(blob, range)).stream;
  const [only, ...others] = ranges;
  if (only && others.length === 0) {
    headers.push('Content-Type', type, 'Content-Range', contentRange(only, size));
    headers.push('Content-Length', only.end - only.start + 1);
    return answerBytes(exchange, 206, headers, await open(only));
  }
  const { contentType: multipart, length, stream } = byteRanges(ranges, size, type, open);
  headers.push('Content-Type', multipart, 'Content-Length', length);
  return answerBytes(exchange, 206, headers, stream);
}

/** What a header can hold; a Binary's own content type may not be the end of a header. */
const PRINTABLE = /^[\x20-\x7e]+$/;

/** What a browser may show by itself; whatever can hold a script is only offered for saving. */
const SHOWN = /^(?:image\/(?!svg)|audio\/|video\/|text\/plain\b|application\/pdf\b|application\/dicom\b)/i;

/** A range of something that has changed meanwhile is no use: then all of it is sent (RFC 9110 §13.1.5). */
function isCurrent({ request }: Exchange, { updated }: Stored, etag: string): boolean {
  const validator = request.headers['if-range'];
  return validator === undefined || validator === etag || validator === httpDate(updated);
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
  const raw = async (stream: Readable): Promise<void> => {
    if (ifNoneExist || target?.where || provided.ifNew)
      throw invalid(
        'not-supported',
        'Raw content is written without a condition: send a Binary in FHIR JSON',
      );
    const bytes = { contentType, securityContext, stream };
    const written = await records.writeBinary(caller, target?.id, bytes, provided);
    return answerWritten(context, exchange, written, 'minimal');
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
