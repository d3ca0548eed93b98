/** PS3.18 §8.7.3.5: other transfer syntaxes than what is stored; without loss where they say so. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { dicomFile, type Elements, image, SYNTAX, uint16 } from '../../imaging/files.ts';
import { startApp, type TestApp } from '../app.ts';
import { dicomwebOf } from './dicomweb.ts';

let app: TestApp;
const { send, stow } = dicomwebOf(() => app);
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

const LOSSLESS = [
  ['image/jpeg', '1.2.840.10008.1.2.4.70'],
  ['image/jls', '1.2.840.10008.1.2.4.80'],
  ['image/jp2', '1.2.840.10008.1.2.4.90'],
  ['image/dicom-rle', '1.2.840.10008.1.2.5'],
] as const;

const noise = (length: number, most: number): Buffer => {
  const bytes = Buffer.alloc(length * 2);
  for (let i = 0, seed = 7; i < length; i++) {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    bytes.writeUInt16LE((seed >>> 8) % most, i * 2);
  }
  return bytes;
};

/** Pictures of 16 by 16, by what they are. */
const PICTURES: Readonly<Record<string, Elements>> = {
  'gray of 16 bits': {
    '00280100': ['US', uint16(16)],
    '00280101': ['US', uint16(12)],
    '00280102': ['US', uint16(11)],
    '7FE00010': ['OW', noise(256, 4096)],
  },
  'signed of 16 bits': {
    '00280100': ['US', uint16(16)],
    '00280101': ['US', uint16(16)],
    '00280102': ['US', uint16(15)],
    '00280103': ['US', uint16(1)],
    '7FE00010': ['OW', noise(256, 65536)],
  },
  'in colors': {
    '00280002': ['US', uint16(3)],
    '00280004': ['CS', 'RGB'],
    '00280006': ['US', uint16(0)],
    '7FE00010': ['OB', noise(384, 65536)],
  },
};
const sized: Elements = { '00280010': ['US', uint16(16)], '00280011': ['US', uint16(16)] };

async function stored(name: string): Promise<{ at: string; pixels: Buffer }> {
  const study = `3.1.${Object.keys(PICTURES).indexOf(name)}`;
  const more = { ...sized, ...PICTURES[name] };
  await stow([image({ study, instance: `${study}.1.1`, more })]);
  return {
    at: `/studies/${study}/series/${study}.1/instances/${study}.1.1`,
    pixels: more['7FE00010']![1] as Buffer,
  };
}

describe.each(Object.keys(PICTURES))('a picture %s', (name) => {
  test.each(LOSSLESS)('as a frame of %s: what comes out of it is what is stored', async (type, syntax) => {
    const { at, pixels } = await stored(name);
    const answer = await send('get', `${at}/frames/1`).set('Accept', `${type}; transfer-syntax=${syntax}`);
    expect([answer.status, answer.headers['content-type']]).toEqual([
      200,
      `${type}; transfer-syntax=${syntax}`,
    ]);
    expect(answer.body.equals(pixels)).toBe(false);
    const byType = await send('get', `${at}/frames/1`).set('Accept', `multipart/related; type="${type}"`);
    expect(byType.status).toBe(200);
    expect(byType.body.includes(answer.body)).toBe(true);
  });

  test.each(LOSSLESS)(
    'as a file of %s: it comes in again, and its frame is what was stored',
    async (_, syntax) => {
      const { at, pixels } = await stored(name);
      const file = await send('get', at).set('Accept', `application/dicom; transfer-syntax=${syntax}`);
      expect(file.headers['content-type']).toBe(`application/dicom; transfer-syntax=${syntax}`);
      const study = at.split('/')[2];
      await send('delete', `/studies/${study}`).expect(204);
      expect((await stow([file.body])).status).toBe(200);
      const kept = await send('get', at).set('Accept', 'application/dicom; transfer-syntax=*');
      expect(kept.headers['content-type']).toBe(`application/dicom; transfer-syntax=${syntax}`);
      const frame = await send('get', `${at}/frames/1`).set('Accept', 'application/octet-stream');
      expect(frame.body.equals(pixels)).toBe(true);
      await send('delete', `/studies/${study}`).expect(204);
    },
  );
});

test('several frames, each of its own', async () => {
  await stow([image({ study: '3.2', instance: '3.2.1.1', frames: 3 })]);
  const at = '/studies/3.2/series/3.2.1/instances/3.2.1.1';
  const file = await send('get', at).set('Accept', 'application/dicom; transfer-syntax=1.2.840.10008.1.2.5');
  await send('delete', '/studies/3.2').expect(204);
  expect((await stow([file.body])).status).toBe(200);
  for (const number of [1, 2, 3]) {
    const frame = await send('get', `${at}/frames/${number}`).set('Accept', 'application/octet-stream');
    expect(frame.body.equals(Buffer.alloc(64, 10 * number))).toBe(true);
  }
});

test('what has no pixels is not compressed: it comes in Explicit VR Little Endian', async () => {
  const text = dicomFile(
    {
      '00080016': ['UI', '1.2.840.10008.5.1.4.1.1.88.11'],
      '00080018': ['UI', '3.3.1.1'],
      '00100020': ['LO', 'P1'],
      '0020000D': ['UI', '3.3'],
      '0020000E': ['UI', '3.3.1'],
    },
    SYNTAX.implicit,
  );
  await stow([text]);
  const answer = await send('get', '/studies/3.3/series/3.3.1/instances/3.3.1.1').set(
    'Accept',
    'application/dicom; transfer-syntax=1.2.840.10008.1.2.5',
  );
  expect([answer.status, answer.headers['content-type']]).toEqual([
    200,
    `application/dicom; transfer-syntax=${SYNTAX.explicit}`,
  ]);
});

test.each([
  'application/dicom; transfer-syntax=1.2.840.10008.1.2.4.50',
  'application/dicom; transfer-syntax=1.2.840.10008.1.2.4.91',
  'application/dicom; transfer-syntax=1.2.840.10008.1.2.2',
  'application/dicom; transfer-syntax=1.2.3',
])('406 for what would lose something, or is not made: %s', async (accept) => {
  const { at } = await stored('gray of 16 bits');
  await send('get', at).set('Accept', accept).expect(406);
});

test('406 for pixels that a syntax cannot hold', async () => {
  const bits: Elements = {
    ...sized,
    '00280100': ['US', uint16(1)],
    '00280101': ['US', uint16(1)],
    '00280102': ['US', uint16(0)],
    '7FE00010': ['OB', Buffer.alloc(32, 0x5a)],
  };
  await stow([image({ study: '3.4', instance: '3.4.1.1', more: bits })]);
  for (const [type] of LOSSLESS)
    await send('get', '/studies/3.4/series/3.4.1/instances/3.4.1.1/frames/1').set('Accept', type).expect(406);
});

const folder = join(import.meta.dirname, '../../../../shared/data/dicom');
(existsSync(folder) ? test.each : test.skip.each)([
  'mr-implicit-le.dcm',
  'mr-explicit-be.dcm',
  'mr-rle.dcm',
  'mr-j2k-lossless.dcm',
  'mr-jpegls-lossless.dcm',
])('%s in each of them: the same pixels', async (name) => {
  const bytes = readFileSync(join(folder, name));
  const { stored: uids, body } = await stow([bytes]);
  const at = new URL(body['00081199'].Value[0]['00081190'].Value[0]).pathname.replace('/dicomweb', '');
  expect(uids).toHaveLength(1);
  const native = await send('get', `${at}/frames/1`).set('Accept', 'application/octet-stream');
  for (const [, syntax] of LOSSLESS) {
    const file = await send('get', at)
      .set('Accept', `application/dicom; transfer-syntax=${syntax}`)
      .expect(200);
    await send('delete', at.split('/').slice(0, 3).join('/')).expect(204);
    await stow([file.body]);
    const again = await send('get', `${at}/frames/1`).set('Accept', 'application/octet-stream');
    expect(again.body.equals(native.body)).toBe(true);
  }
  await send('delete', at.split('/').slice(0, 3).join('/')).expect(204);
});
