/** Patients see who has looked at their record, on the page of their account and as AuditEvents. */
import type { AuditEvent, Bundle } from 'fhir/r4.js';
import { launch } from './launch.ts';
import { PASSWORD, type SmartServer, startSmart } from './server.ts';

let server: SmartServer;
beforeAll(async () => {
  server = await startSmart();
});
afterAll(() => server.close());

async function account(user: string): Promise<string> {
  const browser = server.browser();
  const page = await browser.open('/auth/account');
  return (await browser.submit(page, '/sign-in\\?to=account', { username: user, password: PASSWORD })).text;
}

test('who, through which app, what, and when', async () => {
  const { tokens } = await launch(server, { scope: 'openid fhirUser user/*.rs' });
  const headers = { authorization: `Bearer ${tokens.access_token}` };
  await fetch(`${server.fhir}/Patient/ines`, { headers });
  await fetch(`${server.fhir}/Encounter?patient=ines`, { headers });
  await fetch(`${server.fhir}/Patient/juan`, { headers });
  for (const user of ['patient', 'mother']) {
    const text = await account(user);
    expect(text).toContain('Who has looked at your record');
    expect(text).toMatch(/<strong>Ada Berg<\/strong>\s*opened your record/);
    expect(text).toMatch(/<strong>Ada Berg<\/strong>\s*searched your record/);
    expect(text.match(/<strong>Ada Berg<\/strong>/g)).toHaveLength(2);
    expect(text).toContain('through app');
  }
  expect(await account('doctor')).not.toContain('Who has looked');
});

test('signing in is in the trail, and so is failing to', async () => {
  await account('patient');
  const browser = server.browser();
  const page = await browser.open('/auth/account');
  await browser.submit(page, '/sign-in\\?to=account', { username: 'patient', password: 'wrong' });
  const { body } = await server.send('get', '/AuditEvent?type=110114&_count=2').expect(200);
  const [failed, done] = ((body as Bundle<AuditEvent>).entry ?? []).map(({ resource }) => resource);
  expect(failed).toMatchObject({ outcome: '4', agent: [{ who: { identifier: { value: 'patient' } } }, {}] });
  expect(done).toMatchObject({
    outcome: '0',
    agent: [{ who: { reference: 'Patient/ines' }, altId: 'patient' }, {}],
  });
  expect(JSON.stringify(body)).not.toContain('wrong');
});
