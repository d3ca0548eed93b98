/** How DICOMweb answers are written. */
import { STATUS_CODES } from 'node:http';
import { Readable } from 'node:stream';
import { refusal } from '../fhir/outcome.ts';
import { flow } from '../http/answer.ts';
import { Aborted } from '../http/body.ts';
import { cors } from '../http/cors.ts';
import type { Fault } from '../http/faults.ts';
import { type MediaType, readAccept, takes } from './accept.ts';
import type { Visit } from './context.ts';
import { newBoundary, type Outgoing, writeParts } from './multipart.ts';

export const DICOM_JSON = 'application/dicom+json';

type Reply = Pick<Visit, 'request' | 'response'>;

/** Headers of every answer: nothing is kept by caches, as it is about patients. */
export function begin(
  { request, response }: Reply,
  headers: Readonly<Record<string, string | number>>,
): void {
  response.setHeader('Cache-Control', 'no-store');
  response.setHeader('X-Content-Type-Options', 'nosniff');
  response.setHeader('Content-Security-Policy', "sandbox; default-src 'none'; frame-ancestors 'none'");
  const open = request.headers.origin === undefined ? [] : cors();
  for (let i = 0; i < open.length; i += 2) response.setHeader(open[i] as string, open[i + 1] as string);
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
}

/** Bytes that are all there. */
export function answer(
  reply: Reply,
  status: number,
  contentType: string,
  body: string | Uint8Array,
  headers: Readonly<Record<string, string | number>> = {},
): void {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  begin(reply, { 'Content-Type': contentType, 'Content-Length': bytes.length, ...headers });
  reply.response.writeHead(status).end(reply.request.method === 'HEAD' ? undefined : bytes);
}

/** Bytes as they are made; a file is opened before the answer begins, so that it can still be told that it is not there. */
export async function answerStream(
  reply: Reply,
  status: number,
  headers: Readonly<Record<string, string | number>>,
  body: AsyncIterable<Uint8Array> | (() => Promise<Readable>),
): Promise<void> {
  if (reply.request.method === 'HEAD') {
    begin(reply, headers);
    reply.response.writeHead(status).end();
    return;
  }
  const bytes = typeof body === 'function' ? await body() : Readable.from(body, { objectMode: false });
  begin(reply, headers);
  reply.response.writeHead(status);
  await flow(reply.response, bytes).catch((fault) => {
    // the client has gone: nobody is to be told
    if (fault?.code === 'ERR_STREAM_PREMATURE_CLOSE') throw new Aborted();
    throw fault;
  });
}

/** @param type of the parts */
export function answerParts(
  reply: Reply,
  type: string,
  parts: AsyncIterable<Outgoing> | Iterable<Outgoing>,
): Promise<void> {
  const boundary = newBoundary();
  const contentType = `multipart/related; type="${type}"; boundary=${boundary}`;
  return answerStream(reply, 200, { 'Content-Type': contentType }, writeParts(parts, boundary));
}

/** What went wrong (RFC 9457). */
export function answerFault(reply: Reply, { status, issues, headers }: Fault): void {
  if (reply.response.headersSent) {
    // the client must not take half an answer for a whole one
    reply.response.destroy();
    return;
  }
  const detail = issues.map(({ diagnostics }) => diagnostics).join('; ');
  const body = JSON.stringify({ type: 'about:blank', title: STATUS_CODES[status], status, detail });
  answer(reply, status, 'application/problem+json', body, headers);
}

export const acceptOf = ({ request, query }: Visit): readonly MediaType[] =>
  readAccept(request.headers.accept, query);

/** @throws Refusal 406 unless DICOM JSON is taken */
export function demandJson(visit: Visit): void {
  const types = [DICOM_JSON, 'application/json'];
  if (!acceptOf(visit).some(({ type }) => types.some((one) => takes(type, one))))
    throw notAcceptable(DICOM_JSON);
}

export const notAcceptable = (...possible: readonly string[]) =>
  refusal(406, 'not-supported', `This can be had as ${possible.join(' or ')}: name it in Accept`);
