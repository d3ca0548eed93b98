/** Real files of many makers and transfer syntaxes, where ../shared/data/dicom is; else it says that it is skipped. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { textIn } from '../../../src/imaging/attributes.ts';
import { attributesOf, pathOf, type Report, type Sample, storedAndRefused } from '../../peers/samples.ts';
import { startApp, type TestApp } from '../app.ts';
import { dicomwebOf } from './dicomweb.ts';

const FOLDER = join(import.meta.dirname, '../../../../shared/data/dicom');
const samples: Sample[] = existsSync(FOLDER)
  ? readdirSync(FOLDER)
      .filter((name) => name.endsWith('.dcm'))
      .sort()
      .map((name) => ({ name, path: join(FOLDER, name), bytes: readFileSync(join(FOLDER, name)) }))
  : [];
const given = samples.length > 0 ? test : test.skip;

let app: TestApp;
const { send, stow } = dicomwebOf(() => app);
beforeEach(async () => {
  app = await startApp();
});
afterEach(() => app.close());

given('each is stored and comes back as it was, or is refused for the right reason', async () => {
  const wrong: string[] = [];
  const report: Report = {
    failed: 0,
    check: (what, isSo, detail) => {
      if (!isSo) wrong.push(`${what}: ${detail}`);
    },
    skip: () => {},
  };
  await storedAndRefused({ app, samples, report });
  expect(wrong).toEqual([]);
});

given(
  'each that has a picture is rendered; the one MR image gives one picture in all five transfer syntaxes',
  async () => {
    const pictures = new Map<string, Buffer>();
    for (const sample of samples) {
      const attributes = await attributesOf(sample);
      if (!textIn(attributes, '0020000D') || !textIn(attributes, '00100020') || !attributes['7FE00010'])
        continue;
      await stow([sample.bytes]);
      const at = pathOf(attributes);
      const { status, body } = await send('get', `${at}/frames/1/rendered`).set('Accept', 'image/png');
      expect([sample.name, status]).toEqual([sample.name, 200]);
      const native = await send('get', `${at}/frames/1`).set('Accept', 'application/octet-stream');
      expect([sample.name, native.status]).toEqual([sample.name, 200]);
      pictures.set(sample.name, body);
      await send('delete', at.split('/').slice(0, 3).join('/')).expect(204);
    }
    expect(pictures.size).toBeGreaterThan(14);
    const same = ['mr-implicit-le', 'mr-explicit-be', 'mr-rle', 'mr-j2k-lossless', 'mr-jpegls-lossless'];
    const [first, ...others] = same.map((name) => pictures.get(`${name}.dcm`)!);
    expect(others.map((other) => other.equals(first!))).toEqual([true, true, true, true]);
  },
  60_000,
);
