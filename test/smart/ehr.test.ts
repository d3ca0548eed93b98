/** Launches by an EHR (SMART App Launch 2.2, app-launch.html#launch-app-ehr-launch). */
import * as oidc from 'openid-client';
import { configure, decide, launch, requestOf } from './launch.ts';
import { CALLBACK, PASSWORD, type SmartServer, startSmart } from './server.ts';

let server: SmartServer;
let ehr: string;
beforeAll(async () => {
  server = await startSmart();
  ehr = await server.app.issueToken({ scope: 'system/*.cruds', client: 'ehr', minutes: 5 });
});
afterAll(() => server.close());

const SCOPE = 'launch openid fhirUser offline_access user/Patient.rs user/Observation.rs';

/** What the app is told. */
const ABOUT_LAUNCH = { error_description: expect.stringContaining('launch') };

async function opened(body: unknown, token = ehr): Promise<string> {
  const answer = await fetch(`${server.issuer}/launch`, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { authorization: `Bearer ${token}` },
  });
  const { launch: value } = (await answer.json()) as { launch: string };
  return value;
}

test('g10_patient_context, g10_encounter_context, banner, style, intent, tenant, fhirContext; again after refresh', async () => {
  const context = {
    patient: 'ines',
    encounter: 'visit',
    intent: 'reconcile-medications',
    tenant: 'clinic',
    need_patient_banner: false,
    fhirContext: [{ reference: 'ImagingStudy/1', type: 'ImagingStudy' }, { identifier: { value: 'x' } }],
  };
  const { tokens, config } = await launch(server, { scope: SCOPE, more: { launch: await opened(context) } });
  const wanted = { ...context, smart_style_url: `${server.issuer}/style.json`, scope: SCOPE };
  expect(tokens).toMatchObject(wanted);
  expect(await oidc.refreshTokenGrant(config, tokens.refresh_token as string)).toMatchObject(wanted);
});

test('patient scopes get the patient of the launch; nobody is asked for one', async () => {
  const more = { launch: await opened({ patient: 'juan' }) };
  const { tokens } = await launch(server, { scope: 'launch patient/*.rs', more });
  expect(tokens.patient).toBe('juan');
});

test('a launch is good once', async () => {
  const more = { launch: await opened({ patient: 'juan' }) };
  await launch(server, { scope: SCOPE, more });
  await expect(launch(server, { scope: SCOPE, more })).rejects.toMatchObject(ABOUT_LAUNCH);
});

test('of two that come with one launch at the same time, one gets no further', async () => {
  const more = { launch: await opened({ patient: 'juan' }) };
  const outcomes = await Promise.allSettled([1, 2].map(() => launch(server, { scope: SCOPE, more })));
  expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
});

test('for one app, it is nothing to another', async () => {
  await server.app.smart.clients.add({ id: 'theirs', type: 'public', redirectUris: [CALLBACK] });
  const more = { launch: await opened({ patient: 'juan', client_id: 'theirs' }) };
  await expect(launch(server, { scope: SCOPE, more })).rejects.toMatchObject(ABOUT_LAUNCH);
  expect((await launch(server, { client: 'theirs', scope: SCOPE, more })).tokens.patient).toBe('juan');
});

test('of a patient whose record the person may not open: access_denied', async () => {
  const more = { launch: await opened({ patient: 'juan' }) };
  await expect(launch(server, { scope: SCOPE, user: 'stranger', more })).rejects.toThrow();
});

test('five minutes later it is nothing', async () => {
  const more = { launch: await opened({ patient: 'juan' }) };
  await server.app.pool.query(`update smart_launch set expires = expires - interval '5 minutes'`);
  await expect(launch(server, { scope: SCOPE, more })).rejects.toMatchObject(ABOUT_LAUNCH);
});

test('made by a person, only that person may use it, and only for patients they may see', async () => {
  const { tokens } = await launch(server, { scope: SCOPE });
  const more = { launch: await opened({ patient: 'ines' }, tokens.access_token) };
  await expect(launch(server, { scope: SCOPE, user: 'patient', more })).rejects.toThrow();
  expect(await opened({ patient: 'away' }, tokens.access_token)).toBeUndefined();
  const again = { launch: await opened({ patient: 'ines' }, tokens.access_token) };
  expect((await launch(server, { scope: SCOPE, more: again })).tokens.patient).toBe('ines');
});

test('the launch page does it by hand', async () => {
  const browser = server.browser();
  const signIn = await browser.open('/auth/try');
  const page = await browser.submit(signIn, '/sign-in\\?to=try', { username: 'doctor', password: PASSWORD });
  expect(page.text).toMatch(/Ines Alba.*Heart app/s);
  const app = new URL((await browser.submit(page, '/try', { patient: 'ines', app: 'app' })).url);
  expect(app.searchParams.get('iss')).toBe(server.fhir);
  const asked = { scope: SCOPE, more: { launch: app.searchParams.get('launch') as string } };
  const config = await configure(server);
  const { url, checks } = await requestOf(server, config, asked);
  const back = await decide(browser, await browser.open(url.href), asked);
  const tokens = await oidc.authorizationCodeGrant(config, new URL(back.url), checks);
  expect(tokens.patient).toBe('ines');
});

test('whoami tells what a token is good for, and why a request would be refused', async () => {
  const { tokens } = await launch(server, {
    scope: SCOPE,
    more: { launch: await opened({ patient: 'ines' }) },
  });
  const ask = async (token: string, query = '') =>
    (
      await fetch(`${server.issuer}/whoami${query}`, { headers: { authorization: `Bearer ${token}` } })
    ).json();
  expect(await ask(tokens.access_token)).toMatchObject({
    client_id: 'app',
    scope: SCOPE,
    patient: 'ines',
    fhirUser: 'Practitioner/ada',
  });
  const narrow = await server.app.issueToken({ scope: 'system/Patient.r', client: 'x', minutes: 1 });
  expect(await ask(narrow, '?path=Patient/1')).toMatchObject({ request: { allowed: true } });
  expect(await ask(narrow, '?method=POST&path=/fhir/Observation')).toMatchObject({
    request: { allowed: false, why: expect.stringContaining('system/Observation.c') },
  });
  expect(await ask(narrow, '?path=Patient?name=x')).toMatchObject({ request: { allowed: false } });
  expect(await ask(narrow, '?path=Nonsense/1')).toMatchObject({ request: { allowed: false } });
});
