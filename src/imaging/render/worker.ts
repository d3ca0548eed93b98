/** A thread that decodes and renders frames, one at a time (dcmjs-imaging, dcmjs-codecs, sharp). */
import { parentPort } from 'node:worker_threads';
import dcmjs from 'dcmjs';
import codecs from 'dcmjs-codecs';
import imaging from 'dcmjs-imaging';
import sharp from 'sharp';
import { textIn, wholeIn } from '../attributes.ts';
import type { Attribute, Attributes } from '../dicom/json.ts';
import { EXPLICIT_LE, syntaxOf } from '../dicom/syntaxes.ts';
import type { Coded, Done, Frame, Look, Task } from './renderer.ts';

dcmjs.log.setLevel('silent');
imaging.log.setLevel('silent');
codecs.log.setLevel('silent');
sharp.cache(false);
sharp.concurrency(1);
const ready = codecs.NativeCodecs.initializeAsync().then(() => imaging.NativePixelDecoder.initializeAsync());

parentPort?.on('message', async (task: Task) => {
  const done: Done = {};
  try {
    await ready;
    parentPort?.postMessage({ result: await carryOut(task) });
  } catch {
    parentPort?.postMessage(done);
  }
});

function carryOut(task: Task): Promise<Uint8Array> | Coded {
  switch (task.kind) {
    case 'render':
      return render(task.frame, task.look);
    case 'decode':
      return decode(task.frame);
    case 'encode':
      return encode(task.frame, task.syntax);
  }
}

async function render(frame: Frame, look: Look): Promise<Uint8Array> {
  const { format, quality = 90, window, within, region, square } = look;
  const { DicomImage, WindowLevel } = imaging;
  const { attributes } = frame;
  const isGray = /^MONOCHROME/.test(textIn(attributes, '00280004') ?? '');
  const image = new DicomImage(elementsOf(frame), EXPLICIT_LE);
  const windowLevel = window && isGray ? new WindowLevel(window.width, window.center) : undefined;
  // Its own overlays are in a colour of its own, where it draws them.
  const { width, height, pixels: rgba } = image.render({ windowLevel, renderOverlays: false });
  drawOverlays(new Uint8Array(rgba), { width, height }, attributes);
  let picture = sharp(new Uint8Array(rgba), { raw: { width, height, channels: 4 } });
  if (region) {
    const left = Math.min(region.x, width - 1);
    const top = Math.min(region.y, height - 1);
    picture = picture.extract({
      left,
      top,
      width: Math.max(1, Math.min(region.width, width - left)),
      height: Math.max(1, Math.min(region.height, height - top)),
    });
  }
  if (within) picture = picture.resize({ ...within, fit: 'inside', kernel: 'lanczos3' });
  if (square)
    picture = picture.resize({ width: square, height: square, fit: 'inside', withoutEnlargement: true });
  picture = picture.removeAlpha();
  if (isGray) picture = picture.grayscale();
  return format === 'png'
    ? picture.png({ compressionLevel: 4 }).toBuffer()
    : picture.jpeg({ quality, chromaSubsampling: '4:4:4' }).toBuffer();
}

/** The frame as an image of one native frame: what the library decodes by itself it takes for planar where it is RLE. */
function elementsOf(frame: Frame): Record<string, unknown> {
  const { attributes, pixels, syntax } = frame;
  const elements = { ...natural(attributes), NumberOfFrames: 1 };
  // Native pixels have lost whatever order of bytes their file has.
  if (!syntaxOf(syntax).encapsulated) return { ...elements, PixelData: [bufferOf(pixels)] };
  const { photometric, planar, bitsAllocated, pixels: decoded } = decode(frame);
  return {
    ...elements,
    PhotometricInterpretation: photometric,
    PlanarConfiguration: planar,
    BitsAllocated: bitsAllocated,
    PixelData: [bufferOf(decoded)],
  };
}

/** Graphics of the repeating groups 60xx, in white (PS3.3 §C.9.2). */
function drawOverlays(
  rgba: Uint8Array,
  { width, height }: { readonly width: number; readonly height: number },
  attributes: Attributes,
): void {
  for (let group = 0x6000; group <= 0x601e; group += 2) {
    const tag = (element: string): string => group.toString(16).toUpperCase() + element;
    const data = attributes[tag('3000')]?.InlineBinary;
    const rows = wholeIn(attributes, tag('0010')) ?? 0;
    const columns = wholeIn(attributes, tag('0011')) ?? 0;
    if (data === undefined || textIn(attributes, tag('0040')) !== 'G') continue;
    const bits = Buffer.from(data, 'base64');
    const [top = 1, left = 1] = (attributes[tag('0050')]?.Value ?? []) as readonly number[];
    for (let i = 0; i < rows * columns; i++) {
      if (!((bits[i >>> 3] ?? 0) & (1 << (i & 7)))) continue;
      const y = top - 1 + Math.floor(i / columns);
      const x = left - 1 + (i % columns);
      if (y >= 0 && y < height && x >= 0 && x < width)
        rgba.fill(255, 4 * (y * width + x), 4 * (y * width + x) + 4);
    }
  }
}

/** What is said of a frame's pixels. */
function shapeOf(attributes: Attributes) {
  const bitsAllocated = wholeIn(attributes, '00280100') ?? 8;
  return {
    width: wholeIn(attributes, '00280011'),
    height: wholeIn(attributes, '00280010'),
    bitsAllocated,
    bitsStored: wholeIn(attributes, '00280101') ?? bitsAllocated,
    samplesPerPixel: wholeIn(attributes, '00280002') ?? 1,
    pixelRepresentation: wholeIn(attributes, '00280103') ?? 0,
    planarConfiguration: wholeIn(attributes, '00280006') ?? 0,
    photometricInterpretation: textIn(attributes, '00280004') ?? 'MONOCHROME2',
  };
}

/** Compresses without loss. @throws Error where it does not come out again as it was */
function encode(frame: Frame, syntax: string): Coded {
  const { Context, NativeCodecs } = codecs;
  const shape = shapeOf(frame.attributes);
  const native: Coded = syntaxOf(frame.syntax).encapsulated
    ? decode(frame)
    : {
        pixels: frame.pixels,
        photometric: shape.photometricInterpretation,
        planar: shape.planarConfiguration,
        bitsAllocated: shape.bitsAllocated,
      };
  const context = new Context({
    ...shape,
    bitsAllocated: native.bitsAllocated,
    planarConfiguration: native.planar,
    photometricInterpretation: native.photometric,
    decodedBuffer: native.pixels,
  });
  const encoded = (() => {
    switch (syntax.slice('1.2.840.10008.1.2'.length)) {
      case '.5':
        return NativeCodecs.encodeRle(context);
      case '.4.70':
        return NativeCodecs.encodeJpeg(context, { lossy: false, predictor: 1, pointTransform: 0 });
      case '.4.80':
        return NativeCodecs.encodeJpegLs(context, { lossy: false });
      case '.4.90':
        return NativeCodecs.encodeJpeg2000(context, { lossy: false });
      default:
        throw new Error('unknown transfer syntax');
    }
  })();
  const coded: Coded = {
    pixels: new Uint8Array(encoded.getEncodedBuffer() as Uint8Array),
    photometric: encoded.getPhotometricInterpretation() ?? native.photometric,
    planar: encoded.getPlanarConfiguration() ?? native.planar,
    bitsAllocated: encoded.getBitsAllocated() ?? native.bitsAllocated,
  };
  const attributes = {
    ...frame.attributes,
    '00280004': { vr: 'CS', Value: [coded.photometric] },
    '00280006': { vr: 'US', Value: [coded.planar] },
    '00280100': { vr: 'US', Value: [coded.bitsAllocated] },
  };
  const again = decode({ syntax, attributes, pixels: coded.pixels });
  if (!Buffer.from(again.pixels).equals(native.pixels)) throw new Error('it does not come out as it was');
  return coded;
}

function decode({ attributes, pixels, syntax }: Frame): Coded {
  const { Context, NativeCodecs } = codecs;
  const shape = shapeOf(attributes);
  const { samplesPerPixel: samples, photometricInterpretation: photometric, bitsAllocated } = shape;
  const context = new Context({ ...shape, encodedBuffer: pixels });
  const kind = syntax.slice('1.2.840.10008.1.2'.length);
  const decoded = (() => {
    switch (kind) {
      case '.5':
        return NativeCodecs.decodeRle(context);
      case '.4.50':
      case '.4.51':
      case '.4.57':
      case '.4.70':
        return NativeCodecs.decodeJpeg(context, { convertColorspaceToRgb: samples === 3 });
      case '.4.80':
      case '.4.81':
        return NativeCodecs.decodeJpegLs(context);
      case '.4.90':
      case '.4.91':
        return NativeCodecs.decodeJpeg2000(context);
      case '.4.110':
      case '.4.112':
        return NativeCodecs.decodeJpegXl(context);
      case '.4.201':
      case '.4.202':
      case '.4.203':
        return NativeCodecs.decodeHtJpeg2000(context);
      default:
        throw new Error('unknown transfer syntax');
    }
  })();
  const bytes = decoded.getDecodedBuffer() as Uint8Array;
  const isRgb = samples === 3 && /^\.4\.(?:50|51|57|70|90|91|201|202|203)$/.test(kind);
  return {
    pixels: new Uint8Array(bytes),
    photometric: isRgb ? 'RGB' : (decoded.getPhotometricInterpretation() ?? photometric),
    planar: decoded.getPlanarConfiguration() ?? 0,
    bitsAllocated: decoded.getBitsAllocated() ?? bitsAllocated,
  };
}

const bufferOf = (bytes: Uint8Array): ArrayBuffer =>
  bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;

/** Attributes by keyword, as the library has them. */
function natural(attributes: Attributes): Record<string, unknown> {
  const prepared = Object.fromEntries(
    Object.entries(attributes).flatMap(([tag, attribute]) =>
      attribute.BulkDataURI === undefined ? [[tag, withBuffers(attribute)]] : [],
    ),
  );
  return dcmjs.data.DicomMetaDictionary.naturalizeDataset(prepared);
}

function withBuffers({ vr, Value, InlineBinary }: Attribute): { vr: string; Value: unknown[] } {
  if (InlineBinary !== undefined) return { vr, Value: [bufferOf(Buffer.from(InlineBinary, 'base64'))] };
  if (vr !== 'SQ') return { vr, Value: [...(Value ?? [])] };
  const items = (Value ?? []) as readonly Attributes[];
  return {
    vr,
    Value: items.map((item) =>
      Object.fromEntries(Object.entries(item).map(([tag, attribute]) => [tag, withBuffers(attribute)])),
    ),
  };
}
