/** Signing keys in the database, and key sets that are fetched. */
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { faultOfUrl, isPrivate, makeKeySets } from '../../src/smart/jwks.ts';
import { loadKeys } from '../../src/smart/keys.ts';
import { openPool } from '../../src/store/pool.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';

const SECRET = 'a secret of thirty-two characters';

describe('signing keys', () => {
  let database: TestDatabase;
  let pool: ReturnType<typeof openPool>;
  beforeEach(async () => {
    database = await cloneDatabase();
    pool = openPool({ databaseUrl: database.url });
  });
  afterEach(async () => {
    await pool.end();
    await database.drop();
  });
  const values = async () => (await pool.query('select value from smart_key')).rows.map(({ value }) => value);

  test('are made once, however many processes start', async () => {
    const all = await Promise.all(Array.from({ length: 4 }, () => loadKeys(pool, undefined)));
    for (const keys of all) expect(keys).toEqual(all[0]);
    expect(all[0]?.signing).toHaveLength(1);
  });

  test('are sealed under SECRET_KEY, also those that were there before', async () => {
    const plain = await loadKeys(pool, undefined);
    expect((await values()).join()).toContain('"kty":"RSA"');
    expect(await loadKeys(pool, SECRET)).toEqual(plain);
    for (const value of await values()) expect(value).toMatch(/^sealed:/);
    expect(await loadKeys(pool, SECRET)).toEqual(plain);
    await expect(loadKeys(pool, undefined)).rejects.toThrow(/set SECRET_KEY/);
    await expect(loadKeys(pool, `${SECRET} another`)).rejects.toThrow(/is not the one/);
  });

  test('turn: a new one is published a day before it signs, the old one a day after', async () => {
    const DAY = 86_400_000;
    const start = Date.now();
    const kids = async (day: number) =>
      (await loadKeys(pool, undefined, start + day * DAY)).signing.map(({ kid }) => kid);
    const [first] = await kids(0);
    expect(await kids(88)).toEqual([first]);
    const [signs, second] = await kids(89.5);
    expect([signs, second]).toEqual([first, expect.any(String)]);
    expect(await kids(90.6)).toEqual([second, first]);
    expect(await kids(92)).toEqual([second]);
  });
});

describe('key sets by URL', () => {
  test.each([
    '127.0.0.1',
    '10.1.2.3',
    '172.16.0.1',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '0.0.0.0',
    '224.0.0.1',
    '::1',
    '::',
    'fe80::1',
    'fd00::1',
    '::ffff:10.0.0.1',
    '2001:db8::1',
    '64:ff9b::a00:1',
  ])('%s is private', (address) => {
    expect(isPrivate(address)).toBe(true);
  });

  test.each(['8.8.8.8', '172.32.0.1', '2606:4700::1111', '::ffff:8.8.8.8'])('%s is public', (address) => {
    expect(isPrivate(address)).toBe(false);
  });

  test.each([
    ['http://keys.example.org/jwks', /https/],
    ['https://127.0.0.1/jwks', /no public address/],
    ['https://[::1]/jwks', /no public address/],
    ['https://2130706433/jwks', /no public address/],
    ['https://127.1/jwks', /no public address/],
    ['https://0/jwks', /no public address/],
    ['https://0x7f.0.0.1/jwks', /no public address/],
    ['https://[::ffff:127.0.0.1]/jwks', /no public address/],
    ['https://[::ffff:a9fe:a9fe]/latest/meta-data', /no public address/],
    ['https://[64:ff9b::7f00:1]/jwks', /no public address/],
    ['https://user:password@keys.example.org/', /user and password/],
    ['file:///etc/passwd', /https/],
    ['nonsense', /no URL/],
  ])('%s is refused', (url, says) => {
    expect(faultOfUrl(url, false)).toMatch(says);
  });

  const answering = async (answer: RequestListener) => {
    const listening = createServer(answer);
    await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
    const { port } = listening.address() as AddressInfo;
    return {
      url: `http://127.0.0.1:${port}/jwks`,
      close: () => {
        listening.closeAllConnections();
        listening.close();
      },
    };
  };

  test('one that leads elsewhere is not followed: it could lead inside', async () => {
    let asked = 0;
    const inside = await answering((_request, response) => {
      asked++;
      response.end('{"keys":[]}');
    });
    for (const status of [301, 302, 303, 307, 308]) {
      const outside = await answering((_request, response) => {
        response.writeHead(status, { Location: inside.url }).end();
      });
      await expect(makeKeySets({ local: true }).fetch(outside.url, 'k')).rejects.toThrow(String(status));
      outside.close();
    }
    inside.close();
    expect(asked).toBe(0);
  });

  test('one that never ends is waited for three seconds, and one that trickles as well', async () => {
    const timers: NodeJS.Timeout[] = [];
    const slow = await answering(() => {});
    const trickling = await answering((_request, response) => {
      timers.push(setInterval(() => response.write(' '), 100));
    });
    const since = Date.now();
    await Promise.all(
      [slow, trickling].map(({ url }) =>
        expect(makeKeySets({ local: true }).fetch(url, 'k')).rejects.toThrow(/abort|timeout/i),
      ),
    );
    expect(Date.now() - since).toBeLessThan(6000);
    for (const timer of timers) clearInterval(timer);
    slow.close();
    trickling.close();
  });

  test('a name that leads to a private address is refused when it is connected to', async () => {
    await expect(makeKeySets({ local: false }).fetch('https://localhost:9/jwks', 'k')).rejects.toThrow(
      /no public address/,
    );
  });
});
