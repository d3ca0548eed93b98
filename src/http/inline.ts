/**
 * Large data of attachments in its place: always where one resource is read; in Bundles, where a url stands for it, if
 * `Prefer: attachments=inline` asks for it, as far as there is room. It is streamed, never in memory at once.
 */
import { type Piece, piecesOf } from '../fhir/attachments.ts';
import { render, stamped } from '../fhir/content.ts';
import type { Records, Stored } from '../records/records.ts';
import { base64Length, base64Of } from './base64.ts';
import type { Headers, Visit } from './exchange.ts';

/** Bytes that one Bundle may have in their place; beyond it urls stand for them. */
const MOST = 64 * 1024 * 1024;

type Bytes = Pick<Records, 'openBlob' | 'describeBlobs'>;

/** The JSON of a resource in pieces, by what is kept apart from it; undefined where nothing is. */
export const partsOf = (stored: Stored): readonly Piece[] | undefined =>
  stored.container ? undefined : piecesOf(stamped(stored.content, stored), stored.type);

/** How long it is with its data, in bytes of JSON; undefined where some of the data is not here. */
export async function lengthWithData(
  records: Pick<Bytes, 'describeBlobs'>,
  pieces: readonly Piece[],
): Promise<number | undefined> {
  const known = await records.describeBlobs(pieces.flatMap((one) => ('blob' in one ? one.blob : [])));
  let length = 0;
  for (const piece of pieces) {
    const size = 'text' in piece ? Buffer.byteLength(piece.text) : known.get(piece.blob)?.size;
    if (size === undefined) return undefined;
    length += 'text' in piece ? size : base64Length(size);
  }
  return length;
}

/** The same JSON, with the data as base64. */
export async function* withParts(
  records: Pick<Bytes, 'openBlob'>,
  pieces: readonly Piece[],
): AsyncGenerator<string> {
  for (const piece of pieces) {
    if ('text' in piece) yield piece.text;
    else yield* base64Of((await records.openBlob(piece.blob)).stream);
  }
}

/** What stands for data in the resources of one Bundle. */
export interface Inlining {
  /** headers that say so */
  readonly headers: Headers;
  /** The JSON of a resource, all of it; undefined where nothing is kept apart from it. */
  textOf(stored: Stored): AsyncIterable<string> | undefined;
}

/** Undefined where urls are to stand for it, as they do unless it is asked otherwise. */
export function inlining(records: Bytes, { request }: Pick<Visit, 'request'>): Inlining | undefined {
  if (!/(?:^|[,;\s])attachments\s*=\s*"?inline"?\s*(?:[,;]|$)/i.test(String(request.headers.prefer ?? '')))
    return undefined;
  let left = MOST;
  async function* texts(stored: Stored, pieces: readonly Piece[]): AsyncGenerator<string> {
    const length = await lengthWithData(records, pieces);
    if (length === undefined || length > left) yield render(stored.content, stored);
    else {
      left -= length;
      yield* withParts(records, pieces);
    }
  }
  return {
    headers: ['Preference-Applied', 'attachments=inline'],
    textOf(stored) {
      const pieces = partsOf(stored);
      return pieces && texts(stored, pieces);
    },
  };
}
