/** The commands that look at the database, and the command line itself. */
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { settings } from '../../src/config.ts';
import { connect } from '../../src/store/connect.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { folder, run } from './consilium.ts';

const dir = folder();
const DATA_DIR = join(dir, 'data');
let database: TestDatabase;
let bare: TestDatabase;

beforeAll(async () => {
  database = await cloneDatabase();
  bare = await cloneDatabase({ empty: true });
});
afterAll(async () => {
  await database.drop();
  await bare.drop();
  rmSync(dir, { recursive: true, force: true });
});

async function query(text: string): Promise<void> {
  const client = await connect(database.url);
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}

describe('the command line', () => {
  test('every command explains itself, and serve all settings', async () => {
    const commands = [
      '',
      'serve',
      'load',
      'token',
      'client',
      'client add',
      'user',
      'user add',
      'migrate',
      'doctor',
    ];
    for (const command of commands) {
      const { code, out, err } = await run([...command.split(' ').filter(Boolean), '--help']);
      expect({ command, code, err }).toEqual({ command, code: 0, err: '' });
      expect(out).toMatch(/^Usage: consilium/);
      if (command === 'serve') for (const { name } of Object.values(settings)) expect(out).toContain(name);
    }
  });

  test.each([
    ['an unknown command', ['bogus'], /unknown command 'bogus'/],
    ['a missing argument', ['load'], /missing required argument 'path'/],
    ['an unknown option', ['serve', '--fast'], /unknown option '--fast'/],
    ['a wrong number', ['token', '--minutes', '0'], /Expected a whole number from 1 to/],
    [
      'a key set that is not there',
      ['client', 'rotate', '--id', 'a', '--jwks', '/nowhere'],
      /--jwks \/nowhere/,
    ],
    ['a wrong scope', ['token', '--scope', 'all'], /--scope: "all" is no scope: write system\/Type.letters/],
  ])('%s: exit code 2 and one line', async (_, args, told) => {
    const { code, out, err } = await run(args);
    expect({ code, out, lines: err.split('\n').length }).toEqual({ code: 2, out: '', lines: 2 });
    expect(err).toMatch(/^consilium: /);
    expect(err).toMatch(told);
  });
});

test('dicom: a port that is taken is told by its option', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address() as AddressInfo;
  const env = { DATABASE_URL: database.url, DATA_DIR: join(dir, 'gateway') };
  const { code, err } = await run(['dicom', '--allow', 'CT1', '--port', String(port)], { env });
  taken.close();
  expect({ code, err: err.replace(/^\{.*\n/gm, '') }).toEqual({
    code: 1,
    err: `consilium: port ${port} on 127.0.0.1 is taken: stop what listens there, or choose another with --port\n`,
  });
});

test('token works alone on an empty folder, and prints nothing but the token', async () => {
  const { code, out, err } = await run(['token', '--scope', 'system/Patient.rs'], { env: { DATA_DIR } });
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toMatch(/^[\w-]{43}\n$/);
  const json = await run(['token', '--json', '--minutes', '5'], { env: { DATA_DIR } });
  expect(JSON.parse(json.out)).toEqual({
    access_token: expect.stringMatching(/^[\w-]{43}$/),
    token_type: 'Bearer',
    expires_in: 300,
    scope: 'system/*.cruds',
  });
});

test('migrate --check exits with 1 while something is pending, and migrate does it', async () => {
  const env = { DATABASE_URL: bare.url };
  const check = await run(['migrate', '--check', '--json'], { env });
  expect(check.code).toBe(1);
  const { pending } = JSON.parse(check.out);
  expect(pending[0]).toBe('0001_store');
  expect(JSON.parse((await run(['migrate', '--json'], { env })).out)).toEqual({ applied: pending });
  expect(await run(['migrate', '--check'], { env })).toEqual({
    code: 0,
    out: 'The database is up to date.\n',
    err: '',
  });
});

describe('doctor', () => {
  test('says that all is well, as JSON too', async () => {
    const env = { DATABASE_URL: database.url, DATA_DIR };
    const { code, out } = await run(['doctor', '--json', '--deep'], { env });
    const { ok, findings } = JSON.parse(out);
    expect(findings.filter((finding: { ok: boolean }) => !finding.ok)).toEqual([]);
    expect({ code, ok }).toEqual({ code: 0, ok: true });
    expect(findings.map(({ check }: { check: string }) => check)).toEqual([
      'node',
      'settings',
      'definitions',
      'data folder',
      'disk space',
      'port',
      'database',
      'schema',
      'index',
      'blobs',
    ]);
  });

  test('names what is wrong and exits with 1', async () => {
    const env = { DATABASE_URL: database.url, DATA_DIR };
    await run(['load', '-'], { env, input: '{"resourceType":"Patient","id":"old"}' });
    await query('update resource_index set extractor = 0');
    const { code, out } = await run(['doctor'], {
      env: { DATABASE_URL: database.url, DATA_DIR: '/dev/null/data' },
    });
    expect(code).toBe(1);
    expect(out).toMatch(/^WRONG +data folder +DATA_DIR .* cannot be written/m);
    expect(out).toMatch(/^WRONG +index +1 resources are indexed by an older version/m);
  });

  test('a setting that is none is among what is wrong', async () => {
    const { code, out } = await run(['doctor'], { env: { PORT: 'x' } });
    expect(code).toBe(1);
    expect(out).toMatch(/^WRONG +settings +PORT: expected a whole number/m);
  });
});

test('a newer schema: every command that needs the database says so in one line', async () => {
  await query(`insert into migration (name, run_on) values ('9999_future', now())`);
  for (const args of [['serve'], ['token'], ['migrate'], ['migrate', '--check']]) {
    const { code, err } = await run(args, { env: { DATABASE_URL: database.url, DATA_DIR } });
    expect({ args, code }).toEqual({ args, code: 1 });
    expect(err).toMatch(/newer schema .*9999_future.*: run the newer version/);
    expect(err.split('\n')).toHaveLength(2);
  }
});
