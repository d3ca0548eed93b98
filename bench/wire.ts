/**
 * HTTP/1.1 over one kept connection (RFC 9112), as cheap as it can be: the driver shares the cores with what it
 * measures. One request at a time.
 */
import { connect, type Socket } from 'node:net';

export interface Answer {
  readonly status: number;
  /** status line and fields as they came, without the empty line after them */
  readonly head: string;
  readonly body: Buffer;
}

export interface Wire {
  /**
   * Sends a whole request.
   *
   * @param receive is called with the answer, or with the Error that ended the connection before it came
   */
  send(request: Buffer, receive: (answer: Answer | Error) => void): void;
  close(): void;
}

/** Opens a connection to a port of this machine. */
export function openWire(port: number): Promise<Wire> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(speak(socket));
    });
  });
}

function speak(socket: Socket): Wire {
  let receive: ((answer: Answer | Error) => void) | undefined;
  let pending: Buffer | undefined;
  let fault: Error | undefined;

  const end = (cause: Error) => {
    fault ??= cause;
    const waiting = receive;
    receive = undefined;
    socket.destroy();
    waiting?.(fault);
  };
  // an Error of this realm, which is not Node's own under jest
  socket.on('error', ({ message }) => end(new Error(message)));
  socket.on('close', () => end(new Error('the connection was closed')));
  socket.on('data', (chunk) => {
    pending = pending ? Buffer.concat([pending, chunk]) : chunk;
    let answer: Answer | undefined;
    try {
      answer = readAnswer(pending);
    } catch (cause) {
      return end(cause as Error);
    }
    if (!answer) return;
    pending = undefined;
    const waiting = receive;
    receive = undefined;
    if (waiting) waiting(answer);
    else end(new Error('an answer came that nobody had asked for'));
  });
  return {
    send(request, listener) {
      if (fault) return listener(fault);
      receive = listener;
      socket.write(request);
    },
    close() {
      fault ??= new Error('the connection was closed');
      socket.destroy();
    },
  };
}

/**
 * Reads an answer.
 *
 * @returns undefined while it is not yet whole
 * @throws  Error where it has no length, or more came than it
 */
export function readAnswer(bytes: Buffer): Answer | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const head = bytes.toString('latin1', 0, end);
  const status = Number(head.slice(9, 12));
  const start = end + 4;
  if (status === 204 || status === 304) return { status, head, body: bytes.subarray(start) };

  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (length === undefined) {
    if (!/\r\ntransfer-encoding: *chunked/i.test(head)) throw new Error('an answer without length');
    const body = readChunks(bytes, start);
    return body && { status, head, body };
  }
  const until = start + Number(length);
  if (bytes.length < until) return undefined;
  if (bytes.length > until) throw new Error('an answer longer than its length');
  return { status, head, body: bytes.subarray(start, until) };
}

/** The chunks from `at` on, joined (RFC 9112 §7.1); undefined while the last one is missing. */
function readChunks(bytes: Buffer, at: number): Buffer | undefined {
  const chunks: Buffer[] = [];
  for (let from = at; ; ) {
    const line = bytes.indexOf('\r\n', from);
    if (line < 0) return undefined;
    const size = Number.parseInt(bytes.toString('latin1', from, line), 16);
    if (Number.isNaN(size)) throw new Error('a chunk without size');
    const until = line + 2 + size;
    if (bytes.length < until + 2) return undefined;
    if (size === 0) return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
    chunks.push(bytes.subarray(line + 2, until));
    from = until + 2;
  }
}

/** A field of an answer; undefined where it has none. */
export function fieldOf(answer: Answer, name: string): string | undefined {
  return new RegExp(`\\r\\n${name}: *([^\\r]*)`, 'i').exec(answer.head)?.[1];
}

/** The bytes of a request. */
export function request(
  method: string,
  path: string,
  options: { readonly token?: string; readonly body?: string; readonly fields?: string } = {},
): Buffer {
  const { token, body, fields = '' } = options;
  const authorization = token ? `Authorization: Bearer ${token}\r\n` : '';
  const content =
    body === undefined
      ? ''
      : `Content-Type: application/fhir+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`;
  return Buffer.from(
    `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${authorization}${fields}${content}\r\n${body ?? ''}`,
  );
}

/**
 * Sends a request and waits for its answer.
 *
 * @throws Error where the connection ended before it came
 */
export function send(wire: Wire, bytes: Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    wire.send(bytes, (answer) => (answer instanceof Error ? reject(answer) : resolve(answer)));
  });
}
