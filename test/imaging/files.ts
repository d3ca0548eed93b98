/** DICOM files made for tests. */
import { deflateRawSync } from 'node:zlib';
import { fileMeta, header } from '../../src/imaging/dicom/encode.ts';

export const SYNTAX = {
  implicit: '1.2.840.10008.1.2',
  explicit: '1.2.840.10008.1.2.1',
  deflated: '1.2.840.10008.1.2.1.99',
  bigEndian: '1.2.840.10008.1.2.2',
  rle: '1.2.840.10008.1.2.5',
  jpeg: '1.2.840.10008.1.2.4.50',
} as const;

export const CLASSES = { mr: '1.2.840.10008.5.1.4.1.1.4', sc: '1.2.840.10008.5.1.4.1.1.7' } as const;

/** An element: its VR and its text, bytes, or items. */
export type Given = readonly [vr: string, value?: string | Uint8Array | readonly Elements[]];
export type Elements = Readonly<Record<string, Given>>;

/** A whole file; elements by their tags, as `00100010`. */
export function dicomFile(elements: Elements, syntax: string = SYNTAX.explicit): Buffer {
  const meta = fileMeta({
    sopClass: String(elements['00080016']?.[1] ?? CLASSES.mr),
    sopInstance: String(elements['00080018']?.[1] ?? '1.2.3'),
    syntax,
  });
  const dataset = datasetOf(elements, syntax);
  return Buffer.concat([meta, syntax === SYNTAX.deflated ? deflateRawSync(dataset) : dataset]);
}

export function datasetOf(elements: Elements, syntax: string = SYNTAX.explicit): Buffer {
  const sorted = Object.entries(elements).sort(([a], [b]) => (a < b ? -1 : 1));
  return Buffer.concat(sorted.map(([tag, given]) => elementOf(Number.parseInt(tag, 16), given, syntax)));
}

function elementOf(tag: number, [vr, value = '']: Given, syntax: string): Buffer {
  const bytes = Array.isArray(value)
    ? Buffer.concat(value.map((item) => itemOf(datasetOf(item, syntax), syntax)))
    : padded(vr, typeof value === 'string' ? Buffer.from(value) : Buffer.from(value as Uint8Array));
  return Buffer.concat([headOf(tag, vr, bytes.length, syntax), bytes]);
}

function padded(vr: string, bytes: Buffer): Buffer {
  if (bytes.length % 2 === 0) return bytes;
  return Buffer.concat([bytes, Buffer.from(/^(UI|O.|UN)$/.test(vr) ? '\0' : ' ')]);
}

function headOf(tag: number, vr: string, length: number, syntax: string): Buffer {
  if (syntax === SYNTAX.implicit) {
    const head = Buffer.alloc(8);
    head.writeUInt16LE(tag >>> 16, 0);
    head.writeUInt16LE(tag & 0xffff, 2);
    head.writeUInt32LE(length, 4);
    return head;
  }
  const head = header(tag, vr, length);
  if (syntax !== SYNTAX.bigEndian) return head;
  head.writeUInt32BE(tag, 0);
  if (head.length === 12) head.writeUInt32BE(length, 8);
  else head.writeUInt16BE(length, 6);
  return head;
}

function itemOf(bytes: Buffer, syntax: string): Buffer {
  const head = Buffer.alloc(8);
  if (syntax === SYNTAX.bigEndian) {
    head.writeUInt32BE(0xfffee000, 0);
    head.writeUInt32BE(bytes.length, 4);
  } else {
    head.writeUInt16LE(0xfffe, 0);
    head.writeUInt16LE(0xe000, 2);
    head.writeUInt32LE(bytes.length, 4);
  }
  return Buffer.concat([head, bytes]);
}

/** Encapsulated pixel data of these fragments, with its offset table. */
export function encapsulated(fragments: readonly Buffer[], offsets: readonly number[] = []): Buffer {
  const table = Buffer.alloc(offsets.length * 4);
  offsets.forEach((offset, i) => {
    table.writeUInt32LE(offset, i * 4);
  });
  const end = Buffer.alloc(8);
  end.writeUInt16LE(0xfffe, 0);
  end.writeUInt16LE(0xe0dd, 2);
  return Buffer.concat([
    header(0x7fe00010, 'OB', 0xffffffff),
    ...[table, ...fragments].map((bytes) => itemOf(bytes, SYNTAX.explicit)),
    end,
  ]);
}

export const uint16 = (...values: readonly number[]): Buffer => {
  const bytes = Buffer.alloc(values.length * 2);
  values.forEach((value, i) => {
    bytes.writeUInt16LE(value, i * 2);
  });
  return bytes;
};

export interface ImageOf {
  readonly study: string;
  readonly series?: string;
  readonly instance: string;
  readonly patient?: string;
  readonly number?: number;
  readonly modality?: string;
  readonly frames?: number;
  readonly more?: Elements;
}

/** A gray picture of 8 by 8, each frame lighter than the one before. */
export function image(of: ImageOf, syntax: string = SYNTAX.explicit): Buffer {
  const {
    study,
    series = `${study}.1`,
    instance,
    patient = 'P1',
    number = 1,
    modality = 'MR',
    frames = 1,
  } = of;
  const pixels = Buffer.concat(Array.from({ length: frames }, (_, i) => Buffer.alloc(64, 10 * (i + 1))));
  return dicomFile(
    {
      '00080005': ['CS', 'ISO_IR 192'],
      '00080016': ['UI', CLASSES.mr],
      '00080018': ['UI', instance],
      '00080020': ['DA', '20260102'],
      '00080030': ['TM', '101500'],
      '00080050': ['SH', 'A-1'],
      '00080060': ['CS', modality],
      '00080090': ['PN', 'House^Gregory'],
      '00081030': ['LO', 'Knee'],
      '00100010': ['PN', 'Lopez^Maria'],
      '00100020': ['LO', patient],
      '00100030': ['DA', '19800229'],
      '00100040': ['CS', 'F'],
      '0020000D': ['UI', study],
      '0020000E': ['UI', series],
      '00200010': ['SH', 'S1'],
      '00200011': ['IS', '1'],
      '00200013': ['IS', String(number)],
      '00280002': ['US', uint16(1)],
      '00280004': ['CS', 'MONOCHROME2'],
      ...(frames > 1 ? { '00280008': ['IS', String(frames)] as const } : {}),
      '00280010': ['US', uint16(8)],
      '00280011': ['US', uint16(8)],
      '00280100': ['US', uint16(8)],
      '00280101': ['US', uint16(8)],
      '00280102': ['US', uint16(7)],
      '00280103': ['US', uint16(0)],
      '7FE00010': ['OB', pixels],
      ...of.more,
    },
    syntax,
  );
}
