/** A study as a ZIP archive with a DICOMDIR (PS3.3 §F, PS3.10 §8). */
import { crc32 } from 'node:zlib';
import { openDictionary } from '../../../src/imaging/dicom/dictionary.ts';
import type { Dataset } from '../../../src/imaging/dicom/element.ts';
import { parsePart10, textOf } from '../../../src/imaging/dicom/parse.ts';
import { readWhole } from '../../../src/imaging/dicom/read.ts';
import { image } from '../../imaging/files.ts';
import { startApp, type TestApp } from '../app.ts';
import { dicomwebOf } from './dicomweb.ts';

let app: TestApp;
const { send, stow } = dicomwebOf(() => app);
const files = [
  image({ study: '5.1', instance: '5.1.1.1', patient: 'Z' }),
  image({ study: '5.1', instance: '5.1.1.2', patient: 'Z', number: 2 }),
  image({ study: '5.1', series: '5.1.2', instance: '5.1.2.1', patient: 'Z', modality: 'CT' }),
];

beforeAll(async () => {
  app = await startApp();
  await stow(files);
});
afterAll(() => app.close());

/** What the central directory lists. */
function unzip(archive: Buffer): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  const end = archive.length - 22;
  expect(archive.readUInt32LE(end)).toBe(0x06054b50);
  let at = archive.readUInt32LE(end + 16);
  for (let n = archive.readUInt16LE(end + 8); n > 0; n--) {
    expect(archive.readUInt32LE(at)).toBe(0x02014b50);
    const length = archive.readUInt16LE(at + 28);
    const name = archive.toString('latin1', at + 46, at + 46 + length);
    const extra = at + 46 + length;
    const size = Number(archive.readBigUInt64LE(extra + 4));
    const place = Number(archive.readBigUInt64LE(extra + 20));
    const begin = place + 30 + archive.readUInt16LE(place + 26) + archive.readUInt16LE(place + 28);
    const bytes = archive.subarray(begin, begin + size);
    expect(crc32(bytes)).toBe(archive.readUInt32LE(at + 16));
    found.set(name, bytes);
    at = extra + archive.readUInt16LE(at + 30);
  }
  return found;
}

test('all files as they are stored, and a directory that leads to each', async () => {
  const answer = await send('get', '/studies/5.1').set('Accept', 'application/zip').expect(200);
  expect(answer.headers).toMatchObject({
    'content-type': 'application/zip',
    'content-disposition': 'attachment; filename="5.1.zip"',
  });
  const contents = unzip(answer.body);
  const names = [...contents.keys()];
  expect(names).toEqual([
    'DICOMDIR',
    'DICOM/S000001/I0000001',
    'DICOM/S000001/I0000002',
    'DICOM/S000002/I0000003',
  ]);
  const stored = names.slice(1).map((name) => contents.get(name)!.toString('hex'));
  expect(stored).toEqual(files.map((file) => file.toString('hex')));

  const bytes = contents.get('DICOMDIR')!;
  const { dataset } = readWhole(bytes, parsePart10(openDictionary()));
  const records = dataset.at(-1)!.items!;
  expect(records.map((record) => textOf(record, 0x00041430))).toEqual([
    'PATIENT',
    'STUDY',
    'SERIES',
    'IMAGE',
    'IMAGE',
    'SERIES',
    'IMAGE',
  ]);
  const number = (of: Dataset, tag: number): number =>
    of.find((element) => element.tag === tag)!.value!.readUInt32LE(0);
  const at = (offset: number): Dataset => {
    expect(bytes.subarray(offset, offset + 4)).toEqual(Buffer.from([0xfe, 0xff, 0x00, 0xe0]));
    return records[count(bytes, offset)] as Dataset;
  };
  const patient = at(number(dataset, 0x00041200));
  expect(number(dataset, 0x00041202)).toBe(number(dataset, 0x00041200));
  const study = at(number(patient, 0x00041420));
  const first = at(number(study, 0x00041420));
  const second = at(number(first, 0x00041400));
  expect([textOf(first, 0x0020000e), textOf(second, 0x0020000e)]).toEqual(['5.1.1', '5.1.2']);
  expect(number(second, 0x00041400)).toBe(0);
  const image2 = at(number(at(number(first, 0x00041420)), 0x00041400));
  expect([textOf(image2, 0x00041511), textOf(image2, 0x00041500)]).toEqual([
    '5.1.1.2',
    'DICOM\\S000001\\I0000002',
  ]);
});

/** How many items begin before a place. */
function count(bytes: Buffer, offset: number): number {
  let n = 0;
  let at = bytes.indexOf(Buffer.from([0xfe, 0xff, 0x00, 0xe0]));
  for (; at < offset; n++) at += 8 + bytes.readUInt32LE(at + 4);
  return n;
}

test('a series alone', async () => {
  const { body } = await send('get', '/studies/5.1/series/5.1.2')
    .set('Accept', 'application/zip')
    .expect(200);
  expect(unzip(body).size).toBe(2);
});
