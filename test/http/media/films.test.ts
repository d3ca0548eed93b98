/** Video and audio, made by this machine's ffmpeg; without one these are skipped, but for what is said then. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Response } from 'supertest';
import { asking } from '../access/tokens.ts';
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
    // its picture was made while it came
    const { rows } = await app.app.pool.query(
      `select p.width from rendition p join resource r on r.blob = p.blob where r.id = $1 and p.size = 'poster'`,
      [id],
    );
    expect(rows).toEqual([{ width: 320 }]);
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
    expect(body).toMatchObject({
      ...{ type: { coding: [{ code: 'audio' }] }, modality: { coding: [{ code: 'AU' }] } },
    });
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

  /** Asks until it plays, or cannot. */
  async function played(id: string): Promise<Response & { readonly body: Buffer }> {
    for (let i = 0; i < 300; i++) {
      const answer = await asBytes(app.send('get', `/Binary/${id}/$content?size=play`));
      if (answer.status !== 202) return answer;
      expect(answer.headers['x-progress']).toMatch(/^\d+ %$/);
      expect(JSON.parse(String(answer.body))).toMatchObject({ issue: [{ severity: 'information' }] });
      await sleep(100);
    }
    throw new Error('it does not end');
  }
  /** What a file is made of, as ffprobe tells it. */
  function codecsOf(bytes: Buffer): readonly string[] {
    const file = join(folder, 'probed');
    writeFileSync(file, bytes);
    const asked = ['-v', 'error', '-show_entries', 'stream=codec_name,width,height', '-of', 'csv=p=0', file];
    return execFileSync('ffprobe', asked).toString().trim().split('\n');
  }
  const SOUND = ['-f', 'lavfi', '-i', 'sine=duration=2'];

  test.each([
    ['old.avi', 'video/vnd.avi', [...SOUND, '-c:v', 'mpeg4', '-c:a', 'mp3'], ['h264,320,180', 'aac']],
    ['vp8.webm', 'video/webm', [...SOUND, '-c:v', 'libvpx', '-c:a', 'libvorbis'], ['h264,320,180', 'aac']],
    // streams that browsers play are copied out of their container
    ['phone.mov', 'video/quicktime', ['-c:v', 'libx264', '-pix_fmt', 'yuv420p'], ['h264,320,180']],
    [
      'large.mp4',
      'video/mp4',
      ['-c:v', 'libx264', '-pix_fmt', 'yuv420p', '-vf', 'scale=2560:1440', '-t', '0.4'],
      ['h264,1920,1080'],
    ],
    ['deep.mp4', 'video/mp4', ['-c:v', 'libx264', '-pix_fmt', 'yuv422p10le'], ['h264,320,180']],
  ])(
    '%s: size=play is H.264 and AAC in MP4, its index first, made once in the queue',
    async (name, type, codec, codecs) => {
      const id = await store(app, type, film(name, ...codec));
      const { status, headers, body } = await played(id);
      expect([status, headers['content-type']]).toEqual([200, 'video/mp4']);
      expect(codecsOf(body)).toEqual(codecs);
      expect(tells(body)).toBe(false);
      expect(body.indexOf('moov')).toBeLessThan(body.indexOf('mdat'));
      const part = asBytes(app.send('get', `/Binary/${id}/$content?size=play`)).set('Range', 'bytes=4-7');
      expect((await part.expect(206)).body.toString()).toBe('ftyp');
      expect((await app.app.pool.query('select count(*)::int from transcoding')).rows).toEqual([
        { count: 0 },
      ]);
      // as it came it is kept, too
      expect((await asBytes(app.send('get', `/Binary/${id}`))).headers['content-type']).toBe(type);
      const { body: link } = await app.send('get', `/Binary/${id}/$link?size=play`).expect(200);
      expect(link.parameter[0].valueUrl).toContain('/_link/');
    },
  );

  test('what plays as it is is not made anew; sound becomes AAC', async () => {
    const plain = await store(app, 'video/mp4', film('plain.mp4', '-c:v', 'libx264', '-pix_fmt', 'yuv420p'));
    expect((await played(plain)).body.equals(await bytesOf(`/Binary/${plain}`))).toBe(true);
    const wav = await store(app, 'audio/wav', film('plain.wav'));
    expect((await played(wav)).headers['content-type']).toBe('audio/wav');
    const ogg = await store(app, 'audio/ogg', film('voice.wav.ogg', '-c:a', 'libopus'));
    const { headers, body } = await played(ogg);
    expect([headers['content-type'], codecsOf(body)]).toEqual(['audio/mp4', ['aac']]);
    await app
      .send('get', `/Binary/${await store(app, 'text/plain', Buffer.from('x'))}/$content?size=play`)
      .expect(422);
  });

  test('one that a killed process has begun is done by another; who may not read it does not make it', async () => {
    const { pool } = app.app;
    const came = film('again.webm', '-c:v', 'libvpx');
    const id = await store(app, 'video/webm', came, { 'X-Security-Context': 'Patient/none' });
    await played(id);
    await pool.query(`delete from rendition where size = 'play'`);
    const blob = `(select blob from resource where id = '${id}')`;
    await pool.query(`insert into transcoding (blob, tries, alive, progress) values (${blob}, 1, now(), 40)`);
    await app.send('get', `/Binary/${id}/$content?size=play`).expect(202).expect('X-Progress', '40 %');
    await pool.query(`update transcoding set alive = now() - interval '1 minute'`);
    expect((await played(id)).status).toBe(200);
    await pool.query(`delete from rendition where size = 'play'`);
    await pool.query(
      `insert into transcoding (blob, tries, alive) values (${blob}, 3, now() - interval '1 minute')`,
    );
    const gaveUp = await app.send('get', `/Binary/${id}/$content?size=play`).expect(422);
    expect(gaveUp.body.issue[0].diagnostics).toMatch(/interrupted each time/);
    await pool.query('delete from transcoding');
    const stranger = await asking(app, 'patient/*.rs', { patient: 'somebody' });
    await stranger('get', `/Binary/${id}/$content?size=play`).expect(404);
    expect((await pool.query('select count(*)::int from transcoding')).rows).toEqual([{ count: 0 }]);
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
    const unplayed = await app.send('get', `/Binary/${id}/$content?size=play`).expect(422);
    expect(unplayed.body.issue[0].diagnostics).toContain('no ffmpeg');
  } finally {
    await app.close();
  }
});
