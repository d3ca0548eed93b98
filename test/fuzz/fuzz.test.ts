/** Two thousand malformed queries. */
import { fuzz } from './fuzz.ts';

test('whatever a query says, the answer is 2xx or 4xx with a reason, in time', async () => {
  const { faults, asked, statuses } = await fuzz({ seed: 20261125, strings: 2000 });
  expect(faults).toEqual([]);
  expect(asked).toBe(2000);
  // Some are right, and most are not.
  expect(statuses.get(200)).toBeGreaterThan(200);
  expect(statuses.get(400)).toBeGreaterThan(1000);
}, 120_000);
