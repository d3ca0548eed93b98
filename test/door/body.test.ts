import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { Refusal } from '../../src/fhir/outcome.ts';
import { Aborted, drain, readText } from '../../src/http/body.ts';

const MAX = 1000;

describe('bodies', () => {
  let server: Server;
  let outcomes: unknown[];

  beforeAll(async () => {
    server = createServer(async (incoming: IncomingMessage, response) => {
      try {
        response.end(await readText(incoming, MAX));
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
