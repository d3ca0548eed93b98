/** In which form an answer is wanted (R4 http.html#mime-type and #parameters; RFC 9110 §12). */
import { invalid, type Refusal, refusal } from '../fhir/outcome.ts';
import type { Parameter } from '../search/query-string.ts';

/** How an answer is written. */
export interface Format {
  readonly contentType: string;
  readonly pretty: boolean;
  /** `_format` and `_pretty` as given, for links to further pages */
  readonly asked: readonly Parameter[];
}

export const FHIR_JSON = 'application/fhir+json; charset=utf-8';

/** What is sent where nothing else is asked for. */
export const PLAIN: Format = { contentType: FHIR_JSON, pretty: false, asked: [] };

/** What was asked for, and the parameters that remain. */
export interface Negotiated {
  /** undefined where FHIR JSON is not acceptable */
  readonly format: Format | undefined;
  readonly parameters: readonly Parameter[];
}

const ASIS = ['*/*', 'application/fhir+json', 'application/json'];

/**
 * Decides by `_format`, which comes first, and Accept.
 *
 * @param accept      header
 * @param parameters  of the query
 * @throws            Refusal 400 where `_format` or `_pretty` stands twice or is none
 */
export function negotiate(accept: string | undefined, parameters: readonly Parameter[]): Negotiated {
  if (parameters.length === 0) return { format: byAccept(accept, PLAIN), parameters };
  const asked = parameters.filter(([name]) => name === '_format' || name === '_pretty');
  if (asked.length === 0) return { format: byAccept(accept, PLAIN), parameters };
  if (new Set(asked.map(([name]) => name)).size < asked.length)
    throw invalid('invalid', '_format and _pretty may each be given once');
  const given = Object.fromEntries(asked);
  if (given._pretty !== undefined && given._pretty !== 'true' && given._pretty !== 'false')
    throw invalid('value', `_pretty is true or false, not "${given._pretty.slice(0, 80)}"`);
  const plain = { contentType: FHIR_JSON, pretty: given._pretty === 'true', asked };
  return {
    format: given._format === undefined ? byAccept(accept, plain) : byFormat(given._format, plain),
    parameters: parameters.filter((parameter) => !asked.includes(parameter)),
  };
}

/** The refusal where FHIR JSON is not acceptable. */
export function notAcceptable(): Refusal {
  return refusal(
    406,
    'not-supported',
    'This server writes FHIR R4 as JSON: ask for application/fhir+json (fhirVersion=4.0) or _format=json. XML comes later',
  );
}

/** A format by its short name or media type (R4 http.html#parameters); an unescaped plus came as a space. */
function byFormat(text: string, plain: Format): Format | undefined {
  const [range] = readRanges(text.replace(' json', '+json'));
  if (range?.type === 'json') return plain;
  return range && isJson(range.type) && isR4(range) ? plain : undefined;
}

function byAccept(accept: string | undefined, plain: Format): Format | undefined {
  if (accept === undefined || accept === ASIS[0] || accept === ASIS[1]) return plain;
  const ranges = readRanges(accept).filter(isR4);
  const fhir = quality(ranges, 'application/fhir+json');
  // an old name: only where it is named
  const old = ranges.find(({ type }) => type === 'text/json')?.q ?? 0;
  const json = Math.max(quality(ranges, 'application/json'), old);
  if (fhir === 0 && json === 0) return undefined;
  return fhir >= json ? plain : { ...plain, contentType: 'application/json; charset=utf-8' };
}

/** Whether the client names FHIR JSON itself, so that a Binary is wanted as a resource (R4 binary.html#rest). */
export function namesFhir(accept: string | undefined, format: Format | undefined): boolean {
  if (!format) return false;
  if (format.asked.some(([name]) => name === '_format')) return true;
  return readRanges(accept ?? '').some(({ type, q }) => type === 'application/fhir+json' && q > 0);
}

interface MediaRange {
  /** in lower case */
  readonly type: string;
  readonly q: number;
  readonly fhirVersion?: string;
}

function readRanges(text: string): MediaRange[] {
  return text.split(',').map((part) => {
    const [type = '', ...rest] = part.split(';').map((piece) => piece.trim());
    const given = Object.fromEntries(
      rest.map((piece) => {
        const [name = '', value = ''] = piece.split('=');
        return [name.trim().toLowerCase(), value.trim().replaceAll('"', '')];
      }),
    );
    const q = given.q === undefined ? 1 : Number(given.q);
    return { type: type.toLowerCase(), q: q >= 0 && q <= 1 ? q : 0, fhirVersion: given.fhirversion };
  });
}

/** How much a type is wanted: the most specific range decides (RFC 9110 §12.5.1). */
function quality(ranges: readonly MediaRange[], type: string): number {
  const [major] = type.split('/');
  for (const name of [type, `${major}/*`, '*/*']) {
    const found = ranges.filter((range) => range.type === name);
    if (found.length > 0) return Math.max(...found.map(({ q }) => q));
  }
  return 0;
}

function isJson(type: string): boolean {
  return type === 'application/fhir+json' || type === 'application/json' || type === 'text/json';
}

/** R4 versioning.html#mt-version: 4.0 is this release, and so is none. */
function isR4({ fhirVersion }: { readonly fhirVersion?: string }): boolean {
  return fhirVersion === undefined || fhirVersion === '4.0' || fhirVersion === '4.0.1';
}

/** Whether a body is FHIR JSON by its Content-Type. */
export function isFhirJson(contentType: string | undefined): boolean {
  if (contentType === ASIS[1] || contentType === ASIS[2]) return true;
  const [range] = readRanges(contentType ?? '');
  return range !== undefined && isJson(range.type);
}

/**
 * Lets a body through that says to be FHIR R4 as JSON in UTF-8.
 *
 * @throws Refusal 415
 */
export function demandFhirJson(contentType: string | undefined): void {
  if (contentType === ASIS[1] || contentType === ASIS[2]) return;
  const wanted = 'send application/fhir+json; charset=utf-8';
  const [range] = readRanges(contentType ?? '');
  if (!range || !isJson(range.type)) {
    const given = contentType === undefined ? 'A body without Content-Type' : 'This Content-Type';
    const xml = range?.type.includes('xml') ? ' XML comes later.' : '';
    throw refusal(415, 'not-supported', `${given} is not read: ${wanted}.${xml}`);
  }
  if (!isR4(range))
    throw refusal(415, 'not-supported', 'This server holds FHIR R4: send fhirVersion=4.0, or leave it out');
  const charset = /;\s*charset\s*=\s*"?([^";\s]+)/i.exec(contentType ?? '')?.[1]?.toLowerCase();
  if (charset !== undefined && charset !== 'utf-8' && charset !== 'utf8')
    throw refusal(415, 'not-supported', `FHIR is written in UTF-8 (R4 json.html): ${wanted}`);
}

export type Encoding = 'gzip' | 'br';

/**
 * In which encoding a longer answer may be sent; of equal ones gzip, which costs less time.
 *
 * @param accept the header Accept-Encoding
 */
export function encodingOf(accept: string | undefined): Encoding | undefined {
  if (accept === undefined) return undefined;
  const ranges = readRanges(accept);
  const wanted = (name: Encoding): number =>
    ranges.find(({ type }) => type === name)?.q ?? ranges.find(({ type }) => type === '*')?.q ?? 0;
  const gzip = wanted('gzip');
  const br = wanted('br');
  if (gzip === 0 && br === 0) return undefined;
  return gzip >= br ? 'gzip' : 'br';
}
