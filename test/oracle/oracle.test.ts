/** A thousand random searches: PostgreSQL, the matcher and the oracle agree. */
import { type Ground, openGround } from './ground.ts';
import { tryAll } from './trials.ts';

let ground: Ground;
beforeAll(async () => {
  ground = await openGround();
});
afterAll(() => ground.close());

test('R4 search.html: any search of any world finds what the oracle says, in that order, on any pages', async () => {
  const { disagreements, searches, finding } = await tryAll(ground, {
    seed: 20261125,
    searches: 1000,
    ofEach: 100,
  });
  expect(disagreements).toEqual([]);
  // Not the same because they are empty.
  expect(finding).toBeGreaterThan(searches / 3);
}, 120_000);
