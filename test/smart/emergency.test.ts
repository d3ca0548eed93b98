/** Breaking the glass: by whom, for whom, how long, and what is left of it. */
import type { Bundle, Task } from 'fhir/r4.js';
import { Client } from 'pg';
import { launch } from './launch.ts';
import { put, type SmartServer, startSmart } from './server.ts';

let server: SmartServer;
beforeAll(async () => {
  server = await startSmart();
  const label = (code: string) => ({
    security: [{ system: 'http://terminology.hl7.org/CodeSystem/v3-Confidentiality', code }],
  });
  const of = { subject: { reference: 'Patient/ines' } };
  await put(server, { resourceType: 'Condition', id: 'n', ...of } as never);
  await put(server, { resourceType: 'Condition', id: 'r', meta: label('R'), ...of } as never);
  await put(server, { resourceType: 'Condition', id: 'v', meta: label('V'), ...of } as never);
  await put(server, {
    resourceType: 'Consent',
    id: 'no',
    status: 'active',
    scope: { coding: [{ code: 'patient-privacy' }] },
    category: [{ text: 'privacy' }],
    patient: { reference: 'Patient/ines' },
    policyRule: { coding: [{ code: 'OPTOUT' }] },
  } as never);
});
afterAll(() => server.close());

const SCOPE = 'openid fhirUser user/*.rs';
const REASON = 'unconscious in the emergency room';
const glass = (token: unknown, body: object) =>
  fetch(`${server.issuer}/break-glass`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    body: JSON.stringify(body),
  });
async function seen(token: unknown, path = '/Condition'): Promise<string> {
  const answer = await fetch(`${server.fhir}${path}`, { headers: { authorization: `Bearer ${token}` } });
  const { entry = [] } = (await answer.json()) as Bundle;
  return entry
    .map(({ resource }) => resource?.id)
    .sort()
    .join(' ');
}
async function sql(text: string): Promise<void> {
  const client = new Client(server.databaseUrl);
  await client.connect();
  await client.query(text);
  await client.end();
}

test('opens the records for an hour, whatever Consents say, but for what is very restricted; a Task asks for a review', async () => {
  const { tokens } = await launch(server, { scope: SCOPE, user: 'stranger' });
  const token = tokens.access_token;
  expect(await seen(token)).toBe('');
  const answer = await glass(token, { patient: 'ines', reason: REASON });
  expect(answer.status).toBe(201);
  const { until } = (await answer.json()) as { until: string };
  expect(Math.abs(Date.parse(until) - Date.now() - 3_600_000)).toBeLessThan(60_000);
  expect(await seen(token)).toBe('n r');
  expect(await seen(token, '/Patient')).toBe('ines');
  const { body } = await server.send('get', '/Task?patient=ines&owner=Organization/clinic').expect(200);
  const [task] = (body as Bundle<Task>).entry ?? [];
  expect(task?.resource).toMatchObject({ description: REASON, requester: { reference: 'Practitioner/tom' } });
  await sql(`update emergency set until = now()`);
  await sql(`update epoch set value = value + 1`);
  expect(await seen(token)).toBe('');
});

test.each([
  ['without a reason', 'stranger', SCOPE, { patient: 'ines' }, 400],
  ['with next to no reason', 'stranger', SCOPE, { patient: 'ines', reason: 'because' }, 400],
  ['for nobody', 'stranger', SCOPE, { patient: 'nobody', reason: REASON }, 404],
  [
    'by an app in the records of one patient',
    'doctor',
    'launch/patient patient/*.rs',
    { patient: 'away', reason: REASON },
    403,
  ],
  ['by a patient', 'patient', SCOPE, { patient: 'away', reason: REASON }, 403],
  ['by a related person', 'mother', SCOPE, { patient: 'away', reason: REASON }, 403],
])('not %s', async (_, user, scope, body, status) => {
  const { tokens } = await launch(server, { scope, user });
  expect((await glass(tokens.access_token, body)).status).toBe(status);
});

test('not by a system, nor by nobody', async () => {
  const token = await server.app.issueToken({ scope: 'system/*.cruds', client: 'ehr', minutes: 5 });
  expect((await glass(token, { patient: 'ines', reason: REASON })).status).toBe(403);
  expect((await glass('x', { patient: 'ines', reason: REASON })).status).toBe(401);
});

test('only within five minutes after signing in (RFC 9470)', async () => {
  const { tokens } = await launch(server, { scope: SCOPE, user: 'stranger' });
  await sql(
    `update smart_artifact set payload = jsonb_set(payload, '{loginTs}', '1') where model = 'Session'`,
  );
  const answer = await glass(tokens.access_token, { patient: 'ines', reason: REASON });
  expect(answer.status).toBe(401);
  expect(answer.headers.get('www-authenticate')).toContain('insufficient_user_authentication');
});

test('not by what was granted before the practitioner has signed in just now', async () => {
  const { tokens } = await launch(server, { scope: SCOPE, user: 'stranger' });
  await sql(`update smart_grant set created = now() - interval '1 minute'`);
  expect((await glass(tokens.access_token, { patient: 'ines', reason: REASON })).status).toBe(401);
});

test('five times a day', async () => {
  const { tokens } = await launch(server, { scope: SCOPE, user: 'stranger' });
  await sql('delete from emergency');
  const ask = async () => (await glass(tokens.access_token, { patient: 'ines', reason: REASON })).status;
  const statuses = await Promise.all(Array.from({ length: 7 }, ask));
  expect(statuses.sort()).toEqual([201, 201, 201, 201, 201, 429, 429]);
});
