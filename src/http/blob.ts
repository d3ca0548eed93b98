/** Bytes as an answer: whole or in ranges, told what they are, and harmless to a browser (RFC 9110 §14). */
import type { Readable } from 'node:stream';
import { error, Refusal } from '../fhir/outcome.ts';
import type { Records } from '../records/records.ts';
import { answerBytes, answerEmpty, answerPoured } from './answer.ts';
import type { Headers, Visit } from './exchange.ts';
import { byteRanges, contentRange, type Range, readRanges } from './range.ts';
import { bytesEtagOf, etagOf, httpDate, notModified } from './versions.ts';

/** Bytes that somebody may have. */
export interface Served {
  /** their name; null where there are none */
  readonly blob: string | null;
  /** what they are saved as */
  readonly id: string;
  readonly contentType: string;
  /** of the resource that has them */
  readonly version: number;
  /** FHIR instant */
  readonly updated: string;
}

/**
 * Answers with bytes, perhaps a range of them; with 304 where the client has them.
 *
 * @param headers beside those that tell of the bytes
 * @throws        Refusal 404, 416
 */
export async function answerBlob(
  { records }: { readonly records: Pick<Records, 'openBlob' | 'pourBlob' | 'describeBlob'> },
  visit: Omit<Visit, 'path' | 'parameters'>,
  served: Served,
  headers: Headers,
): Promise<void> {
  const { request } = visit;
  const { blob, id, contentType, version } = served;
  const type = PRINTABLE.test(contentType) ? contentType : 'application/octet-stream';
  const about = blob === null ? undefined : await records.describeBlob(blob);
  const etag = about ? bytesEtagOf(version, about.sha256) : etagOf(version);
  headers.push('ETag', etag);
  if (notModified(request.headers, served)) return answerEmpty(visit, 304, headers);
  const disposition = isShown(contentType, about?.kind ?? null) ? 'inline' : 'attachment';
  headers.push(
    ...['Content-Security-Policy', "sandbox; default-src 'none'; frame-ancestors 'none'"],
    ...['Content-Disposition', `${disposition}; filename="${id}"`, 'Accept-Ranges', 'bytes'],
  );
  if (!about || blob === null) return answerEmpty(visit, 200, [...headers, 'Content-Type', type]);

  const { size } = about;
  const ranged = request.method !== 'HEAD' && isCurrent(visit, served, etag);
  const ranges = ranged ? readRanges(request.headers.range, size) : undefined;
  if (ranges === undefined) {
    headers.push('Content-Type', type, 'Content-Length', size);
    return answerPoured(visit, 200, headers, (take) => records.pourBlob(blob, take));
  }
  if (ranges === 'unsatisfiable') {
    const issue = error('value', `The range is outside of the ${size} bytes that there are`);
    throw new Refusal(416, [issue], { 'Content-Range': `bytes */${size}` });
  }
  const [only, ...others] = ranges;
  if (only && others.length === 0) {
    headers.push('Content-Type', type, 'Content-Range', contentRange(only, size));
    headers.push('Content-Length', only.end - only.start + 1);
    return answerPoured(visit, 206, headers, (take) => records.pourBlob(blob, take, only));
  }
  const open = async (range: Range): Promise<Readable> => (await records.openBlob(blob, range)).stream;
  const { contentType: multipart, length, stream } = byteRanges(ranges, size, type, open);
  headers.push('Content-Type', multipart, 'Content-Length', length);
  return answerBytes(visit, 206, headers, stream);
}

/** What a header can hold; a Binary's own content type may not be the end of a header. */
export const PRINTABLE = /^[\x20-\x7e]+$/;

/** What a browser may show by itself; whatever can hold a script is only offered for saving. */
const SHOWN = /^(?:image\/(?!svg)|audio\/|video\/|text\/plain\b|application\/pdf\b|application\/dicom\b)/i;

/** By what is declared, and by what the bytes themselves show: a page is one, whatever it is called. */
function isShown(contentType: string, kind: string | null): boolean {
  return SHOWN.test(contentType) && (kind === null || SHOWN.test(kind));
}

/** A range of something that has changed meanwhile is no use: then all of it is sent (RFC 9110 §13.1.5). */
function isCurrent(
  { request }: Pick<Visit, 'request'>,
  { updated }: Pick<Served, 'updated'>,
  etag: string,
): boolean {
  const validator = request.headers['if-range'];
  return validator === undefined || validator === etag || validator === httpDate(updated);
}
