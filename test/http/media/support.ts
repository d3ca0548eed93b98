/** Pictures made for tests, and raw bytes over HTTP. */
import sharp from 'sharp';
import type { Test } from 'supertest';
import type { TestApp } from '../app.ts';

/** What phones write beside a picture. */
const EXIF = {
  IFD0: { Make: 'Apple', Model: 'iPhone 15', Software: '17.1' },
  IFD3: {
    GPSLatitudeRef: 'N',
    GPSLatitude: '51/1 30/1 0/1',
    GPSLongitudeRef: 'W',
    GPSLongitude: '0/1 7/1 0/1',
  },
};

type Form = 'jpeg' | 'png' | 'webp' | 'tiff' | 'gif';

/** A picture whose left half is red and right half blue, as it is stored, before it is turned upright. */
export async function picture(
  form: Form,
  { width = 400, height = 200, orientation }: { width?: number; height?: number; orientation?: number } = {},
): Promise<Buffer> {
  const half = { width: width / 2, height, channels: 3 as const };
  const right = await sharp({ create: { ...half, background: '#0000ff' } })
    .png()
    .toBuffer();
  const made = sharp({ create: { width, height, channels: 3, background: '#ff0000' } })
    .composite([{ input: right, left: width / 2, top: 0 }])
    [form]();
  if (form === 'gif') return made.toBuffer();
  const exif = made.withExif(EXIF);
  return (orientation ? exif.withMetadata({ orientation }) : exif).toBuffer();
}

/** One grey pixel as TIFF 6.0, with a make in its directory and a latitude in that of GPS. */
export function tiff(): Buffer {
  const bytes = Buffer.alloc(220);
  bytes.write('II*\0', 'latin1');
  bytes.writeUInt32LE(8, 4);
  const directory = (at: number, entries: readonly (readonly [number, number, number, number])[]): void => {
    bytes.writeUInt16LE(entries.length, at);
    for (const [i, [tag, type, count, value]] of entries.entries()) {
      const entry = at + 2 + 12 * i;
      bytes.writeUInt16LE(tag, entry);
      bytes.writeUInt16LE(type, entry + 2);
      bytes.writeUInt32LE(count, entry + 4);
      bytes.writeUInt32LE(value, entry + 8);
    }
  };
  directory(8, [
    [256, 3, 1, 1],
    [257, 3, 1, 1],
    [258, 3, 1, 8],
    [259, 3, 1, 1],
    [262, 3, 1, 1],
    [271, 2, 6, 180],
    [273, 4, 1, 219],
    [277, 3, 1, 1],
    [278, 3, 1, 1],
    [279, 4, 1, 1],
    [0x8825, 4, 1, 150],
  ]);
  directory(150, [[2, 2, 8, 190]]);
  bytes.write('Apple\0', 180, 'latin1');
  bytes.write('GPS 51N\0', 190, 'latin1');
  bytes[219] = 77;
  return bytes;
}

/** Whether a file tells where it was taken, or by what. */
export const tells = (bytes: Buffer): boolean => /Apple|iPhone|GPS|Exif/.test(bytes.toString('latin1'));

/** Takes an answer as bytes. */
export const asBytes = (test: Test): Test =>
  test.parse((response, done) => {
    const pieces: Buffer[] = [];
    response.on('data', (piece: Buffer) => pieces.push(piece));
    response.on('end', () => done(null, Buffer.concat(pieces)));
  });

/** Sends bytes as they are. */
export const raw = (test: Test, type: string, body: Buffer): Test =>
  test
    .set('Content-Type', type)
    .serialize((given) => given as unknown as string)
    .send(body);

/** Stores bytes as a Binary; answers with its id. */
export async function store(
  app: TestApp,
  type: string,
  body: Buffer,
  headers: Record<string, string> = {},
): Promise<string> {
  const answer = await raw(app.send('post', '/Binary').set(headers), type, body);
  if (answer.status !== 201) throw new Error(`${answer.status} ${answer.text}`);
  return answer.headers.location!.split('/').at(-3)!;
}

/** Width and height, and the colours of its left and right, or of above and below. */
export async function seen(bytes: Buffer): Promise<{
  readonly format: string;
  readonly width: number;
  readonly height: number;
  readonly first: string;
  readonly last: string;
}> {
  const { data, info } = await sharp(bytes).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  const at = (index: number): string => {
    const [red = 0, , blue = 0] = data.subarray(index * info.channels);
    return red > 200 && blue < 60 ? 'red' : blue > 200 && red < 60 ? 'blue' : `${red}/${blue}`;
  };
  const { format = '' } = await sharp(bytes).metadata();
  const { width, height } = info;
  return { format, width, height, first: at(0), last: at(width * height - 1) };
}
