/** Cross-site request forgery: every form of a person, sent by a page that is not ours (OWASP ASVS 5.0 3.5.1). */
import type { Browser, Filled, Shown } from './browser.ts';
import { configure, launch, requestOf } from './launch.ts';
import { PASSWORD, type SmartServer, startSmart } from './server.ts';

let server: SmartServer;
beforeAll(async () => {
  server = await startSmart({ SMTP_URL: 'smtp://localhost:9' });
});
afterAll(() => server.close());

const SCOPE = 'launch/patient patient/Patient.rs';
const SIGN_IN = { username: 'doctor', password: PASSWORD };

async function asked(browser: Browser): Promise<Shown> {
  return browser.open((await requestOf(server, await configure(server), { scope: SCOPE })).url.href);
}
const picker = async (browser: Browser) => browser.submit(await asked(browser), '/login', SIGN_IN);
const consent = async (browser: Browser) =>
  browser.submit(await picker(browser), '/patient', { patient: 'ines' });
async function account(browser: Browser): Promise<Shown> {
  await launch(server, { scope: SCOPE, browser });
  return browser.open('/auth/account');
}

/** The page with a form, what its action ends with, and what a person puts in. */
const FORMS: readonly [
  name: string,
  action: string,
  page: (browser: Browser) => Promise<Shown>,
  fields: Filled,
][] = [
  ['signing in', '/login', asked, SIGN_IN],
  ['giving up', '/cancel', asked, {}],
  ['"Not you?"', '/switch', picker, {}],
  ['choosing a patient', '/patient', picker, { patient: 'ines' }],
  ['consent', '/consent', consent, { decision: 'allow' }],
  ['signing in at the account', '/sign-in\\?to=account', (browser) => browser.open('/auth/account'), SIGN_IN],
  [
    'asking for a link',
    '/auth/forgotten',
    (browser) => browser.open('/auth/forgotten'),
    { username: 'nobody-there' },
  ],
  ['ending access', '/account/revoke', account, {}],
  ['signing out', '/account/sign-out', account, {}],
  [
    'launching an app',
    '/try',
    async (browser) => browser.submit(await browser.open('/auth/try'), '/sign-in\\?to=try', SIGN_IN),
    { patient: 'ines', app: 'app' },
  ],
  [
    'choosing a password',
    '/auth/password',
    async (browser) => {
      const { accounts } = server.app.smart;
      const { id = '' } = (await accounts.named('mother')) ?? {};
      return browser.open(`/auth/password?link=${await accounts.link(id, 1)}`);
    },
    { password: PASSWORD, again: PASSWORD },
  ],
];

test.each(FORMS)('%s', async (name, action, open, fields) => {
  const browser = server.browser();
  const { target, body } = browser.fill(await open(browser), action, fields);
  const send = (headers: Record<string, string>, form = body) =>
    browser.open(target, { method: 'POST', body: form, headers });
  const without = new URLSearchParams(body);
  without.delete('stamp');
  const another = new URLSearchParams(body);
  another.set(
    'stamp',
    browser
      .fill(await server.browser().open('/auth/account'), '/sign-in\\?to=account')
      .body.get('stamp') as string,
  );
  const refused = [
    await send({ origin: 'https://evil.example.org' }),
    await send({ origin: 'null' }),
    await send({ origin: server.url, 'sec-fetch-site': 'cross-site' }),
    await send({ origin: server.url, 'sec-fetch-site': 'same-site' }),
    // that of a password has its link instead
    ...(body.has('link') ? [] : [await send({ origin: server.url }, without)]),
    ...(body.has('link') || name.startsWith('signing in at')
      ? []
      : [await send({ origin: server.url }, another)]),
  ];
  expect(refused.map(({ status }) => status)).toEqual(refused.map(() => 400));
  // and none of these has used it up
  expect((await send({ origin: server.url })).status).not.toBe(400);
});

test('no form of a person is answered to a page of another origin (no CORS), nor shown in its frame', async () => {
  for (const path of ['/auth/account', '/auth/try', '/auth/sign-in', '/auth/password?link=x']) {
    const { headers } = await fetch(server.url + path, { headers: { origin: 'https://evil.example.org' } });
    expect(headers.get('access-control-allow-origin')).toBeNull();
    expect(headers.get('x-frame-options')).toBe('DENY');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('cache-control')).toBe('no-store');
  }
});

test('browser apps of any origin may ask beforehand, and send no cookies along (Fetch standard)', async () => {
  for (const path of ['token', 'revoke', 'introspect', 'userinfo', 'whoami', 'launch']) {
    const answer = await fetch(`${server.issuer}/${path}`, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://app.example.org',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization, content-type',
      },
    });
    expect(answer.status).toBe(204);
    expect(answer.headers.get('access-control-allow-origin')).toMatch(/^(?:\*|https:\/\/app\.example\.org)$/);
    expect(answer.headers.get('access-control-allow-headers')?.toLowerCase()).toContain('authorization');
    expect(answer.headers.get('access-control-allow-credentials')).toBeNull();
  }
});

test('over https the session is __Host-, Secure and HttpOnly, also where it begins at the account', async () => {
  const secure = await startSmart({ BASE_URL: 'https://fhir.example.org' });
  const url = `${secure.url}/auth/sign-in?to=account`;
  const page = await (await fetch(url)).text();
  const stamp = /name="stamp" value="([^"]+)"/.exec(page)?.[1] as string;
  const answer = await fetch(url, {
    method: 'POST',
    body: new URLSearchParams({ stamp, ...SIGN_IN }),
    redirect: 'manual',
    headers: { origin: 'https://fhir.example.org' },
  });
  const [cookie = ''] = answer.headers.getSetCookie();
  expect(cookie).toMatch(/^__Host-session=/);
  for (const attribute of [/; secure/i, /; httponly/i, /; samesite=lax/i, /; path=\/(?:;|$)/i])
    expect(cookie).toMatch(attribute);
  expect(cookie).not.toMatch(/domain=/i);
  await secure.close();
});
