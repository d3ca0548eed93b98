/** multipart/related (RFC 2387), read and written as a stream. */
import { randomBytes } from 'node:crypto';
import { invalid } from '../fhir/outcome.ts';

export interface Part {
  /** names in small letters */
  readonly headers: Readonly<Record<string, string>>;
  /** to be read to its end before the next part comes; what is left of it is passed over */
  readonly body: AsyncIterable<Uint8Array>;
}

const LONGEST_HEAD = 16 * 1024;
const HEAD_END = Buffer.from('\r\n\r\n');

/**
 * Takes a multipart body apart.
 *
 * @throws Refusal 400 where it is none, or ends before its last boundary
 */
export async function* readParts(source: AsyncIterable<Uint8Array>, boundary: string): AsyncGenerator<Part> {
  const delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1');
  const input = source[Symbol.asyncIterator]();
  // The first boundary may begin the body, without the line break that belongs to the others.
  let held: Buffer = Buffer.from('\r\n');
  // whether the next delimiter is still to come: a reader may have left a part in its middle
  let inside = true;

  async function more(): Promise<boolean> {
    const { done, value } = await input.next();
    if (done) return false;
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.length);
    held = held.length === 0 ? bytes : Buffer.concat([held, bytes]);
    return true;
  }

  /** What comes before the next delimiter, which is passed over. */
  async function* untilDelimiter(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const at = held.indexOf(delimiter);
      if (at >= 0) {
        const body = held.subarray(0, at);
        held = held.subarray(at + delimiter.length);
        inside = false;
        if (body.length > 0) yield body;
        return;
      }
      const safe = held.length - begunAtEnd(held, delimiter);
      if (safe > 0) {
        const body = held.subarray(0, safe);
        held = held.subarray(safe);
        yield body;
      }
      if (!(await more())) throw brokenOff();
    }
  }

  async function need(length: number): Promise<void> {
    while (held.length < length) if (!(await more())) throw brokenOff();
  }

  for await (const _ of untilDelimiter()) void _;
  for (;;) {
    await need(2);
    if (held.toString('latin1', 0, 2) === '--') break;
    let end = held.indexOf(HEAD_END);
    while (end < 0) {
      if (held.length > LONGEST_HEAD)
        throw invalid('structure', 'The headers of a part are too long, or do not end');
      if (!(await more())) throw brokenOff();
      end = held.indexOf(HEAD_END);
    }
    const headers = readHeaders(held.toString('latin1', 0, end));
    // A part without content ends with the line break that ends its headers.
    held = held.subarray(end + 2);
    held = held.indexOf(delimiter) === 0 ? held : held.subarray(2);
    inside = true;
    yield { headers, body: untilDelimiter() };
    if (inside) for await (const _ of untilDelimiter()) void _;
  }
  // What follows the last boundary is no part of it (RFC 2046 §5.1.1).
  while (!(await input.next()).done);
}

const CR = 13;

/** How many bytes at the end may begin a delimiter: mostly none, so that what follows needs no copy to be looked at. */
function begunAtEnd(bytes: Buffer, delimiter: Buffer): number {
  let at = bytes.indexOf(CR, Math.max(0, bytes.length - delimiter.length + 1));
  for (; at >= 0; at = bytes.indexOf(CR, at + 1)) {
    const rest = bytes.subarray(at);
    if (rest.equals(delimiter.subarray(0, rest.length))) return rest.length;
  }
  return 0;
}

function readHeaders(text: string): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const line of text.split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) headers[line.slice(0, colon).trim().toLowerCase()] = line.slice(colon + 1).trim();
  }
  return headers;
}

const brokenOff = () =>
  invalid(
    'structure',
    'The multipart body ends before its last boundary: send it again, with --boundary-- at its end',
  );

/** A part on its way out. */
export interface Outgoing {
  readonly contentType: string;
  readonly location?: string;
  readonly body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** Long and random, as viewers look for it among pixels without minding lengths. */
export const newBoundary = (): string => `consilium-${randomBytes(24).toString('hex')}`;

/** A multipart body, each part made as the client takes it. */
export async function* writeParts(
  parts: AsyncIterable<Outgoing> | Iterable<Outgoing>,
  boundary: string,
): AsyncGenerator<Uint8Array> {
  let lead = '';
  for await (const { contentType, location, body } of parts) {
    const where = location === undefined ? '' : `Content-Location: ${location}\r\n`;
    yield Buffer.from(`${lead}--${boundary}\r\nContent-Type: ${contentType}\r\n${where}\r\n`, 'latin1');
    yield* body;
    lead = '\r\n';
  }
  yield Buffer.from(`${lead}--${boundary}--\r\n`, 'latin1');
}
