/** Datasets written in Explicit VR Little Endian (PS3.5 §7.1.2), and the file meta information before them. */
import { type Dataset, type Element, groupOf, type Stretch, TAGS } from './element.ts';

/** Gives the bytes of a long value, in pieces. */
export type OpenBulk = (place: Stretch) => AsyncIterable<Uint8Array>;

export interface Source {
  readonly bigEndian: boolean;
  readonly open: OpenBulk;
}

const LONG_VRS = new Set(['OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'SQ', 'SV', 'UC', 'UN', 'UR', 'UT', 'UV']);
const UNDEFINED = 0xffffffff;
const PREAMBLE = 128;

/** Bytes of each word, where the order of bytes matters. */
const WIDTHS: Readonly<Record<string, number | undefined>> = {
  ...{ US: 2, SS: 2, OW: 2, AT: 2, UL: 4, SL: 4, FL: 4, OL: 4, OF: 4 },
  ...{ FD: 8, SV: 8, UV: 8, OD: 8, OV: 8 },
};

/**
 * A dataset in Explicit VR Little Endian, its values as they are: only words are turned round where they were big endian.
 *
 * @param dataset without encapsulated pixel data
 */
export async function* encode(dataset: Dataset, source: Source): AsyncGenerator<Uint8Array> {
  for (const element of dataset) {
    // a length of what was written otherwise
    if ((element.tag & 0xffff) === 0) continue;
    yield* encodeElement(element, source);
  }
}

async function* encodeElement(element: Element, source: Source): AsyncGenerator<Uint8Array> {
  const { tag, vr, value, items, bulk } = element;
  if (items) {
    yield header(tag, 'SQ', UNDEFINED);
    for (const item of items) {
      yield marker(0xe000, UNDEFINED);
      yield* encode(item, source);
      yield marker(0xe00d, 0);
    }
    yield marker(0xe0dd, 0);
    return;
  }
  const width = source.bigEndian ? (WIDTHS[vr] ?? 1) : 1;
  if (bulk) {
    const { length } = bulk;
    yield header(tag, longer(vr, length), length + (length % 2));
    yield* width > 1 ? turned(source.open(bulk), width) : source.open(bulk);
    if (length % 2 === 1) yield Buffer.alloc(1);
    return;
  }
  const bytes = value ?? Buffer.alloc(0);
  yield header(tag, longer(vr, bytes.length), bytes.length + (bytes.length % 2));
  yield width > 1 ? turn(bytes, width) : bytes;
  if (bytes.length % 2 === 1) yield Buffer.from(vr === 'UI' || !TEXTS.has(vr) ? '\0' : ' ');
}

const TEXTS = new Set([
  'AE',
  'AS',
  'CS',
  'DA',
  'DS',
  'DT',
  'IS',
  'LO',
  'LT',
  'PN',
  'SH',
  'ST',
  'TM',
  'UC',
  'UR',
  'UT',
]);

/** PS3.5 §6.2.2: what is too long for 16 bits of length becomes UN. */
const longer = (vr: string, length: number): string => (length > 0xfffe && !LONG_VRS.has(vr) ? 'UN' : vr);

/** The beginning of an element, as pixel data that is written by hand needs it, too. */
export function header(tag: number, vr: string, length: number): Buffer {
  const isLong = LONG_VRS.has(vr);
  const head = Buffer.alloc(isLong ? 12 : 8);
  head.writeUInt16LE(groupOf(tag), 0);
  head.writeUInt16LE(tag & 0xffff, 2);
  head.write(vr, 4, 'latin1');
  if (isLong) head.writeUInt32LE(length, 8);
  else head.writeUInt16LE(length, 6);
  return head;
}

function marker(element: number, length: number): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt16LE(0xfffe, 0);
  head.writeUInt16LE(element, 2);
  head.writeUInt32LE(length, 4);
  return head;
}

function turn(bytes: Buffer, width: number): Buffer {
  const whole = Buffer.from(bytes.subarray(0, bytes.length - (bytes.length % width)));
  if (width === 2) return whole.swap16();
  return width === 4 ? whole.swap32() : whole.swap64();
}

async function* turned(pieces: AsyncIterable<Uint8Array>, width: number): AsyncGenerator<Uint8Array> {
  let left: Uint8Array = Buffer.alloc(0);
  for await (const piece of pieces) {
    const all = Buffer.concat([left, piece]);
    const whole = all.length - (all.length % width);
    yield turn(all.subarray(0, whole), width);
    left = all.subarray(whole);
  }
  yield left;
}

/** UID of what wrote a file: derived from a UUID, as PS3.5 §B.2 lets everybody do. */
const IMPLEMENTATION = '2.25.221890274918263726158303645227411370612';
const NAME = 'CONSILIUM';

/** Preamble and file meta information (PS3.10 §7.1). */
export function fileMeta(of: {
  readonly sopClass: string;
  readonly sopInstance: string;
  readonly syntax: string;
}): Buffer {
  const text = (tag: number, vr: string, given: string): Buffer => {
    const padded = given.length % 2 === 0 ? given : given + (vr === 'UI' ? '\0' : ' ');
    return Buffer.concat([header(tag, vr, padded.length), Buffer.from(padded, 'latin1')]);
  };
  const group = Buffer.concat([
    header(0x00020001, 'OB', 2),
    Buffer.from([0, 1]),
    text(TAGS.mediaStorageSopClass, 'UI', of.sopClass),
    text(TAGS.mediaStorageSopInstance, 'UI', of.sopInstance),
    text(TAGS.transferSyntax, 'UI', of.syntax),
    text(0x00020012, 'UI', IMPLEMENTATION),
    text(0x00020013, 'SH', NAME),
  ]);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(group.length);
  return Buffer.concat([
    Buffer.alloc(PREAMBLE),
    Buffer.from('DICM', 'latin1'),
    header(0x00020000, 'UL', 4),
    length,
    group,
  ]);
}
