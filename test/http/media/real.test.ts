/** Real photos and clips, where the folder beside the project is. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startApp, type TestApp } from '../app.ts';
import { asBytes, seen, store, tells } from './support.ts';

const FOLDER = join(import.meta.dirname, '../../../../shared/data/media');
const isHere = existsSync(FOLDER);
if (!isHere) console.warn(`skipped: there is no ${FOLDER}`);

(isHere ? describe : describe.skip)('real files', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.close());

  const file = (name: string): Buffer => readFileSync(join(FOLDER, name));
  const get = (path: string) => asBytes(app.send('get', path)).expect(200);

  test.each(['skin.jpg', 'skin.clean.jpg', 'skin.lossless.jpg', 'poster.jpg'])('%s', async (name) => {
    const id = await store(app, 'image/jpeg', file(name));
    const { body } = await get(`/Binary/${id}`);
    expect(tells(body)).toBe(false);
    const whole = await seen(body);
    const small = await seen((await get(`/Binary/${id}/$content?size=256`)).body);
    expect(Math.max(small.width, small.height)).toBe(256);
    expect(small.width / small.height).toBeCloseTo(whole.width / whole.height, 1);
  });

  test('skin.heic is readable as JPEG', async () => {
    const id = await store(app, 'image/heic', file('skin.heic'));
    const { body, headers } = await get(`/Binary/${id}`);
    expect(headers['content-type']).toBe('image/jpeg');
    expect(await seen(body)).toMatchObject({ format: 'jpeg' });
    expect((await get(`/Binary/${id}/$content?size=256`)).headers['content-type']).toBe('image/jpeg');
  });

  test.each([
    ['evil.jpg', 'image/jpeg', 'attachment'],
    ['x.svg', 'image/svg+xml', 'attachment'],
    ['x.svg', 'image/png', 'attachment'],
    ['clip.mp4', 'video/mp4', 'inline'],
    ['clip.webm', 'video/webm', 'inline'],
  ])('%s as %s: %s', async (name, type, place) => {
    const id = await store(app, type, file(name));
    const { headers } = await get(`/Binary/${id}`);
    expect(headers['content-disposition']).toMatch(new RegExp(`^${place}`));
  });
});
