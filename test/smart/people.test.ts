/** People: passwords, links, lock-out, sessions, and forms that come from elsewhere. */
import { scryptSync } from 'node:crypto';
import { hashPassword, isPassword } from '../../src/smart/passwords.ts';
import { startApp } from '../http/app.ts';
import { configure, launch, requestOf } from './launch.ts';
import { PASSWORD, type SmartServer, startSmart } from './server.ts';

let server: SmartServer;
beforeAll(async () => {
  server = await startSmart({ TRUST_PROXY: '1' });
});
afterAll(() => server.close());
beforeEach(() => server.app.pool.query('delete from attempt'));

const SCOPE = 'launch/patient patient/Patient.rs';
const from = (address: string) => ({ headers: { 'x-forwarded-for': address } });

/** A sign-in by hand: status of the answer. */
async function signIn(username: string, password: string, address = '203.0.113.9'): Promise<number> {
  const browser = server.browser();
  const page = await browser.open('/auth/sign-in');
  const stamp = /name="stamp" value="([^"]+)"/.exec(page.text)?.[1] as string;
  const answer = await fetch(`${server.issuer}/sign-in?to=account`, {
    method: 'POST',
    body: new URLSearchParams({ stamp, username, password }),
    redirect: 'manual',
    headers: { origin: server.url, ...from(address).headers },
  });
  await answer.arrayBuffer();
  return answer.status;
}

describe('passwords', () => {
  test('are kept by argon2id, each with a salt of its own, and compared whole', async () => {
    const [one, two] = await Promise.all([hashPassword('a long password'), hashPassword('a long password')]);
    expect(one).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    expect(one).not.toBe(two);
    expect(await isPassword('a long password', one)).toBe(true);
    expect(await isPassword('a long passwore', one)).toBe(false);
    expect(await isPassword('a long password', undefined)).toBe(false);
    expect(await isPassword('a long password', scryptSync('x', 'y', 32).toString('base64'))).toBe(false);
  });

  test('letters that look the same are the same (NFKC)', async () => {
    expect(await isPassword('cafe\u0301 au lait', await hashPassword('caf\u00e9 au lait'))).toBe(true);
  });

  test.each([
    ['short', 'too short'],
    ['aaaaaaaaaaaa', 'too simple'],
    ['my name is newcomer', 'name in it'],
  ])('%s is refused (%s)', async (password) => {
    const made = server.app.smart.accounts.add({
      username: 'newcomer',
      name: 'N',
      fhirUser: 'Patient/ines',
      password,
    });
    await expect(made).rejects.toThrow(/password/);
  });
});

describe('links', () => {
  test('an invitation: the person chooses a password, once', async () => {
    const { accounts } = server.app.smart;
    const { id } = await accounts.add({ username: 'Invited', name: 'In Vited', fhirUser: 'Patient/juan' });
    expect(await signIn('invited', PASSWORD)).toBe(401);
    const browser = server.browser();
    const page = await browser.open(`/auth/password?link=${await accounts.link(id, 1)}`);
    expect(page.text).toContain('In Vited');
    const differs = await browser.submit(page, '/password', {
      password: PASSWORD,
      again: 'another one here',
    });
    expect(differs.text).toContain('not the same');
    const done = await browser.submit(page, '/password', { password: PASSWORD, again: PASSWORD });
    expect([done.status, done.text]).toEqual([200, expect.stringContaining('Done')]);
    expect((await browser.submit(page, '/password', { password: PASSWORD, again: PASSWORD })).status).toBe(
      410,
    );
    expect(await signIn('INVITED', PASSWORD)).toBe(303);
  });

  test('a reset ends sessions, lock-out and old password', async () => {
    const { accounts } = server.app.smart;
    const { id } = await accounts.add({
      username: 'forgetful',
      name: 'F',
      fhirUser: 'Patient/juan',
      password: PASSWORD,
    });
    const browser = server.browser();
    await browser.submit(await browser.open('/auth/account'), '/sign-in\\?to=account', {
      username: 'forgetful',
      password: PASSWORD,
    });
    expect((await browser.open('/auth/account')).text).toContain('Your account');
    for (let i = 0; i < 6; i++) await signIn('forgetful', 'wrong wrong wrong');
    const link = await accounts.link(id, 1);
    const results = await Promise.all([1, 2, 3].map((i) => accounts.choose(link, `entirely new words ${i}`)));
    expect(results.filter((fault) => fault === undefined)).toHaveLength(1);
    expect((await browser.open('/auth/account')).text).toContain('<h1>Sign in</h1>');
    expect(await signIn('forgetful', PASSWORD)).toBe(401);
    const won = results.indexOf(undefined) + 1;
    expect(await signIn('forgetful', `entirely new words ${won}`)).toBe(303);
  });

  test('too old is 410', async () => {
    const { accounts } = server.app.smart;
    const link = await accounts.link((await accounts.named('doctor'))?.id as string, 1);
    await server.app.pool.query(`update account_link set expires = now() - interval '1 second'`);
    expect((await server.browser().open(`/auth/password?link=${link}`)).status).toBe(410);
  });
});

describe('lock-out', () => {
  test('an account: after five failures nobody gets in for a while, also with the right password, from anywhere', async () => {
    for (let i = 0; i < 4; i++) expect(await signIn('doctor', 'wrong', `198.51.100.${i}`)).toBe(401);
    expect(await signIn('doctor', PASSWORD, '198.51.100.8')).toBe(303);
    for (let i = 0; i < 5; i++) expect(await signIn('doctor', 'wrong', `198.51.100.${i}`)).toBe(401);
    expect(await signIn('doctor', PASSWORD, '198.51.100.9')).toBe(429);
    await server.app.pool.query(`update attempt set until = now() where key = 'account doctor'`);
    expect(await signIn('doctor', PASSWORD, '198.51.100.9')).toBe(303);
  });

  test('many at once are as many', async () => {
    const statuses = await Promise.all(
      Array.from({ length: 20 }, (_, i) => signIn('patient', `wrong ${i}`, `198.51.100.${i}`)),
    );
    expect(statuses.filter((status) => status === 401).length).toBeLessThanOrEqual(5);
    expect(statuses.filter((status) => status === 429).length).toBeGreaterThanOrEqual(15);
  });

  test('an address: after fifty failures with whatever names; others are not affected', async () => {
    const address = '198.51.100.77';
    await server.app.pool.query({
      text: `insert into attempt values ($1, 49, now(), null)`,
      values: [`address ${address}`],
    });
    expect(await signIn('nobody', 'wrong', address)).toBe(401);
    expect(await signIn('stranger', PASSWORD, address)).toBe(429);
    expect(await signIn('stranger', PASSWORD, '198.51.100.78')).toBe(303);
  });

  test('is not forgotten by a restart, nor unknown to another process', async () => {
    for (let i = 0; i < 5; i++) await signIn('stranger', 'wrong', `198.51.100.${i}`);
    const second = await startApp({ BASE_URL: server.url }, server.database);
    const page = await (await fetch(`${second.url}/auth/sign-in`)).text();
    const stamp = /name="stamp" value="([^"]+)"/.exec(page)?.[1] as string;
    const answer = await fetch(`${second.url}/auth/sign-in`, {
      method: 'POST',
      body: new URLSearchParams({ stamp, username: 'stranger', password: PASSWORD }),
      headers: { origin: server.url },
    });
    expect([answer.status, await answer.text()]).toEqual([429, expect.stringContaining('too many attempts')]);
    await second.app.close();
  });

  test('a user who is not there is refused as one who is', async () => {
    const page = async (username: string) => {
      const browser = server.browser();
      const shown = await browser.submit(await browser.open('/auth/sign-in'), '/sign-in\\?to=account', {
        username,
        password: 'wrong',
      });
      return shown.text.replaceAll(username, 'NAME');
    };
    expect(await page('nobody-at-all')).toBe(await page('doctor'));
  });

  test('what a client writes before the proxy does is not believed', async () => {
    for (let i = 0; i < 50; i++) await server.app.pool.query(`select 1`);
    await signIn('nobody', 'wrong', '10.9.9.9, 198.51.100.99');
    const { rows } = await server.app.pool.query(`select key from attempt where key like 'address%'`);
    expect(rows.map(({ key }) => key)).toEqual(['address 198.51.100.99']);
  });
});

describe('forms', () => {
  const evil = { origin: 'https://evil.example.org' };

  test('CSRF: a form of another site, or without its stamp, does nothing', async () => {
    const { browser, tokens } = await launch(server, { scope: SCOPE });
    const account = await browser.open('/auth/account');
    const [, stamp = '', id = ''] =
      /name="stamp" value="([^"]+)">\s*<input type="hidden" name="id" value="([^"]+)"/.exec(account.text) ??
      [];
    const post = (body: Record<string, string>, headers: Record<string, string>) =>
      browser.open('/auth/account/revoke', { method: 'POST', body: new URLSearchParams(body), headers });
    expect((await post({ stamp, id }, evil)).status).toBe(400);
    expect((await post({ stamp, id }, { 'sec-fetch-site': 'cross-site' })).status).toBe(400);
    expect((await post({ id }, { origin: server.url })).status).toBe(400);
    expect((await post({ stamp: `${stamp.slice(0, -1)}_`, id }, { origin: server.url })).status).toBe(400);
    const me = await fetch(`${server.issuer}/whoami`, {
      headers: { authorization: `Bearer ${tokens.access_token}` },
    });
    expect(me.status).toBe(200);
  });

  test('consent is given by its own page in its own browser only', async () => {
    const first = server.browser();
    const { url } = await requestOf(server, await configure(server), { scope: SCOPE });
    const signIn = await first.open(url.href);
    const picker = await first.submit(signIn, '/login', { username: 'doctor', password: PASSWORD });
    const consent = await first.submit(picker, '/patient', { patient: 'ines' });
    const elsewhere = server.browser();
    const stolen = await elsewhere.submit(consent, '/consent', { decision: 'allow' });
    expect(stolen.status).toBe(400);
    const other = await elsewhere.open(
      (await requestOf(server, await configure(server), { scope: SCOPE })).url.href,
    );
    expect(
      (await elsewhere.submit({ ...consent, url: other.url }, '/consent', { decision: 'allow' })).status,
    ).toBe(400);
  });

  test('pages say what a browser may do with them, and hold no script of their own', async () => {
    const { url } = await requestOf(server, await configure(server), { scope: SCOPE });
    const page = await server.browser().open(url.href);
    const policy = page.headers.get('content-security-policy');
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("form-action 'self' http://localhost:3999");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(page.headers.get('cache-control')).toBe('no-store');
    expect(page.headers.get('referrer-policy')).toBe('same-origin');
    expect(policy).toContain("script-src 'self'");
    expect(page.text.match(/<script[^>]*>/g)).toEqual(['<script type="module" src="/auth/passkey.js">']);
  });

  test('names are text, whatever they hold', async () => {
    await server.app.smart.clients.add({
      id: 'sly',
      name: '<img src=x onerror=alert(1)>"\'&',
      type: 'public',
      redirectUris: ['https://sly.example.org/cb'],
    });
    const query = new URLSearchParams({
      response_type: 'code',
      client_id: 'sly',
      redirect_uri: 'https://sly.example.org/cb',
      scope: 'openid',
      login_hint: '"><script>alert(1)</script>',
      code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
      code_challenge_method: 'S256',
    });
    const { text } = await server.browser().open(`/auth/authorize?${query}`);
    expect(text).toContain('&lt;img src=x');
    expect(text).not.toContain('<img');
    expect(text).not.toContain('<script>');
  });

  test('"Not you?" signs out and begins anew with the same request', async () => {
    const { browser } = await launch(server, { scope: SCOPE });
    const { url, checks } = await requestOf(server, await configure(server), { scope: SCOPE });
    const picker = await browser.open(url.href);
    expect(picker.text).toContain('Signed in as Dr. Ada Berg');
    const signIn = await browser.submit(picker, '/switch');
    expect(signIn.text).toContain('<h1>Sign in</h1>');
    const consent = await browser.submit(signIn, '/login', { username: 'patient', password: PASSWORD });
    const back = await browser.submit(consent, '/consent', { decision: 'allow' });
    expect(new URL(back.url).searchParams.get('state')).toBe(checks.expectedState);
    expect(new URL(back.url).searchParams.get('code')).not.toBeNull();
  });

  test('prompt=login: the same person signs in once more, another has to say so', async () => {
    const { browser } = await launch(server, { scope: SCOPE });
    const asked = { scope: SCOPE, more: { prompt: 'login' } };
    const { url } = await requestOf(server, await configure(server), asked);
    const page = await browser.open(url.href);
    const other = await browser.submit(page, '/login', { username: 'patient', password: PASSWORD });
    expect([other.status, other.text]).toEqual([409, expect.stringContaining('Not you?')]);
    const picker = await browser.submit(page, '/login', { username: 'doctor', password: PASSWORD });
    expect(picker.text).toContain('<h1>Choose a patient</h1>');
    const again = await browser.open((await requestOf(server, await configure(server), asked)).url.href);
    const anew = await browser.submit(again, '/switch');
    expect(
      (await browser.submit(anew, '/login', { username: 'patient', password: PASSWORD })).text,
    ).toContain('<h1>Allow');
  });

  test('a lost page says so', async () => {
    const page = await server.browser().open('/auth/interaction/abcdefghijklmnopqrstu');
    expect([page.status, page.text]).toEqual([400, expect.stringContaining('too old')]);
  });
});

test('over https cookies are Secure, and of this host alone', async () => {
  const secure = await startSmart({ BASE_URL: 'https://fhir.example.org/x' });
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: 'app',
    redirect_uri: 'http://localhost:3999/callback',
    scope: 'openid',
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    code_challenge_method: 'S256',
  });
  const answer = await fetch(`${secure.url}/auth/authorize?${query}`, { redirect: 'manual' });
  const cookies = answer.headers.getSetCookie();
  expect(answer.headers.get('location')).toMatch(/^\/x\/auth\/interaction\//);
  expect(cookies.length).toBeGreaterThan(0);
  for (const cookie of cookies) {
    expect(cookie).toMatch(/^__Secure-/);
    expect(cookie).toMatch(/; secure/i);
    expect(cookie).toMatch(/; httponly/i);
    expect(cookie).toMatch(/; samesite=lax/i);
    expect(cookie).toMatch(/path=\/x\/auth\//);
  }
  await secure.close();
});

test('READ_ONLY: nobody signs in, and what can be read is', async () => {
  const still = await startApp503();
  expect(still).toEqual([503, 200, 200]);
});

async function startApp503() {
  const app = await startApp({ READ_ONLY: 'true' });
  const get = async (path: string) => (await fetch(`${app.url}${path}`, { redirect: 'manual' })).status;
  const statuses = [
    await get('/auth/account'),
    await get('/auth/jwks'),
    await get('/auth/.well-known/openid-configuration'),
  ];
  await app.close();
  return statuses;
}
