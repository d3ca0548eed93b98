/** Instances in another transfer syntax than they are stored in (PS3.18 §8.7.3.5.2). */
import { textIn } from './attributes.ts';
import type { ImagingContext } from './context.ts';
import { type Dataset, type Element, TAGS } from './dicom/element.ts';
import { encode, fileMeta, header } from './dicom/encode.ts';
import { passing } from './dicom/read.ts';
import { EXPLICIT_LE, syntaxOf } from './dicom/syntaxes.ts';
import { frameAttributes, type Opened, readFrame } from './frames.ts';
import { bytesAt } from './layout.ts';
import type { Coded, Frame } from './render/renderer.ts';

/** What the codecs know, by the UID's end. */
const DECODED = /^1\.2\.840\.10008\.1\.2(?:\.5|\.4\.(?:50|51|57|70|80|81|90|91|110|112|201|202|203))$/;

/** What pixels are compressed in, without loss; by media type, what is meant where no syntax is named (PS3.18 table 8.7.3-2). */
export const LOSSLESS: Readonly<Record<string, string>> = {
  'image/jpeg': '1.2.840.10008.1.2.4.70',
  'image/jls': '1.2.840.10008.1.2.4.80',
  'image/jp2': '1.2.840.10008.1.2.4.90',
  'image/dicom-rle': '1.2.840.10008.1.2.5',
};
const COMPRESSED = new Set(Object.values(LOSSLESS));

/** Whether what can be decoded can be given in a transfer syntax. */
export const isMade = (syntax: string): boolean => syntax === EXPLICIT_LE || COMPRESSED.has(syntax);

/** Whether an instance of a transfer syntax can be given in others. */
export const isDecodable = (syntax: string): boolean =>
  !syntaxOf(syntax).encapsulated || DECODED.test(syntax);

/** A frame and what is needed to understand it. */
export async function frameOf(opened: Opened, number: number): Promise<Frame> {
  const pixels = await readFrame(opened, number);
  return { syntax: opened.place.syntax, attributes: await frameAttributes(opened, number), pixels };
}

/** One frame in a transfer syntax. */
export async function frameIn(
  context: Pick<ImagingContext, 'renderer'>,
  opened: Opened,
  number: number,
  syntax: string,
): Promise<Uint8Array> {
  const { encapsulated } = syntaxOf(opened.place.syntax);
  if (syntax === EXPLICIT_LE && !encapsulated) return readFrame(opened, number);
  return (await coded(context, opened, number, syntax)).pixels;
}

async function coded(
  { renderer }: Pick<ImagingContext, 'renderer'>,
  opened: Opened,
  number: number,
  syntax: string,
): Promise<Coded> {
  const frame = await frameOf(opened, number);
  return syntax === EXPLICIT_LE ? renderer.decode(frame) : renderer.encode(frame, syntax);
}

/** What a file is given in where another transfer syntax is wanted: one without pixels is not compressed. */
export const syntaxIn = ({ place }: Opened, wanted: string): string =>
  place.frames === 0 ? EXPLICIT_LE : wanted;

/**
 * The whole file.
 *
 * @throws Refusal 406 before the first byte where a frame cannot be made
 */
export async function fileIn(
  context: ImagingContext,
  opened: Opened,
  wanted: string,
): Promise<AsyncIterable<Uint8Array>> {
  const target = syntaxIn(opened, wanted);
  const { place, layout, attributes } = opened;
  const { encapsulated, bigEndian } = syntaxOf(place.syntax);
  const dataset = await datasetOf(context, opened);
  const meta = fileMeta({
    sopClass: textIn(attributes, '00080016') ?? '',
    sopInstance: place.uid,
    syntax: target,
  });
  const source = {
    bigEndian,
    open: (stretch: { offset: number; length: number }) => bytesAt(opened.open, place, layout, stretch),
  };
  if (target === EXPLICIT_LE && (!encapsulated || place.frames === 0))
    return joined([meta], encode(dataset, source));
  const first = await coded(context, opened, 1, target);
  const before = dataset
    .filter(({ tag }) => tag < TAGS.pixelData)
    .map((element) => described(element, first));
  const after = dataset.filter(({ tag }) => tag > TAGS.pixelData);
  const length = first.pixels.length * place.frames;
  async function* fragments(): AsyncGenerator<Uint8Array> {
    // one for each frame, without an offset table (PS3.5 §A.4)
    yield Buffer.concat([header(TAGS.pixelData, 'OB', 0xffffffff), itemHeader(0)]);
    for (let number = 1; number <= place.frames; number++) {
      const { pixels: bytes } = number === 1 ? first : await coded(context, opened, number, target);
      yield itemHeader(bytes.length + (bytes.length % 2));
      yield bytes;
      if (bytes.length % 2 === 1) yield Buffer.alloc(1);
    }
    yield Buffer.from([0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0]);
  }
  async function* native(): AsyncGenerator<Uint8Array> {
    yield header(TAGS.pixelData, first.bitsAllocated > 8 ? 'OW' : 'OB', length + (length % 2));
    yield first.pixels;
    for (let number = 2; number <= place.frames; number++) {
      const frame = await coded(context, opened, number, target);
      if (frame.pixels.length !== first.pixels.length)
        throw new Error('frames of one instance differ in size');
      yield frame.pixels;
    }
    if (length % 2 === 1) yield Buffer.alloc(1);
  }
  const pixels = target === EXPLICIT_LE ? native() : fragments();
  return joined([meta], encode(before, source), pixels, encode(after, source));
}

function itemHeader(length: number): Buffer {
  const head = Buffer.from([0xfe, 0xff, 0x00, 0xe0, 0, 0, 0, 0]);
  head.writeUInt32LE(length, 4);
  return head;
}

/** Elements with their own bytes, which a text made of JSON would not have. */
async function datasetOf({ dictionary }: ImagingContext, { open }: Opened): Promise<Dataset> {
  const { stream } = await open();
  const { chunks, parsed } = passing(stream, dictionary);
  for await (const _ of chunks) void _;
  return parsed().dataset;
}

/** What is said of pixels, as they are then. */
function described(element: Element, { photometric, planar }: Coded): Element {
  switch (element.tag) {
    case 0x00280004:
      return {
        ...element,
        value: Buffer.from(photometric.length % 2 === 1 ? `${photometric} ` : photometric),
      };
    case 0x00280006:
      return { ...element, value: Buffer.from([planar, 0]) };
    default:
      return element;
  }
}

async function* joined(
  ...parts: readonly (AsyncIterable<Uint8Array> | Iterable<Uint8Array>)[]
): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield* part;
}
