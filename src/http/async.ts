/**
 * Requests that are done later (R4 async.html; what is answered in the end is that of R5 async-bundle.html, a Bundle
 * for every interaction).
 */
import { STATUS_CODES } from 'node:http';
import { error, operationOutcome, type Refusal, refusal } from '../fhir/outcome.ts';
import type { JobAnswer } from '../records/records.ts';
import { answerEmpty, answerJson, answerStream } from './answer.ts';
import { readSent } from './body.ts';
import { type Context, type Exchange, fhirBase, type Headers } from './exchange.ts';
import { once } from './parameters.ts';

/** Headers that an interaction reads; the others are about the connection, or say who is asking. */
const KEPT = [
  'content-type',
  'content-encoding',
  'prefer',
  'if-match',
  'if-none-match',
  'if-none-exist',
  'if-modified-since',
  'x-security-context',
];

/** Keeps a request, and answers 202 with the URL at which its answer will be. */
export async function defer(context: Context, exchange: Exchange): Promise<void> {
  const { request, caller, id } = exchange;
  const { method, url } = request as { readonly method: string; readonly url: string };
  const body = await readSent(request, context.config.maxBody);
  const kept = Object.fromEntries(
    KEPT.flatMap((name) =>
      request.headers[name] === undefined ? [] : [[name, String(request.headers[name])]],
    ),
  );
  // the log shows the request and its execution under one id
  const headers = { ...kept, 'x-request-id': id };
  const job = await context.records.deferred.add(caller, { method, url, headers }, body);
  return accepted(context, exchange, job, ['Preference-Applied', 'respond-async']);
}

/** Answers 202 with the URL at which what is done later is looked at. */
export async function accepted(
  context: Context,
  exchange: Exchange,
  job: string,
  headers: Headers = [],
): Promise<void> {
  const status = statusUrl(context, job);
  const issue = {
    ...error('informational', `This will be done: GET ${status} tells how far it is`),
    severity: 'information' as const,
  };
  await answerJson(
    exchange,
    202,
    ['Content-Location', status, 'Retry-After', 1, ...headers],
    JSON.stringify(operationOutcome([issue])),
  );
}

/** GET [base]/_async/[id]: 202 until it is done, then 200 with its answer */
export async function progress(context: Context, exchange: Exchange): Promise<void> {
  once(exchange.parameters, []);
  const { id } = exchange.path;
  const found = isUuid(id) ? await context.records.deferred.look(exchange.caller, id) : undefined;
  if (!found) throw noSuch();
  if (found.state !== 'done') {
    const done = found.percent === undefined ? '' : `, ${found.percent} % done`;
    const told = `${found.state}${done}, asked for ${found.seconds} s ago`;
    const pause = Math.min(30, 1 + Math.floor(found.seconds / 5));
    return answerEmpty(exchange, 202, ['X-Progress', told, 'Retry-After', pause]);
  }
  const { answer, body, expires } = found;
  const headers = ['Expires', new Date(expires).toUTCString()];
  return answerStream(exchange, 200, headers, bundleOf(statusUrl(context, id), answer, body));
}

/** DELETE [base]/_async/[id]: what was not begun is not done, what is done is forgotten */
export async function cancel(context: Context, exchange: Exchange): Promise<void> {
  once(exchange.parameters, []);
  const { id } = exchange.path;
  const known = isUuid(id) && (await context.records.deferred.forget(exchange.caller, id));
  if (!known) throw noSuch();
  return answerEmpty(exchange, 202);
}

const statusUrl = (context: Context, job: string): string => `${fhirBase(context)}/_async/${job}`;

const isUuid = (text: string): boolean => /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/.test(text);

function noSuch(): Refusal {
  return refusal(
    404,
    'not-found',
    'There is no such request of yours, or no more: answers are kept for a day, or until they are deleted',
  );
}

async function* bundleOf(
  url: string,
  { status, location, etag, modified, about }: JobAnswer,
  body: AsyncIterable<Buffer>,
): AsyncGenerator<string> {
  const response = JSON.stringify({
    status: `${status} ${STATUS_CODES[status]}`,
    location,
    etag,
    lastModified: modified,
  });
  const links = JSON.stringify([{ relation: 'self', url }]);
  yield `{"resourceType":"Bundle","type":"batch-response","link":${links},"entry":[{`;
  if (about) yield `"response":${response.slice(0, -1)}`;
  let opening = about ? ',"outcome":' : '"resource":';
  const utf8 = new TextDecoder();
  for await (const piece of body) {
    yield opening + utf8.decode(piece, { stream: true });
    opening = '';
  }
  const between = opening === '' ? ',' : '';
  yield about ? '}}]}' : `${between}"response":${response}}]}`;
}
