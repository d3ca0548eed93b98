/** The audit trail on its way to a SIEM: RFC 5424 over TCP and UDP. */
import { createSocket } from 'node:dgram';
import { createServer, type Server, type Socket } from 'node:net';
import type { AuditEvent } from 'fhir/r4.js';
import { startApp, type TestApp } from '../app.ts';

interface Receiver {
  readonly port: number;
  /** frames, without their lengths */
  readonly frames: string[];
  close(): Promise<void>;
}

async function receive(port = 0): Promise<Receiver> {
  const frames: string[] = [];
  const sockets: Socket[] = [];
  const server: Server = createServer((socket) => {
    sockets.push(socket);
    let held = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      held = Buffer.concat([held, chunk]);
      for (;;) {
        const space = held.indexOf(0x20);
        const length = Number(held.toString('latin1', 0, Math.max(space, 0)));
        if (space < 0 || held.length < space + 1 + length) return;
        frames.push(held.toString('utf8', space + 1, space + 1 + length));
        held = held.subarray(space + 1 + length);
      }
    });
  }).listen(port, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    port: (server.address() as { port: number }).port,
    frames,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

const FRAME = /^<(\d+)>1 (\d{4}-\S+Z) fhir\.example\.org consilium \d+ AuditEvent - \uFEFF(.+)$/s;

const eventsIn = (frames: readonly string[]): AuditEvent[] =>
  frames.map((frame) => JSON.parse(FRAME.exec(frame)?.[3] ?? 'null'));

async function until(met: () => boolean): Promise<void> {
  for (let n = 0; n < 100 && !met(); n++) await new Promise((resolve) => setTimeout(resolve, 100));
  expect(met()).toBe(true);
}

/** Begins to send with what comes from now on. */
async function begun(app: TestApp): Promise<void> {
  for (let n = 0; n < 100; n++) {
    const { rows } = await app.app.pool.query(`select from setting where name = 'audit_output'`);
    if (rows.length > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

test('every entry is sent once, writes and refusals too, also what came while nobody listened', async () => {
  let receiver = await receive();
  const { port } = receiver;
  const app = await startApp({ AUDIT_SYSLOG: `tcp://127.0.0.1:${port}` });
  try {
    await begun(app);
    await app.create('Patient', 'ann', {});
    await app.send('get', '/Patient/ann').expect(200);
    await app.send('get', '/Patient/nobody').expect(404);
    await until(() => receiver.frames.length >= 3);
    const events = eventsIn(receiver.frames);
    expect(events.map(({ action, outcome }) => [action, outcome])).toEqual([
      ['C', '0'],
      ['R', '0'],
      ['R', '4'],
    ]);
    expect(receiver.frames.map((frame) => FRAME.exec(frame)?.[1])).toEqual(['86', '86', '85']);
    await app.send('get', `/AuditEvent/${events[1]?.id}`).expect(200);

    await receiver.close();
    for (let n = 0; n < 3; n++) await app.send('get', '/Patient?name=ünïcode').expect(200);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    receiver = await receive(port);
    await app.send('get', '/Patient/ann').expect(200);
    await until(() => receiver.frames.length >= 4);
    const later = eventsIn(receiver.frames);
    const ids = new Set(later.map(({ id }) => id));
    expect(later.filter(({ subtype }) => subtype?.[0]?.code === 'search').length).toBeGreaterThanOrEqual(2);
    expect(ids.size).toBe(later.length);
  } finally {
    await app.close();
    await receiver.close();
  }
});

test('by UDP each is a datagram', async () => {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  const datagrams: string[] = [];
  socket.on('message', (message) => datagrams.push(message.toString()));
  await new Promise((resolve) => socket.once('listening', resolve));
  const app = await startApp({ AUDIT_SYSLOG: `udp://127.0.0.1:${socket.address().port}` });
  try {
    await begun(app);
    await app.send('get', '/Patient/nobody').expect(404);
    await until(() => datagrams.length === 1);
    expect(eventsIn(datagrams)[0]).toMatchObject({ resourceType: 'AuditEvent', outcome: '4' });
  } finally {
    await app.close();
    socket.close();
  }
});
