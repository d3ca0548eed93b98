/** Where oidc-provider, by itself, does otherwise than SMART needs, and what it must not do here. */
import { generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import * as oidc from 'openid-client';
import { configure, decide, launch, requestOf } from './launch.ts';
import { type SmartServer, startSmart } from './server.ts';

let server: SmartServer;
beforeAll(async () => {
  server = await startSmart();
});
afterAll(() => server.close());

const SCOPE = 'launch openid fhirUser offline_access patient/Patient.rs';

async function launchOf(context: object): Promise<string> {
  const ehr = await server.app.issueToken({ scope: 'system/Patient.r', client: 'ehr', minutes: 5 });
  const answer = await fetch(`${server.issuer}/launch`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ehr}` },
    body: JSON.stringify(context),
  });
  return ((await answer.json()) as { launch: string }).launch;
}

test('a pushed request keeps aud, launch, intent and offline_access (its own aud would take the place of aud)', async () => {
  const value = await launchOf({ patient: 'juan', intent: 'order-review' });
  const config = await configure(server);
  const { checks, url } = await requestOf(server, config, { scope: SCOPE, more: { launch: value } });
  const pushed = await oidc.buildAuthorizationUrlWithPAR(config, url.searchParams);
  const browser = server.browser();
  const back = await decide(browser, await browser.open(pushed.href), { scope: SCOPE });
  const tokens = await oidc.authorizationCodeGrant(config, new URL(back.url), checks);
  expect(tokens).toMatchObject({
    patient: 'juan',
    intent: 'order-review',
    refresh_token: expect.any(String),
    scope: SCOPE,
  });
});

describe('DPoP (RFC 9449) is off, as the FHIR door checks no proofs', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const proof = (htm: string, htu: string): string => {
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const head = part({ typ: 'dpop+jwt', alg: 'ES256', jwk: publicKey.export({ format: 'jwk' }) });
    const text = `${head}.${part({ htm, htu, jti: randomUUID(), iat: Math.floor(Date.now() / 1000) })}`;
    const key = { key: privateKey, dsaEncoding: 'ieee-p1363' } as const;
    return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`;
  };

  test('a proof binds nothing: the token says that it is a bearer’s', async () => {
    const { tokens } = await launch(server, { scope: 'launch/patient offline_access patient/Patient.rs' });
    const answer = await fetch(`${server.issuer}/token`, {
      method: 'POST',
      headers: { dpop: proof('POST', `${server.issuer}/token`) },
      body: new URLSearchParams({
        grant_type: 'refresh_token',
        refresh_token: tokens.refresh_token as string,
        client_id: 'app',
      }),
    });
    const body = (await answer.json()) as Record<string, unknown>;
    expect([answer.status, body.token_type]).toEqual([200, 'Bearer']);
  });

  test('the door takes no token by that scheme', async () => {
    const { tokens } = await launch(server, { scope: 'launch/patient patient/Patient.rs' });
    const answer = await fetch(`${server.fhir}/Patient/ines`, {
      headers: {
        authorization: `DPoP ${tokens.access_token}`,
        dpop: proof('GET', `${server.fhir}/Patient/ines`),
      },
    });
    expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([
      401,
      expect.stringMatching(/^Bearer/),
    ]);
  });
});

describe('tabs of one browser', () => {
  test('eight launches that begin at the same time: no fault of the server, and one that goes on ends well', async () => {
    const browser = server.browser();
    const config = await configure(server);
    await launch(server, { scope: 'openid fhirUser', browser });
    const asked = { scope: 'openid fhirUser' };
    const all = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const { url, checks } = await requestOf(server, config, asked);
        return { page: await browser.open(url.href), checks };
      }),
    );
    for (const { page } of all) expect(page.status).toBeLessThan(500);
    const last = await requestOf(server, config, asked);
    const back = await decide(browser, await browser.open(last.url.href), asked);
    expect(
      (await oidc.authorizationCodeGrant(config, new URL(back.url), last.checks)).access_token,
    ).toBeDefined();
  });

  test('one that waits at consent goes on after another has ended, each with its own patient', async () => {
    const browser = server.browser();
    const config = await configure(server);
    const asked = { scope: 'launch/patient patient/Patient.rs' };
    const first = await requestOf(server, config, asked);
    let page = await browser.open(first.url.href);
    page = await browser.submit(page, '/login', { username: 'doctor', password: 'correct horse battery' });
    const waiting = await browser.submit(page, '/patient', { patient: 'ines' });
    const second = await launch(server, { ...asked, patient: 'juan', browser });
    const back = await browser.submit(waiting, '/consent', { decision: 'allow' });
    const tokens = await oidc.authorizationCodeGrant(config, new URL(back.url), first.checks);
    expect([tokens.patient, second.tokens.patient]).toEqual(['ines', 'juan']);
  });
});
