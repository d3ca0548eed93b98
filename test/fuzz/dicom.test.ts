/** A little of `npm run test:fuzz -- --dicom 5000`. */
import { startApp, type TestApp } from '../http/app.ts';
import { mutated, random, readBroken, seeds, sendBroken } from './dicom.ts';

test('300 broken files: refused, or read, and no other fault', async () => {
  const next = random(1);
  let read = 0;
  for (let n = 0; n < 300; n++) {
    const seed = seeds()[next(seeds().length)] as Buffer;
    if (await readBroken(mutated(seed, next), 1 + next(2000))) read++;
  }
  expect(read).toBeGreaterThan(10);
  expect(read).toBeLessThan(290);
});

describe('over HTTP', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.close());

  test('60 broken requests: no 500', async () => {
    const next = random(2);
    for (let n = 0; n < 60; n++) {
      const statuses = await sendBroken(app, mutated(seeds()[next(4)] as Buffer, next, 2), next);
      expect(statuses.filter((status) => status >= 500)).toEqual([]);
    }
  });
});
