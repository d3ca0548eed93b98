/** Links to choose a password, sent by mail through a real SMTP server on this machine. */
import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';
import { makeMailer } from '../../src/jobs/mailer.ts';
import { PASSWORD, type SmartServer, startSmart } from './server.ts';

interface Got {
  readonly from: string;
  readonly to: readonly string[];
  readonly user: string | undefined;
  readonly isSecure: boolean;
  /** headers and text, their soft line breaks undone */
  readonly text: string;
}

const mails: Got[] = [];
const smtp = new SMTPServer({
  onAuth({ username, password }, _session, done) {
    if (password !== 'p@ss/word') return done(new Error('Invalid login'));
    done(null, { user: username });
  },
  authOptional: true,
  // its certificate is of nobody
  hideSTARTTLS: true,
  onRcptTo({ address }, _session, done) {
    done(address.startsWith('full@') ? new Error('mailbox full') : null);
  },
  onData(stream, { envelope, user, secure }, done) {
    const pieces: Buffer[] = [];
    stream.on('data', (piece: Buffer) => pieces.push(piece));
    stream.on('end', () => {
      mails.push({
        from: envelope.mailFrom ? envelope.mailFrom.address : '',
        to: envelope.rcptTo.map(({ address }) => address),
        user: user as string | undefined,
        isSecure: secure,
        text: Buffer.concat(pieces)
          .toString()
          .replace(/=\r\n/g, '')
          .replace(/=([0-9A-F]{2})/g, (_all, hex) => String.fromCharCode(Number.parseInt(hex, 16))),
      });
      done();
    });
  },
});

let server: SmartServer;
let admin: string;
beforeAll(async () => {
  await new Promise<void>((resolve) => smtp.listen(0, '127.0.0.1', resolve));
  const { port } = smtp.server.address() as AddressInfo;
  server = await startSmart({
    SMTP_URL: `smtp://records%40clinic:p%40ss%2Fword@localhost:${port}`,
    MAIL_FROM: 'records@clinic.example',
    TRUST_PROXY: '1',
  });
  admin = await server.app.issueToken({ scope: 'consilium/admin', client: 'test', minutes: 30 });
});
afterAll(async () => {
  await server.close();
  await new Promise<void>((resolve) => smtp.close(() => resolve()));
});
beforeEach(async () => {
  mails.length = 0;
  await server.app.pool.query('delete from attempt');
});

async function act(path: string, body: object = {}) {
  const answer = await fetch(`${server.issuer}/admin/${path}`, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { authorization: `Bearer ${admin}` },
  });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

const linkIn = ({ text }: Got): string => /http:\S+link=[\w-]{43}/.exec(text)?.[0] as string;

/** Asks for a link at the page, and answers what it says, but for what differs from one time to the next. */
async function forget(username: string, address = '203.0.113.4') {
  const browser = server.browser();
  const page = await browser.open('/auth/forgotten');
  const { target, body } = browser.fill(page, '/forgotten', { username });
  const headers = { origin: server.url, 'x-forwarded-for': address };
  const { status, text } = await browser.open(target, { method: 'POST', body, headers });
  return { status, text: text.replace(/value="[^"]*"/g, '') };
}

/** Mails that have come within a while: one that is not to come cannot be waited for. */
async function arrived(least: number): Promise<readonly Got[]> {
  for (let i = 0; i < 100 && mails.length < least; i++) await new Promise((done) => setTimeout(done, 30));
  await new Promise((done) => setTimeout(done, 150));
  return mails;
}

async function signIn(username: string, password: string): Promise<number> {
  const browser = server.browser();
  const page = await browser.open('/auth/account');
  return (await browser.submit(page, '/sign-in\\?to=account', { username, password })).status;
}

describe('an invitation', () => {
  test('is sent to the person, and its link told to nobody else', async () => {
    const { status, body } = await act('users', {
      username: 'juan',
      fhirUser: 'Patient/juan',
      email: 'juan@mail.example',
    });
    expect([status, body.mailed, body.link, body.unsent]).toEqual([
      201,
      'juan@mail.example',
      undefined,
      undefined,
    ]);
    const [mail, ...others] = await arrived(1);
    expect(others).toEqual([]);
    expect(mail).toMatchObject({
      from: 'records@clinic.example',
      to: ['juan@mail.example'],
      user: 'records@clinic',
      text: expect.stringMatching(/^Subject: Choose your password\r$/m),
    });
    const link = linkIn(mail as Got);
    expect(link).toMatch(new RegExp(`^${server.issuer}/password\\?link=`));
    const browser = server.browser();
    const done = await browser.submit(await browser.open(link), '/password', {
      password: PASSWORD,
      again: PASSWORD,
    });
    expect(done.status).toBe(200);
    expect(await signIn('juan', PASSWORD)).toBe(200);
  });

  test('of who has no address is told to who asked', async () => {
    const { body } = await act('users', { username: 'rosa2', fhirUser: 'RelatedPerson/rosa' });
    expect(body.link).toMatch(/\/password\?link=/);
    expect(await arrived(0)).toEqual([]);
  });

  test('that the mail server does not take is told with the reason, and nothing is lost', async () => {
    const { status, body } = await act('users', {
      username: 'full',
      fhirUser: 'Patient/juan',
      email: 'full@mail.example',
    });
    expect([status, body]).toEqual([
      201,
      expect.objectContaining({
        link: expect.stringContaining('/password?link='),
        unsent: expect.stringContaining('mailbox full'),
      }),
    ]);
  });

  test('a name of the records stays one line of it, and is no header', async () => {
    await act('users', {
      username: 'sly',
      fhirUser: 'Patient/juan',
      name: 'Sly\r\nBcc: mallory@evil.example\r\n\r\nhttps://evil.example',
      email: 'sly@mail.example',
    });
    const [mail] = await arrived(1);
    expect(mail?.to).toEqual(['sly@mail.example']);
    expect(mail?.text).toContain('Sly Bcc: mallory@evil.example https://evil.example, by this link');
    expect(mail?.text).not.toMatch(/^Bcc/m);
  });
});

describe('a forgotten password', () => {
  beforeAll(async () => {
    await act('users/doctor/email', { email: 'ada@mail.example' });
    await act('users/patient/email', { email: 'ines@mail.example' });
  });

  test('a link is sent to the address that is known, good for an hour', async () => {
    expect((await forget(' Doctor ')).status).toBe(200);
    const [mail, ...others] = await arrived(1);
    expect([mail?.to, others]).toEqual([['ada@mail.example'], []]);
    expect(mail?.text).toContain('for an hour');
    const page = await server.browser().open(linkIn(mail as Got));
    expect(page.text).toContain('Dr. Ada Berg');
    const { rows } = await server.app.pool.query(
      `select max(expires) < now() + interval '61 minutes' as soon from account_link l join account a on a.id = l.account
       where a.username = 'doctor'`,
    );
    expect(rows[0].soon).toBe(true);
    // the old password is good until the new one is chosen
    expect(await signIn('doctor', PASSWORD)).toBe(200);
  });

  test('whether there is an account, an address, or one that was disabled is not told', async () => {
    await act('users', { username: 'gone', fhirUser: 'Patient/juan', email: 'gone@mail.example' });
    await act('users/gone/disable');
    await arrived(1);
    mails.length = 0;
    const answers = await Promise.all(
      ['doctor', 'nobody-at-all', 'stranger', 'gone'].map((one) => forget(one)),
    );
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(answers[0]?.text).toContain('If there is a user');
    expect((await arrived(1)).map(({ to }) => to)).toEqual([['ada@mail.example']]);
  });

  test('nor by how long it takes: what differs is done after the answer', async () => {
    const blocker = await server.app.pool.connect();
    await blocker.query('begin');
    await blocker.query('lock table account in access exclusive mode');
    const answers = [await forget('doctor'), await forget('nobody-at-all')];
    await blocker.query('rollback');
    blocker.release();
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(await arrived(1)).toHaveLength(1);
  });

  test('per account: three, and then a pause, wherever they come from; also where there is no such account', async () => {
    for (const username of ['patient', 'nobody-here']) {
      for (let i = 0; i < 3; i++) expect((await forget(username, `198.51.100.${i}`)).status).toBe(200);
      const { status, text } = await forget(username.toUpperCase(), '198.51.100.9');
      expect([status, text]).toEqual([429, expect.stringContaining('Try again in 15 minutes')]);
    }
    expect(await arrived(3)).toHaveLength(3);
  });

  test('per address: twenty, whatever the names', async () => {
    await Promise.all(Array.from({ length: 20 }, (_, i) => forget(`nobody-${i}`, '198.51.100.50')));
    expect((await forget('nobody-20', '198.51.100.50')).status).toBe(429);
    expect((await forget('nobody-20', '198.51.100.51')).status).toBe(200);
  });

  test('the link leads to BASE_URL, whatever Host the request had', async () => {
    const browser = server.browser();
    const { target, body } = browser.fill(await browser.open('/auth/forgotten'), '/forgotten', {
      username: 'patient',
    });
    const headers = {
      origin: server.url,
      'x-forwarded-host': 'evil.example',
      'x-forwarded-for': '192.0.2.1',
    };
    await browser.open(target, { method: 'POST', body, headers });
    const [mail] = await arrived(1);
    expect(linkIn(mail as Got)).toMatch(new RegExp(`^${server.issuer}/`));
    expect(mail?.text).not.toContain('evil');
  });

  test('who signs in by passkey alone gets no link: a mailbox is not to be enough', async () => {
    const { accounts } = server.app.smart;
    const account = await accounts.add({
      username: 'keyed',
      name: 'Keyed',
      fhirUser: 'Patient/juan',
      email: 'keyed@mail.example',
    });
    await server.app.pool.query({
      text: `insert into passkey (id, account, key, counter) values ('\\x01', $1, '\\x01', 0)`,
      values: [account.id],
    });
    await forget('keyed');
    const [mail] = await arrived(1);
    expect(mail?.text).toContain('You sign in by passkey');
    expect(mail?.text).not.toContain('link=');
  });

  test('no link, address or name is logged', async () => {
    await forget('doctor');
    const [mail] = await arrived(1);
    await server.browser().open(linkIn(mail as Got));
    const log = server.log.join('\n');
    expect(log).toContain('/auth/forgotten');
    for (const secret of ['ada@mail', linkIn(mail as Got).split('=')[1], 'nobody-at-all'])
      expect(log).not.toContain(secret);
  });
});

test('without a mail server there is neither the page nor a way to it', async () => {
  const silent = await startSmart();
  const browser = silent.browser();
  expect((await browser.open('/auth/account')).text).not.toContain('forgotten');
  expect((await browser.open('/auth/forgotten')).status).toBe(404);
  await silent.close();
});

describe('SMTP', () => {
  const to = { to: 'a@mail.example', subject: 'S', text: 'T' };
  const port = (): number => (smtp.server.address() as AddressInfo).port;

  test('without STARTTLS nothing is sent to another machine (RFC 8314 3.1)', async () => {
    const plain = new SMTPServer({ authOptional: true, disabledCommands: ['STARTTLS', 'AUTH'] });
    await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
    const { port } = plain.server.address() as AddressInfo;
    // the same machine by an address that it is not known by
    const mailer = makeMailer(new URL(`smtp://[::ffff:127.0.0.1]:${port}`), 'x@clinic.example');
    await expect(mailer.send(to)).rejects.toThrow(/STARTTLS/);
    await makeMailer(new URL(`smtp://localhost:${port}`), 'x@clinic.example').send(to);
    await new Promise<void>((resolve) => plain.close(() => resolve()));
  });

  test('a certificate that nobody vouches for is none (RFC 3207 4.1)', async () => {
    const offering = new SMTPServer({ authOptional: true });
    await new Promise<void>((resolve) => offering.listen(0, '127.0.0.1', resolve));
    const { port } = offering.server.address() as AddressInfo;
    const mailer = makeMailer(new URL(`smtp://localhost:${port}`), 'x@clinic.example');
    await expect(mailer.send(to)).rejects.toThrow(/certificate/);
    await new Promise<void>((resolve) => offering.close(() => resolve()));
  });

  test('a wrong password is told in one line, without it', async () => {
    const mailer = makeMailer(new URL(`smtp://u:secret-word@localhost:${port()}`), 'x@clinic.example');
    const fault = await mailer.send(to).catch((thrown: Error) => thrown.message);
    expect(fault).toMatch(/^the mail server does not take it: .*Invalid login/);
    expect(fault).not.toContain('secret-word');
    expect(fault).not.toContain('\n');
  });

  test.each(['a@b.example, c@d.example', 'a@b.example\r\nBcc: c@d.example', 'Name <a@b.example>', 'nobody'])(
    '%j is not one address',
    async (address) => {
      const mailer = makeMailer(new URL(`smtp://localhost:${port()}`), 'x@clinic.example');
      await expect(mailer.send({ ...to, to: address })).rejects.toThrow('not one address');
      expect(mails).toEqual([]);
    },
  );
});
