/** Asks clamd whether bytes are harmful (its INSTREAM command, clamd(8)). */
import { once } from 'node:events';
import { connect, type NetConnectOpts } from 'node:net';
import type { Readable } from 'node:stream';
import { error, Refusal, refusal } from '../fhir/outcome.ts';

/** @throws Refusal 422 where they are; 503 where that cannot be told: nothing gets in unlooked at */
export type Scan = (bytes: Readable) => Promise<void>;

/** How long it may say nothing, in ms. */
const PATIENCE = 60_000;

/** @param place `host:port`, or the path of a socket (CLAMD) */
export function makeScan(place: string): Scan {
  const [, host, port] = /^([^/]+):(\d+)$/.exec(place) ?? [];
  const to: NetConnectOpts = port === undefined ? { path: place } : { host, port: Number(port) };
  return async (bytes) => {
    const answer = await ask(to, bytes).catch(() => {
      throw new Refusal(
        503,
        [error('transient', 'The scanner of this server does not answer: try again later')],
        {
          'Retry-After': '60',
        },
      );
    });
    if (/ OK$/.test(answer)) return;
    if (/ FOUND$/.test(answer))
      throw refusal(422, 'security', 'These bytes were found to be harmful, and were not kept');
    if (/size limit/i.test(answer))
      throw refusal(
        413,
        'too-long',
        'These are more bytes than the scanner of this server takes (its StreamMaxLength)',
      );
    throw refusal(
      503,
      'transient',
      'The scanner of this server could not look at these bytes: try again later',
    );
  };
}

/** Sends all bytes, each piece with its length before it, then a piece of none. */
async function ask(to: NetConnectOpts, bytes: Readable): Promise<string> {
  const socket = connect(to);
  socket.setTimeout(PATIENCE, () => socket.destroy(new Error('the scanner is silent')));
  let answer = '';
  const ended = new Promise<void>((resolve, reject) => {
    socket.on('data', (piece) => {
      answer += piece.toString('latin1');
      // an answer ends with a zero, however it was asked
      if (answer.includes('\0')) resolve();
    });
    socket.on('error', reject);
    socket.on('close', () => resolve());
  });
  ended.catch(() => {});
  try {
    await once(socket, 'connect');
    socket.write('zINSTREAM\0');
    for await (const piece of bytes) {
      if (answer !== '' || socket.destroyed) break;
      const length = Buffer.alloc(4);
      length.writeUInt32BE(piece.length);
      socket.write(length);
      if (!socket.write(piece)) await Promise.race([once(socket, 'drain'), ended]);
    }
    if (!socket.destroyed) socket.write(Buffer.alloc(4));
    await ended;
  } catch (fault) {
    if (answer === '') throw fault;
  } finally {
    bytes.destroy();
    socket.destroy();
  }
  if (answer === '') throw new Error('no answer');
  return (answer.split('\0')[0] ?? '').trim();
}
