/** A Chromium plays a film by its $link: what it cannot play as it came is made H.264 first. Needs ffmpeg and a Chromium. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Browser, chromium } from 'playwright-core';
import { startApp, type TestApp } from '../http/app.ts';
import { store } from '../http/media/support.ts';
import { CHROMIUM } from './chromium.ts';
import { playedAt } from './player.ts';

const isHere = CHROMIUM !== undefined && spawnSync('ffmpeg', ['-version']).status === 0;
if (!isHere) console.warn('no Chromium or no ffmpeg here: films are not looked at');

let app: TestApp;
let browser: Browser;
beforeAll(async () => {
  if (!isHere) return;
  app = await startApp();
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
});
afterAll(async () => {
  await browser?.close();
  await app?.close();
});

/** Twelve seconds as cameras of old made them, which no browser plays. */
function film(): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'consilium-browser-'));
  try {
    const file = join(folder, 'old.avi');
    const sources = ['testsrc2=size=640x360:duration=12:rate=15', 'sine=duration=12'];
    const inputs = sources.flatMap((source) => ['-f', 'lavfi', '-i', source]);
    execFileSync('ffmpeg', ['-v', 'error', ...inputs, '-c:v', 'mpeg4', '-c:a', 'mp3', file]);
    return readFileSync(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

(isHere ? test : test.skip)('Chromium plays a film by its $link, and seeks in it by ranges', async () => {
  const id = await store(app, 'video/vnd.avi', film());
  let answer = await app.send('get', `/Binary/${id}/$link?size=play`);
  for (; answer.status === 202; answer = await app.send('get', `/Binary/${id}/$link?size=play`))
    await sleep(200);
  const src = answer.body.parameter[0].valueUrl.replace(app.base, `${app.url}/fhir`);
  const seen = await playedAt(browser, src, 10);
  expect(seen).toMatchObject({ videoWidth: 640, videoHeight: 360, from: 10 });
  expect(seen.duration).toBeCloseTo(12, 0);
  expect(seen.frames).toBeGreaterThan(0);
  expect(seen.ranges.length).toBeGreaterThan(0);
});
