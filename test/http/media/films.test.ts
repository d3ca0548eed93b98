/** Video and audio, made by this machine's ffmpeg; without one these are skipped, but for what is said then. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startApp, type TestApp } from '../app.ts';
import { asBytes, raw, seen, store } from './support.ts';

const isHere = spawnSync('ffmpeg', ['-version']).status === 0;
if (!isHere) console.warn('skipped: there is no ffmpeg');
const folder = mkdtempSync(join(tmpdir(), 'consilium-films-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Two seconds of it, with a place and an author. */
function film(name: string, ...codec: string[]): Buffer {
  const file = join(folder, name);
  const source = name.match(/mp3|wav/) ? 'sine=duration=2' : 'testsrc=size=320x180:duration=2:rate=10';
  const tags = [
    '-metadata',
    'location=+51.5-0.1/',
    '-metadata',
    'artist=Maria',
    '-movflags',
    'use_metadata_tags',
  ];
  execFileSync('ffmpeg', ['-v', 'error', '-y', '-f', 'lavfi', '-i', source, ...codec, ...tags, file]);
  return readFileSync(file);
}
const tells = (bytes: Buffer): boolean => /51\.5|Maria/.test(bytes.toString('latin1'));

(isHere ? describe : describe.skip)('with ffmpeg', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.close());
  const bytesOf = async (path: string): Promise<Buffer> =>
    (await asBytes(app.send('get', path)).expect(200)).body;

  test.each([
    ['clip.mp4', 'video/mp4', ['-c:v', 'libx264', '-pix_fmt', 'yuv420p']],
    ['clip.mov', 'video/quicktime', ['-c:v', 'libx264', '-pix_fmt', 'yuv420p']],
    ['clip.webm', 'video/webm', ['-c:v', 'libvpx']],
  ])('%s loses its place, tells how long it is, and has a picture', async (name, type, codec) => {
    const came = film(name, ...codec);
    expect(tells(came)).toBe(true);
    const id = await store(app, type, came);
    const served = await bytesOf(`/Binary/${id}`);
    expect(tells(served)).toBe(false);
    // what plays needs its index first
    if (name !== 'clip.webm') expect(served.indexOf('moov')).toBeLessThan(served.indexOf('mdat'));
    const media = { status: 'completed', content: { url: `Binary/${id}` } };
    const { body } = await app.create('Media', `film-${name.replace('.', '-')}`, media);
    expect(body).toMatchObject({
      width: 320,
      height: 180,
      content: { contentType: type, size: served.length },
    });
    expect(body.type.coding[0].code).toBe('video');
    expect(body.duration).toBeCloseTo(2, 0);
    expect(await seen(await bytesOf(`/Binary/${id}/$content?size=256`))).toMatchObject({
      width: 256,
      height: 144,
    });
  });

  test.each([
    ['clip.mp3', 'audio/mpeg'],
    ['clip.wav', 'audio/wav'],
  ])('%s loses its tags, and has no picture', async (name, type) => {
    const id = await store(app, type, film(name));
    expect(tells(await bytesOf(`/Binary/${id}`))).toBe(false);
    const { body } = await app.create('Media', `film-${name.replace('.', '-')}`, {
      ...{ status: 'completed', content: { url: `Binary/${id}` } },
    });
    expect(body).toMatchObject({ type: { coding: [{ code: 'audio' }] } });
    expect(body.duration).toBeCloseTo(2, 0);
    await app.send('get', `/Binary/${id}/$content?size=256`).expect(422);
  });

  test('one that tells nothing stays as it came; the original is kept where that is asked for', async () => {
    const came = film('kept.mp4', '-c:v', 'libx264', '-pix_fmt', 'yuv420p');
    const answer = await raw(app.send('post', '/Binary').set('X-Keep-Original', 'true'), 'video/mp4', came);
    const clean = await bytesOf(`/Binary/${answer.headers.location!.split('/').at(-3)}`);
    const [, original] = /(Binary\/[^>]+)>; rel="original"/.exec(answer.headers.link!)!;
    expect((await bytesOf(`/${original}`)).equals(came)).toBe(true);
    const again = await store(app, 'video/mp4', clean);
    expect((await bytesOf(`/Binary/${again}`)).equals(clean)).toBe(true);
  });

  test('a damaged one is refused', async () => {
    const came = film('damaged.mp4', '-c:v', 'libx264', '-pix_fmt', 'yuv420p');
    await raw(app.send('post', '/Binary'), 'video/mp4', came.subarray(0, 100)).expect(422);
  });
});

test('without ffmpeg the rest works, and the log says so', async () => {
  const app = await startApp({ FFMPEG: '/nowhere/ffmpeg' });
  try {
    expect(app.log.join('')).toContain('there is no ffmpeg');
    const bytes = Buffer.from('\0\0\0\x18ftypmp42\0\0\0\0mp42isom', 'latin1');
    const id = await store(app, 'video/mp4', bytes);
    expect((await asBytes(app.send('get', `/Binary/${id}`))).body.equals(bytes)).toBe(true);
    const refused = await app.send('get', `/Binary/${id}/$content?size=256`).expect(422);
    expect(refused.body.issue[0].diagnostics).not.toContain('video');
  } finally {
    await app.close();
  }
});
