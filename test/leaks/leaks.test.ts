/** Nobody is shown, or changes, what is not theirs, and everybody what is: a part of `npm run test:leaks`. */
import { startApp, type TestApp } from '../http/app.ts';
import { SETTINGS, tryAll } from './trials.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp(SETTINGS);
});
afterAll(() => app.close());

test('every path shows what the judge says, nothing more and nothing less', async () => {
  const { wrong, requests, allowed } = await tryAll(app, { seed: 20261125, requests: 600 });
  expect(wrong).toEqual([]);
  expect(allowed).toBeGreaterThan(requests / 8);
}, 120_000);
