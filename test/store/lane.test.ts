/** Coalescing: who shares a call, who fails with whom. */
import { lane } from '../../src/store/lane.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('calls of one turn, and those that come while one is under way, go together; a lone one goes alone', async () => {
  const batches: number[][] = [];
  const call = lane<number, number>({ width: 1, most: 3 }, async (batch) => {
    batches.push([...batch]);
    await turn();
    return batch.map((n) => n * 2);
  });
  expect(await call(1)).toBe(2);
  expect(await Promise.all([2, 3, 4, 5].map(call))).toEqual([4, 6, 8, 10]);
  expect(batches).toEqual([[1], [2, 3, 4], [5]]);
});

test('where nothing of a batch is done, only the faulty call fails', async () => {
  const done: number[] = [];
  const call = lane<number, number>({ width: 2, most: 10 }, async (batch) => {
    if (batch.includes(13)) throw new Error('thirteen');
    done.push(...batch);
    return batch;
  });
  const outcomes = await Promise.allSettled([1, 13, 2].map(call));
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(done).toEqual([1, 2]);
});

test('where it is not known what was done, nothing is done again', async () => {
  let calls = 0;
  const call = lane<number, number>({ width: 1, most: 10, undone: () => false }, async () => {
    calls++;
    throw new Error('the connection broke');
  });
  const outcomes = await Promise.allSettled([1, 2, 3].map(call));
  expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true);
  expect(calls).toBe(1);
});

test('calls of one identity never share, and keep their order; weight bounds a batch', async () => {
  const batches: string[][] = [];
  const call = lane<string, string>(
    { width: 1, most: 10, heaviest: 5, weigh: (text) => text.length, identity: (text) => text[0] },
    async (batch) => {
      batches.push([...batch]);
      await turn();
      return batch;
    },
  );
  await Promise.all(['a1', 'a2', 'b1', 'c1', 'dlonger'].map(call));
  expect(batches).toEqual([['a1', 'b1'], ['a2', 'c1'], ['dlonger']]);
});
