/** What took a picture, by its EXIF (CIPA DC-008 §4.6.4): the one thing that is kept of it, in Media.deviceName. */

const [MAKE, MODEL] = [0x010f, 0x0110];
const ASCII = 2;

/**
 * @param exif TIFF, with or without `Exif\0\0` before it
 * @returns    make and model, such as "Apple iPhone 15"; undefined where it tells none
 */
export function deviceOf(exif: Buffer): string | undefined {
  const tiff = exif.toString('latin1', 0, 6) === 'Exif\0\0' ? exif.subarray(6) : exif;
  try {
    const make = textOf(tiff, MAKE);
    const model = textOf(tiff, MODEL);
    if (make && model) return model.toLowerCase().startsWith(make.toLowerCase()) ? model : `${make} ${model}`;
    return model || make || undefined;
  } catch (fault) {
    // an offset that leads nowhere
    if ((fault as Error).name === 'RangeError') return undefined;
    throw fault;
  }
}

/** @throws RangeError where an offset leads out of it */
function textOf(tiff: Buffer, wanted: number): string | undefined {
  const little = tiff.toString('latin1', 0, 2) === 'II';
  const short = (at: number): number => (little ? tiff.readUInt16LE(at) : tiff.readUInt16BE(at));
  const long = (at: number): number => (little ? tiff.readUInt32LE(at) : tiff.readUInt32BE(at));
  const directory = long(4);
  for (let i = short(directory); i > 0; i--) {
    const entry = directory + 2 + 12 * (i - 1);
    if (short(entry) !== wanted || short(entry + 2) !== ASCII) continue;
    const length = Math.min(long(entry + 4), 100);
    const at = length <= 4 ? entry + 8 : long(entry + 8);
    const text = tiff.toString('utf8', at, at + length).split('\0')[0] ?? '';
    return text.replaceAll(/[^\x20-\x7e\xa0-\u{10ffff}]/gu, '').trim();
  }
  return undefined;
}
