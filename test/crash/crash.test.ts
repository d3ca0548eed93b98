/** The short variant of `npm run test:crash`. */
import { crash } from './crash.ts';

test('what is acknowledged survives kill -9 of the server, of PostgreSQL and of one of its backends', async () => {
  const lines: string[] = [];
  expect(await crash(4, 'both', (line) => lines.push(line))).toEqual([]);
  // Each round has written something, so that there was something to lose.
  for (const line of lines.slice(0, 4))
    expect(line).toMatch(/; [1-9]\d* writes acknowledged, [1-9]\d* transactions sent/);
}, 60_000);
