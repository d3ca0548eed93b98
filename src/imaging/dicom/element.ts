/** Data elements (PS3.5 §7) as they are read: small values as their bytes, large ones as where they are. */

/** A stretch of bytes. */
export interface Stretch {
  readonly offset: number;
  readonly length: number;
}

export interface Element {
  /** group and element as one number: 0x00100010 */
  readonly tag: number;
  readonly vr: string;
  /** of a value that is short */
  readonly value?: Buffer;
  /** of a sequence */
  readonly items?: readonly Dataset[];
  /** of a value that is long */
  readonly bulk?: Stretch;
  /** of encapsulated pixel data, without the offset table */
  readonly fragments?: readonly Stretch[];
  /** basic offset table of encapsulated pixel data: where frames begin, from the first fragment's item on */
  readonly offsets?: readonly number[];
}

export type Dataset = readonly Element[];

/** 8 hexadecimal digits, as DICOM JSON writes a tag (PS3.18 §F.2.2). */
export const tagText = (tag: number): string => tag.toString(16).toUpperCase().padStart(8, '0');

export const groupOf = (tag: number): number => tag >>> 16;

export const TAGS = {
  mediaStorageSopClass: 0x00020002,
  mediaStorageSopInstance: 0x00020003,
  transferSyntax: 0x00020010,
  characterSet: 0x00080005,
  pixelRepresentation: 0x00280103,
  floatPixelData: 0x7fe00008,
  doubleFloatPixelData: 0x7fe00009,
  pixelData: 0x7fe00010,
} as const;

/** Values of pixels, which are never looked at as the stream goes by. */
export const isPixels = (tag: number): boolean =>
  tag === TAGS.pixelData || tag === TAGS.floatPixelData || tag === TAGS.doubleFloatPixelData;
