/** What all stores of bytes do, on disk and in S3, encrypted and not. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { CreateBucketCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import S3rver from 's3rver';
import { Refusal } from '../../src/fhir/outcome.ts';
import type { Blobs } from '../../src/store/blobs/blobs.ts';
import { openDiskBlobs } from '../../src/store/blobs/disk.ts';
import { encrypted } from '../../src/store/blobs/encrypted.ts';
import { openS3Blobs, readBucket } from '../../src/store/blobs/s3.ts';

const KEY = randomBytes(32);
const OTHER = randomBytes(32);
const ABSENT = '0198f2a0-0000-7000-8000-000000000000';

let root: string;
let server: S3rver;
let url: string;
let s3: S3Client;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'consilium-blobs-'));
  server = new S3rver({ port: 0, address: '127.0.0.1', silent: true, directory: join(root, 's3') });
  const { port } = await server.run();
  process.env.AWS_ACCESS_KEY_ID = 'S3RVER';
  process.env.AWS_SECRET_ACCESS_KEY = 'S3RVER';
  const endpoint = `http://127.0.0.1:${port}`;
  url = `s3://bytes/some/where?endpoint=${endpoint}`;
  s3 = new S3Client(readBucket(url).client);
  await s3.send(new CreateBucketCommand({ Bucket: 'bytes' }));
});

afterAll(async () => {
  s3.destroy();
  await server.close();
  delete process.env.AWS_ACCESS_KEY_ID;
  delete process.env.AWS_SECRET_ACCESS_KEY;
  rmSync(root, { recursive: true, force: true });
});

const disk = () => openDiskBlobs(join(root, 'disk'));
const bucket = () => openS3Blobs(readBucket(url));

const KINDS: [string, () => Promise<Blobs>][] = [
  ['on disk', disk],
  ['on disk, encrypted', async () => encrypted(await disk(), [KEY])],
  ['in S3', bucket],
  ['in S3, encrypted', async () => encrypted(await bucket(), [KEY])],
];

const failureOf = (what: Promise<unknown>) =>
  what.then(
    () => 'none',
    (fault) => (fault instanceof Refusal ? fault.status : fault.message),
  );

describe.each(KINDS)('bytes %s', (_kind, open) => {
  let blobs: Blobs;
  beforeAll(async () => {
    blobs = await open();
  });
  const put = (bytes: Uint8Array, options = {}) =>
    blobs.put(Readable.from([bytes], { objectMode: false }), options);
  const read = async (name: string, range?: { start: number; end: number }) =>
    buffer((await blobs.open(name, range)).stream);

  test.each([0, 1, 65_535, 65_536, 65_537, 131_072, 200_000, 8 * 2 ** 20, 8 * 2 ** 20 + 1, 20_000_000])(
    '%i of them come back as they were',
    async (size) => {
      const bytes = randomBytes(size);
      const { name, size: told } = await put(bytes);
      expect(told).toBe(size);
      const { size: known, stream } = await blobs.open(name);
      expect(known).toBe(size);
      expect((await buffer(stream)).equals(bytes)).toBe(true);
    },
  );

  test.each([0, 1, 262_144, 262_145, 1_000_000])('%i of them are poured out as they were', async (size) => {
    const bytes = randomBytes(size);
    const { name } = await put(bytes);
    const poured = async (range?: { start: number; end: number }): Promise<Buffer> => {
      const pieces: Buffer[] = [];
      // what is given is only there until it is taken
      await blobs.pour(name, async (piece) => void pieces.push(Buffer.from(piece)), range);
      return Buffer.concat(pieces);
    };
    expect((await poured()).equals(bytes)).toBe(true);
    if (size > 1000)
      expect((await poured({ start: 999, end: size + 5 })).equals(bytes.subarray(999))).toBe(true);
    const refused = new Error('the client has gone');
    if (size > 0)
      await expect(blobs.pour(name, () => Promise.reject(refused))).rejects.toThrow(refused.message);
  });

  test('RFC 9110 14.1.2: ranges, also over segments and to the end', async () => {
    const bytes = randomBytes(200_000);
    const { name } = await put(bytes);
    for (const [start, end] of [
      [0, 0],
      [0, 65_535],
      [65_535, 65_536],
      [65_536, 131_071],
      [100, 199_999],
      [199_999, 199_999],
      [131_071, 500_000],
    ] as const) {
      const { size, stream } = await blobs.open(name, { start, end });
      expect(size).toBe(200_000);
      const got = await buffer(stream);
      expect([start, end, got.length, got.equals(bytes.subarray(start, end + 1))]).toEqual([
        start,
        end,
        Math.min(end, 199_999) - start + 1,
        true,
      ]);
    }
    expect(await failureOf(blobs.open(name, { start: 200_000, end: 200_001 }))).toBe(416);
    expect(await failureOf(blobs.pour(name, async () => {}, { start: 200_000, end: 200_001 }))).toBe(416);
    const { name: empty } = await put(Buffer.alloc(0));
    expect(await failureOf(blobs.open(empty, { start: 0, end: 0 }))).toBe(416);
  });

  test('that are not there, or are removed, are 404', async () => {
    expect(await failureOf(blobs.open(ABSENT))).toBe(404);
    expect(await failureOf(blobs.open('../../etc/passwd'))).toBe(404);
    const { name } = await put(Buffer.from('gone'));
    await blobs.remove(name);
    await blobs.remove(name);
    expect(await failureOf(blobs.open(name))).toBe(404);
  });

  test('that do not come whole leave nothing', async () => {
    const before = await names();
    const large = Readable.from(
      [9, 9, 9].map((size) => randomBytes(size * 2 ** 20)),
      { objectMode: false },
    );
    expect(await failureOf(blobs.put(large, { limit: 17 * 2 ** 20 }))).toBe(413);
    expect(large.destroyed).toBe(false);
    large.destroy();
    const torn = Readable.from(
      (function* () {
        yield randomBytes(17 * 2 ** 20);
        throw new Error('torn');
      })(),
      { objectMode: false },
    );
    expect(await failureOf(blobs.put(torn))).toBe('torn');
    expect(await names()).toEqual(before);
  });

  test('that no row knows are swept away once they are old', async () => {
    const [kept, orphan] = [await put(Buffer.from('kept')), await put(Buffer.from('orphan'))];
    const known = async (all: readonly string[]) => new Set(all.filter((name) => name !== orphan.name));
    const names: string[] = [];
    for await (const batch of blobs.names()) names.push(...batch);
    expect(names).toEqual(expect.arrayContaining([kept.name, orphan.name]));
    expect(await blobs.sweep(Date.now() - 60_000, known)).toBe(0);
    expect(await blobs.sweep(Date.now() + 2 * 86_400_000, known)).toBe(1);
    expect((await read(kept.name)).toString()).toBe('kept');
    expect(await failureOf(blobs.open(orphan.name))).toBe(404);
  });

  test('are opened and left unread', async () => {
    const { name } = await put(randomBytes(3_000_000));
    (await blobs.open(name)).stream.destroy();
    (await blobs.open(name, { start: 1, end: 2_000_000 })).stream.destroy();
  });
});

async function names(): Promise<string[]> {
  const files = readdirSync(join(root, 'disk'), { recursive: true, withFileTypes: true });
  const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: 'bytes' }));
  return [
    ...files.filter((one) => one.isFile()).map(({ name }) => name),
    ...Contents.map(({ Key = '' }) => Key),
  ];
}

describe('encryption', () => {
  const put = async (blobs: Blobs, bytes: Buffer) =>
    (await blobs.put(Readable.from([bytes], { objectMode: false }))).name;
  const read = async (blobs: Blobs, name: string) => buffer((await blobs.open(name)).stream);

  test('no part of what was put away is on disk', async () => {
    const inner = await disk();
    const bytes = Buffer.from('the patient said '.repeat(10_000));
    const name = await put(encrypted(inner, [KEY]), bytes);
    const kept = await read(inner, name);
    expect(kept.includes('patient')).toBe(false);
    // the same again is something else
    expect((await read(inner, await put(encrypted(inner, [KEY]), bytes))).equals(kept)).toBe(false);
  });

  test('a stream that is closed before it was read closes the file, too', async () => {
    const inner = await disk();
    const opened: Readable[] = [];
    const watched: Blobs = {
      ...inner,
      async open(name, range) {
        const found = await inner.open(name, range);
        opened.push(found.stream);
        return found;
      },
    };
    const blobs = encrypted(watched, [KEY]);
    const name = await put(blobs, Buffer.alloc(200_000));
    const { stream } = await blobs.open(name);
    stream.destroy();
    await once(stream, 'close');
    expect(opened).toHaveLength(2);
    expect(opened.every(({ destroyed }) => destroyed)).toBe(true);
  });

  test('keys are changed: what is there is read, what is new has the new one', async () => {
    const inner = await disk();
    const plain = await put(inner, Buffer.from('plain'));
    const old = await put(encrypted(inner, [KEY]), Buffer.from('old'));
    const both = encrypted(inner, [OTHER, KEY]);
    const fresh = await put(both, Buffer.from('fresh'));
    expect((await read(both, plain)).toString()).toBe('plain');
    expect((await read(both, old)).toString()).toBe('old');
    expect((await read(encrypted(inner, [OTHER]), fresh)).toString()).toBe('fresh');
    await expect(read(encrypted(inner, [OTHER]), old)).rejects.toThrow(/BLOB_KEYS/);
  });

  test.each<[string, (file: Buffer) => Buffer]>([
    [
      'a byte changed',
      (file) => Buffer.concat([file.subarray(0, 500), Buffer.of((file[500] ?? 0) ^ 1), file.subarray(501)]),
    ],
    [
      'a byte of the key changed',
      (file) => Buffer.concat([file.subarray(0, 40), Buffer.of((file[40] ?? 0) ^ 1), file.subarray(41)]),
    ],
    ['the end cut off', (file) => file.subarray(0, 76 + 2 * 65_552)],
    [
      'two segments exchanged',
      (file) =>
        Buffer.concat([
          file.subarray(0, 76),
          file.subarray(76 + 65_552, 76 + 2 * 65_552),
          file.subarray(76, 76 + 65_552),
          file.subarray(76 + 2 * 65_552),
        ]),
    ],
    ['a byte added', (file) => Buffer.concat([file, Buffer.of(0)])],
  ])('%s: nothing false is given out', async (_what, change) => {
    const blobs = encrypted(await disk(), [KEY]);
    const name = await put(blobs, Buffer.alloc(200_000, 'x'));
    const path = join(root, 'disk', name.slice(-4, -2), name.slice(-2), name);
    writeFileSync(path, change(readFileSync(path)));
    await expect(read(blobs, name)).rejects.toThrow();
  });
});

test.each(['', 'http://bytes', 's3://', 'bucket'])('BLOBS_URL "%s" is refused', (text) => {
  expect(() => readBucket(text)).toThrow(/expected s3:\/\/bucket/);
});
