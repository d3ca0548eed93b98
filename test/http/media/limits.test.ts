/** Bytes that are scanned, and counted. */
import { createServer, type Server } from 'node:net';
import { image } from '../../imaging/files.ts';
import { startApp, type TestApp } from '../app.ts';
import { dicomwebOf } from '../imaging/dicomweb.ts';
import { raw, store } from './support.ts';

/** What clamd(8) says to INSTREAM: here a text is harmful, and more than 100,000 bytes are too many. */
function clamd(): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer((socket) => {
    let all = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('data', (piece) => {
      all = Buffer.concat([all, piece as Buffer]);
      if (all.length > 100_000) socket.write('INSTREAM size limit exceeded. ERROR\0');
      else if (all.subarray(-4).equals(Buffer.alloc(4)))
        socket.end(all.includes('EICAR') ? 'stream: Eicar-Signature FOUND\0' : 'stream: OK\0');
    });
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () =>
      resolve({ server, port: (server.address() as { port: number }).port }),
    );
  });
}

test('CLAMD: what is harmful is not kept, and where it is silent nothing is', async () => {
  const { server, port } = await clamd();
  const app = await startApp({ CLAMD: `127.0.0.1:${port}` });
  try {
    await store(app, 'text/plain', Buffer.from('harmless'));
    const found = await raw(app.send('post', '/Binary'), 'text/plain', Buffer.from('an EICAR test')).expect(
      422,
    );
    expect(found.body.issue[0]).toMatchObject({ code: 'security' });
    const data = Buffer.from('an EICAR test').toString('base64');
    const note = { resourceType: 'Media', status: 'completed', content: { data } };
    await app.send('post', '/Media').type('application/fhir+json').send(note).expect(422);
    await raw(app.send('post', '/Binary'), 'text/plain', Buffer.alloc(500_000, 'x')).expect(413);
    const { stow } = dicomwebOf(() => app);
    const harmful = image({ study: '1.2.1', instance: '1.2.1.1.1', patient: 'EICAR' });
    const harmless = image({ study: '1.2.1', instance: '1.2.1.1.2', patient: 'M1' });
    const stowed = await stow([harmful, harmless]);
    expect(stowed).toMatchObject({ status: 202, stored: ['1.2.1.1.2'], failed: { '': 0x0110 } });
    expect((await app.app.pool.query('select count(*)::int from blob')).rows).toEqual([{ count: 2 }]);
    await new Promise((resolve) => server.close(resolve));
    await raw(app.send('post', '/Binary'), 'text/plain', Buffer.from('harmless'))
      .expect(503)
      .expect('Retry-After', '60');
  } finally {
    server.close();
    await app.close();
  }
});

describe('MAX_BINARY and BYTES_QUOTA', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp({ MAX_BINARY: '1000', BYTES_QUOTA: '2500' });
  });
  afterAll(() => app.close());

  test('one Binary, and all of an access token', async () => {
    const post = (size: number, token = app.token) =>
      raw(
        app.send('post', '/Binary').set('Authorization', `Bearer ${token}`),
        'text/plain',
        Buffer.alloc(size, 'x'),
      );
    await post(1001).expect(413);
    await post(1000).expect(201);
    await post(1000).expect(201);
    await post(501).expect(413);
    await post(500).expect(201);
    const { body } = await post(1).expect(507);
    expect(body.issue[0].diagnostics).toMatch(/BYTES_QUOTA/);
    const other = await app.app.issueToken({ scope: 'system/*.cruds', client: 'test', minutes: 5 });
    await post(1000, other).expect(201);
    const { stow } = dicomwebOf(() => app);
    const token2 = await app.app.issueToken({ scope: 'system/*.cruds', client: 'test', minutes: 5 });
    const files = [1, 2, 3, 4].map((n) => image({ study: '1.2.3', instance: `1.2.3.1.${n}`, patient: 'M1' }));
    const [file] = files as [Buffer];
    expect(file.length).toBeLessThan(1000);
    // so many of them are within the quota, also in one request
    const fit = Math.floor(2500 / file.length);
    expect(fit).toBeLessThan(4);
    const stowed = await stow(files, '/studies', token2);
    expect(stowed.status).toBe(202);
    expect(stowed.stored).toHaveLength(fit);
    expect(Object.values(stowed.failed)).toEqual(
      Array.from({ length: 4 - stowed.stored.length }, () => 0xa700),
    );
    const large = image({ study: '1.2.3', instance: '1.2.3.1.9', patient: 'M1', frames: 30 });
    expect(large.length).toBeGreaterThan(1000);
    expect((await stow([large])).body['00081198'].Value[0]['00081197'].Value).toEqual([0xa700]);
    // what an upload consists of counts once, also while it becomes a Binary
    const token3 = await app.app.issueToken({ scope: 'system/*.cruds', client: 'test', minutes: 5 });
    for (const expected of [201, 201, 413]) {
      const whole = await fetch(`${app.url}/uploads`, {
        method: 'POST',
        headers: {
          ...{ Authorization: `Bearer ${token3}`, 'Tus-Resumable': '1.0.0', 'Upload-Length': '900' },
          'Content-Type': 'application/offset+octet-stream',
        },
        body: Buffer.alloc(900, 'x'),
      });
      expect([whole.status, await whole.text()]).toEqual([expected, expect.anything()]);
    }
    const upload = await fetch(`${app.url}/uploads`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${other}`, 'Tus-Resumable': '1.0.0', 'Upload-Length': '1001' },
    });
    expect(upload.status).toBe(413);
  });
});
