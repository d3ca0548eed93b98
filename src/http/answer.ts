/** How answers are written to the socket: headers, one write for all that is short, a stream for what is long. */
import type { ServerResponse } from 'node:http';
import { Readable, type Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { brotliCompress, constants, createBrotliCompress, createGzip, gzip } from 'node:zlib';
import { parseKeepingNumbers } from '../fhir/json.ts';
import { Aborted } from './body.ts';
import { cors } from './cors.ts';
import type { Headers, Reply } from './exchange.ts';
import { type Encoding, encodingOf } from './negotiation.ts';

/** Shorter texts are sent as they are: compressing 1 KB costs 40 % of the rate of reads, and saves no packet. */
const WORTH_COMPRESSING = 2048;

/** Longer texts are written in pieces, as the client takes them. */
export const LONG = 1024 * 1024;

/** Longer texts are not held in memory to be pretty-printed. */
const MAX_PRETTY = 16 * 1024 * 1024;

/**
 * Headers of every FHIR answer. Nothing of it is kept by caches, as it is about patients; a client that keeps
 * copies of its own can still ask with If-None-Match.
 */
function headersOf({ request, id }: Reply, own: Headers): Headers {
  const headers: Headers = [
    'X-Request-Id',
    id,
    'Cache-Control',
    'no-store',
    'X-Content-Type-Options',
    'nosniff',
  ];
  if (request.headers.origin !== undefined) headers.push(...cors());
  headers.push(...own);
  return headers;
}

/** Answers without a body. */
export function answerEmpty(reply: Reply, status: number, own: Headers = []): void {
  const headers = headersOf(reply, own);
  if (status !== 204 && status !== 304) headers.push('Content-Length', 0);
  reply.response.writeHead(status, headers).end();
}

/**
 * Answers with a JSON text, in one write where it is short.
 *
 * @param own headers beside those of every answer, its length and type
 */
export async function answerJson(reply: Reply, status: number, own: Headers, json: string): Promise<void> {
  const { request, response, format } = reply;
  const text = format.pretty ? JSON.stringify(parseKeepingNumbers(json), null, 2) : json;
  const headers = headersOf(reply, own);
  headers.push('Content-Type', format.contentType);
  if (text.length >= WORTH_COMPRESSING) {
    headers.push('Vary', 'Accept-Encoding');
    const encoding = encodingOf(request.headers['accept-encoding']);
    if (encoding && request.method !== 'HEAD') {
      const compressed = await compress(encoding, text);
      headers.push('Content-Encoding', encoding, 'Content-Length', compressed.length);
      response.writeHead(status, headers).end(compressed);
      return;
    }
  }
  // a string goes out together with the headers, without a buffer made for it
  headers.push('Content-Length', Buffer.byteLength(text));
  response.writeHead(status, headers);
  if (request.method === 'HEAD') response.end();
  else response.end(text);
}

/**
 * Answers with a JSON text in pieces, made as the client takes them; HEAD takes none. Pretty printing needs the whole
 * text, so that only one of up to MAX_PRETTY is; a longer one is sent as it is, which is the same JSON.
 *
 * @param size of all pieces in bytes, where it is known beforehand
 */
export async function answerStream(
  reply: Reply,
  status: number,
  own: Headers,
  pieces: Iterable<string> | AsyncIterable<string>,
  size?: number,
): Promise<void> {
  const { request, response, format } = reply;
  const headers = headersOf(reply, own);
  headers.push('Content-Type', format.contentType, 'Vary', 'Accept-Encoding');
  const encoding = encodingOf(request.headers['accept-encoding']);
  if (encoding) headers.push('Content-Encoding', encoding);
  else if (size !== undefined && !format.pretty) headers.push('Content-Length', size);
  response.writeHead(status, headers);
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  const shown = joined(format.pretty ? prettyPrinted(pieces) : pieces);
  const source = Readable.from(shown, { objectMode: false, highWaterMark: 256 * 1024 });
  await flow(response, source, ...(encoding ? [compressor(encoding)] : []));
}

/** So many characters go to the socket at once: each piece by itself would be a chunk of its own on the wire. */
const CHUNK = 64 * 1024;

async function* joined(pieces: Iterable<string> | AsyncIterable<string>): AsyncGenerator<string> {
  let text = '';
  for await (const piece of pieces) {
    text += piece;
    if (text.length < CHUNK) continue;
    yield text;
    text = '';
  }
  if (text !== '') yield text;
}

async function* prettyPrinted(pieces: Iterable<string> | AsyncIterable<string>): AsyncGenerator<string> {
  let text = '';
  let tooLong = false;
  for await (const piece of pieces) {
    if (tooLong) {
      yield piece;
      continue;
    }
    text += piece;
    tooLong = text.length > MAX_PRETTY;
    if (!tooLong) continue;
    yield text;
    text = '';
  }
  if (!tooLong) yield JSON.stringify(parseKeepingNumbers(text), null, 2);
}

/** Answers with bytes as they are. */
export async function answerBytes(
  reply: Reply,
  status: number,
  own: Headers,
  bytes: Readable,
): Promise<void> {
  const { request, response } = reply;
  response.writeHead(status, headersOf(reply, own));
  if (request.method === 'HEAD') {
    bytes.destroy();
    response.end();
    return;
  }
  await flow(response, bytes);
}

/**
 * Sends what a stream gives, through others.
 *
 * @throws Aborted where the client has gone before: pipeline would wait for an end that is past, and keep the source open
 */
export async function flow(
  response: ServerResponse,
  source: Readable,
  ...through: readonly Transform[]
): Promise<void> {
  if (response.destroyed) {
    source.destroy();
    throw new Aborted();
  }
  await pipeline([source, ...through, response]);
}

/**
 * Answers with bytes as they are poured out; HEAD with none.
 *
 * @param pour gives them to whoever takes them
 */
export async function answerPoured(
  reply: Reply,
  status: number,
  own: Headers,
  pour: (take: (piece: Uint8Array) => Promise<void>) => Promise<void>,
): Promise<void> {
  const { request, response } = reply;
  // What cannot be opened is told by another status: nothing is said before the first of it.
  const begin = (): void => {
    if (!response.headersSent) response.writeHead(status, headersOf(reply, own));
  };
  if (request.method === 'HEAD') {
    begin();
    response.end();
    return;
  }
  const gone = new Promise<never>((_, reject) => {
    response.once('close', () => reject(new Aborted()));
  });
  gone.catch(() => {});
  const take = (piece: Uint8Array): Promise<void> => {
    begin();
    const taken = new Promise<void>((resolve, reject) => {
      response.write(piece, (fault) => (fault ? reject(new Aborted()) : resolve()));
    });
    return Promise.race([taken, gone]);
  };
  await pour(take);
  begin();
  response.end();
}

// What can be done in passing: level 1 takes a third of the time of level 6, for texts a tenth longer.
const GZIP = { level: 1 };
const BROTLI = {
  params: { [constants.BROTLI_PARAM_QUALITY]: 1, [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT },
};

const gzipped = promisify(gzip) as (text: string, options: object) => Promise<Buffer>;
const brotlied = promisify(brotliCompress) as (text: string, options: object) => Promise<Buffer>;

function compress(encoding: Encoding, text: string): Promise<Buffer> {
  return encoding === 'gzip' ? gzipped(text, GZIP) : brotlied(text, BROTLI);
}

function compressor(encoding: Encoding): Transform {
  return encoding === 'gzip' ? createGzip(GZIP) : createBrotliCompress(BROTLI);
}
