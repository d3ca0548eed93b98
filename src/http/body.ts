/** The body of a request, as text: bounded, unpacked, in UTF-8. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate } from 'node:zlib';
import { invalid, Refusal, refusal } from '../fhir/outcome.ts';

/** Thrown where the client has gone: nobody waits for an answer. */
export class Aborted extends Error {}

/** What streams fail with where the other side has gone. */
const LEAVING = /^(?:ERR_STREAM_|ECONNRESET$|EPIPE$|ABORT_ERR$)/;

/** Whether a request failed because its client has gone: what failed on this side ends the connection, too. */
export function hasGone(
  { request, response }: { readonly request: IncomingMessage; readonly response: ServerResponse },
  thrown: unknown,
): boolean {
  if (thrown instanceof Aborted) return true;
  if (!response.destroyed && !request.socket.destroyed) return false;
  // What is refused once an answer has begun is a fault of this side.
  if (thrown instanceof Refusal) return !response.headersSent;
  return LEAVING.test(String((thrown as { code?: unknown } | undefined)?.code));
}

const UNPACK = {
  gzip: promisify(gunzip),
  'x-gzip': promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
} as const;

/**
 * Reads a body.
 *
 * @param max bytes, as sent and as unpacked (MAX_BODY)
 * @throws    Refusal 413 naming the limit, 415 for an unknown Content-Encoding, 400 for what is not UTF-8 or does
 *            not unpack; Aborted
 */
export async function readText(request: IncomingMessage, max: number): Promise<string> {
  return decodeText(await readBytes(request, max));
}

/** As readText, but bytes. */
export async function readBytes(request: IncomingMessage, max: number): Promise<Buffer> {
  const encoding = request.headers['content-encoding']?.trim().toLowerCase() ?? 'identity';
  if (encoding === 'identity') return readSent(request, max);
  const unpack = UNPACK[encoding as keyof typeof UNPACK] as (typeof UNPACK)['gzip'] | undefined;
  if (!Object.hasOwn(UNPACK, encoding) || !unpack)
    throw refusal(415, 'not-supported', 'This Content-Encoding is not read: send gzip, br, deflate, or none');
  const packed = await readSent(request, max);
  try {
    return await unpack(packed, { maxOutputLength: max });
  } catch (fault) {
    if ((fault as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(max);
    throw invalid('structure', `The body does not unpack as ${encoding}`);
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** @throws Refusal 400 */
export function decodeText(bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw invalid('structure', 'The body is not UTF-8 (R4 json.html): some of its bytes are no characters');
  }
}

/** Bytes for what comes in more than one piece, to begin with. */
const LEAST = 64 * 1024;

/**
 * Reads a body as it was sent, still packed. Copied together, pieces of one byte take one byte each, not a Buffer
 * object of a hundred.
 *
 * @throws Refusal 413 naming the limit; Aborted
 */
export function readSent(request: IncomingMessage, max: number): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > max) return Promise.reject(tooLarge(max));
  // while its access token was looked up: no event will tell of it any more
  if (request.destroyed && !request.complete) return Promise.reject(new Aborted());
  return new Promise((resolve, reject) => {
    let held: Buffer = Buffer.alloc(0);
    let size = 0;
    const stop = (fault: Error): void => {
      request.removeAllListeners('data');
      reject(fault);
    };
    request.on('data', (piece: Buffer) => {
      const before = size;
      size += piece.length;
      if (size > max) stop(tooLarge(max));
      // mostly the first is all
      else if (before === 0) held = piece;
      else {
        if (size > held.length) held = grown(held, Math.min(max, Math.max(2 * size, LEAST)));
        piece.copy(held, before);
      }
    });
    request.on('end', () => resolve(held.subarray(0, size)));
    request.on('error', () => stop(new Aborted()));
    request.on('close', () => {
      if (!request.complete) stop(new Aborted());
    });
  });
}

function grown(held: Buffer, length: number): Buffer {
  const larger = Buffer.allocUnsafeSlow(length);
  held.copy(larger);
  return larger;
}

function tooLarge(max: number): Refusal {
  return refusal(
    413,
    'too-long',
    `The body is larger than ${max} bytes, the limit of this server (MAX_BODY); raw Binary content is not counted`,
  );
}

/** How long a client that was refused may go on sending before its connection is cut. */
const PATIENCE = 2000;

/**
 * Lets what a client still sends pass by unread, so that it gets to read the answer; a client that does not stop
 * is cut off.
 */
export function drain(request: IncomingMessage): void {
  if (request.complete) return;
  request.unpipe();
  request.removeAllListeners('data');
  request.on('error', () => {});
  request.resume();
  setTimeout(() => {
    if (!request.complete) request.destroy();
  }, PATIENCE).unref();
}
