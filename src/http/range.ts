/** Ranges of bytes (RFC 9110 §14). */
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';

/** First and last byte, inclusive. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** More ranges than any reader needs: then the whole is sent (RFC 9110 §17.15). */
const MOST_RANGES = 50;

/**
 * Reads the header Range. Other units and malformed texts are passed over, which RFC 9110 §14.2 allows: then the whole
 * is sent. Ranges that overlap or touch are sent as one.
 *
 * @param size of the whole, in bytes
 * @returns    the ranges that there are, in the order asked for; undefined for the whole
 */
export function readRanges(
  header: string | undefined,
  size: number,
): readonly Range[] | 'unsatisfiable' | undefined {
  const [, list] = /^bytes=(.+)$/i.exec(header?.replaceAll(/[ \t]/g, '') ?? '') ?? [];
  const texts = list?.split(',').filter(Boolean) ?? [];
  if (texts.length === 0 || texts.length > MOST_RANGES) return undefined;
  const ranges: Range[] = [];
  for (const text of texts) {
    const range = readRange(text, size);
    if (range === undefined) return undefined;
    if (range !== 'unsatisfiable') add(ranges, range);
  }
  return ranges.length === 0 ? 'unsatisfiable' : ranges;
}

function readRange(text: string, size: number): Range | 'unsatisfiable' | undefined {
  const [, first = '', last = ''] = /^(\d*)-(\d*)$/.exec(text) ?? [];
  if (first === '' && last === '') return undefined;
  if (first === '') {
    const count = Math.min(Number(last), size);
    return count === 0 ? 'unsatisfiable' : { start: size - count, end: size - 1 };
  }
  const start = Number(first);
  if (last !== '' && Number(last) < start) return undefined;
  if (start >= size) return 'unsatisfiable';
  return { start, end: last === '' ? size - 1 : Math.min(Number(last), size - 1) };
}

function add(ranges: Range[], { start, end }: Range): void {
  const near = ranges.findIndex((one) => start <= one.end + 1 && end >= one.start - 1);
  const other = ranges[near];
  if (!other) {
    ranges.push({ start, end });
    return;
  }
  ranges.splice(near, 1);
  add(ranges, { start: Math.min(start, other.start), end: Math.max(end, other.end) });
}

/** The value of Content-Range. */
export const contentRange = ({ start, end }: Range, size: number): string => `bytes ${start}-${end}/${size}`;

export interface ByteRanges {
  readonly contentType: string;
  /** of all parts, in bytes */
  readonly length: number;
  readonly stream: Readable;
}

/**
 * Several ranges as one body (RFC 9110 §14.6), each opened when its turn comes.
 *
 * @param contentType of the whole
 */
export function byteRanges(
  ranges: readonly Range[],
  size: number,
  contentType: string,
  open: (range: Range) => Promise<Readable>,
): ByteRanges {
  const boundary = randomUUID();
  const heads = ranges.map(
    (range) =>
      `\r\n--${boundary}\r\nContent-Type: ${contentType}\r\nContent-Range: ${contentRange(range, size)}\r\n\r\n`,
  );
  const end = `\r\n--${boundary}--\r\n`;
  async function* parts(): AsyncGenerator<Uint8Array> {
    for (const [i, range] of ranges.entries()) {
      yield Buffer.from(heads[i] as string, 'latin1');
      yield* await open(range);
    }
    yield Buffer.from(end, 'latin1');
  }
  const bytes = ranges.reduce((sum, range) => sum + range.end - range.start + 1, 0);
  return {
    contentType: `multipart/byteranges; boundary=${boundary}`,
    length: bytes + heads.join('').length + end.length,
    stream: Readable.from(parts(), { objectMode: false }),
  };
}
