/** A part of `npm run test:fuzz`: malformed queries are refused with a reason, and never more (R4 search.html#errors). */
import { startApp, type TestApp } from '../http/app.ts';
import { fuzz } from './fuzz.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
  for (const [type, rest] of [
    ['Patient', { name: [{ family: 'x' }], birthDate: '2020' }],
    ['Observation', { status: 'final', code: { text: 'x' }, subject: { reference: 'Patient/1' } }],
  ] as const)
    await app
      .send('put', `/${type}/1`)
      .type('application/fhir+json')
      .send({ resourceType: type, id: '1', ...rest })
      .expect(201);
});
afterAll(() => app.close());

test('2,000 nearly right queries: 2xx, or 4xx with a reason', async () => {
  const { definitions } = app.app;
  const port = Number(new URL(app.url).port);
  const { statuses, faults } = await fuzz({ port, token: app.token, definitions }, 2000, 20_261_125);
  expect(faults).toEqual([]);
  // Neither all right nor all wrong: what is broken lightly gets far in.
  expect(statuses[200]).toBeGreaterThan(100);
  expect(statuses[400]).toBeGreaterThan(500);
}, 120_000);
