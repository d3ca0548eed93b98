/**
 * Blanks in a TIFF (6.0, and EXIF's directories within it) what tells of place, time, person and device. Everything in it
 * is found by its offset, so that nothing is moved: what is not for others becomes zeros,
 * or spaces.
 */

/** Directories of EXIF, GPS and interoperability, which an entry leads to. */
const DIRECTORIES = new Set([0x8769, 0x8825, 0xa005]);

/** Description, make, model, software, date, artist, host, XMP, copyright, IPTC, Photoshop, MakerNote, Windows' own, DNG's private. */
const TELLING = new Set([
  0x010e, 0x010f, 0x0110, 0x0131, 0x0132, 0x013b, 0x013c, 0x02bc, 0x8298, 0x83bb, 0x8649, 0x927c, 0x9c9b,
  0x9c9c, 0x9c9d, 0x9c9e, 0x9c9f, 0xc634,
]);

const TEXT = 2;

/** Bytes of a value, by its type. */
const SIZES = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8];

/** Those of EXIF, GPS and interoperability stand in each other. */
const MOST_NESTED = 5;

/** More pages are no photo. */
const MOST_PAGES = 10_000;

/** @returns undefined where the file is not as its format says, or is a BigTIFF */
export function stripTiff(original: Buffer): Buffer[] | undefined {
  const bytes = Buffer.from(original);
  const little = bytes.toString('latin1', 0, 2) === 'II';
  const short = (at: number): number => (little ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at));
  const long = (at: number): number => (little ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at));

  /** The entries of a directory, as where they are. */
  function* entries(directory: number): Generator<number> {
    for (let i = 0, count = short(directory); i < count; i++) yield directory + 2 + 12 * i;
  }

  function blank(entry: number): void {
    const isText = short(entry + 2) === TEXT;
    const length = long(entry + 4) * (SIZES[short(entry + 2)] ?? 0);
    const at = length > 4 ? long(entry + 8) : entry + 8;
    if (length === 0) return;
    bytes.fill(isText ? ' ' : 0, at, at + length);
    // a text ends with a zero, and has no other
    if (isText) bytes.writeUInt8(0, at + length - 1);
    if (!isText) bytes.fill(0, entry + 8, entry + 12);
  }

  function blankDirectory(directory: number, depth = 1): void {
    // one that leads back to itself
    if (depth > MOST_NESTED) throw new RangeError('directories are nested too deeply');
    for (const entry of entries(directory)) {
      const tag = short(entry);
      if (DIRECTORIES.has(tag)) blankDirectory(long(entry + 8), depth + 1);
      blank(entry);
    }
    const length = 2 + 12 * short(directory);
    bytes.fill(0, directory, directory + length);
  }

  try {
    if (short(2) !== 42) return undefined;
    let page = 0;
    for (let directory = long(4); directory !== 0; directory = long(directory + 2 + 12 * short(directory))) {
      if (++page > MOST_PAGES) return undefined;
      for (const entry of entries(directory)) {
        const tag = short(entry);
        if (DIRECTORIES.has(tag)) blankDirectory(long(entry + 8));
        else if (TELLING.has(tag)) blank(entry);
      }
    }
    return [bytes];
  } catch (fault) {
    // an offset that leads nowhere
    if ((fault as Error).name === 'RangeError') return undefined;
    throw fault;
  }
}
