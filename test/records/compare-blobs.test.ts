/** What doctor finds between the store of bytes and the rows that know them. */
import { Readable } from 'node:stream';
import { jest } from '@jest/globals';
import { compareBlobs } from '../../src/store/bytes.ts';
import { openTestRecords, type TestRecords } from '../support/records.ts';

let it: TestRecords;
beforeAll(async () => {
  it = await openTestRecords();
});
afterAll(() => it.close());

test('bytes that are lost, and bytes that nobody has', async () => {
  const { records, operator, store } = it;
  const written = async (text: string): Promise<string> => {
    const bytes = { contentType: 'text/plain', stream: Readable.from([Buffer.from(text)]) };
    return (await records.writeBinary(operator, undefined, bytes)).blob as string;
  };
  const [, lost] = [await written('kept'), await written('lost')];
  await store.blobs.put(Readable.from([Buffer.from('orphan')]));
  await store.blobs.remove(lost);
  // what is young may be on its way
  expect(await compareBlobs(store.pool, store.blobs)).toEqual({ blobs: 2, orphans: 0, lost: [] });
  jest.useFakeTimers({
    now: Date.now() + 2 * 86_400_000,
    doNotFake: ['setImmediate', 'nextTick', 'setTimeout', 'setInterval', 'queueMicrotask'],
  });
  try {
    expect(await compareBlobs(store.pool, store.blobs)).toEqual({ blobs: 2, orphans: 1, lost: [lost] });
  } finally {
    jest.useRealTimers();
  }
});
