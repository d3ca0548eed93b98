/** Instances in Explicit VR Little Endian, whatever they are stored in (PS3.18 §8.7.3.5.2). */
import { textIn } from './attributes.ts';
import type { ImagingContext } from './context.ts';
import { type Dataset, type Element, TAGS } from './dicom/element.ts';
import { encode, fileMeta, header } from './dicom/encode.ts';
import { passing } from './dicom/read.ts';
import { EXPLICIT_LE, syntaxOf } from './dicom/syntaxes.ts';
import { frameAttributes, type Opened, readFrame } from './frames.ts';
import { bytesAt } from './layout.ts';
import type { Decoded, Frame } from './render/renderer.ts';

/** What the codecs know, by the UID's end. */
const DECODED = /^1\.2\.840\.10008\.1\.2(?:\.5|\.4\.(?:50|51|57|70|80|81|90|91|110|112|201|202|203))$/;

/** Whether an instance of a transfer syntax can be given in Explicit VR Little Endian. */
export const isDecodable = (syntax: string): boolean =>
  !syntaxOf(syntax).encapsulated || DECODED.test(syntax);

/** A frame and what is needed to understand it. */
export async function frameOf(opened: Opened, number: number): Promise<Frame> {
  const pixels = await readFrame(opened, number);
  return { syntax: opened.place.syntax, attributes: await frameAttributes(opened, number), pixels };
}

/** One frame as native pixels. */
export async function nativeFrame(
  { renderer }: ImagingContext,
  opened: Opened,
  number: number,
): Promise<Uint8Array> {
  if (!syntaxOf(opened.place.syntax).encapsulated) return readFrame(opened, number);
  return (await renderer.decode(await frameOf(opened, number))).pixels;
}

/**
 * The whole file.
 *
 * @throws Refusal 406 before the first byte where a frame cannot be decoded
 */
export async function explicitLittleEndian(
  context: ImagingContext,
  opened: Opened,
): Promise<AsyncIterable<Uint8Array>> {
  const { place, layout, attributes } = opened;
  const { encapsulated, bigEndian } = syntaxOf(place.syntax);
  const dataset = await datasetOf(context, opened);
  const meta = fileMeta({
    sopClass: textIn(attributes, '00080016') ?? '',
    sopInstance: place.uid,
    syntax: EXPLICIT_LE,
  });
  const source = {
    bigEndian,
    open: (stretch: { offset: number; length: number }) => bytesAt(opened.open, place, layout, stretch),
  };
  if (!encapsulated || place.frames === 0) return joined([meta], encode(dataset, source));
  const first = await context.renderer.decode(await frameOf(opened, 1));
  const before = dataset
    .filter(({ tag }) => tag < TAGS.pixelData)
    .map((element) => described(element, first));
  const after = dataset.filter(({ tag }) => tag > TAGS.pixelData);
  const length = first.pixels.length * place.frames;
  async function* pixels(): AsyncGenerator<Uint8Array> {
    yield header(TAGS.pixelData, first.bitsAllocated > 8 ? 'OW' : 'OB', length + (length % 2));
    yield first.pixels;
    for (let number = 2; number <= place.frames; number++) {
      const frame = await context.renderer.decode(await frameOf(opened, number));
      if (frame.pixels.length !== first.pixels.length)
        throw new Error('frames of one instance differ in size');
      yield frame.pixels;
    }
    if (length % 2 === 1) yield Buffer.alloc(1);
  }
  return joined([meta], encode(before, source), pixels(), encode(after, source));
}

/** Elements with their own bytes, which a text made of JSON would not have. */
async function datasetOf({ dictionary }: ImagingContext, { open }: Opened): Promise<Dataset> {
  const { stream } = await open();
  const { chunks, parsed } = passing(stream, dictionary);
  for await (const _ of chunks) void _;
  return parsed().dataset;
}

/** What is said of pixels, as they are once decoded. */
function described(element: Element, { photometric, planar }: Decoded): Element {
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
