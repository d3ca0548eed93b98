/** A little of `npm run test:fuzz-media`. */

import { READ } from '../../src/media/look.ts';
import { openPictures } from '../../src/media/pictures.ts';
import { startApp, type TestApp } from '../http/app.ts';
import { mutated, random } from './dicom.ts';
import { films, looksAt, pictures, reads, sendsBroken } from './media.ts';

test('200 broken pictures: refused, or read, and no other fault', async () => {
  const next = random(1);
  const seeds = await pictures();
  const worker = openPictures();
  try {
    let read = 0;
    for (let n = 0; n < 200; n++) {
      const file = mutated(seeds[next(seeds.length)] as Buffer, next);
      const kind = await looksAt(file);
      if (kind !== null && READ.test(kind) && (await reads(worker, file, kind))) read++;
    }
    expect(read).toBeGreaterThan(10);
    expect(read).toBeLessThan(190);
  } finally {
    await worker.close();
  }
});

describe('over HTTP', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.close());

  test('15 broken files: no 500', async () => {
    const next = random(2);
    const seeds = [...(await pictures()), ...films()];
    for (let n = 0; n < 15; n++)
      expect(
        (await sendsBroken(app, seeds[next(seeds.length)] as Buffer, next)).filter((one) => one >= 500),
      ).toEqual([]);
  });
});
