/**
 * Part 10 files (PS3.10 §7) read as they stream by: a generator that asks for the next bytes, and is handed them by
 * whoever has them. What is long is passed over and remembered by its place, so that memory is bounded by LARGEST.
 */
import type { Dictionary } from './dictionary.ts';
import { type Dataset, type Element, groupOf, isPixels, type Stretch, TAGS } from './element.ts';
import { IMPLICIT_LE, syntaxOf, type TransferSyntax } from './syntaxes.ts';

/** What the reading needs next; `take` is answered by that many bytes, or by nothing where the stream has ended. */
export type Want =
  | { readonly take: number }
  | { readonly peek: number }
  | { readonly skip: number }
  | { readonly inflate: true };

export type Reading<T> = Generator<Want, T, Buffer | undefined>;

export interface Part10 {
  readonly syntax: TransferSyntax;
  /** group 0002 */
  readonly meta: Dataset;
  /** where the dataset begins in the file; of a deflated one, where that begins, and places are of what it holds */
  readonly start: number;
  readonly dataset: Dataset;
}

/** Thrown for what is no sound DICOM; its message quotes no values. */
export class Malformed extends Error {}

/** Longer values are not kept: of bytes, and of texts and numbers. */
const LONG_BYTES = 2048;
const LONG_TEXT = 64 * 1024;
/** All values that are kept, in bytes, and how many elements. */
const LARGEST = 16 * 1024 * 1024;
const MOST_ELEMENTS = 500_000;
const DEEPEST = 32;

const UNDEFINED = 0xffffffff;
const ITEM = 0xfffee000;
const ITEM_END = 0xfffee00d;
const SEQUENCE_END = 0xfffee0dd;

/** VRs whose length takes 32 bits (PS3.5 §7.1.2). */
const LONG_VRS = new Set(['OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'SQ', 'SV', 'UC', 'UN', 'UR', 'UT', 'UV']);
const BYTE_VRS = new Set(['OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'UN']);

interface State {
  readonly dictionary: Dictionary;
  /** bytes read so far of the file, or of what a deflated dataset holds */
  at: number;
  kept: number;
  elements: number;
}

/** How what is read next is written. */
interface Form {
  readonly explicit: boolean;
  readonly bigEndian: boolean;
  /** whether pixels are signed, for values that are US or SS by that */
  readonly signed: boolean;
  readonly depth: number;
}

/** @throws Malformed */
export function* parsePart10(dictionary: Dictionary): Reading<Part10> {
  const state: State = { dictionary, at: 0, kept: 0, elements: 0 };
  const preamble = yield* take(state, 132);
  if (preamble.toString('latin1', 128) !== 'DICM')
    throw new Malformed('it is no DICOM file (PS3.10 §7.1): DICM is not at byte 128');
  const meta: Element[] = [];
  const form = { explicit: true, bigEndian: false, signed: false, depth: 0 };
  for (;;) {
    const head = yield { peek: 4 };
    if (!head || head.length < 4 || head.readUInt16LE(0) !== 2) break;
    const element = yield* readElement(state, form);
    if (element) meta.push(element);
  }
  const uid = textOf(meta, TAGS.transferSyntax);
  if (!uid) throw new Malformed('its file meta information names no Transfer Syntax UID (0002,0010)');
  const syntax = syntaxOf(uid);
  const start = state.at;
  if (syntax.deflated) {
    yield { inflate: true };
    state.at = 0;
  }
  const { explicit, bigEndian } = syntax;
  const dataset = yield* readDataset(state, { explicit, bigEndian, signed: false, depth: 0 }, Infinity);
  return { syntax, meta, start, dataset };
}

/** A dataset alone, as it comes over a DIMSE association (PS3.7 §6.3). */
export function* parseDataset(dictionary: Dictionary, uid = IMPLICIT_LE): Reading<Dataset> {
  const { explicit, bigEndian } = syntaxOf(uid);
  const state: State = { dictionary, at: 0, kept: 0, elements: 0 };
  return yield* readDataset(state, { explicit, bigEndian, signed: false, depth: 0 }, Infinity);
}

/** The text of an element of ASCII, without its padding. */
export function textOf(dataset: Dataset, tag: number): string | undefined {
  return dataset
    .find((element) => element.tag === tag)
    ?.value?.toString('latin1')
    .replace(/[\0 ]+$/, '')
    .trim();
}

/** @param end where it ends; Infinity: at the stream's end, or at its delimiter */
function* readDataset(state: State, outer: Form, end: number): Reading<Dataset> {
  const elements: Element[] = [];
  let form = outer;
  while (state.at < end) {
    if (outer.depth === 0 && (yield { peek: 1 }) === undefined) break;
    const element = yield* readElement(state, form);
    if (element === undefined) break;
    elements.push(element);
    if (element.tag === TAGS.pixelRepresentation && element.value && element.value.length >= 2)
      form = { ...form, signed: element.value[form.bigEndian ? 1 : 0] === 1 };
  }
  if (state.at > end) throw new Malformed('an element reaches beyond the item that it is in');
  return elements;
}

/** The next element; undefined where it is the delimiter of an item. */
function* readElement(state: State, form: Form): Reading<Element | undefined> {
  const { bigEndian } = form;
  const head = yield* take(state, 8);
  const tag = tagAt(head, 0, bigEndian);
  if (tag === ITEM_END && form.depth > 0) return undefined;
  if (groupOf(tag) === 0xfffe) throw new Malformed('an item or its end stands where an element should');
  if (++state.elements > MOST_ELEMENTS)
    throw new Malformed(`it has more than the ${MOST_ELEMENTS} elements that are taken`);
  let vr: string;
  let length: number;
  if (form.explicit) {
    vr = head.toString('latin1', 4, 6);
    if (!/^[A-Z]{2}$/.test(vr)) throw new Malformed('an element has no value representation');
    if (LONG_VRS.has(vr)) length = uint32(yield* take(state, 4), 0, bigEndian);
    else length = bigEndian ? head.readUInt16BE(6) : head.readUInt16LE(6);
  } else {
    length = uint32(head, 4, bigEndian);
    vr = implicitVr(state.dictionary, tag, form.signed);
  }
  if (isPixels(tag) && length === UNDEFINED) return { tag, vr, ...(yield* readFragments(state, form)) };
  // PS3.5 §6.2.2: UN of undefined length is a sequence in Implicit VR Little Endian
  const isSequence = vr === 'SQ' || length === UNDEFINED;
  if (isSequence) {
    const inner = vr === 'UN' ? { ...form, explicit: false, bigEndian: false } : form;
    return { tag, vr: 'SQ', items: yield* readItems(state, inner, length) };
  }
  const isLong = isPixels(tag) || length > (BYTE_VRS.has(vr) ? LONG_BYTES : LONG_TEXT) || length > LARGEST;
  if (isLong) return { tag, vr, bulk: yield* pass(state, length) };
  state.kept += length;
  if (state.kept > LARGEST)
    throw new Malformed(`its values other than pixels are more than ${LARGEST} bytes`);
  return { tag, vr, value: yield* take(state, length) };
}

function implicitVr(dictionary: Dictionary, tag: number, signed: boolean): string {
  const vr = dictionary.vrOf(tag) ?? 'UN';
  switch (vr) {
    case 'xs':
      return signed ? 'SS' : 'US';
    case 'ox':
    case 'lt':
      return 'OW';
    case 'up':
      return 'UL';
    default:
      return vr;
  }
}

function* readItems(state: State, form: Form, length: number): Reading<readonly Dataset[]> {
  if (form.depth >= DEEPEST) throw new Malformed(`its sequences are nested more than ${DEEPEST} deep`);
  const items: Dataset[] = [];
  const end = length === UNDEFINED ? Infinity : state.at + length;
  const inner = { ...form, depth: form.depth + 1 };
  while (state.at < end) {
    const head = yield* take(state, 8);
    const tag = tagAt(head, 0, form.bigEndian);
    if (tag === SEQUENCE_END) break;
    if (tag !== ITEM) throw new Malformed('a sequence holds something that is no item');
    if (++state.elements > MOST_ELEMENTS)
      throw new Malformed(`it has more than the ${MOST_ELEMENTS} elements that are taken`);
    const size = uint32(head, 4, form.bigEndian);
    items.push(yield* readDataset(state, inner, size === UNDEFINED ? Infinity : state.at + size));
  }
  return items;
}

/** Encapsulated pixel data (PS3.5 §A.4): the offset table, then fragments. */
function* readFragments(
  state: State,
  { bigEndian }: Form,
): Reading<Required<Pick<Element, 'fragments' | 'offsets'>>> {
  const fragments: Stretch[] = [];
  let offsets: number[] | undefined;
  for (;;) {
    const head = yield* take(state, 8);
    const tag = tagAt(head, 0, bigEndian);
    if (tag === SEQUENCE_END) break;
    const length = uint32(head, 4, bigEndian);
    if (tag !== ITEM || length === UNDEFINED)
      throw new Malformed('its pixel data holds something that is no item');
    if (offsets) {
      if (fragments.length >= MOST_ELEMENTS) throw new Malformed('its pixel data is in too many fragments');
      fragments.push(yield* pass(state, length));
      continue;
    }
    if (length > 4 * MOST_ELEMENTS) throw new Malformed('the offset table of its pixel data is too long');
    const table = yield* take(state, length);
    offsets = [];
    for (let at = 0; at + 4 <= length; at += 4) offsets.push(uint32(table, at, bigEndian));
  }
  return { fragments, offsets: offsets ?? [] };
}

function* take(state: State, length: number): Reading<Buffer> {
  if (length === 0) return Buffer.alloc(0);
  const bytes = yield { take: length };
  if (bytes === undefined) throw new Malformed('it ends in the middle of an element');
  state.at += length;
  return bytes;
}

function* pass(state: State, length: number): Reading<Stretch> {
  const offset = state.at;
  yield { skip: length };
  state.at += length;
  return { offset, length };
}

const uint32 = (bytes: Buffer, at: number, bigEndian: boolean): number =>
  bigEndian ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at);

/** Group and element are two numbers of 16 bits each, in the order of the syntax. */
const tagAt = (bytes: Buffer, at: number, bigEndian: boolean): number =>
  bigEndian ? bytes.readUInt32BE(at) : ((bytes.readUInt16LE(at) << 16) | bytes.readUInt16LE(at + 2)) >>> 0;
