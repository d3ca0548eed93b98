/** The worker thread in which pictures are decoded, so that none of that holds up a request. */
import { parentPort } from 'node:worker_threads';
import decodeHeic from 'heic-decode';
import sharp, { type Sharp } from 'sharp';
import { deviceOf } from './device.ts';
import {
  type Answered,
  type Asked,
  type Cleaned,
  MOST_PIXELS,
  PATIENCE,
  type Shrunk,
} from './picture-tasks.ts';
import { strip } from './strip.ts';

// One picture at a time, on one core, and nothing remembered of it.
sharp.cache(false);
sharp.concurrency(1);
// Only what photographs are made of is read: not SVG, PDF and what else libvips could load.
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({
  operation: [
    'VipsForeignLoadJpegBuffer',
    'VipsForeignLoadPngBuffer',
    'VipsForeignLoadWebpBuffer',
    'VipsForeignLoadTiffBuffer',
    'VipsForeignLoadNsgifBuffer',
    'VipsForeignLoadHeifBuffer',
  ],
});

const QUALITY = { quality: 95, chromaSubsampling: '4:4:4' } as const;

/** Kinds that browsers do not show: they become JPEG. */
const HEIF = /^image\/(?:hei[cf]|avif)/;

parentPort?.on('message', async ({ task, bytes }: Asked) => {
  const input = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let answer: Answered;
  try {
    const done =
      task.does === 'clean' ? await clean(input, task.kind, task.asItIs) : await shrink(input, task.edge);
    answer = { done };
  } catch (fault) {
    answer = { refused: wordsOf(fault) };
  }
  parentPort?.postMessage(answer);
});

const open = (bytes: Buffer): Sharp =>
  sharp(bytes, { limitInputPixels: MOST_PIXELS, failOn: 'none', sequentialRead: true }).timeout({
    seconds: PATIENCE,
  });

/** Takes out what others should not see, turns the picture upright, and tells what it is. */
async function clean(bytes: Buffer, kind: string, asItIs: boolean): Promise<Cleaned> {
  // of the header alone, however many pixels it names
  const told = await sharp(bytes, { limitInputPixels: false, failOn: 'none' }).metadata();
  const { orientation = 1, pages = 1, exif } = told;
  const isTurned = orientation > 1 && pages === 1 && REWRITERS[kind] !== undefined;
  const [width, height] = isTurned && orientation > 4 ? [told.height, told.width] : [told.width, told.height];
  const device = exif && deviceOf(exif);
  const facts = {
    width,
    height,
    ...(pages > 1 && !HEIF.test(kind) && { frames: pages }),
    ...(device && { device }),
  };
  if (asItIs) return { contentType: kind, facts };
  if (HEIF.test(kind)) {
    const { data, info } = await (await openHeif(bytes, kind))
      .jpeg(QUALITY)
      .toBuffer({ resolveWithObject: true });
    const { width, height } = info;
    return { bytes: data, contentType: 'image/jpeg', facts: { ...facts, width, height } };
  }
  const stripped = isTurned ? undefined : strip(bytes, kind);
  if (stripped) return { bytes: stripped.equals(bytes) ? undefined : stripped, contentType: kind, facts };
  // what cannot be stripped, as it is damaged, is written anew as far as it can be read
  const rewrite = REWRITERS[kind];
  return {
    bytes: await rewrite?.(open(bytes).autoOrient().keepIccProfile()).toBuffer(),
    contentType: kind,
    facts,
  };
}

const REWRITERS: Readonly<Record<string, ((picture: Sharp) => Sharp) | undefined>> = {
  'image/jpeg': (picture) => picture.jpeg(QUALITY),
  'image/png': (picture) => picture.png(),
  'image/webp': (picture) => picture.webp({ quality: QUALITY.quality }),
};

/** libvips has no decoder of HEVC; it has one of AVIF. */
async function openHeif(bytes: Buffer, kind: string): Promise<Sharp> {
  if (kind === 'image/avif') return open(bytes).autoOrient();
  const pictures = await decodeHeic.all({ buffer: bytes });
  try {
    const [first] = pictures;
    if (!first) throw new Error('it holds no picture');
    if (first.width * first.height > MOST_PIXELS) throw new Error('Input image exceeds pixel limit');
    const { data, width, height } = await first.decode();
    return sharp(Buffer.from(data.buffer, data.byteOffset, data.byteLength), {
      raw: { width, height, channels: 4 },
    }).removeAlpha();
  } finally {
    pictures.dispose();
  }
}

/** The picture within a square of so many pixels, never larger than it is. */
async function shrink(bytes: Buffer, edge: number): Promise<Shrunk> {
  const { data, info } = await open(bytes)
    .autoOrient()
    .resize({ width: edge, height: edge, fit: 'inside', withoutEnlargement: true })
    .flatten({ background: 'white' })
    .toColourspace('srgb')
    .jpeg({ quality: 82, progressive: true })
    .toBuffer({ resolveWithObject: true });
  return { bytes: data, contentType: 'image/jpeg', width: info.width, height: info.height };
}

/** What a library says of a picture, without what it may quote. */
function wordsOf(fault: unknown): string {
  const text = fault instanceof Error ? fault.message : '';
  if (/pixel limit/i.test(text))
    return `it has more than ${MOST_PIXELS / 1e6} million pixels: make it smaller`;
  if (/timeout/i.test(text)) return `it takes more than ${PATIENCE} s to be read: make it smaller`;
  return 'it is damaged, or of a form that is not read: save it anew, as JPEG or PNG';
}
