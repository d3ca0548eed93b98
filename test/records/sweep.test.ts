/** Bytes that no Binary came to have. */
import { Readable } from 'node:stream';
import { jest } from '@jest/globals';
import { sweepBlobs } from '../../src/store/bytes.ts';
import { openTestRecords, type TestRecords } from '../support/records.ts';

let it: TestRecords;
beforeAll(async () => {
  it = await openTestRecords();
});
afterAll(() => it.close());

test('bytes without a Binary go after a day, those of current and past versions stay', async () => {
  const { records, operator, store } = it;
  const bytes = (text: string) => ({ contentType: 'text/plain', stream: Readable.from([Buffer.from(text)]) });
  const first = await records.writeBinary(operator, undefined, bytes('first'));
  const second = await records.writeBinary(operator, first.id, bytes('second'));
  const lost = await store.blobs.put(Readable.from([Buffer.from('lost')]));
  await store.pool.query(
    `insert into blob (name, size, sha256, idle) values ($1, 4, '', now() - interval '2 days')`,
    [lost.name],
  );
  await store.pool.query(`update blob set idle = now() - interval '2 days'`);
  expect(await sweepBlobs(store.pool, store.blobs)).toBe(0);
  const { rows } = await store.pool.query('select name from blob');
  expect(rows.map(({ name }) => name).sort()).toEqual([first.blob, second.blob].sort());
  // The file is younger than a day: a process that is about to write its row may be at it.
  jest.useFakeTimers({
    now: Date.now() + 2 * 86_400_000,
    doNotFake: ['setImmediate', 'nextTick', 'setTimeout', 'setInterval', 'queueMicrotask'],
  });
  try {
    expect(await sweepBlobs(store.pool, store.blobs)).toBe(1);
  } finally {
    jest.useRealTimers();
  }
  await expect(store.blobs.open(lost.name)).rejects.toMatchObject({ status: 404 });
  for (const { blob } of [first, second]) {
    const { stream } = await records.openBlob(blob as string);
    stream.destroy();
  }
});
