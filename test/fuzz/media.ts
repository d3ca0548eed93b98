/** Broken pictures and films: files that were sound, changed at random. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { Refusal } from '../../src/fhir/outcome.ts';
import { deviceOf } from '../../src/media/device.ts';
import type { Pictures } from '../../src/media/pictures.ts';
import { HEAD, kindOf } from '../../src/media/sniff.ts';
import { strip } from '../../src/media/strip.ts';
import type { TestApp } from '../http/app.ts';
import { asBytes, picture, raw, tiff } from '../http/media/support.ts';
import { mutated } from './dicom.ts';

type Next = (most: number) => number;

/** Sound pictures of all forms that are read, small ones. */
export async function pictures(): Promise<readonly Buffer[]> {
  const size = { width: 64, height: 32 };
  const avif = await sharp(await picture('png', size))
    .avif()
    .toBuffer();
  const frames = await Promise.all([picture('png', size), picture('gif', size)]);
  const animated = await sharp(frames, { join: { animated: true } })
    .webp()
    .toBuffer();
  const forms = (['jpeg', 'png', 'webp', 'tiff', 'gif'] as const).map((form) => picture(form, size));
  return [
    ...(await Promise.all(forms)),
    await picture('jpeg', { ...size, orientation: 6 }),
    avif,
    animated,
    tiff(),
  ];
}

/** Sound films, where there is an ffmpeg. */
export function films(): readonly Buffer[] {
  if (spawnSync('ffmpeg', ['-version']).status !== 0) return [];
  const folder = mkdtempSync(join(tmpdir(), 'consilium-fuzz-'));
  try {
    return ['a.mp4', 'a.mov', 'a.webm', 'a.avi', 'a.mp3', 'a.ogg', 'a.wav'].map((name) => {
      const source = /mp3|ogg|wav/.test(name)
        ? 'sine=duration=0.5'
        : 'testsrc=size=64x32:duration=0.5:rate=8';
      const file = join(folder, name);
      execFileSync('ffmpeg', [
        '-v',
        'error',
        '-f',
        'lavfi',
        '-i',
        source,
        '-metadata',
        'location=+51.5-0.1/',
        file,
      ]);
      return readFileSync(file);
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What is done to the bytes of a picture before its worker sees it: nothing of it may throw. */
export async function looksAt(bytes: Buffer): Promise<string | null> {
  const kind = await kindOf(bytes.subarray(0, HEAD));
  for (const one of ['image/jpeg', 'image/png', 'image/webp', 'image/tiff']) strip(bytes, one);
  deviceOf(bytes);
  return kind;
}

/** Has a broken picture read; whether it could be. Throws whatever is not the fault of the picture. */
export async function reads(worker: Pictures, bytes: Buffer, kind: string): Promise<boolean> {
  try {
    await worker.clean(async () => Buffer.from(bytes), kind, false);
    await worker.shrink(async () => Buffer.from(bytes), 256);
    return true;
  } catch (fault) {
    if (fault instanceof Refusal && fault.status === 422) return false;
    throw fault;
  }
}

/** Sends a broken file, alone or in an attachment, and asks for all that may be made of it. */
export async function sendsBroken(app: TestApp, seed: Buffer, next: Next): Promise<readonly number[]> {
  const bytes = mutated(seed, next, 3);
  if (next(4) === 0) {
    const media = { resourceType: 'Media', status: 'completed', content: { data: bytes.toString('base64') } };
    return [(await app.send('post', '/Media').type('application/fhir+json').send(media)).status];
  }
  const type = ['image/jpeg', 'video/mp4', 'application/octet-stream'][next(3)] as string;
  const sent = await raw(app.send('post', '/Binary'), type, bytes);
  const statuses = [sent.status];
  const place = /\/Binary\/[^/]+/.exec(sent.headers.location ?? '')?.[0];
  if (place)
    for (const path of [`${place}/$content?size=256`, place])
      statuses.push((await asBytes(app.send('get', path))).status);
  return statuses;
}
