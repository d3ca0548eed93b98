/** Pictures of frames (PS3.18 §10.4.1.1.3 and §10.4.1.1.4): not for diagnosis, which the answer says. */
import { createHash } from 'node:crypto';
import { invalid, refusal } from '../fhir/outcome.ts';
import { takes } from './accept.ts';
import { acceptOf, answer, answerParts, notAcceptable } from './answers.ts';
import { type ImagingContext, type Named, namedBy, type Visit } from './context.ts';
import { type Opened, readFrameNumbers } from './frames.ts';
import type { Outgoing } from './multipart.ts';
import type { Look } from './render/renderer.ts';
import { frameOf } from './transcode.ts';
import { openedOf } from './wado.ts';

const NOT_FOR_DIAGNOSIS = '299 consilium "Rendered for orientation, not for diagnosis"';
/** What is understood of a query. */
const UNDERSTOOD = new Set(['accept', 'window', 'viewport', 'quality']);
/** Pixels that a picture has, at most. */
const LARGEST = 8192;
/** Of a thumbnail, unless asked otherwise. */
const THUMBNAIL = 256;
/** Frames rendered in one answer, at most. */
const MOST_FRAMES = 500;

/** Frames, an instance, a series or a study as pictures. */
export async function rendered(context: ImagingContext, visit: Visit): Promise<void> {
  const look = readLook(visit);
  const pictures = picturesOf(context, visit, look);
  const first = await pictures.next();
  if (first.done) throw refusal(404, 'not-found', 'There is nothing here that has a picture');
  const isMultipart = acceptOf(visit).some(({ type }) => type === 'multipart/related');
  const second = await pictures.next();
  const contentType = mediaTypeOf(look);
  if (second.done && !isMultipart) return answer(visit, 200, contentType, first.value, warnings(visit));
  async function* parts(): AsyncGenerator<Outgoing> {
    yield { contentType, body: [first.value as Uint8Array] };
    if (!second.done) yield { contentType, body: [second.value] };
    for await (const picture of pictures) yield { contentType, body: [picture] };
  }
  visit.response.setHeader('Warning', warnings(visit).Warning);
  return answerParts(visit, contentType, parts());
}

/** A small picture of a frame, an instance, a series or a study: of the one in the middle, where there are several. */
export async function thumbnail(context: ImagingContext, visit: Visit): Promise<void> {
  const { within, ...look } = readLook(visit);
  const opened = await representative(context, visit);
  const [number = Math.ceil(opened.place.frames / 2)] = visit.names.frames
    ? readFrameNumbers(visit.names.frames)
    : [];
  const square = Math.min(within?.width ?? THUMBNAIL, 1024);
  const picture = await pictureOf(context, opened, number, { ...look, square });
  answer(visit, 200, mediaTypeOf(look), picture, warnings(visit));
}

/** Also of what is asked for and not done, such as texts in the picture (annotation). */
function warnings({ query }: Visit): { readonly Warning: string } {
  const passedOver = [...new Set(query.keys())].filter((name) => !UNDERSTOOD.has(name) && /^\w+$/.test(name));
  const others = passedOver.map((name) => `299 consilium "${name} is passed over"`);
  return { Warning: [NOT_FOR_DIAGNOSIS, ...others].join(', ') };
}

async function* picturesOf(context: ImagingContext, visit: Visit, look: Look): AsyncGenerator<Uint8Array> {
  const wanted = visit.names.frames === undefined ? undefined : readFrameNumbers(visit.names.frames);
  let made = 0;
  for await (const opened of picturable(context, visit, namedBy(visit))) {
    const numbers = wanted ?? Array.from({ length: opened.place.frames }, (_, i) => i + 1);
    made += numbers.length;
    // Some of them would look like all; in the middle of an answer this breaks it off.
    if (made > MOST_FRAMES)
      throw refusal(
        413,
        'too-costly',
        `More than ${MOST_FRAMES} frames are not rendered at once: name some by /frames/1,2, or ask for a series or an instance`,
      );
    for (const number of numbers) yield await pictureOf(context, opened, number, look);
  }
}

async function* picturable(context: ImagingContext, visit: Visit, named: Named): AsyncGenerator<Opened> {
  const { pages } = await context.records.imaging.read(visit.caller, named);
  for await (const page of pages)
    for (const place of page) if (place.frames > 0) yield openedOf(context, place);
}

/** Of what a path names the instance in the middle of the first page that has pictures. */
async function representative(context: ImagingContext, visit: Visit): Promise<Opened> {
  const { pages } = await context.records.imaging.read(visit.caller, namedBy(visit));
  for await (const page of pages) {
    const shown = page.filter(({ frames }) => frames > 0);
    const place = shown[Math.floor(shown.length / 2)];
    if (place) return openedOf(context, place);
  }
  throw refusal(404, 'not-found', 'There is nothing here that has a picture');
}

/** From the cache, or made. */
async function pictureOf(
  { cache, renderer }: ImagingContext,
  opened: Opened,
  number: number,
  look: Look,
): Promise<Uint8Array> {
  if (number > opened.place.frames)
    throw refusal(
      404,
      'not-found',
      `This instance has ${opened.place.frames} frames: there is none of the number ${number}`,
    );
  const key = createHash('sha256')
    .update(JSON.stringify([number, look]))
    .digest('hex')
    .slice(0, 32);
  return cache.through(opened.place.blob, key, async () =>
    renderer.render(await frameOf(opened, number), look),
  );
}

const mediaTypeOf = ({ format }: Pick<Look, 'format'>): string =>
  format === 'png' ? 'image/png' : 'image/jpeg';

/**
 * How it is to look (PS3.18 §8.3.5).
 *
 * @throws Refusal 400, 406
 */
function readLook(visit: Visit): Look {
  const { query } = visit;
  const formats: readonly Look['format'][] = ['jpeg', 'png'];
  let format: Look['format'] | undefined;
  for (const { type, parameters } of acceptOf(visit)) {
    const asked = type === 'multipart/related' ? (parameters.type ?? 'image/*') : type;
    format ??= formats.find((one) => takes(asked.toLowerCase(), mediaTypeOf({ format: one })));
  }
  if (!format) throw notAcceptable('image/jpeg', 'image/png');
  const quality = query.get('quality');
  if (
    quality !== null &&
    !(Number.isInteger(Number(quality)) && Number(quality) >= 1 && Number(quality) <= 100)
  )
    throw invalid('value', 'quality is a whole number from 1 to 100');
  const window = windowOf(query.get('window'));
  const [width, height, x, y, w, h] = sizeOf(query.get('viewport'));
  return {
    format,
    ...(quality === null ? {} : { quality: Number(quality) }),
    ...(window ? { window } : {}),
    ...(width && height ? { within: { width, height } } : {}),
    ...(w && h ? { region: { x: x ?? 0, y: y ?? 0, width: w, height: h } } : {}),
  };
}

/** center,width[,function] */
function windowOf(text: string | null): Look['window'] {
  if (text === null) return undefined;
  const [center, width, shape = 'linear'] = text.split(',');
  const [c, w] = [Number(center), Number(width)];
  if (!center || !width || !Number.isFinite(c) || !Number.isFinite(w) || w < 1)
    throw invalid('value', 'window is center,width[,linear]: two numbers, the width at least 1');
  if (shape.toLowerCase() !== 'linear')
    throw invalid('not-supported', 'Of window functions there is linear only');
  return { center: c, width: w };
}

/** vw,vh[,sx,sy,sw,sh], each a whole number. */
function sizeOf(text: string | null): readonly number[] {
  if (text === null) return [];
  const numbers = text.split(',').map(Number);
  const [width = 0, height = 0] = numbers;
  const sound = numbers.every((one) => Number.isInteger(one) && one >= 0 && one <= 65_535);
  if (!sound || (numbers.length !== 2 && numbers.length !== 6) || width < 1 || height < 1)
    throw invalid('value', 'viewport is width,height or width,height,x,y,columns,rows in whole numbers');
  if (width > LARGEST || height > LARGEST)
    throw invalid('too-costly', `A picture has at most ${LARGEST} pixels in each direction`);
  return numbers;
}
