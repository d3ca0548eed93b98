/** A source cut into JSON texts: its lines where it is NDJSON, else all of it. */
import { invalid, type Refusal } from '../../fhir/outcome.ts';

/** The longest line or document that is read: what is in memory at once is a few of these at most. */
export const LONGEST = 64 * 1024 * 1024;

export interface Document {
  /** in a source of lines: which, from 1 */
  readonly line?: number;
  readonly text: string;
}

/** A line or document that cannot be read. */
export interface Unreadable {
  readonly line?: number;
  readonly fault: Refusal;
}

/**
 * Cuts. A source is NDJSON if it is named so, or if its first line is JSON by itself; a document written in one
 * line is that, too.
 *
 * @param bytes  of the source
 * @param ndjson whether it is named so
 * @param most   longest line or document, in bytes
 */
export async function* documentsOf(
  bytes: AsyncIterable<Buffer>,
  ndjson: boolean,
  most = LONGEST,
): AsyncGenerator<Document | Unreadable> {
  const pieces = bytes[Symbol.asyncIterator]();
  const head: Buffer[] = [];
  let size = 0;
  for (let ended = false; !ended && size <= most; ) {
    const { value, done } = await pieces.next();
    if (done) break;
    head.push(value);
    size += value.length;
    ended = ndjson || (value.includes(NEWLINE) && firstLine(head) !== undefined);
  }
  const all = (async function* () {
    yield* head.splice(0);
    yield* { [Symbol.asyncIterator]: () => pieces };
  })();
  if (!ndjson && !isJson(firstLine(head))) return yield* whole(all, most);
  let line = 0;
  for await (const text of linesOf(all, most)) {
    line++;
    if (text === TOO_LONG || !text.every(isSpace)) yield decoded(text, most, line);
  }
}

/** In the place of a line or document that is too long to be kept. */
const TOO_LONG = Symbol('too long');
const NEWLINE = 10;

const isSpace = (byte: number): boolean =>
  byte === 0x20 || byte === 0x09 || byte === 0x0d || byte === NEWLINE;

/** The first line that is not blank, undefined where its end is not there yet. */
function firstLine(pieces: readonly Buffer[]): Buffer | undefined {
  const text = pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces);
  const start = text.findIndex((byte) => !isSpace(byte));
  const end = start < 0 ? -1 : text.indexOf(NEWLINE, start);
  return end < 0 ? undefined : text.subarray(start, end);
}

function isJson(line: Buffer | undefined): boolean {
  if (line?.[line.findLastIndex((byte) => !isSpace(byte))] !== 0x7d) return false;
  try {
    JSON.parse(new TextDecoder().decode(line));
    return true;
  } catch {
    return false;
  }
}

async function* whole(bytes: AsyncIterable<Buffer>, most: number): AsyncGenerator<Document | Unreadable> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of bytes) {
    size += piece.length;
    if (size > most) return yield decoded(TOO_LONG, most);
    pieces.push(piece);
  }
  yield decoded(Buffer.concat(pieces.splice(0)), most);
}

/** The lines, without their ends; of one that is too long nothing is kept. */
async function* linesOf(
  bytes: AsyncIterable<Buffer>,
  most: number,
): AsyncGenerator<Buffer | typeof TOO_LONG> {
  let pieces: Buffer[] = [];
  let size = 0;
  const add = (piece: Buffer) => {
    size += piece.length;
    if (size > most) pieces = [];
    else pieces.push(piece);
  };
  const take = () => {
    const line = size > most ? TOO_LONG : Buffer.concat(pieces);
    pieces = [];
    size = 0;
    return line;
  };
  for await (const piece of bytes) {
    let start = 0;
    for (let end = piece.indexOf(NEWLINE); end >= 0; end = piece.indexOf(NEWLINE, start)) {
      add(piece.subarray(start, end));
      start = end + 1;
      yield take();
    }
    if (start < piece.length) add(piece.subarray(start));
  }
  if (size > 0) yield take();
}

function decoded(bytes: Buffer | typeof TOO_LONG, most: number, line?: number): Document | Unreadable {
  if (bytes === TOO_LONG)
    return { line, fault: invalid('too-long', `Longer than ${most / (1024 * 1024)} MiB: split it`) };
  try {
    return { line, text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch {
    return { line, fault: invalid('structure', 'This is not UTF-8, as JSON must be (RFC 8259 8.1)') };
  }
}
