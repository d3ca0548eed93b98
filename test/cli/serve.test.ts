/** `consilium serve`, with real processes that are really killed. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { folder, listening, type Run, type RunOptions, run, start, until } from './consilium.ts';

const dir = folder();
const DATA_DIR = join(dir, 'data');
let database: TestDatabase;
const running: Run[] = [];

function serve(args: string[] = [], options: RunOptions = {}): Run {
  const started = start(['serve', ...args], { cwd: dir, ...options });
  running.push(started);
  return started;
}

const given = () => ({ DATABASE_URL: database.url, DATA_DIR });

beforeAll(async () => {
  database = await cloneDatabase();
});

afterEach(() => {
  for (const { child } of running.splice(0)) child.kill('SIGKILL');
});

afterAll(async () => {
  await database.drop();
  // Whatever a failed test left running: the last command that uses it stops it.
  await run(['token'], { env: { DATA_DIR } });
  rmSync(dir, { recursive: true, force: true });
});

describe('from one command, with a database of its own', () => {
  test('serve --sample prints a curl that works when pasted', async () => {
    const server = serve(['--sample'], { env: { DATA_DIR } });
    await listening(server);
    const curl = /curl .*/.exec(server.out())?.[0] as string;
    const answer = JSON.parse(execFileSync('sh', ['-c', `${curl} --silent`], { encoding: 'utf8' }));
    expect(answer).toMatchObject({ resourceType: 'Bundle', type: 'searchset' });
    expect(answer.entry).toHaveLength(2);
    const docs = /Docs +(\S+)/.exec(server.out())?.[1] as string;
    expect((await fetch(docs)).status).toBe(200);

    // The token command works beside it.
    const { out } = await run(['token', '--scope', 'system/Patient.r'], { env: { DATA_DIR } });
    const read = (type: string) =>
      fetch(new URL(`/fhir/${type}/amara-okafor`, docs), {
        headers: { authorization: `Bearer ${out.trim()}` },
      });
    expect((await read('Practitioner')).status).toBe(403);

    server.child.kill('SIGINT');
    expect(await server.ended).toBe(0);
    expect(server.err()).toBe('loading the sample patients (once) …\n');
  });

  test('after kill -9 it starts again within 3 s, finds everything and loads nothing twice', async () => {
    const first = serve(['--sample'], { env: { DATA_DIR } });
    const url = await listening(first);
    first.child.kill('SIGKILL');
    await first.ended;
    const since = Date.now();
    const second = serve(['--sample'], { env: { DATA_DIR } });
    const again = await listening(second);
    expect(Date.now() - since).toBeLessThan(3000);
    expect(again).not.toBe(url);
    const token = /Bearer ([\w-]+)/.exec(second.out())?.[1];
    const patient = await fetch(`${again}/Patient/maria-lopez`, {
      headers: { authorization: `Bearer ${token}` },
    });
    expect(patient.status).toBe(200);
    expect(patient.headers.get('etag')).toBe('W/"1"');
    expect(second.err()).toBe('');
    second.child.kill('SIGTERM');
    expect(await second.ended).toBe(0);
  });
});

describe('Ctrl-C', () => {
  /** A request whose body is still on its way. */
  async function halfSent(url: string) {
    const { out } = await run(['token'], { env: given() });
    const sending = request(`${url}/Patient`, {
      method: 'POST',
      headers: { 'content-type': 'application/fhir+json', authorization: `Bearer ${out.trim()}` },
    });
    sending.on('error', () => {});
    sending.write('{"resourceType":');
    await new Promise((resolve) => setTimeout(resolve, 200));
    return sending;
  }

  test('answers the request under way before it ends', async () => {
    const server = serve([], { env: given() });
    const url = await listening(server);
    const sending = await halfSent(url);
    server.child.kill('SIGINT');
    await until(
      async () => (await fetch(`${url}/metadata`).catch(() => 'refused')) === 'refused' || undefined,
    );
    sending.end('"Patient"}');
    const [response] = await once(sending, 'response');
    expect(response.statusCode).toBe(201);
    response.resume();
    expect(await server.ended).toBe(0);
    expect(server.err()).toBe('');
  });

  test('a second time, it ends at once', async () => {
    const server = serve([], { env: given() });
    await halfSent(await listening(server));
    server.child.kill('SIGINT');
    // Within half a second it is the same one, sent on by npm.
    server.child.kill('SIGINT');
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(server.child.exitCode).toBeNull();
    server.child.kill('SIGINT');
    expect(await server.ended).toBe(1);
  });
});

describe('WORKERS=2', () => {
  const settings = () => ({ ...given(), WORKERS: '2', LOG_LEVEL: 'info' });
  /** The workers, by what they log, until there are two beside those known before. */
  const workers = (server: Run, url: string, before: readonly number[] = []): Promise<number[]> =>
    until(async () => {
      // Several at once, as the worker that is free takes the next; each is answered, or told that its worker died.
      const asked = () =>
        fetch(`${url}/metadata`, {
          headers: { connection: 'close' },
          signal: AbortSignal.timeout(5000),
        }).catch((fault) => {
          if (fault.name === 'TimeoutError') throw fault;
        });
      await Promise.all(Array.from({ length: 8 }, asked));
      const pids = [...server.err().matchAll(/"pid":(\d+).*"answered"/g)].map(([, pid]) => Number(pid));
      const found = [...new Set(pids)].filter((pid) => !before.includes(pid));
      return found.length === 2 ? found : undefined;
    });
  const gone = (pid: number) => {
    try {
      process.kill(pid, 0);
      return undefined;
    } catch {
      return true;
    }
  };

  test('a worker that dies is replaced, and Ctrl-C ends them all', async () => {
    const server = serve([], { env: settings() });
    const url = await listening(server);
    const [first] = await workers(server, url);
    process.kill(first as number, 'SIGKILL');
    const pids = await workers(server, url, [first as number]);
    server.child.kill('SIGINT');
    expect(await server.ended).toBe(0);
    for (const pid of pids) expect(await until(() => gone(pid))).toBe(true);
    expect(server.err()).toMatch(/worker \d+ died \(SIGKILL\)/);
  });

  test('workers do not outlive the first process', async () => {
    const server = serve([], { env: settings() });
    const pids = await workers(server, await listening(server));
    server.child.kill('SIGKILL');
    for (const pid of pids) expect(await until(() => gone(pid))).toBe(true);
  });

  test('a port that is taken is told once', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const PORT = String((taken.address() as AddressInfo).port);
    const { code, err } = await run(['serve'], { env: { ...given(), WORKERS: '2', PORT } });
    taken.close();
    expect(code).toBe(1);
    expect(err).toBe(
      `consilium: port ${PORT} on 127.0.0.1 is taken: stop what listens there, or choose another with PORT\n`,
    );
  });
});

describe('what is wrong is told in one line', () => {
  const told = async (args: string[], env: Record<string, string>) => {
    const { code, out, err } = await run(args, { env, cwd: dir });
    expect(out).toBe('');
    expect(err.split('\n')).toHaveLength(2);
    expect(err).toMatch(/^consilium: /);
    expect(err).not.toMatch(/\bat .*:\d+:\d+/);
    return { code, err };
  };

  test('a port that is taken', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const PORT = String((taken.address() as AddressInfo).port);
    expect(await told(['serve'], { ...given(), PORT })).toEqual({
      code: 1,
      err: `consilium: port ${PORT} on 127.0.0.1 is taken: stop what listens there, or choose another with PORT\n`,
    });
    taken.close();
  });

  test('a HOST that is not of this machine', async () => {
    const { code, err } = await told(['serve'], { ...given(), HOST: '192.0.2.1' });
    expect(code).toBe(1);
    expect(err).toMatch(/HOST 192.0.2.1 is no address of this machine: choose/);
  });

  test('a DATA_DIR that cannot be written', async () => {
    writeFileSync(join(dir, 'file'), '');
    const { code, err } = await told(['serve'], { DATA_DIR: join(dir, 'file', 'data') });
    expect(code).toBe(1);
    expect(err).toMatch(/DATA_DIR .* is no folder and cannot become one: choose another DATA_DIR/);
  });

  test('a DATABASE_URL that leads nowhere', async () => {
    const { code, err } = await told(['serve'], { DATABASE_URL: 'postgres://me:secret@127.0.0.1:1/nowhere' });
    expect(code).toBe(1);
    expect(err).toMatch(/The database at 127.0.0.1:1\/nowhere does not answer: .*Check DATABASE_URL/);
    expect(err).not.toContain('secret');
  });

  test('a setting that is none', async () => {
    const { code, err } = await told(['serve'], { WORKERS: 'many' });
    expect(code).toBe(2);
    expect(err).toMatch(/WORKERS: expected a whole number from 1 to 64, not "many"/);
  });

  test('--sample with DATABASE_URL', async () => {
    const { code, err } = await told(['serve', '--sample'], given());
    expect(code).toBe(2);
    expect(err).toMatch(/--sample is for trying out, never with DATABASE_URL/);
  });
});

test('a HOST that others can reach is warned of', async () => {
  const server = serve([], { env: { ...given(), HOST: '0.0.0.0' } });
  await listening(server);
  expect(server.err()).toMatch(/^consilium: warning: HOST 0.0.0.0 can be reached from other machines/);
});
