/** Frames of an instance (PS3.5 §8, §A.4): where each is in its file. */
import { invalid, refusal } from '../fhir/outcome.ts';
import type { InstancePlace } from '../records/imaging/imaging.ts';
import { wholeIn } from './attributes.ts';
import type { Stretch } from './dicom/element.ts';
import type { Attributes } from './dicom/json.ts';
import { syntaxOf } from './dicom/syntaxes.ts';
import { bytesAt, collect, type Layout, type OpenFile } from './layout.ts';

/** A stored instance, opened. */
export interface Opened {
  readonly place: InstancePlace;
  readonly attributes: Attributes;
  readonly layout: Layout;
  readonly open: OpenFile;
}

/** One frame in memory at most. */
const LARGEST = 512 * 1024 * 1024;

/** Bytes that a native frame has. */
function frameBits(attributes: Attributes): number {
  const rows = wholeIn(attributes, '00280010') ?? 0;
  const columns = wholeIn(attributes, '00280011') ?? 0;
  const samples = wholeIn(attributes, '00280002') ?? 1;
  const allocated = wholeIn(attributes, '00280100') ?? 8;
  const isHalved = attributes['00280004']?.Value?.[0] === 'YBR_FULL_422';
  return rows * columns * (isHalved ? 2 : samples) * allocated;
}

/**
 * The bytes of a frame as they are stored, but native ones little endian.
 *
 * @param number from 1
 * @throws       Refusal 404 where there is no such frame, 406 where it cannot be told where it is
 */
export async function readFrame(opened: Opened, number: number): Promise<Buffer> {
  const { place, attributes, layout } = opened;
  const { pixels } = layout;
  if (!pixels || number > place.frames)
    throw refusal(
      404,
      'not-found',
      `This instance has ${place.frames} frames: there is none of the number ${number}`,
    );
  if (pixels.fragments) {
    const stretches = await fragmentsOf(opened, number);
    if (stretches.reduce((sum, { length }) => sum + length, 0) > LARGEST) throw tooLarge();
    const pieces = await Promise.all(stretches.map((one) => collect(at(opened, one))));
    return Buffer.concat(pieces);
  }
  const bits = frameBits(attributes);
  const begin = bits * (number - 1);
  const first = Math.floor(begin / 8);
  const length = Math.ceil((begin + bits) / 8) - first;
  const whole = pixels.at ?? { offset: 0, length: 0 };
  if (bits === 0 || first + length > whole.length)
    throw refusal(406, 'not-supported', 'The pixel data of this instance is shorter than its frames are');
  if (length > LARGEST) throw tooLarge();
  const bytes = await collect(at(opened, { offset: whole.offset + first, length }));
  const isWide = (wholeIn(attributes, '00280100') ?? 8) > 8;
  if (syntaxOf(place.syntax).bigEndian && (isWide || pixels.vr === 'OW')) bytes.swap16();
  return begin % 8 === 0 ? bytes : shifted(bytes, begin % 8, bits);
}

const at = ({ open, place, layout }: Opened, stretch: Stretch): AsyncIterable<Buffer> =>
  bytesAt(open, place, layout, stretch);

/** Frames of single bits begin anywhere in a byte: the first pixel is its lowest bit (PS3.5 §8.1.1). */
function shifted(bytes: Buffer, by: number, bits: number): Buffer {
  const frame = Buffer.alloc(Math.ceil(bits / 8));
  for (let i = 0; i < frame.length; i++)
    frame[i] = (((bytes[i] ?? 0) >>> by) | ((bytes[i + 1] ?? 0) << (8 - by))) & 0xff;
  return frame;
}

/** The fragments of a frame: one of each, unless tables or what they begin with say otherwise. */
async function fragmentsOf(opened: Opened, number: number): Promise<readonly Stretch[]> {
  const { layout, place } = opened;
  const { fragments: flat = [], offsets = [] } = layout.pixels ?? {};
  const fragments: Stretch[] = [];
  for (let i = 0; i + 1 < flat.length; i += 2)
    fragments.push({ offset: flat[i] as number, length: flat[i + 1] as number });
  if (place.frames === 1) return fragments;
  if (fragments.length === place.frames) return [fragments[number - 1] as Stretch];
  const begins =
    offsets.length === place.frames
      ? beginsByTable(fragments, offsets)
      : await beginsByMarkers(opened, fragments);
  if (begins.length !== place.frames)
    throw refusal(406, 'not-supported', 'It cannot be told where the frames of this instance begin');
  return fragments.slice(begins[number - 1], begins[number] ?? fragments.length);
}

/** Offsets are counted from the item of the first fragment on, which is 8 bytes before it. */
function beginsByTable(fragments: readonly Stretch[], offsets: readonly number[]): number[] {
  const base = fragments[0]?.offset ?? 0;
  const numbers = new Map(fragments.map(({ offset }, i) => [offset - base, i]));
  return offsets.flatMap((offset) => numbers.get(offset) ?? []);
}

/** Beginnings of JPEG, JPEG-LS (SOI) and JPEG 2000 (SOC) streams. */
const MARKERS = new Set([0xffd8, 0xff4f]);
const MOST_LOOKED_AT = 10_000;

async function beginsByMarkers(opened: Opened, fragments: readonly Stretch[]): Promise<number[]> {
  if (fragments.length > MOST_LOOKED_AT) return [];
  const begins: number[] = [];
  for (const [i, { offset, length }] of fragments.entries()) {
    if (length < 2) continue;
    const head = await collect(at(opened, { offset, length: 2 }));
    if (MARKERS.has(head.readUInt16BE(0))) begins.push(i);
  }
  return begins;
}

const tooLarge = () =>
  refusal(406, 'too-costly', 'A frame of this instance is too large to be given by itself');

/** Numbers of frames in a path, as 1,2,5. */
export function readFrameNumbers(text: string): readonly number[] {
  const numbers = decodeURIComponent(text).split(',').map(Number);
  if (numbers.length > 1000 || numbers.some((one) => !Number.isInteger(one) || one < 1))
    throw invalid('value', 'Frames are named by numbers from 1 on, as in /frames/1,2');
  return numbers;
}

/** What is needed to understand one frame. */
export async function frameAttributes(opened: Opened, number: number): Promise<Attributes> {
  const { attributes } = opened;
  const kept: Record<string, Attributes[string]> = {};
  for (const [tag, attribute] of Object.entries(attributes)) {
    const group = tag.slice(0, 4);
    if (group !== '0028' && !/^60[0-9A-F]{2}/.test(tag) && !OTHERS.has(tag)) continue;
    if (tag === '52009230') {
      const item = attribute.Value?.[number - 1];
      kept[tag] = { vr: 'SQ', Value: item ? [item] : [] };
    } else if (attribute.BulkDataURI !== undefined) {
      const stretch = opened.layout.bulk[attribute.BulkDataURI];
      if (!stretch || stretch.length > LONGEST_TABLE) continue;
      const bytes = await collect(at(opened, stretch));
      if (syntaxOf(opened.place.syntax).bigEndian && attribute.vr === 'OW') bytes.swap16();
      kept[tag] = { vr: attribute.vr, InlineBinary: bytes.toString('base64') };
    } else kept[tag] = await inlined(opened, attribute);
  }
  return kept;
}

/** Modality, SOP class, and functional groups shared and of each frame. */
const OTHERS = new Set(['00080016', '00080060', '52009229', '52009230']);
/** Of palettes and overlays. */
const LONGEST_TABLE = 8 * 1024 * 1024;

/** Tables within sequences, as those of modality and VOI LUTs. */
async function inlined(opened: Opened, attribute: Attributes[string]): Promise<Attributes[string]> {
  if (attribute.vr !== 'SQ' || !attribute.Value) return attribute;
  const items: Attributes[] = [];
  for (const item of attribute.Value as readonly Attributes[]) {
    const copy: Record<string, Attributes[string]> = {};
    for (const [tag, inner] of Object.entries(item)) {
      const stretch = inner.BulkDataURI === undefined ? undefined : opened.layout.bulk[inner.BulkDataURI];
      if (inner.BulkDataURI === undefined) copy[tag] = await inlined(opened, inner);
      else if (stretch && stretch.length <= LONGEST_TABLE) {
        const bytes = await collect(at(opened, stretch));
        copy[tag] = { vr: inner.vr, InlineBinary: bytes.toString('base64') };
      }
    }
    items.push(copy);
  }
  return { vr: 'SQ', Value: items };
}
