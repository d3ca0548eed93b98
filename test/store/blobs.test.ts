import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import { Refusal } from '../../src/fhir/outcome.ts';
import type { Blobs } from '../../src/store/blobs/blobs.ts';
import { openDiskBlobs } from '../../src/store/blobs/disk.ts';

const ABSENT = '0198f2a0-0000-7000-8000-000000000000';

let root: string;
let folder: string;
let blobs: Blobs;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'consilium-blobs-'));
  folder = join(root, 'data', 'blobs');
  blobs = await openDiskBlobs(folder);
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

const put = (bytes: Uint8Array, options = {}) => blobs.put(Readable.from([bytes]), options);

async function read(name: string, range?: { start: number; end: number }): Promise<Buffer> {
  return buffer((await blobs.open(name, range)).stream);
}

/** Every file below the folder. */
const files = () =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((each) => each.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));

/** The status of what is refused, or the message of what fails. */
const failureOf = (what: Promise<unknown>) =>
  what.then(
    () => 'none',
    (fault) => (fault instanceof Refusal ? fault.status : fault.message),
  );

describe('bytes put away', () => {
  test('are read back whole, with their size and hash, also by another process', async () => {
    const bytes = randomBytes(1_000_000);
    const { name, size, sha256 } = await blobs.put(Readable.from([bytes.subarray(0, 7), bytes.subarray(7)]));
    expect(name).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    expect(size).toBe(bytes.length);
    expect(sha256).toBe(createHash('sha256').update(bytes).digest('hex'));
    const opened = await (await openDiskBlobs(folder)).open(name);
    expect(opened.size).toBe(bytes.length);
    expect(bytes.equals(await buffer(opened.stream))).toBe(true);
  });

  test('many at once fill one folder after the other, each under a name of its own', async () => {
    const put600 = Array.from({ length: 600 }, (_, n) => put(Buffer.from(`bytes ${n}`)));
    const names = (await Promise.all(put600)).map(({ name }) => name);
    expect(new Set(names).size).toBe(600);
    for (const [n, name] of names.entries()) expect((await read(name)).toString()).toBe(`bytes ${n}`);
    expect(new Set(names.map((name) => name.slice(-4))).size).toBeLessThanOrEqual(4);
    const others = await Promise.all([
      put(Buffer.from('a')),
      (await openDiskBlobs(folder)).put(Readable.from(['b'])),
    ]);
    expect((await read(others[1].name)).toString()).toBe('b');
  });

  test('may be none, or text', async () => {
    const none = await blobs.put(Readable.from([]));
    expect(none.size).toBe(0);
    expect(await read(none.name)).toHaveLength(0);
    const text = await blobs.put(Readable.from(['é', 'a']));
    expect(text.size).toBe(3);
    expect((await read(text.name)).toString()).toBe('éa');
  });

  test('many at once', async () => {
    const many = Array.from({ length: 50 }, () => randomBytes(1000));
    const names = await Promise.all(many.map((bytes) => put(bytes).then(({ name }) => name)));
    expect(new Set(names).size).toBe(50);
    for (const [i, name] of names.entries()) expect(many[i]!.equals(await read(name))).toBe(true);
    expect(files()).toHaveLength(50);
  });

  test('are for their owner alone', async () => {
    const { name } = await put(Buffer.from('a'));
    const [file] = files();
    expect(file).toContain(name);
    const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);
    expect(mode(file!)).toBe('600');
    for (const path of [folder, join(folder, 'incoming'), join(file!, '..'), join(file!, '../..')])
      expect(mode(path)).toBe('700');
  });
});

describe('RFC 9110 14.1.2: a range of bytes', () => {
  test.each([
    [0, 0, 'a'],
    [2, 4, 'cde'],
    [8, 9, 'ij'],
    [5, 1000, 'fghij'],
  ])('%i-%i', async (start, end, wanted) => {
    const { name } = await put(Buffer.from('abcdefghij'));
    const { size, stream } = await blobs.open(name, { start, end });
    expect(size).toBe(10);
    expect((await buffer(stream)).toString()).toBe(wanted);
  });

  test('that begins after the end is refused', async () => {
    const { name } = await put(Buffer.from('abc'));
    expect(await failureOf(blobs.open(name, { start: 3, end: 5 }))).toBe(416);
    const empty = await put(Buffer.from(''));
    expect(await failureOf(blobs.open(empty.name, { start: 0, end: 0 }))).toBe(416);
  });
});

test('what is read slowly is not read ahead', async () => {
  const { name } = await put(randomBytes(4_000_000));
  const { stream } = await blobs.open(name);
  await once(stream, 'readable');
  await setTimeout(50);
  expect(stream.readableLength).toBeLessThanOrEqual(stream.readableHighWaterMark);
  stream.destroy();
});

describe('bytes that do not come whole leave nothing', () => {
  test('more than the limit: 413, and the stream can still be answered', async () => {
    const stream = Readable.from([Buffer.alloc(10), Buffer.alloc(10), Buffer.alloc(10)]);
    expect(await failureOf(blobs.put(stream, { limit: 19 }))).toBe(413);
    expect(stream.destroyed).toBe(false);
    expect(files()).toEqual([]);
    stream.destroy();
    expect((await put(Buffer.alloc(19), { limit: 19 })).size).toBe(19);
  });

  test.each([
    ['fails', (stream: Readable) => stream.destroy(new Error('torn')), 'torn'],
    ['ends too soon', (stream: Readable) => stream.destroy(), 'Premature close'],
  ])('a stream that %s', async (_what, end, message) => {
    const stream = new Readable({ read() {} });
    stream.push(Buffer.alloc(100_000));
    const failure = failureOf(blobs.put(stream));
    await setTimeout(20);
    end(stream);
    expect(await failure).toBe(message);
    expect(files()).toEqual([]);
  });

  test('a signal that aborts, before or while', async () => {
    const stream = new Readable({ read() {} });
    stream.push(Buffer.alloc(100_000));
    const failure = failureOf(blobs.put(stream, { signal: AbortSignal.timeout(20) }));
    expect(await failure).toMatch(/abort/);
    expect(await failureOf(blobs.put(Readable.from(['a']), { signal: AbortSignal.abort() }))).toMatch(
      /abort/,
    );
    expect(files()).toEqual([]);
  });
});

test('R4 binary: a request over HTTP that is too large is answered; one that is torn leaves nothing', async () => {
  const outcomes: unknown[] = [];
  const tearing = new AbortController();
  const server = createServer(async (request, response) => {
    // the second one breaks off when some of it has come
    if (outcomes.length === 1) void setTimeout(50).then(() => tearing.abort());
    const outcome = await failureOf(blobs.put(request, { limit: 1_000_000 }));
    outcomes.push(outcome);
    request.resume();
    response.end(String(outcome));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const post = (body: RequestInit['body'], signal?: AbortSignal) =>
    fetch(url, { method: 'POST', body, signal, duplex: 'half' } as RequestInit).then((answer) =>
      answer.text(),
    );
  try {
    expect(await post(new Uint8Array(3_000_000))).toBe('413');
    const unending = new ReadableStream({ start: (it) => it.enqueue(new Uint8Array(100_000)) });
    await expect(post(unending, tearing.signal)).rejects.toThrow();
    while (outcomes.length < 2) await setTimeout(5);
    expect(outcomes).toEqual([413, 'aborted']);
    expect(files()).toEqual([]);
    expect(await post('ab')).toBe('none');
    expect(files()).toHaveLength(1);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

describe('names', () => {
  test.each([
    '../../etc/passwd',
    '',
    '.',
    'incoming',
    `${ABSENT}/..`,
    `${ABSENT}\n`,
    ABSENT.toUpperCase().replace('9', 'A'),
    ABSENT,
  ])('no bytes of the name %j', async (name) => {
    writeFileSync(join(root, 'secret'), 'x');
    expect(await failureOf(blobs.open(name))).toBe(404);
    await blobs.remove(name);
    expect(existsSync(join(root, 'secret'))).toBe(true);
  });

  test('what is removed is gone, but not for who is reading it', async () => {
    const { name } = await put(Buffer.from('abc'));
    const { stream } = await blobs.open(name);
    await blobs.remove(name);
    await blobs.remove(name);
    expect(await failureOf(blobs.open(name))).toBe(404);
    expect((await buffer(stream)).toString()).toBe('abc');
    expect(files()).toEqual([]);
  });
});

describe('sweeping', () => {
  test('removes what no row knows and was put away before', async () => {
    const known = await put(Buffer.from('known'));
    const orphan = await put(Buffer.from('orphan'));
    const asked: string[] = [];
    const knows = async (names: readonly string[]) => {
      asked.push(...names);
      return new Set([known.name]);
    };
    expect(await blobs.sweep(Date.now() - 60_000, knows)).toBe(0);
    expect(asked).toEqual([]);
    expect(await blobs.sweep(Date.now() + 1, knows)).toBe(1);
    expect(asked.sort()).toEqual([known.name, orphan.name].sort());
    expect(await failureOf(blobs.open(orphan.name))).toBe(404);
    expect((await read(known.name)).toString()).toBe('known');
  });

  test('removes what a killed writer left, not what is being written, nor what is not the store’s', async () => {
    const left = join(folder, 'incoming', ABSENT);
    writeFileSync(left, 'half');
    utimesSync(left, 1, 1);
    writeFileSync(join(folder, 'README'), 'x');
    const stream = new Readable({ read() {} });
    stream.push(Buffer.from('a'));
    const writing = blobs.put(stream);
    await setTimeout(50);
    expect(await blobs.sweep(Date.now() - 60_000, async () => new Set())).toBe(1);
    expect(existsSync(left)).toBe(false);
    stream.push(null);
    expect((await read((await writing).name)).toString()).toBe('a');
    expect(existsSync(join(folder, 'README'))).toBe(true);
  });

  test('asks for many names at once, but not for all', async () => {
    for (let i = 0; i < 1100; i += 50)
      await Promise.all(Array.from({ length: 50 }, () => put(Buffer.from('a'))));
    const sizes: number[] = [];
    const removed = await blobs.sweep(Date.now() + 1, async (names) => {
      sizes.push(names.length);
      return new Set(names.slice(1));
    });
    expect(sizes).toEqual([1000, 100]);
    expect(removed).toBe(2);
  });
});
