/**
 * Bytes in and out: rates beside a yardstick, and the memory of the server while they are many. `npm run bench:media -- --help`.
 * Films and Chromium are tried where they are installed.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, mkdirSync, mkdtempSync, rmSync, statfsSync, statSync } from 'node:fs';
import http, { type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startEmbedded } from '../src/store/embedded.ts';
import { CHROMIUM } from '../test/browser/chromium.ts';
import { playedAt } from '../test/browser/player.ts';
import { ask, consilium, forkHere, freePort, memoryOf, type Running, serve } from './processes.ts';
import { spread } from './statistics.ts';

const HELP = `npm run bench:media -- [options]
  --only LIST   rates, large, broken, many, film (all)
  --rounds N    of the rates (7)
  --gib N       size of what is large (2)
  --uploads N   at once (100), each of --mib N (200)`;

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: 'rates,large,broken,film,many' },
    rounds: { type: 'string', default: '7' },
    gib: { type: 'string', default: '2' },
    uploads: { type: 'string', default: '100' },
    mib: { type: 'string', default: '200' },
    help: { type: 'boolean', default: false },
  },
});
if (options.help) {
  console.log(HELP);
  process.exit();
}

const MiB = 1024 ** 2;
const GiB = 1024 ** 3;
/** Bytes that show no kind, so that nothing is read out of them. */
const piece = randomBytes(MiB);

// tus
const TUS = { 'Tus-Resumable': '1.0.0' };
const OFFSET = 'application/offset+octet-stream';

const data = join(import.meta.dirname, '.data');
mkdirSync(data, { recursive: true });
const folder = mkdtempSync(join(data, 'media-'));
const embedded = await startEmbedded({ dataDir: folder });
let server: Running | undefined;
let token = '';
let failed = false;
try {
  const env = { DATA_DIR: folder };
  server = await serve(env, await freePort());
  token = (await consilium(['token', '--minutes', '600'], env)).trim().split(/\s+/).at(-1) as string;
  const parts: Readonly<Record<string, () => Promise<void>>> = { rates, large, broken, film, many };
  for (const name of options.only.split(',')) await parts[name]?.();
} finally {
  await server?.stop();
  await embedded.release();
  rmSync(folder, { recursive: true, force: true });
}
if (failed) process.exitCode = 1;

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: IncomingMessage;
}

/** A request whose body is streamed, under back-pressure. */
async function send(
  port: number,
  method: string,
  path: string,
  headers: http.OutgoingHttpHeaders,
  body?: Readable,
): Promise<Answer> {
  const request = http.request({
    ...{ port, method, path, host: '127.0.0.1', agent: false },
    headers: { Authorization: `Bearer ${token}`, ...headers },
  });
  const answered = once(request, 'response') as Promise<[IncomingMessage]>;
  if (body) body.pipe(request);
  else request.end();
  const [response] = await answered;
  return { status: response.statusCode ?? 0, headers: response.headers, body: response };
}

/** So many bytes, the same each time. */
function bytes(size: number): Readable {
  function* pieces(): Generator<Buffer> {
    for (let left = size; left > 0; left -= piece.length)
      yield piece.subarray(0, Math.min(left, piece.length));
  }
  return Readable.from(pieces(), { objectMode: false, highWaterMark: MiB });
}

/** Reads all of it; with its SHA-256 where that is wanted. */
async function drained(body: Readable, hash?: ReturnType<typeof createHash>): Promise<number> {
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    hash?.update(chunk);
  }
  return size;
}

async function post(size: number, type = 'application/octet-stream', sent = bytes(size)): Promise<string> {
  const headers = { 'Content-Type': type, 'Content-Length': size, Prefer: 'return=minimal' };
  const { status, headers: told, body } = await send(server!.port, 'POST', '/fhir/Binary', headers, sent);
  await drained(body);
  if (status !== 201) throw new Error(`a Binary was answered by ${status}`);
  return /Binary\/[^/]+/.exec(String(told.location))![0];
}

function get(path: string, headers = {}): Promise<Answer> {
  return send(server!.port, 'GET', path, headers);
}

/** Watches the server's memory, and tells it over time. */
async function weighed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const began = performance.now();
  const memory: number[] = [];
  const watch = setInterval(() => memory.push(memoryOf(server!.pid)?.now ?? 0), 250);
  try {
    return await work();
  } finally {
    clearInterval(watch);
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    const tenths = Array.from({ length: 10 }, (_, i) => memory[Math.floor((memory.length * i) / 10)] ?? 0);
    console.log(
      `${what}: ${seconds} s; node ${tenths.join(' ')} MiB over time, at most ${Math.max(0, ...memory)}`,
    );
  }
}

/** The server beside the yardstick, by turns. */
async function rates(): Promise<void> {
  const bare = forkHere('bare-bytes.ts', { FOLDER: folder });
  const port = await ask<number>(bare);
  const size = 256 * MiB;
  const timed = async (work: () => Promise<unknown>): Promise<number> => {
    const began = performance.now();
    await work();
    return size / MiB / ((performance.now() - began) / 1000);
  };
  const ours: { down: number[]; up: number[] } = { down: [], up: [] };
  const theirs: { down: number[]; up: number[] } = { down: [], up: [] };
  const there = await post(size);
  const put = async (): Promise<string> => {
    const { headers, body } = await send(port, 'PUT', '/', { 'Content-Length': size }, bytes(size));
    await drained(body);
    return headers.location as string;
  };
  const file = await put();
  for (let i = 0; i < Number(options.rounds); i++) {
    theirs.down.push(await timed(async () => drained((await send(port, 'GET', file, {})).body)));
    ours.down.push(await timed(async () => drained((await get(`/fhir/${there}`)).body)));
    theirs.up.push(await timed(put));
    ours.up.push(await timed(() => post(size)));
  }
  for (const [way, asked] of [
    ['down', 0.8],
    ['up', 0.7],
  ] as const) {
    const { median: ratio, low, high } = spread(ours[way].map((one, i) => one / (theirs[way][i] as number)));
    const [our, their] = [ours[way], theirs[way]].map((each) => Math.round(spread(each).median));
    console.log(
      `${way}: ${our} MiB/s, yardstick ${their}; ratio ${ratio.toFixed(2)} (${low.toFixed(2)}-${high.toFixed(2)}), asked ${asked}`,
    );
    if (ratio < asked) failed = true;
  }
  bare.disconnect();
}

async function begin(size: number): Promise<string> {
  const { headers, body } = await send(server!.port, 'POST', '/uploads', { ...TUS, 'Upload-Length': size });
  await drained(body);
  return new URL(headers.location as string).pathname;
}

/** One large Binary up, by both ways, and down. */
async function large(): Promise<void> {
  const size = Number(options.gib) * GiB;
  const hash = createHash('sha256');
  await drained(bytes(size), hash);
  const sha256 = hash.digest('hex');
  const down = async (path: string): Promise<void> => {
    const got = createHash('sha256');
    const length = await drained((await get(path)).body, got);
    if (length !== size || got.digest('hex') !== sha256) throw new Error('other bytes came back');
  };
  const id = await weighed(`${options.gib} GiB up`, () => post(size));
  await weighed(`${options.gib} GiB down`, () => down(`/fhir/${id}`));
  const path = await begin(size);
  const answer = await weighed(`${options.gib} GiB up by tus`, async () => {
    const headers = { ...TUS, 'Content-Type': OFFSET, 'Upload-Offset': 0, 'Content-Length': size };
    const found = await send(server!.port, 'PATCH', path, headers, bytes(size));
    await drained(found.body);
    return found;
  });
  if (answer.status !== 204) throw new Error(`the upload ended with ${answer.status}`);
  await weighed(`${options.gib} GiB down`, () =>
    down(new URL(answer.headers['content-location'] as string).pathname),
  );
}

/** 1 GiB, broken off in the middle, goes on where it was. */
async function broken(): Promise<void> {
  const size = GiB;
  const path = await begin(size);
  const offsetOf = async (): Promise<number> => {
    const { headers, body } = await send(server!.port, 'HEAD', path, TUS);
    await drained(body);
    return Number(headers['upload-offset']);
  };
  await weighed('1 GiB, broken off and resumed', async () => {
    const first = http.request({
      ...{ port: server!.port, host: '127.0.0.1', path, method: 'PATCH', agent: false },
      headers: {
        ...TUS,
        Authorization: `Bearer ${token}`,
        'Content-Type': OFFSET,
        'Upload-Offset': 0,
        'Content-Length': size,
      },
    });
    first.on('error', () => {});
    let sent = 0;
    const body = bytes(size);
    body.on('data', (chunk) => {
      sent += chunk.length;
      if (sent > size / 2) first.destroy();
    });
    body.pipe(first);
    await new Promise((resolve) => first.once('close', resolve));
    body.destroy();
    await sleep(500);
    const offset = await offsetOf();
    if (!(offset > size / 4 && offset < size)) throw new Error(`after the break ${offset} bytes were there`);
    console.log(`  ${Math.round(offset / MiB)} MiB were there after the break`);
    const rest = Readable.from(
      (async function* () {
        let at = 0;
        for await (const chunk of bytes(size)) {
          if (at + chunk.length > offset) yield chunk.subarray(Math.max(0, offset - at));
          at += chunk.length;
        }
      })(),
      { objectMode: false },
    );
    const headers = {
      ...TUS,
      'Content-Type': OFFSET,
      'Upload-Offset': offset,
      'Content-Length': size - offset,
    };
    const { status, body: told } = await send(server!.port, 'PATCH', path, headers, rest);
    await drained(told);
    if (status !== 204) throw new Error(`the upload ended with ${status}`);
  });
}

/** Many uploads at once. */
async function many(): Promise<void> {
  const [count, size] = [Number(options.uploads), Number(options.mib) * MiB];
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize < 1.3 * count * size)
    return console.log('many: passed over, as the disk has no room for it');
  await weighed(`${count} uploads of ${options.mib} MiB at once`, () =>
    Promise.all(Array.from({ length: count }, () => post(size))),
  );
}

/** A film of 500 MB, as a browser plays it. */
async function film(): Promise<void> {
  if (!CHROMIUM || spawnSync('ffmpeg', ['-version']).status !== 0)
    return console.log('film: passed over, as there is no Chromium or no ffmpeg');
  const { chromium } = await import('playwright-core');
  const [short, long] = [join(folder, 'short.mp4'), join(folder, 'long.mp4')];
  const noise = 'testsrc2=s=1280x720:r=30:d=8,noise=alls=80:allf=t';
  const codec = '-c:v libx264 -preset ultrafast -b:v 12M -pix_fmt yuv420p -g 60'.split(' ');
  execFileSync('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i', noise, ...codec, short]);
  const loops = Math.ceil((500 * 1e6) / statSync(short).size) - 1;
  const again = ['-stream_loop', String(loops), '-i', short, '-c', 'copy', '-movflags', '+faststart', long];
  execFileSync('ffmpeg', ['-v', 'error', ...again]);
  const { size } = statSync(long);
  const id = await weighed(`a film of ${Math.round(size / 1e6)} MB up`, () =>
    post(size, 'video/mp4', createReadStream(long)),
  );
  const { body } = await get(`/fhir/${id}/$link?size=play`, { Accept: 'application/fhir+json' });
  const link = JSON.parse(Buffer.concat(await body.toArray()).toString()).parameter[0].valueUrl as string;
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
  try {
    const { duration, from, frames, seek, ranges } = await weighed('Chromium plays it', () =>
      playedAt(browser, link.replace(/^.*\/fhir/, `http://127.0.0.1:${server!.port}/fhir`), 8 * loops),
    );
    console.log(
      `  of ${Math.round(duration)} s, sought ${Math.round(from)} in ${seek} ms, showed ${frames} frames, by ${ranges.length} ranges`,
    );
  } finally {
    await browser.close();
  }
}
