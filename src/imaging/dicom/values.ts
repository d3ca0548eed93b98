/** Values of elements as JavaScript has them (PS3.5 §6.2). */
import { type Dataset, type Element, TAGS } from './element.ts';
import { textOf } from './parse.ts';

/** How values are written, beside their VR. */
export interface Encoding {
  readonly bigEndian: boolean;
  /** of texts other than ASCII (0008,0005) */
  readonly decode: (bytes: Buffer) => string;
}

/** Labels of the Encoding standard for defined terms of Specific Character Set (PS3.3 §C.12.1.1.2). */
const CHARACTER_SETS: Readonly<Record<string, string>> = {
  'IR 100': 'windows-1252',
  'IR 101': 'iso-8859-2',
  'IR 109': 'iso-8859-3',
  'IR 110': 'iso-8859-4',
  'IR 144': 'iso-8859-5',
  'IR 127': 'iso-8859-6',
  'IR 126': 'iso-8859-7',
  'IR 138': 'iso-8859-8',
  'IR 148': 'windows-1254',
  'IR 203': 'iso-8859-15',
  'IR 13': 'shift_jis',
  'IR 166': 'windows-874',
  'IR 192': 'utf-8',
  'IR 87': 'iso-2022-jp',
  'IR 159': 'iso-2022-jp',
  'IR 149': 'euc-kr',
  'IR 58': 'gb18030',
  GB18030: 'gb18030',
  GBK: 'gbk',
};

/** Escape sequences that choose a set (PS3.3 tables C.12-3 and -4), but for those of iso-2022-jp, which it knows. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: an escape sequence begins with one
const ESCAPES = /\x1b(?:\$\)[A-C]|[(),\-$.][A-Z@]?)/g;

/** How the texts of a dataset are decoded; of an item, as `outer`, unless it says otherwise. */
export function decoderOf(dataset: Dataset, outer?: Encoding['decode']): Encoding['decode'] {
  const named = textOf(dataset, TAGS.characterSet);
  if (named === undefined) return outer ?? latin;
  const terms = named.split('\\').map((term) => term.trim().replace(/^ISO[_ ](?:2022 )?/, ''));
  const labels = terms.flatMap((term) => CHARACTER_SETS[term] ?? []);
  // Several: those of many bytes hold ASCII as well, and are told apart from it by their escape sequences.
  const label = labels.find((one) => /^(?:iso-2022|euc|gb)/.test(one)) ?? labels[0];
  if (label === undefined) return latin;
  const decoder = new TextDecoder(label);
  if (label.startsWith('iso-2022')) return (bytes) => decoder.decode(bytes);
  return (bytes) => {
    const text = decoder.decode(bytes);
    return text.includes('\x1b') ? text.replaceAll(ESCAPES, '') : text;
  };
}

const latin = (bytes: Buffer): string => bytes.toString('latin1');

export type Value = string | number | null;

/** Texts in which a backslash is a character as any other, and spaces at the beginning count. */
const WHOLE = new Set(['LT', 'ST', 'UT', 'UR']);
const DECODED = new Set(['LO', 'LT', 'PN', 'SH', 'ST', 'UC', 'UT']);

/** The values of an element of texts or numbers; null for one that is empty among others. */
export function valuesOf({ vr, value }: Element, { bigEndian, decode }: Encoding): readonly Value[] {
  if (!value || value.length === 0) return [];
  const numeric = NUMERIC[vr];
  if (numeric) {
    const { size, little, big } = numeric;
    const read = bigEndian ? big : little;
    const count = Math.floor(value.length / size);
    return Array.from({ length: count }, (_, i) => read(value, i * size));
  }
  const text = DECODED.has(vr) ? decode(value) : latin(value);
  if (WHOLE.has(vr)) {
    const kept = text.replaceAll('\0', '').trimEnd();
    return kept === '' ? [] : [kept];
  }
  const texts = text
    .replace(/[\0 ]+$/, '')
    .split('\\')
    .map(trimmed);
  if (texts.every((one) => one === '')) return [];
  const isNumber = vr === 'DS' || vr === 'IS';
  return texts.map((one) => (one === '' ? null : isNumber ? numberOf(one) : one));
}

const trimmed = (text: string): string => text.replace(/\0/g, '').trim();

/** PS3.18 §F.2.3: a number, or the text where it is none. */
function numberOf(text: string): Value {
  const number = Number(text);
  return Number.isFinite(number) ? number : text;
}

interface Numeric {
  readonly size: number;
  readonly little: (bytes: Buffer, at: number) => Value;
  readonly big: (bytes: Buffer, at: number) => Value;
}

const NUMERIC: Readonly<Record<string, Numeric | undefined>> = {
  US: { size: 2, little: (b, at) => b.readUInt16LE(at), big: (b, at) => b.readUInt16BE(at) },
  SS: { size: 2, little: (b, at) => b.readInt16LE(at), big: (b, at) => b.readInt16BE(at) },
  UL: { size: 4, little: (b, at) => b.readUInt32LE(at), big: (b, at) => b.readUInt32BE(at) },
  SL: { size: 4, little: (b, at) => b.readInt32LE(at), big: (b, at) => b.readInt32BE(at) },
  FL: { size: 4, little: (b, at) => single(b.readFloatLE(at)), big: (b, at) => single(b.readFloatBE(at)) },
  FD: { size: 8, little: (b, at) => finite(b.readDoubleLE(at)), big: (b, at) => finite(b.readDoubleBE(at)) },
  SV: {
    size: 8,
    little: (b, at) => exact(b.readBigInt64LE(at)),
    big: (b, at) => exact(b.readBigInt64BE(at)),
  },
  UV: {
    size: 8,
    little: (b, at) => exact(b.readBigUInt64LE(at)),
    big: (b, at) => exact(b.readBigUInt64BE(at)),
  },
  AT: {
    size: 4,
    little: (b, at) => tag(b.readUInt16LE(at), b.readUInt16LE(at + 2)),
    big: (b, at) => tag(b.readUInt16BE(at), b.readUInt16BE(at + 2)),
  },
};

const tag = (group: number, element: number): string =>
  (((group << 16) | element) >>> 0).toString(16).toUpperCase().padStart(8, '0');

/** The shortest number of which a float is the nearest: 0.1 and not 0.10000000149011612. */
function single(value: number): Value {
  if (!Number.isFinite(value)) return finite(value);
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}

/** JSON has no such numbers. */
const finite = (value: number): Value =>
  Number.isFinite(value) ? value : Number.isNaN(value) ? 'NaN' : value > 0 ? 'inf' : '-inf';

const exact = (value: bigint): Value => (Number.isSafeInteger(Number(value)) ? Number(value) : String(value));
