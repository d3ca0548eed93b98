/** DICOMDIR (PS3.3 annex F, PS3.10 §8): what is on a medium, as viewers without a network look for it. */
import { textIn } from './attributes.ts';
import { fileMeta, header } from './dicom/encode.ts';
import type { Attributes } from './dicom/json.ts';
import { EXPLICIT_LE } from './dicom/syntaxes.ts';

/** A file of the medium. */
export interface Listed {
  /** components of its path */
  readonly path: readonly string[];
  readonly syntax: string;
  readonly attributes: Attributes;
}

const DIRECTORY = '1.2.840.10008.1.3.10';

interface Record {
  readonly type: string;
  readonly keys: readonly Buffer[];
  readonly lower: Record[];
}

/** Of the files of one study. */
export function dicomdir(files: readonly Listed[], uid: string): Buffer {
  const roots = recordsOf(files);
  const meta = fileMeta({ sopClass: DIRECTORY, sopInstance: uid, syntax: EXPLICIT_LE });
  const beginning = (first: number, last: number): Buffer =>
    Buffer.concat([
      element(0x00041130, 'CS', 'CONSILIUM'),
      number(0x00041200, 'UL', first),
      number(0x00041202, 'UL', last),
      number(0x00041212, 'US', 0),
    ]);
  const head = meta.length + beginning(0, 0).length;
  // Offsets have the same length whatever they are: places are known before they are written.
  const places = new Map<Record, number>();
  let at = head + 12;
  const all = flat(roots);
  for (const record of all) {
    places.set(record, at);
    at += bytesOf(record, 0, 0).length;
  }
  const placeOf = (record: Record | undefined): number => (record && places.get(record)) ?? 0;
  const next = new Map<Record, Record | undefined>();
  for (const siblings of [roots, ...all.map(({ lower }) => lower)])
    siblings.forEach((record, i) => {
      next.set(record, siblings[i + 1]);
    });
  const items = Buffer.concat(
    all.map((record) => bytesOf(record, placeOf(next.get(record)), placeOf(record.lower[0]))),
  );
  return Buffer.concat([
    meta,
    beginning(placeOf(roots[0]), placeOf(roots.at(-1))),
    header(0x00041220, 'SQ', items.length),
    items,
  ]);
}

const flat = (records: readonly Record[]): Record[] =>
  records.flatMap((record) => [record, ...flat(record.lower)]);

/** Patient, study, series, and what is in them, each once. */
function recordsOf(files: readonly Listed[]): Record[] {
  const roots: Record[] = [];
  const known = new Map<string, Record>();
  const under = (siblings: Record[], name: string, type: string, make: () => Buffer[]): Record => {
    let record = known.get(name);
    if (!record) {
      record = { type, keys: make(), lower: [] };
      known.set(name, record);
      siblings.push(record);
    }
    return record;
  };
  for (const { path, syntax, attributes } of files) {
    const text = (tag: string): string => textIn(attributes, tag) ?? '';
    const key = (tag: number, vr: string): Buffer =>
      element(tag, vr, text(tag.toString(16).toUpperCase().padStart(8, '0')));
    const patient = under(roots, 'patient', 'PATIENT', () => [key(0x00100010, 'PN'), key(0x00100020, 'LO')]);
    const study = under(patient.lower, 'study', 'STUDY', () => [
      key(0x00080020, 'DA'),
      key(0x00080030, 'TM'),
      key(0x00080050, 'SH'),
      key(0x00081030, 'LO'),
      key(0x0020000d, 'UI'),
      key(0x00200010, 'SH'),
    ]);
    const series = under(study.lower, text('0020000E'), 'SERIES', () => [
      key(0x00080060, 'CS'),
      key(0x0020000e, 'UI'),
      key(0x00200011, 'IS'),
    ]);
    series.lower.push({
      type: typeOf(text('00080016')),
      lower: [],
      keys: [
        element(0x00041500, 'CS', path.join('\\')),
        element(0x00041510, 'UI', text('00080016')),
        element(0x00041511, 'UI', text('00080018')),
        element(0x00041512, 'UI', syntax),
        key(0x00200013, 'IS'),
      ],
    });
  }
  return roots;
}

/** Types of records, by the end of the SOP class under 1.2.840.10008.5.1.4.1.1 (PS3.3 §F.5). */
const TYPES: readonly (readonly [RegExp, string])[] = [
  [/^\.88\.59$/, 'KEY OBJECT DOC'],
  [/^\.88\./, 'SR DOCUMENT'],
  [/^\.11\./, 'PRESENTATION'],
  [/^\.9\./, 'WAVEFORM'],
  [/^\.481\.2$/, 'RT DOSE'],
  [/^\.481\.3$/, 'RT STRUCTURE SET'],
  [/^\.481\.5$/, 'RT PLAN'],
  [/^\.104\./, 'ENCAP DOC'],
];

const typeOf = (sopClass: string): string =>
  TYPES.find(([pattern]) => pattern.test(sopClass.replace('1.2.840.10008.5.1.4.1.1', '')))?.[1] ?? 'IMAGE';

/** The record as an item of the sequence. */
function bytesOf({ type, keys }: Record, next: number, lower: number): Buffer {
  const content = Buffer.concat([
    number(0x00041400, 'UL', next),
    number(0x00041410, 'US', 0xffff),
    number(0x00041420, 'UL', lower),
    element(0x00041430, 'CS', type),
    ...sorted([element(0x00080005, 'CS', 'ISO_IR 192'), ...keys]),
  ]);
  const item = Buffer.alloc(8);
  item.writeUInt16LE(0xfffe, 0);
  item.writeUInt16LE(0xe000, 2);
  item.writeUInt32LE(content.length, 4);
  return Buffer.concat([item, content]);
}

/** In the order of tags (PS3.5 §7.1). */
const sorted = (elements: readonly Buffer[]): Buffer[] =>
  [...elements].sort(
    (a, b) => a.readUInt16LE(0) - b.readUInt16LE(0) || a.readUInt16LE(2) - b.readUInt16LE(2),
  );

function element(tag: number, vr: string, text: string): Buffer {
  const bytes = Buffer.from(text);
  const padding = bytes.length % 2 === 0 ? '' : vr === 'UI' ? '\0' : ' ';
  return Buffer.concat([header(tag, vr, bytes.length + padding.length), bytes, Buffer.from(padding)]);
}

function number(tag: number, vr: 'UL' | 'US', value: number): Buffer {
  const bytes = Buffer.alloc(vr === 'UL' ? 4 : 2);
  if (vr === 'UL') bytes.writeUInt32LE(value);
  else bytes.writeUInt16LE(value);
  return Buffer.concat([header(tag, vr, bytes.length), bytes]);
}
