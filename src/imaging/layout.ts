/** Where the parts of a stored file are: kept beside its row, so that frames and long values are read by themselves. */
import { createInflateRaw } from 'node:zlib';
import type { InstancePlace } from '../records/imaging/imaging.ts';
import type { BlobContent } from '../records/records.ts';
import { isPixels, type Stretch } from './dicom/element.ts';
import type { Described } from './dicom/json.ts';
import type { Part10 } from './dicom/parse.ts';
import { syntaxOf } from './dicom/syntaxes.ts';

export interface Layout {
  /** of the dataset; of a deflated one places are counted from its beginning */
  readonly start: number;
  readonly bulk: Readonly<Record<string, Stretch>>;
  readonly pixels?: Pixels;
}

export interface Pixels {
  readonly vr: string;
  /** of native ones */
  readonly at?: Stretch;
  /** of encapsulated ones: offset and length of each by turns */
  readonly fragments?: readonly number[];
  /** basic offset table */
  readonly offsets?: readonly number[];
}

export function layoutOf({ start, dataset }: Part10, { bulk }: Described): Layout {
  const element = dataset.find(({ tag }) => isPixels(tag));
  if (!element) return { start, bulk };
  const { vr, bulk: at, fragments, offsets } = element;
  const pixels = {
    vr,
    ...(at ? { at } : {}),
    ...(fragments ? { fragments: fragments.flatMap(({ offset, length }) => [offset, length]) } : {}),
    ...(offsets && offsets.length > 0 ? { offsets } : {}),
  };
  return { start, bulk, pixels };
}

/** Opens a range of a file; first and last byte, inclusive. */
export type OpenFile = (range?: {
  readonly start: number;
  readonly end: number;
}) => Promise<Pick<BlobContent, 'stream'>>;

/**
 * All bytes of a file. It is opened when somebody begins to read: whoever goes away before that leaves no file open, as what
 * was not begun is not ended either.
 */
export async function* allOf(open: OpenFile): AsyncGenerator<Buffer> {
  yield* (await open()).stream;
}

/** The bytes of a stretch, as they are stored. */
export async function* bytesAt(
  open: OpenFile,
  { syntax }: Pick<InstancePlace, 'syntax'>,
  { start }: Pick<Layout, 'start'>,
  { offset, length }: Stretch,
): AsyncGenerator<Buffer> {
  if (length === 0) return;
  if (!syntaxOf(syntax).deflated) {
    yield* (await open({ start: offset, end: offset + length - 1 })).stream;
    return;
  }
  const { stream } = await open({ start, end: Number.MAX_SAFE_INTEGER });
  const inflated = stream.pipe(createInflateRaw());
  stream.on('error', (fault) => inflated.destroy(fault));
  let at = 0;
  try {
    for await (const piece of inflated as AsyncIterable<Buffer>) {
      const cut = piece.subarray(Math.max(0, offset - at), Math.max(0, offset + length - at));
      at += piece.length;
      if (cut.length > 0) yield cut;
      if (at >= offset + length) return;
    }
  } finally {
    stream.destroy();
    inflated.destroy();
  }
}

/** All of them at once: for what is small. */
export async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
}
