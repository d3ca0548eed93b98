/**
 * Takes out of a picture's file what tells of place, time, person and device, without touching its pixels: what is not
 * needed to show it goes. What stands behind its end goes too: phones put films and further pictures there.
 */

import { stripTiff } from './strip-tiff.ts';

/** @returns undefined where the file is not as its format says */
export function strip(bytes: Buffer, kind: string): Buffer | undefined {
  const parts = STRIPPERS[kind]?.(bytes);
  return parts && Buffer.concat(parts);
}

/** Kinds of files that can be stripped. */
const STRIPPERS: Readonly<Record<string, (bytes: Buffer) => Buffer[] | undefined>> = {
  'image/jpeg': stripJpeg,
  'image/png': stripPng,
  'image/apng': stripPng,
  'image/webp': stripWebp,
  'image/tiff': stripTiff,
};

const [MARK, START, END, SCAN] = [0xff, 0xd8, 0xd9, 0xda];

/** ITU T.81 Annex B: segments, and behind each SOS coded data in which a mark is followed by 0 or a restart. */
function stripJpeg(bytes: Buffer): Buffer[] | undefined {
  if (bytes[0] !== MARK || bytes[1] !== START) return undefined;
  const kept = [bytes.subarray(0, 2)];
  let at = 2;
  while (at + 4 <= bytes.length) {
    if (bytes[at] !== MARK) return undefined;
    const marker = bytes[at + 1] as number;
    // marks may be filled up with further ones
    if (marker === MARK) {
      at++;
      continue;
    }
    if (marker === END) break;
    const end = at + 2 + bytes.readUInt16BE(at + 2);
    if (marker === 0 || marker === START || end > bytes.length || end < at + 4) return undefined;
    if (showsJpeg(marker, bytes.subarray(at + 4, end))) kept.push(bytes.subarray(at, end));
    at = end;
    if (marker !== SCAN) continue;
    at = endOfScan(bytes, end);
    kept.push(bytes.subarray(end, at));
  }
  kept.push(Buffer.of(MARK, END));
  return kept;
}

/** Whether a segment is needed to show the picture: of those of applications JFIF, the colour profile and Adobe's transform. */
function showsJpeg(marker: number, content: Buffer): boolean {
  if (marker === 0xfe) return false;
  if (marker < 0xe0 || marker > 0xef) return true;
  const name = content.toString('latin1', 0, 12);
  if (marker === 0xe0) return name.startsWith('JFIF\0');
  if (marker === 0xe2) return name.startsWith('ICC_PROFILE\0');
  return marker === 0xee && name.startsWith('Adobe');
}

function endOfScan(bytes: Buffer, from: number): number {
  for (let at = bytes.indexOf(MARK, from); at >= 0; at = bytes.indexOf(MARK, at + 1)) {
    const next = bytes[at + 1];
    if (next === undefined) break;
    if (next !== 0 && next !== MARK && (next < 0xd0 || next > 0xd7)) return at;
  }
  return bytes.length;
}

/** PNG (W3C) §11: chunks that are needed to show it, and those of an animation. */
const PNG_CHUNKS = new Set(
  'IHDR PLTE IDAT IEND tRNS gAMA cHRM sRGB iCCP cICP mDCV cLLI sBIT bKGD pHYs hIST sPLT acTL fcTL fdAT'.split(
    ' ',
  ),
);

function stripPng(bytes: Buffer): Buffer[] | undefined {
  const kept = [bytes.subarray(0, 8)];
  let type = '';
  for (let at = 8; type !== 'IEND'; ) {
    if (at + 12 > bytes.length) return undefined;
    const end = at + 12 + bytes.readUInt32BE(at);
    if (end > bytes.length) return undefined;
    type = bytes.toString('latin1', at + 4, at + 8);
    if (PNG_CHUNKS.has(type)) kept.push(bytes.subarray(at, end));
    at = end;
  }
  return kept;
}

const WEBP_CHUNKS = new Set(['VP8 ', 'VP8L', 'VP8X', 'ALPH', 'ANIM', 'ANMF', 'ICCP']);

/** RFC 9649 §2: what VP8X says about metadata has to be taken back. */
function stripWebp(bytes: Buffer): Buffer[] | undefined {
  const kept: Buffer[] = [];
  if (bytes.length < 12) return undefined;
  const whole = Math.min(bytes.length, 8 + bytes.readUInt32LE(4));
  for (let at = 12; at + 8 <= whole; ) {
    const size = bytes.readUInt32LE(at + 4);
    const end = at + 8 + size + (size % 2);
    if (end > bytes.length) return undefined;
    const type = bytes.toString('latin1', at, at + 4);
    const chunk = Buffer.from(bytes.subarray(at, end));
    if (type === 'VP8X') chunk[8] = (chunk[8] as number) & ~0b1100;
    if (WEBP_CHUNKS.has(type)) kept.push(chunk);
    at = end;
  }
  const head = Buffer.from('RIFF\0\0\0\0WEBP', 'latin1');
  head.writeUInt32LE(4 + kept.reduce((sum, { length }) => sum + length, 0), 4);
  return [head, ...kept];
}
