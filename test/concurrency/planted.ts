/** Faults that are planted between clients and a server, as a server that is wrong would show them. */
import { once } from 'node:events';
import { Agent, request as ask, createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bundle, Patient } from 'fhir/r4.js';

interface Message {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

type Send = (message: Message) => Promise<Reply>;

/** Answers in place of the server, or as it does; without a reply the connection is cut. */
export type Plant = (message: Message, send: Send) => Promise<Reply | undefined>;

const BARE: Reply = { status: 200, headers: {}, body: '' };

/** PUT of one resource, without a condition. */
const isUpdate = ({ method, url, headers }: Message): boolean =>
  method === 'PUT' && !url.includes('?') && !headers['if-match'] && !headers['if-none-match'];

const get = (message: Message): Message => {
  const { 'content-type': _, 'content-length': _length, ...headers } = message.headers;
  return { ...message, method: 'GET', headers, body: '' };
};

const without = (message: Message, name: string): Message => ({
  ...message,
  headers: { ...message.headers, [name]: undefined },
});

/** The transaction that a message is, where all its entries are plain updates. */
function updatesOf({ method, body }: Message): Bundle | undefined {
  if (method !== 'POST' || !body.includes('"type":"transaction"')) return undefined;
  const bundle = JSON.parse(body) as Bundle;
  const plain = bundle.entry?.every(
    ({ request }) =>
      request?.method === 'PUT' && !request.url.includes('?') && !request.ifMatch && !request.ifNoneMatch,
  );
  return plain ? bundle : undefined;
}

const swallow: Plant = async (message, send) => {
  if (!isUpdate(message)) return send(message);
  const now = await send(get(message));
  if (now.status !== 200) return send(message);
  const next = Number(/\d+/.exec(String(now.headers.etag))?.[0]) + 1;
  return { ...BARE, headers: { etag: `W/"${next}"` } };
};

const refuse: Plant = async (message, send) => {
  const reply = await send(message);
  return isUpdate(message) ? { ...BARE, status: 409 } : reply;
};

function stale(): Plant {
  const kept = new Map<string, Reply>();
  return async (message, send) => {
    if (message.method !== 'GET' || message.headers['if-none-match']) return send(message);
    const known = kept.get(message.url);
    if (known) return known;
    const reply = await send(message);
    kept.set(message.url, reply);
    return reply;
  };
}

const twice: Plant = async (message, send) => {
  if (isUpdate(message)) await send(message);
  return send(message);
};

const uncondition: Plant = (message, send) => send(without(message, 'if-none-exist'));
const unmatch: Plant = (message, send) => send(without(message, 'if-match'));

/** Reads, and writes what it read with the change: what others write between is lost. */
const rewrite: Plant = async (message, send) => {
  const isPatch = String(message.headers['content-type']).includes('json-patch');
  if (!isPatch || message.url.includes('?') || message.headers['if-match']) return send(message);
  const { status, body } = await send(get(message));
  if (status !== 200) return send(message);
  await sleep(20);
  const patient = JSON.parse(body) as Patient;
  const [{ value }] = JSON.parse(message.body);
  const changed = JSON.stringify({ ...patient, name: [...(patient.name ?? []), value] });
  return send({ ...message, ...withBody(message, changed), method: 'PUT' });
};

const withBody = ({ headers }: Message, body: string): Pick<Message, 'headers' | 'body'> => ({
  headers: {
    ...headers,
    'content-type': 'application/fhir+json',
    'content-length': String(Buffer.byteLength(body)),
  },
  body,
});

/** Entry by entry. */
const split: Plant = async (message, send) => {
  const bundle = updatesOf(message);
  if (!bundle) return send(message);
  const entry: Bundle['entry'] = [];
  for (const { resource, request } of bundle.entry ?? []) {
    const put = { ...message, method: 'PUT', url: `/fhir/${request?.url}` };
    const { status, headers } = await send({ ...put, ...withBody(message, JSON.stringify(resource)) });
    entry.push({ response: { status: `${status}`, etag: String(headers.etag) } });
  }
  return { ...BARE, body: JSON.stringify({ resourceType: 'Bundle', type: 'transaction-response', entry }) };
};

/** As if the server died between. */
const halve: Plant = async (message, send) => {
  const bundle = updatesOf(message);
  if (!bundle || bundle.entry!.length > 4) return send(message);
  const body = JSON.stringify({ ...bundle, entry: bundle.entry!.slice(1) });
  await send({ ...message, ...withBody(message, body) });
  return undefined;
};

const remove: Plant = async (message, send) => {
  const reply = await send(message);
  if (message.method === 'GET') await send({ ...message, method: 'DELETE' });
  return reply;
};

const fail: Plant = async () => ({ ...BARE, status: 500 });

/** What is planted, and the kinds of faults of which one must be found. */
export const PLANTS: readonly (readonly [name: string, kinds: readonly string[], make: () => Plant])[] = [
  ['a write that is acknowledged and not done', ['lost'], () => swallow],
  ['a refusal of what is done', ['refused'], () => refuse],
  ['a read from a cache', ['order'], stale],
  ['a write that is done twice', ['twice'], () => twice],
  ['If-None-Exist that is not looked at', ['condition', 'order'], () => uncondition],
  ['If-Match that is not looked at', ['condition'], () => unmatch],
  ['a patch that is a read and a write', ['content'], () => rewrite],
  ['a transaction that is done entry by entry', ['order'], () => split],
  ['half a transaction', ['half'], () => halve],
  ['a deletion that nobody asked for', ['ghost'], () => remove],
  ['an answer 500', ['answer'], () => fail],
];

/**
 * Stands before a server.
 *
 * @param often how many of the requests come to the plant, from 0 to 1
 */
export async function plantBefore(
  port: number,
  plant: Plant,
  often: number,
): Promise<{ readonly port: number; close(): void }> {
  const agent = new Agent({ keepAlive: true });
  const send: Send = (message) => forward(agent, port, message);
  const server = createServer(async (incoming, outgoing) => {
    const { method = '', url = '', headers } = incoming;
    const message = { method, url, headers, body: await textOf(incoming) };
    const reply = await (Math.random() < often ? plant(message, send) : send(message)).catch(() => undefined);
    if (!reply) return incoming.socket.destroy();
    const kept = Object.entries(reply.headers).filter(
      ([name, value]) =>
        value !== undefined && !/^(?:content-length|transfer-encoding|connection)$/.test(name),
    );
    const bare = reply.status === 204 || reply.status === 304;
    if (!bare) kept.push(['content-length', String(Buffer.byteLength(reply.body))]);
    outgoing.writeHead(reply.status, Object.fromEntries(kept) as Record<string, string>);
    return outgoing.end(bare ? undefined : reply.body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      agent.destroy();
      server.close();
      server.closeAllConnections();
    },
  };
}

async function forward(agent: Agent, port: number, { method, url, headers, body }: Message): Promise<Reply> {
  const given = Object.entries(headers).filter(([, value]) => value !== undefined);
  const sending = ask({
    agent,
    port,
    host: '127.0.0.1',
    method,
    path: url,
    headers: Object.fromEntries(given),
  });
  sending.end(body);
  const [reply] = (await once(sending, 'response')) as [IncomingMessage];
  return { status: reply.statusCode ?? 0, headers: reply.headers, body: await textOf(reply) };
}

async function textOf(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
