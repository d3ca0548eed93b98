/** `consilium client` and `consilium user`, while a server runs on the same database. */
import { generateKeyPairSync } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type SmartServer, startSmart } from '../smart/server.ts';
import { folder, run } from './consilium.ts';

const dir = folder();
let server: SmartServer;
let env: Record<string, string>;
beforeAll(async () => {
  server = await startSmart();
  env = { DATABASE_URL: server.database.url, DATA_DIR: join(dir, 'data'), BASE_URL: server.url };
});
afterAll(async () => {
  await server.close();
  rmSync(dir, { recursive: true, force: true });
});

const json = async (...args: string[]) => {
  const { code, out, err } = await run([...args, '--json'], { env });
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return JSON.parse(out);
};

test('client add prints client_id, and client_secret where there is one; list shows neither secret nor key', async () => {
  const web = await json(
    'client',
    'add',
    '--type',
    'confidential',
    '--id',
    'web',
    '--name',
    'Web',
    '--redirect-uri',
    'https://web.example.org/cb',
    'https://web.example.org/other',
  );
  expect(web).toEqual({ client_id: 'web', client_secret: expect.stringMatching(/^[\w-]{43}$/) });
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  const jwks = join(dir, 'jwks.json');
  writeFileSync(jwks, JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'a' }] }));
  const lab = await json('client', 'add', '--type', 'backend', '--jwks', jwks, '--scope', 'system/*.rs');
  expect(lab).toEqual({ client_id: expect.any(String) });
  await json(
    ...['client', 'add', '--type', 'backend', '--jwks', jwks, '--scope', 'system/*.rs', '--id', 'clinic'],
    ...['--organization', 'Organization/north', 'Organization/south'],
  );
  const list = await json('client', 'list');
  expect(list).toEqual(
    expect.arrayContaining([
      expect.objectContaining({
        id: 'web',
        redirectUris: ['https://web.example.org/cb', 'https://web.example.org/other'],
      }),
      expect.objectContaining({ id: 'clinic', organizations: ['north', 'south'] }),
    ]),
  );
  expect(JSON.stringify(list)).not.toContain(web.client_secret);
  const turned = await json('client', 'rotate', '--id', 'web');
  expect(turned.client_secret).not.toBe(web.client_secret);
});

test.each([
  ['no type', ['client', 'add'], 2, /--type/],
  ['a backend without keys', ['client', 'add', '--type', 'backend', '--scope', 'system/*.rs'], 1, /key set/],
  [
    'a scope that is none',
    ['client', 'add', '--type', 'public', '--redirect-uri', 'https://x.example.org', '--scope', 'all'],
    1,
    /is no scope/,
  ],
  [
    'a redirect URI that a browser would run',
    ['client', 'add', '--type', 'public', '--redirect-uri', 'javascript:alert(1)'],
    1,
    /redirect URI/,
  ],
  [
    'http elsewhere',
    ['client', 'add', '--type', 'public', '--redirect-uri', 'http://x.example.org/'],
    1,
    /https/,
  ],
  [
    'nobody in the records',
    ['user', 'add', '--username', 'x1', '--fhir-user', 'Patient/nobody'],
    1,
    /there is no Patient\/nobody/,
  ],
  ['no person', ['user', 'add', '--username', 'x1', '--fhir-user', 'Device/1'], 2, /--fhir-user/],
  ['an unknown user', ['user', 'disable', '--username', 'x1'], 1, /there is no user "x1"/],
])('%s: told in one line', async (_what, args, code, told) => {
  const { err, ...ended } = await run(args, { env });
  expect([ended.code, err.split('\n').length]).toEqual([code, 2]);
  expect(err).toMatch(told);
});

test('user add by standard input, by a link, and disable, seen by the running server', async () => {
  const added = await run(
    ['user', 'add', '--username', 'Juan', '--fhir-user', 'Patient/juan', '--password-stdin', '--json'],
    { env, input: 'a password of words\n' },
  );
  expect({ code: added.code, err: added.err }).toEqual({ code: 0, err: '' });
  expect(JSON.parse(added.out)).toMatchObject({
    username: 'juan',
    name: 'Juan Brook',
    fhirUser: 'Patient/juan',
  });
  const signIn = async () => {
    const browser = server.browser();
    const page = await browser.open('/auth/account');
    return (
      await browser.submit(page, '/sign-in\\?to=account', {
        username: 'juan',
        password: 'a password of words',
      })
    ).status;
  };
  expect(await signIn()).toBe(200);
  expect((await run(['user', 'disable', '--username', 'juan'], { env })).code).toBe(0);
  expect(await signIn()).toBe(401);
  expect((await run(['user', 'enable', '--username', 'juan'], { env })).code).toBe(0);
  expect(await signIn()).toBe(200);
  const { link } = await json('user', 'reset', '--username', 'juan');
  expect(link).toMatch(new RegExp(`^${server.issuer}/password\\?link=[\\w-]{43}$`));
  expect((await server.browser().open(link)).text).toContain('Juan Brook');
  expect((await json('user', 'list')).length).toBeGreaterThan(3);
});
