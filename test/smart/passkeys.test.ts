/** Passkeys (Web Authentication Level 3 §7): instead of a password, after it, and what is refused. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Authenticator, type Otherwise, type Told } from './authenticator.ts';
import type { Browser, Shown } from './browser.ts';
import { configure, launch, requestOf } from './launch.ts';
import { PASSWORD, type SmartServer, startSmart } from './server.ts';

let server: SmartServer;
beforeAll(async () => {
  server = await startSmart();
});
afterAll(() => server.close());
beforeEach(() => server.app.pool.query('delete from attempt'));

let count = 0;

interface Person {
  readonly username: string;
  readonly id: string;
  readonly browser: Browser;
  readonly device: Authenticator;
}

/** Somebody who has signed in by a password and made a passkey. */
async function person(): Promise<Person> {
  const username = `keyed-${count++}`;
  const { id } = await server.app.smart.accounts.add({
    username,
    name: username,
    fhirUser: 'Patient/ines',
    password: PASSWORD,
  });
  const browser = server.browser();
  await byPassword(browser, username);
  const device = new Authenticator(server.url);
  expect((await make(browser, device)).status).toBe(200);
  return { username, id, browser, device };
}

async function byPassword(browser: Browser, username: string, password = PASSWORD): Promise<Shown> {
  return browser.submit(await browser.open('/auth/account'), '/sign-in\\?to=account', { username, password });
}

type Options = Parameters<Authenticator['use']>[0];

async function ask(browser: Browser, what: 'use' | 'make'): Promise<Options> {
  return JSON.parse((await browser.open(`/auth/passkey/${what}`, { method: 'POST' })).text) as Options;
}

/** A form for a passkey, sent with what a device has told. */
function send(
  browser: Browser,
  page: Shown,
  action: string,
  passkey: Told,
  more: Record<string, string> = {},
) {
  const found = [...page.text.matchAll(/<form\b[^>]*data-passkey="[^"]*"[^>]*>.*?<\/form>/gs)].find(
    ([form]) => form.includes(action),
  );
  if (!found) throw new Error(`there is no form for a passkey on ${page.url}: ${page.text}`);
  const only = { ...page, text: found[0] };
  return browser.submit(only, action.replace('?', '\\?'), { passkey: JSON.stringify(passkey), ...more });
}

async function make(browser: Browser, device: Authenticator, otherwise: Otherwise = {}): Promise<Shown> {
  const page = await browser.open('/auth/account');
  return send(browser, page, '/account/passkey', device.make(await ask(browser, 'make'), otherwise));
}

/** Signs in by a passkey, from a page of signing in. */
async function use(
  browser: Browser,
  device: Authenticator,
  { page, ...otherwise }: Otherwise & { readonly page?: Shown } = {},
): Promise<Shown> {
  const from = page ?? (await browser.open('/auth/account'));
  return send(browser, from, '/sign-in?to=account', device.use(await ask(browser, 'use'), otherwise));
}

/** The form of a way is one of several with one action: this posts the one that is meant. */
async function way(one: Person, wanted: 'either' | 'both' | 'alone'): Promise<Shown> {
  const page = await one.browser.open('/auth/account');
  const form = page.text.match(
    new RegExp(`<form[^>]*/account/way">.{0,200}?value="${wanted}".*?</form>`, 's'),
  )?.[0];
  if (!form) throw new Error(`${wanted} is not offered: ${page.text}`);
  return one.browser.submit({ ...page, text: form }, '/account/way');
}

const isSignedIn = (page: Shown): boolean => page.text.includes('<h1>Your account</h1>');

describe('instead of a password', () => {
  test('§7.1, §7.2: made at the account, and used to sign in', async () => {
    const { device } = await person();
    expect(isSignedIn(await use(server.browser(), device))).toBe(true);
  });

  test('§7.1 step 5: the options of a new one name the person, and exclude those that are there', async () => {
    const { browser, id } = await person();
    const options = (await ask(browser, 'make')) as unknown as Record<string, never>;
    expect(options).toMatchObject({
      rp: { id: 'localhost' },
      user: { id: Buffer.from(id).toString('base64url') },
      excludeCredentials: [expect.objectContaining({ type: 'public-key' })],
      authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
      attestation: 'none',
    });
  });

  test('who is not signed in is told nothing of whom to make one for', async () => {
    expect((await server.browser().open('/auth/passkey/make', { method: 'POST' })).status).toBe(401);
  });

  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const REFUSED: readonly (readonly [string, Otherwise])[] = [
    ['step 11: a response of another kind', { type: 'webauthn.create' }],
    ['step 12: a challenge that is not ours', { challenge: Buffer.from('1.x.y').toString('base64url') }],
    ['step 13: of another origin', { origin: 'https://evil.example.org' }],
    ['step 15: for another server', { rpId: 'evil.example.org' }],
    ['step 16: nobody was there', { flags: 0x04 }],
    ['step 17: the device has recognized nobody', { flags: 0x01 }],
    ['step 6: of another person', { userHandle: Buffer.from('somebody').toString('base64url') }],
    ['step 21: signed by another key', { key: other }],
  ];

  test.each(REFUSED)('§7.2 %s is refused', async (_what, otherwise) => {
    const { device } = await person();
    const page = await use(server.browser(), device, otherwise);
    expect([page.status, isSignedIn(page)]).toEqual([401, false]);
    expect(page.text).toContain('This passkey does not sign in here');
  });

  test('§7.2 step 22: a counter that does not rise tells of a copy', async () => {
    const { device } = await person();
    expect(isSignedIn(await use(server.browser(), device, { counter: 7 }))).toBe(true);
    expect(isSignedIn(await use(server.browser(), device, { counter: 7 }))).toBe(false);
    expect(isSignedIn(await use(server.browser(), device, { counter: 6 }))).toBe(false);
    expect(isSignedIn(await use(server.browser(), device, { counter: 8 }))).toBe(true);
  });

  test('§13.4.3: what was answered once is none, also by eight at the same time', async () => {
    const { device } = await person();
    const told = device.use(await ask(server.browser(), 'use'));
    const pages = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const browser = server.browser();
        return send(browser, await browser.open('/auth/account'), '/sign-in?to=account', told);
      }),
    );
    expect(pages.filter(isSignedIn)).toHaveLength(1);
  });

  const MADE: readonly (readonly [string, Otherwise])[] = [
    ['step 7: another kind', { type: 'webauthn.get' }],
    ['step 9: another origin', { origin: 'https://evil.example.org' }],
    ['step 13: another server', { rpId: 'evil.example.org' }],
    ['step 15: without somebody recognized', { flags: 0x01 }],
  ];

  test.each(MADE)('§7.1 %s makes none', async (_what, otherwise) => {
    const { browser, id } = await person();
    const page = await make(browser, new Authenticator(server.url), otherwise);
    expect(page.status).toBe(400);
    expect(await server.app.smart.passkeys.list(id)).toHaveLength(1);
  });

  test('§7.1 step 26: that of somebody else is not taken over', async () => {
    const [one, two] = [await person(), await person()];
    const told = one.device.make(await ask(two.browser, 'make'));
    const page = await two.browser.open('/auth/account');
    expect((await send(two.browser, page, '/account/passkey', told)).status).toBe(400);
    expect(await server.app.smart.passkeys.list(one.id)).toHaveLength(1);
    expect(await server.app.smart.passkeys.list(two.id)).toHaveLength(1);
  });

  test.each([
    ['no JSON', 'x'],
    ['nothing in it', '{}'],
    ['numbers where texts belong', '{"id":1,"response":{"clientDataJSON":2}}'],
    ['a text where an object belongs', '{"id":"a","response":"b"}'],
    ['null', 'null'],
    ['more than any device tells', JSON.stringify({ id: 'x'.repeat(30_000) })],
    [
      'a challenge of no text',
      `{"id":"a","response":{"clientDataJSON":"${Buffer.from('{"challenge":{}}').toString('base64url')}"}}`,
    ],
  ])('%s is refused as any other', async (_what, passkey) => {
    const browser = server.browser();
    const page = await browser.open('/auth/account');
    const { target, body } = browser.fill(page, '/sign-in\\?to=account', { passkey });
    const answer = await browser.open(target, { method: 'POST', body, headers: { origin: server.url } });
    expect(answer.status).toBe(401);
  });
});

describe('after a password', () => {
  test('both: the password leads to a page for the passkey, and that signs in', async () => {
    const one = await person();
    expect((await way(one, 'both')).text).toContain('by password and passkey, both');
    const browser = server.browser();
    const second = await byPassword(browser, one.username);
    expect([second.status, isSignedIn(second)]).toEqual([200, false]);
    expect(second.text).toContain('Now use your passkey');
    expect((await browser.open('/auth/account')).text).toContain('<h1>Sign in</h1>');
    expect(isSignedIn(await use(browser, one.device, { page: second }))).toBe(true);
  });

  test('the app is told of both (RFC 8176: amr)', async () => {
    const one = await person();
    await way(one, 'both');
    const browser = server.browser();
    const { url } = await requestOf(server, await configure(server), { scope: 'openid fhirUser' });
    const first = await browser.open(url.href);
    const second = await browser.submit(first, '/login', { username: one.username, password: PASSWORD });
    expect(second.text).toContain('Now use your passkey');
    const consent = await send(browser, second, '/login', one.device.use(await ask(browser, 'use')));
    expect(consent.text).toContain('<h1>Allow ');
    const { rows } = await server.app.pool.query({
      text: `select payload->'amr' as amr from smart_artifact where model = 'Session' and account = $1 and consumed is null
             order by payload->>'loginTs' desc, expires desc`,
      values: [one.id],
    });
    expect(rows.map(({ amr }) => amr)).toContainEqual(['pwd', 'hwk', 'user', 'mfa']);
  });

  test('neither alone is enough, at the account or in a launch', async () => {
    const one = await person();
    await way(one, 'both');
    const refused = await use(server.browser(), one.device);
    expect([refused.status, isSignedIn(refused)]).toEqual([401, false]);
    const browser = server.browser();
    await byPassword(browser, one.username);
    expect((await browser.open('/auth/account')).text).toContain('<h1>Sign in</h1>');
    await expect(launch(server, { scope: 'openid fhirUser', user: one.username })).rejects.toThrow(
      /Now use your passkey/,
    );
  });

  test('the passkey of somebody else is not, nor one after the password of somebody else', async () => {
    const [one, two] = [await person(), await person()];
    await way(one, 'both');
    const browser = server.browser();
    const second = await byPassword(browser, one.username);
    const page = await use(browser, two.device, { page: second });
    expect([page.status, isSignedIn(page)]).toEqual([401, false]);
    // and it goes on from there
    expect(page.text).toContain('Now use your passkey');
    expect(isSignedIn(await use(browser, one.device, { page }))).toBe(true);
  });

  test('what says that the password was right is of its page, for five minutes, and of nobody’s making', async () => {
    const one = await person();
    await way(one, 'both');
    const browser = server.browser();
    const second = await byPassword(browser, one.username);
    const ticket = /name="ticket" value="([^"]+)"/.exec(second.text)?.[1] as string;
    const [account, until, stamp] = ticket.split('.') as [string, string, string];
    const later = `${account}.${Number(until) + 60_000}.${stamp}`;
    const another = `${(await person()).id}.${until}.${stamp}`;
    for (const forged of [later, another, `${account}.${until}.`, 'x', '']) {
      const page = { ...second, text: second.text.replace(ticket, forged) };
      const answer = await use(browser, one.device, { page });
      expect([answer.status, isSignedIn(answer)]).toEqual([401, false]);
    }
    const { url } = await requestOf(server, await configure(server), { scope: 'openid fhirUser' });
    const first = await browser.open(url.href);
    const elsewhere = await send(browser, first, '/login', one.device.use(await ask(browser, 'use')), {
      ticket,
    });
    expect([elsewhere.status, elsewhere.text]).toEqual([401, expect.stringContaining('<h1>Sign in</h1>')]);
  });

  test('a wrong password is told before any passkey', async () => {
    const one = await person();
    await way(one, 'both');
    const page = await byPassword(server.browser(), one.username, 'not the password');
    expect([page.status, page.text]).toEqual([401, expect.not.stringContaining('Now use your passkey')]);
  });
});

describe('what is left to sign in with', () => {
  test('alone: the password is none any more; the passkey cannot be removed', async () => {
    const one = await person();
    await way(one, 'alone');
    expect((await byPassword(server.browser(), one.username)).status).toBe(401);
    const page = await one.browser.open('/auth/account');
    expect((await one.browser.submit(page, '/account/remove-passkey')).status).toBe(400);
    expect(isSignedIn(await use(server.browser(), one.device))).toBe(true);
  });

  test('both: the last passkey cannot be removed before either is enough', async () => {
    const one = await person();
    await way(one, 'both');
    const remove = async () =>
      (await one.browser.submit(await one.browser.open('/auth/account'), '/account/remove-passkey')).status;
    expect(await remove()).toBe(400);
    await way(one, 'either');
    expect(await remove()).toBe(200);
    expect(isSignedIn(await byPassword(server.browser(), one.username))).toBe(true);
  });

  test('two passkeys that are removed at the same time leave one', async () => {
    const one = await person();
    await make(one.browser, new Authenticator(server.url));
    await way(one, 'alone');
    const { passkeys } = server.app.smart;
    for (let round = 0; round < 5; round++) {
      const ids = (await passkeys.list(one.id)).map(({ id }) => id);
      const removed = await Promise.all(ids.map((id) => passkeys.remove(one.id, id)));
      expect(removed.filter(Boolean)).toHaveLength(ids.length - 1);
      await make(one.browser, new Authenticator(server.url));
    }
  });

  test('a password that is taken away while the passkey is removed: one of both happens', async () => {
    for (let round = 0; round < 5; round++) {
      const one = await person();
      const { passkeys } = server.app.smart;
      const [{ id } = { id: '' }] = await passkeys.list(one.id);
      const done = await Promise.all([passkeys.remove(one.id, id), passkeys.setWay(one.id, 'alone')]);
      expect(done.filter(Boolean)).toHaveLength(1);
    }
  });

  test('a session that was left open for a quarter of an hour changes nothing of it', async () => {
    const one = await person();
    await server.app.pool.query({
      text: `update smart_artifact set payload = payload || jsonb_build_object('loginTs', (payload->>'loginTs')::bigint - 1000)
             where model = 'Session' and account = $1`,
      values: [one.id],
    });
    expect((await way(one, 'alone')).text).toContain('Sign in once more');
    expect(isSignedIn(await byPassword(server.browser(), one.username))).toBe(true);
  });

  test('who has lost the device is given a link, and the password is enough then', async () => {
    const one = await person();
    await way(one, 'both');
    const { enrolment, passkeys } = server.app.smart;
    const { link } = await enrolment.reset(one.username, { passkeys: true });
    expect(await passkeys.list(one.id)).toEqual([]);
    const browser = server.browser();
    const chosen = { password: 'quite another password', again: 'quite another password' };
    await browser.submit(await browser.open(link as string), '/password', chosen);
    expect(isSignedIn(await byPassword(browser, one.username, chosen.password))).toBe(true);
  });

  test('a link alone does not do without the passkey', async () => {
    const one = await person();
    await way(one, 'both');
    const { link } = await server.app.smart.enrolment.reset(one.username);
    const browser = server.browser();
    const chosen = { password: 'quite another password', again: 'quite another password' };
    await browser.submit(await browser.open(link as string), '/password', chosen);
    const page = await byPassword(browser, one.username, chosen.password);
    expect([isSignedIn(page), page.text]).toEqual([false, expect.stringContaining('Now use your passkey')]);
  });
});

describe('keys that were kept as SubjectPublicKeyInfo', () => {
  const written = readFileSync(join(import.meta.dirname, '../../migrations/0080_people.sql'), 'utf8');
  const anew = written.slice(written.indexOf('create temporary table'));

  async function migrated(id: string, keys: readonly Buffer[]): Promise<Buffer[]> {
    const client = await server.app.pool.connect();
    try {
      await client.query('begin');
      await client.query('delete from passkey');
      for (const [i, key] of keys.entries())
        await client.query('insert into passkey (id, account, key, counter) values ($1, $2, $3, 0)', [
          Buffer.from([i]),
          id,
          key,
        ]);
      await client.query(anew);
      const { rows } = await client.query('select key from passkey order by id');
      return rows.map(({ key }) => key);
    } finally {
      await client.query('rollback');
      client.release();
    }
  }

  test('sign in as before: of P-256', async () => {
    const { id, device } = await person();
    const [key] = await migrated(id, [device.spki]);
    await server.app.pool.query({
      text: 'update passkey set key = $2 where account = $1',
      values: [id, key],
    });
    expect(isSignedIn(await use(server.browser(), device))).toBe(true);
  });

  test('of RSA they are the same numbers (RFC 8230 4); others are gone', async () => {
    const { id } = await person();
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const spki = (key: KeyObject) => key.export({ format: 'der', type: 'spki' });
    const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey;
    const keys = await migrated(id, [spki(publicKey), spki(p384), Buffer.from('x')]);
    const { n = '' } = publicKey.export({ format: 'jwk' });
    expect(keys.map((key) => key.toString('hex'))).toEqual([
      `a401030339010020590100${Buffer.from(n, 'base64url').toString('hex')}2143010001`,
    ]);
  });
});
