/** The DICOM JSON Model (PS3.18 annex F). */
import { type Dataset, type Element, groupOf, type Stretch, tagText } from './element.ts';
import type { Part10 } from './parse.ts';
import { decoderOf, type Encoding, type Value, valuesOf } from './values.ts';

/** An attribute (PS3.18 §F.2.2); it has at most one of the last three. */
export interface Attribute {
  readonly vr: string;
  readonly Value?: readonly JsonValue[];
  readonly InlineBinary?: string;
  readonly BulkDataURI?: string;
}

export type PersonName = Readonly<Partial<Record<'Alphabetic' | 'Ideographic' | 'Phonetic', string>>>;
export type JsonValue = Value | PersonName | Attributes;
export type Attributes = { readonly [tag: string]: Attribute };

/** Where the long values of an instance are, by their paths: `7FE00010`, or `54000100/0/54001010` in an item. */
export type BulkPlaces = Readonly<Record<string, Stretch>>;

export interface Described {
  readonly attributes: Attributes;
  readonly bulk: BulkPlaces;
}

/**
 * A file's dataset, without group lengths and file meta information. Long values have as BulkDataURI their path, which
 * whoever answers puts behind the instance's URL.
 */
export function describe({ dataset, syntax }: Pick<Part10, 'dataset' | 'syntax'>): Described {
  const bulk: Record<string, Stretch> = {};
  const encoding = { bigEndian: syntax.bigEndian, decode: decoderOf(dataset) };
  return { attributes: attributesOf(dataset, encoding, '', bulk), bulk };
}

function attributesOf(
  dataset: Dataset,
  encoding: Encoding,
  path: string,
  bulk: Record<string, Stretch>,
): Attributes {
  const attributes: Record<string, Attribute> = {};
  for (const element of dataset) {
    // group lengths are retired (PS3.5 §7.2), and say nothing here
    if ((element.tag & 0xffff) === 0 || groupOf(element.tag) <= 2) continue;
    const name = tagText(element.tag);
    // what follows is in UTF-8, whatever it was in
    if (name === '00080005') attributes[name] = UTF_8;
    else attributes[name] = attributeOf(element, encoding, path + name, bulk);
  }
  return attributes;
}

const UTF_8: Attribute = { vr: 'CS', Value: ['ISO_IR 192'] };

function attributeOf(
  element: Element,
  encoding: Encoding,
  path: string,
  bulk: Record<string, Stretch>,
): Attribute {
  const { vr, value, items, fragments } = element;
  if (element.bulk) {
    bulk[path] = element.bulk;
    return { vr, BulkDataURI: path };
  }
  if (fragments) return { vr, BulkDataURI: path };
  if (items) {
    const Value = items.map((item, i) => {
      const decode = decoderOf(item, encoding.decode);
      return attributesOf(item, { ...encoding, decode }, `${path}/${i}/`, bulk);
    });
    return Value.length === 0 ? { vr } : { vr, Value };
  }
  if (!value || value.length === 0) return { vr };
  const width = WIDTHS[vr];
  if (width !== undefined) {
    const bytes = encoding.bigEndian && width > 1 ? swapped(value, width) : value;
    return { vr, InlineBinary: bytes.toString('base64') };
  }
  const values = valuesOf(element, encoding);
  const shown = vr === 'PN' ? values.map(personName) : values;
  return shown.every((one) => one === null) ? { vr } : { vr, Value: shown };
}

/** Bytes of each word of VRs that are bytes to JSON. */
const WIDTHS: Readonly<Record<string, number | undefined>> = {
  OB: 1,
  UN: 1,
  OW: 2,
  OF: 4,
  OL: 4,
  OD: 8,
  OV: 8,
};

/** Little endian, as bytes in JSON are (PS3.18 §F.2.7). */
function swapped(bytes: Buffer, width: number): Buffer {
  const copy = Buffer.from(bytes.subarray(0, bytes.length - (bytes.length % width)));
  if (width === 2) return copy.swap16();
  return width === 4 ? copy.swap32() : copy.swap64();
}

/** The component groups of a name (PS3.5 §6.2.1), without those that are empty. */
function personName(value: Value): PersonName | null {
  if (typeof value !== 'string') return null;
  const [Alphabetic, Ideographic, Phonetic] = value.split('=');
  const name = Object.entries({ Alphabetic, Ideographic, Phonetic }).flatMap(([group, text]) => {
    const kept = text?.trim() ?? '';
    return /^\^*$/.test(kept) ? [] : [[group, kept]];
  });
  return name.length === 0 ? null : Object.fromEntries(name);
}
