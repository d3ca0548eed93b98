/** What becomes of tokens: refresh, OpenID Connect, introspection, revocation (rows D of the test kits), and races. */
import { createPublicKey, verify } from 'node:crypto';
import * as oidc from 'openid-client';
import { configure, decide, type Launched, launch, requestOf } from './launch.ts';
import { CALLBACK, PASSWORD, type SmartServer, startSmart } from './server.ts';

let server: SmartServer;
let secret: string;
beforeAll(async () => {
  server = await startSmart();
  const { clients } = server.app.smart;
  secret = (await clients.add({ id: 'web', type: 'confidential', redirectUris: [CALLBACK] }))
    .client_secret as string;
  await clients.add({ id: 'other', type: 'confidential', redirectUris: [CALLBACK] });
});
afterAll(() => server.close());

const SCOPE = 'launch/patient openid fhirUser offline_access patient/Patient.rs';

const launched = (scope = SCOPE): Promise<Launched> =>
  launch(server, { client: 'web', authentication: oidc.ClientSecretBasic(secret), scope });

async function post(endpoint: string, fields: Record<string, string>, as?: string) {
  const headers: Record<string, string> = as
    ? { authorization: `Basic ${Buffer.from(as).toString('base64')}` }
    : {};
  const answer = await fetch(`${server.issuer}/${endpoint}`, {
    method: 'POST',
    body: new URLSearchParams(fields),
    headers,
  });
  const text = await answer.text();
  return { status: answer.status, body: (text === '' ? {} : JSON.parse(text)) as Record<string, unknown> };
}

/** Whether an access token opens anything. */
async function lives(token: unknown): Promise<boolean> {
  const answer = await fetch(`${server.issuer}/whoami`, { headers: { authorization: `Bearer ${token}` } });
  const door = await fetch(`${server.fhir}/Patient/ines`, { headers: { authorization: `Bearer ${token}` } });
  expect(door.status === 401).toBe(answer.status === 401);
  return answer.status === 200;
}

describe('refresh', () => {
  test('smart_token_refresh without and with the scope that was received, each with the token of the last', async () => {
    const { tokens, config } = await launched();
    const first = await oidc.refreshTokenGrant(config, tokens.refresh_token as string);
    expect(first).toMatchObject({ scope: SCOPE, patient: 'ines', expires_in: 3600, token_type: 'bearer' });
    expect(first.refresh_token).not.toBe(tokens.refresh_token);
    const second = await oidc.refreshTokenGrant(config, first.refresh_token as string, { scope: SCOPE });
    expect(second).toMatchObject({ scope: SCOPE, id_token: expect.any(String) });
    expect(await lives(second.access_token)).toBe(true);
  });

  test('less may be asked for, more not', async () => {
    const { tokens, config } = await launched();
    const less = await oidc.refreshTokenGrant(config, tokens.refresh_token as string, {
      scope: 'patient/Patient.rs',
    });
    expect(less.scope).toBe('patient/Patient.rs');
    const more = oidc.refreshTokenGrant(config, less.refresh_token as string, { scope: 'patient/*.cruds' });
    await expect(more).rejects.toMatchObject({ error: 'invalid_scope' });
  });

  test('g10_invalid_token_refresh: a random one is refused', async () => {
    const { status } = await post(
      'token',
      { grant_type: 'refresh_token', refresh_token: crypto.randomUUID() },
      `web:${secret}`,
    );
    expect(status).toBe(400);
  });

  test('RFC 9700 4.14.2: one that was used before ends all that came of the launch', async () => {
    const { tokens, config } = await launched();
    const next = await oidc.refreshTokenGrant(config, tokens.refresh_token as string);
    await expect(oidc.refreshTokenGrant(config, tokens.refresh_token as string)).rejects.toThrow();
    await expect(oidc.refreshTokenGrant(config, next.refresh_token as string)).rejects.toThrow();
    expect(await lives(next.access_token)).toBe(false);
    expect(await lives(tokens.access_token)).toBe(false);
  });

  test('a public app need not say who it is, as fhirclient does not', async () => {
    const { tokens } = await launch(server, { scope: SCOPE });
    const { status, body } = await post('token', {
      grant_type: 'refresh_token',
      refresh_token: tokens.refresh_token as string,
    });
    expect([status, body.patient]).toEqual([200, 'ines']);
  });

  test('that of one client is nothing to another', async () => {
    const { tokens } = await launched();
    const refresh = { grant_type: 'refresh_token', refresh_token: tokens.refresh_token as string };
    expect((await post('token', { ...refresh, client_id: 'app' })).status).toBe(400);
    expect((await post('token', refresh)).status).toBe(400);
  });

  test('without offline_access or online_access there is none', async () => {
    expect((await launched('launch/patient patient/Patient.rs')).tokens.refresh_token).toBeUndefined();
    expect(
      (await launched('launch/patient online_access patient/Patient.rs')).tokens.refresh_token,
    ).toBeDefined();
  });
});

describe('OpenID Connect', () => {
  test('smart_openid_token_header, _payload, fhir_user_claim: RS256 by a published key, for this client', async () => {
    const { tokens } = await launched();
    const [head = '', body = '', signature = ''] = (tokens.id_token as string).split('.');
    const header = JSON.parse(Buffer.from(head, 'base64url').toString());
    const { keys } = (await (await fetch(`${server.issuer}/jwks`)).json()) as { keys: { kid: string }[] };
    const key = keys.find(({ kid }) => kid === header.kid);
    expect(header.alg).toBe('RS256');
    const isRight = verify(
      'RSA-SHA256',
      Buffer.from(`${head}.${body}`),
      createPublicKey({ key: key as never, format: 'jwk' }),
      Buffer.from(signature, 'base64url'),
    );
    expect(isRight).toBe(true);
    expect(JSON.parse(Buffer.from(body, 'base64url').toString())).toMatchObject({
      iss: server.issuer,
      aud: 'web',
      sub: expect.stringMatching(/^.{1,255}$/),
      exp: expect.any(Number),
      iat: expect.any(Number),
      fhirUser: `${server.fhir}/Practitioner/ada`,
    });
  });

  test('auth_time is when the person has signed in, however long they think about consent', async () => {
    const config = await configure(server);
    const { url, checks } = await requestOf(server, config, { scope: SCOPE, more: { max_age: '600' } });
    const browser = server.browser();
    const picker = await browser.submit(await browser.open(url.href), '/login', {
      username: 'doctor',
      password: PASSWORD,
    });
    const signedIn = Math.floor(Date.now() / 1000);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const back = await decide(browser, picker, { scope: SCOPE });
    const tokens = await oidc.authorizationCodeGrant(config, new URL(back.url), { ...checks, maxAge: 600 });
    expect(tokens.claims()?.auth_time).toBeLessThanOrEqual(signedIn);
  });

  test('a nonce comes back', async () => {
    const config = await configure(server);
    const { url, checks } = await requestOf(server, config, {
      scope: SCOPE,
      more: { nonce: 'n-0S6_WzA2Mj' },
    });
    const browser = server.browser();
    const back = await decide(browser, await browser.open(url.href), { scope: SCOPE });
    const tokens = await oidc.authorizationCodeGrant(config, new URL(back.url), {
      ...checks,
      expectedNonce: 'n-0S6_WzA2Mj',
    });
    expect(tokens.claims()?.nonce).toBe('n-0S6_WzA2Mj');
  });

  test('userinfo says the same, to a token with openid', async () => {
    const { tokens, config } = await launched();
    const claims = await oidc.fetchUserInfo(config, tokens.access_token, tokens.claims()?.sub as string);
    expect(claims.fhirUser).toBe(`${server.fhir}/Practitioner/ada`);
    const without = await launched('patient/Patient.rs');
    await expect(
      oidc.fetchUserInfo(config, without.tokens.access_token, oidc.skipSubjectCheck),
    ).rejects.toThrow();
  });

  test('prompt=none asks nobody: an error goes back', async () => {
    const { browser } = await launched();
    const { url } = await requestOf(server, await configure(server), {
      scope: SCOPE,
      more: { prompt: 'none' },
    });
    expect((await browser.open(url.href)).url).toMatch(/error=(?:interaction|consent)_required/);
    expect((await server.browser().open(url.href)).url).toMatch(/error=(?:interaction|login)_required/);
  });
});

describe('introspection (RFC 7662)', () => {
  test('token_introspection: who, what, for whom, until when', async () => {
    const { tokens, config } = await launched();
    const { status, body } = await post('introspect', { token: tokens.access_token }, `web:${secret}`);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      active: true,
      client_id: 'web',
      scope: SCOPE,
      patient: 'ines',
      fhirUser: 'Practitioner/ada',
      iss: server.issuer,
      sub: tokens.claims()?.sub,
      exp: expect.any(Number),
    });
    expect((await oidc.tokenIntrospection(config, tokens.refresh_token as string)).active).toBe(true);
  });

  test('of what is no token it says that, and no more', async () => {
    const { status, body } = await post('introspect', { token: 'invalid_token_value' }, `web:${secret}`);
    expect([status, body]).toEqual([200, { active: false }]);
  });

  test('a client learns nothing of the tokens of others, unless it was let; a public one nothing at all', async () => {
    const { tokens } = await launch(server, { scope: SCOPE });
    const token = tokens.access_token;
    expect((await post('introspect', { token }, `web:${secret}`)).body).toEqual({ active: false });
    expect((await post('introspect', { token, client_id: 'app' })).body.active ?? false).toBe(false);
    expect((await post('introspect', { token })).status).toBe(400);
    const { client_secret: key } = await server.app.smart.clients.add({
      id: 'gateway',
      type: 'confidential',
      redirectUris: [CALLBACK],
      introspects: true,
    });
    expect((await post('introspect', { token }, `gateway:${key}`)).body).toMatchObject({
      active: true,
      client_id: 'app',
    });
  });
});

describe('what ends is ended on the next request', () => {
  test('RFC 7009: an app gives its token back', async () => {
    const { tokens, config } = await launched();
    expect(await lives(tokens.access_token)).toBe(true);
    await oidc.tokenRevocation(config, tokens.access_token);
    expect(await lives(tokens.access_token)).toBe(false);
    await expect(oidc.refreshTokenGrant(config, tokens.refresh_token as string)).rejects.toThrow();
  });

  test('one client cannot end the token of another', async () => {
    const { tokens } = await launched();
    await post('revoke', { token: tokens.access_token, client_id: 'app' });
    expect(await lives(tokens.access_token)).toBe(true);
  });

  test('g10_token_revocation: a person ends what an app may, at their account', async () => {
    const { tokens, config, browser } = await launched();
    const account = await browser.open('/auth/account');
    expect(account.text).toMatch(/Ines Alba/);
    await browser.submit(account, '/account/revoke');
    expect(await lives(tokens.access_token)).toBe(false);
    await expect(oidc.refreshTokenGrant(config, tokens.refresh_token as string)).rejects.toThrow();
  });

  test('nobody ends the grants of another', async () => {
    const { tokens, browser } = await launched();
    const id = /name="id" value="([0-9a-f]{64})"/.exec(
      (await browser.open('/auth/account')).text,
    )?.[1] as string;
    const other = await launch(server, { scope: SCOPE, user: 'patient' });
    const account = await other.browser.open('/auth/account');
    await other.browser.submit(account, '/account/revoke', { id });
    expect(await lives(tokens.access_token)).toBe(true);
    expect(await lives(other.tokens.access_token)).toBe(true);
  });

  test('online_access lasts as long as the session: signed out, it is ended', async () => {
    const { tokens, browser } = await launched('launch/patient online_access patient/Patient.rs');
    const offline = await launch(server, { scope: SCOPE, browser });
    await browser.submit(await browser.open('/auth/account'), '/account/sign-out');
    expect(await lives(tokens.access_token)).toBe(false);
    expect(await lives(offline.tokens.access_token)).toBe(true);
  });

  test('a client that is disabled, and a person', async () => {
    const { accounts, clients } = server.app.smart;
    const { tokens, browser } = await launch(server, { scope: SCOPE, user: 'mother' });
    await clients.disable('app');
    expect(await lives(tokens.access_token)).toBe(false);
    await clients.enable('app');
    expect(await lives(tokens.access_token)).toBe(false);
    const again = await launch(server, { scope: SCOPE, browser });
    const mother = await accounts.named('mother');
    await accounts.disable(mother?.id as string);
    expect(await lives(again.tokens.access_token)).toBe(false);
    expect((await browser.open('/auth/account')).text).toContain('<h1>Sign in</h1>');
    await expect(launch(server, { scope: SCOPE, user: 'mother' })).rejects.toThrow(/wrong/);
  });

  test('signing keys are turned: what was signed and issued before stays good', async () => {
    const { tokens, config } = await launched();
    const before = ((await (await fetch(`${server.issuer}/jwks`)).json()) as { keys: unknown[] }).keys;
    const DAY = 86_400_000;
    await server.app.smart.turnKeys(Date.now() + 89.5 * DAY);
    const published = ((await (await fetch(`${server.issuer}/jwks`)).json()) as { keys: { kid: string }[] })
      .keys;
    expect(published).toHaveLength(2);
    expect(published).toEqual(expect.arrayContaining(before));
    await server.app.smart.turnKeys(Date.now() + 91 * DAY);
    const refreshed = await oidc.refreshTokenGrant(config, tokens.refresh_token as string);
    const header = JSON.parse(
      Buffer.from(refreshed.id_token?.split('.')[0] as string, 'base64url').toString(),
    );
    expect(before).not.toContainEqual(expect.objectContaining({ kid: header.kid }));
    expect(await lives(refreshed.access_token)).toBe(true);
  });
});

describe('eight at once leave at most one, and none after a replay', () => {
  test.each([1, 2, 3, 4])('of one code (%i)', async () => {
    const config = await configure(server);
    const { url, checks } = await requestOf(server, config, { scope: SCOPE });
    const browser = server.browser();
    const back = await decide(browser, await browser.open(url.href), { scope: SCOPE });
    const fields = {
      grant_type: 'authorization_code',
      code: new URL(back.url).searchParams.get('code') as string,
      redirect_uri: CALLBACK,
      client_id: 'app',
      code_verifier: checks.pkceCodeVerifier,
    };
    const answers = await Promise.all(Array.from({ length: 8 }, () => post('token', fields)));
    expect(answers.map(({ status }) => status).every((status) => status === 200 || status === 400)).toBe(
      true,
    );
    const won = answers.filter(({ status }) => status === 200);
    expect(won.length).toBeLessThanOrEqual(1);
    for (const { body } of won) {
      expect(await lives(body.access_token)).toBe(false);
      const refresh = {
        grant_type: 'refresh_token',
        refresh_token: body.refresh_token as string,
        client_id: 'app',
      };
      expect((await post('token', refresh)).status).toBe(400);
    }
  });

  test.each([1, 2, 3, 4])('of one refresh token (%i)', async () => {
    const { tokens } = await launch(server, { scope: SCOPE });
    const refresh = {
      grant_type: 'refresh_token',
      refresh_token: tokens.refresh_token as string,
      client_id: 'app',
    };
    const answers = await Promise.all(Array.from({ length: 8 }, () => post('token', refresh)));
    expect(answers.map(({ status }) => status).every((status) => status === 200 || status === 400)).toBe(
      true,
    );
    const won = answers.filter(({ status }) => status === 200);
    expect(won.length).toBeLessThanOrEqual(1);
    for (const { body } of won) {
      expect(await lives(body.access_token)).toBe(false);
      expect((await post('token', { ...refresh, refresh_token: body.refresh_token as string })).status).toBe(
        400,
      );
    }
    expect(await lives(tokens.access_token)).toBe(false);
  });

  test('a revocation while tokens are made leaves none alive', async () => {
    for (let round = 0; round < 4; round++) {
      const { tokens } = await launch(server, { scope: SCOPE });
      const refresh = {
        grant_type: 'refresh_token',
        refresh_token: tokens.refresh_token as string,
        client_id: 'app',
      };
      const [answer] = await Promise.all([
        post('token', refresh),
        post('revoke', { token: tokens.access_token, client_id: 'app' }),
      ]);
      if (answer.status === 200) expect(await lives(answer.body.access_token)).toBe(false);
      expect(await lives(tokens.access_token)).toBe(false);
    }
  });
});

test('the database holds no secret as it is', async () => {
  const { tokens } = await launched();
  const { rows } = await server.app.pool.query(
    `select string_agg(t::text, '') as all from (
       select to_jsonb(a)::text as t from smart_artifact a union all select to_jsonb(g)::text from smart_grant g
       union all select to_jsonb(k)::text from token k union all select to_jsonb(c)::text from client c
       union all select to_jsonb(p)::text from account p union all select to_jsonb(l)::text from smart_launch l) x`,
  );
  for (const one of [tokens.access_token, tokens.refresh_token, secret, 'correct horse'])
    expect(rows[0].all).not.toContain(one);
  for (const line of server.log)
    for (const one of [tokens.access_token, tokens.refresh_token, secret]) expect(line).not.toContain(one);
});
