/** Messages to a syslog server: RFC 5424 over UDP (RFC 5426), TCP (RFC 6587) or TLS (RFC 5425). */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

export interface Message {
  /** FHIR instant */
  readonly at: string;
  /** 0 to 7 */
  readonly severity: number;
  /** which sort of message it is */
  readonly kind: string;
  readonly text: string;
}

export interface Syslog {
  /** Resolves when all have left; of UDP and TCP nobody tells whether they have arrived. */
  send(messages: readonly Message[]): Promise<void>;
  close(): void;
}

/** Security and authorization messages: the facility of audit trails (IHE ITI-20). */
const FACILITY = 10;
/** So long a server may take, in milliseconds. */
const PATIENCE = 10_000;

/** RFC 5424 §6. The message is UTF-8, which its first three bytes say. */
export function format({ at, severity, kind, text }: Message, host: string): Buffer {
  const header = `<${8 * FACILITY + severity}>1 ${at} ${host} consilium ${process.pid} ${kind} - `;
  return Buffer.from(`${header}\uFEFF${text}`);
}

/**
 * @param url  `udp:`, `tcp:` or `tls:` with host and port; of `tls:` the files `ca`, `cert` and `key` as parameters
 * @param host as which this server is named
 */
export function makeSyslog(url: URL, host: string): Syslog {
  return url.protocol === 'udp:' ? byDatagrams(url, host) : byStream(url, host);
}

const nameOf = ({ hostname }: URL): string => hostname.replace(/^\[|\]$/g, '');

function byDatagrams(url: URL, host: string): Syslog {
  const socket = createSocket(url.hostname.startsWith('[') ? 'udp6' : 'udp4');
  socket.unref();
  socket.on('error', () => {});
  return {
    async send(messages) {
      for (const message of messages)
        await new Promise<void>((resolve, reject) => {
          socket.send(format(message, host), Number(url.port), nameOf(url), (fault) =>
            fault ? reject(fault) : resolve(),
          );
        });
    },
    close: () => socket.close(),
  };
}

function byStream(url: URL, host: string): Syslog {
  let open: Socket | undefined;

  async function connected(): Promise<Socket> {
    if (open && !open.destroyed && open.writable) return open;
    const to = { host: nameOf(url), port: Number(url.port) };
    const socket = url.protocol === 'tls:' ? connectTls({ ...to, ...filesOf(url) }) : connect(to);
    socket.setTimeout(PATIENCE, () => socket.destroy(new Error('the syslog server does not answer')));
    await once(socket, url.protocol === 'tls:' ? 'secureConnect' : 'connect');
    socket.setTimeout(0);
    // A server says nothing; what it sends all the same is not kept.
    socket.resume();
    socket.on('error', () => socket.destroy());
    socket.unref();
    open = socket;
    return socket;
  }

  return {
    async send(messages) {
      const socket = await connected();
      // Each is preceded by its length (RFC 5425 §4.3), as it may hold line breaks.
      const frames = messages.flatMap((message) => {
        const bytes = format(message, host);
        return [Buffer.from(`${bytes.length} `), bytes];
      });
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(
          () => socket.destroy(new Error('the syslog server takes nothing')),
          PATIENCE,
        );
        socket.write(Buffer.concat(frames), (fault) => {
          clearTimeout(timer);
          if (fault) reject(fault);
          else resolve();
        });
      });
    },
    close: () => open?.destroy(),
  };
}

function filesOf({ searchParams }: URL) {
  const file = (name: string) => {
    const path = searchParams.get(name);
    return path ? { [name]: readFileSync(path) } : {};
  };
  return { ...file('ca'), ...file('cert'), ...file('key') };
}
