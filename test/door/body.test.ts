import { once } from 'node:events';
import { createServer, IncomingMessage, request, type Server } from 'node:http';
import { type AddressInfo, connect, Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { Refusal } from '../../src/fhir/outcome.ts';
import { Aborted, drain, readText } from '../../src/http/body.ts';

const MAX = 1000;
const MANY = 400_000;

/** Bytes that are still reachable. */
function held(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

describe('bodies', () => {
  let server: Server;
  let outcomes: unknown[];

  beforeAll(async () => {
    server = createServer(async (incoming: IncomingMessage, response) => {
      try {
        response.end(await readText(incoming, incoming.url === '/many' ? MANY : MAX));
      } catch (thrown) {
        outcomes.push(thrown);
        response.statusCode = thrown instanceof Refusal ? thrown.status : 500;
        response.end((thrown as Error).message);
        drain(incoming);
      }
    }).listen(0);
    await once(server, 'listening');
  });
  afterAll(() => server.close());
  beforeEach(() => {
    outcomes = [];
  });

  const url = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  async function send(
    body: Buffer | string,
    headers: Record<string, string> = {},
  ): Promise<[number, string]> {
    const response = await fetch(url(), { method: 'POST', body, headers });
    return [response.status, await response.text()];
  }

  test('of a client that has gone before it is looked at, nothing comes', async () => {
    const gone = new IncomingMessage(new Socket());
    gone.destroy();
    await wait(10);
    await expect(readText(gone, MAX)).rejects.toThrow(Aborted);
  });

  test('as it is, and unpacked', async () => {
    const text = '{"a":"é€😀"}';
    expect(await send(text)).toEqual([200, text]);
    expect(await send(gzipSync(text), { 'content-encoding': 'gzip' })).toEqual([200, text]);
    expect(await send(brotliCompressSync(text), { 'content-encoding': 'br' })).toEqual([200, text]);
    expect(await send(deflateSync(text), { 'content-encoding': 'deflate' })).toEqual([200, text]);
  });

  test('R4 http.html#Status-Codes: too large is 413 naming the limit, packed or not, announced or not', async () => {
    const large = 'x'.repeat(MAX + 1);
    expect(await send(large)).toEqual([413, expect.stringContaining('1000 bytes')]);
    expect(await send(gzipSync(large), { 'content-encoding': 'gzip' })).toEqual([
      413,
      expect.stringContaining('MAX_BODY'),
    ]);
    const chunked = new Blob([large]).stream();
    const response = await fetch(url(), { method: 'POST', body: chunked, duplex: 'half' } as RequestInit);
    expect(response.status).toBe(413);
  });

  test('what does not unpack, is in another encoding or no UTF-8 is refused', async () => {
    expect(await send('plain', { 'content-encoding': 'gzip' })).toEqual([
      400,
      expect.stringContaining('unpack'),
    ]);
    expect(await send('plain', { 'content-encoding': 'zstd' })).toEqual([
      415,
      expect.stringContaining('gzip, br'),
    ]);
    expect(await send('plain', { 'content-encoding': 'toString' })).toEqual([415, expect.any(String)]);
    expect(await send(Buffer.from([0x7b, 0xff, 0x7d]))).toEqual([400, expect.stringContaining('UTF-8')]);
  });

  test('pieces of any length are joined in order', async () => {
    const pieces = ['a', 'é'.repeat(100), '', 'b'.repeat(700), 'c', 'd'.repeat(98)];
    async function* slowly() {
      for (const piece of pieces) {
        yield Buffer.from(piece);
        await wait(5);
      }
    }
    const response = await fetch(url(), { method: 'POST', body: slowly(), duplex: 'half' } as RequestInit);
    expect(await response.text()).toBe(pieces.join(''));
  });

  test('chunks of one byte are not held one by one', async () => {
    const port = (server.address() as AddressInfo).port;
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const client = connect(port, '127.0.0.1');
    const [socket] = await accepted;
    const text = `POST /many HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${'1\r\nx\r\n'.repeat(MANY)}`;
    const before = held();
    client.write(text);
    while (socket.bytesRead < text.length) await wait(10);
    await wait(10);
    const grown = held() - before;
    client.end('0\r\n\r\n');
    let answer = '';
    for await (const piece of client) answer += piece;
    expect(answer).toMatch(/^HTTP\/1.1 200 /);
    expect(answer.match(/x/g)).toHaveLength(MANY);
    expect(grown).toBeLessThan(10 * MANY);
  });

  test('a client that goes away ends the wait', async () => {
    const going = request(url(), { method: 'POST', headers: { 'content-length': 100 } });
    going.on('error', () => {});
    going.write('half');
    await new Promise((resolve) => setTimeout(resolve, 50));
    going.destroy();
    for (let tries = 0; outcomes.length === 0 && tries < 100; tries++)
      await new Promise((resolve) => setTimeout(resolve, 10));
    expect(outcomes).toEqual([expect.any(Aborted)]);
  });
});
