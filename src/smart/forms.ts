/** Forms, as browsers and apps send them, and the pages that answer them. */
import { IncomingMessage, type ServerResponse } from 'node:http';
import { errors } from 'oidc-provider';
import { decodeText, readSent } from '../http/body.ts';
import { isKeepable } from './kept.ts';

/** What oidc-provider reads at most. */
const MAX_FORM = 56 * 1024;

/** @throws InvalidRequest; Refusal 413, 400; Aborted */
export async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  const form = new URLSearchParams(decodeText(await readSent(request, MAX_FORM)));
  if (!isKeepable([...form])) throw unkeepable();
  return form;
}

/** @throws InvalidRequest where the body is no JSON object; Refusal 413, 400; Aborted */
export async function readJson(request: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  const text = decodeText(await readSent(request, MAX_FORM));
  let value: unknown;
  try {
    value = JSON.parse(text === '' ? '{}' : text);
  } catch {
    // said below
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new errors.InvalidRequest('the body is a JSON object');
  if (!isKeepable(value)) throw unkeepable();
  return value as Record<string, unknown>;
}

export const unkeepable = (): errors.OIDCProviderError =>
  new errors.InvalidRequest('there is U+0000 in it, half of a surrogate pair, or too much nesting');

/** @param wait seconds */
export function tooMany(response: ServerResponse, wait: number): errors.OIDCProviderError {
  response.setHeader('Retry-After', Math.ceil(wait));
  const fault = new errors.TemporarilyUnavailable(
    'too many requests came from this address: wait for a while',
  );
  return Object.assign(fault, { status: 429, statusCode: 429 });
}

/** The same request, with another body: what was read of it cannot be read again. */
export function withForm(request: IncomingMessage, form: URLSearchParams): IncomingMessage {
  const body = Buffer.from(form.toString());
  const again = new IncomingMessage(request.socket);
  const { method, url, httpVersion, httpVersionMajor, httpVersionMinor } = request;
  Object.assign(again, { method, url, httpVersion, httpVersionMajor, httpVersionMinor });
  again.headers = { ...request.headers, 'content-length': String(body.length) };
  delete again.headers['transfer-encoding'];
  again.push(body);
  again.push(null);
  // or it would take the end of its body for the end of the connection
  again.complete = true;
  return again;
}

/**
 * Whether a form was sent by a page of ours: every browser says where it comes from (Fetch Metadata, `Origin`). What is no
 * browser says neither, and carries nobody's cookies.
 */
export function isOurs({ headers }: IncomingMessage, issuer: string): boolean {
  const site = headers['sec-fetch-site'];
  if (site !== undefined) return site === 'same-origin';
  return headers.origin === undefined || headers.origin === new URL(issuer).origin;
}

/**
 * What a page may do: show itself and its style, and send its forms here, and on to the app where they lead there.
 *
 * @param target redirect URI of the app
 */
function pagePolicy(target?: string): string {
  return [
    "default-src 'none'",
    "style-src 'self'",
    // passkeys, where a browser has them
    "script-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    `form-action 'self'${target ? ` ${originOf(target)}` : ''}`,
  ].join('; ');
}

/** Of an app on a device, the scheme. */
function originOf(target: string): string {
  const { protocol, origin } = new URL(target);
  return origin === 'null' ? protocol : origin;
}

export function sendPage(response: ServerResponse, status: number, text: string, target?: string): void {
  response.writeHead(status, {
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Length': Buffer.byteLength(text),
    'Content-Security-Policy': pagePolicy(target),
    'Cache-Control': 'no-store',
    // With none at all, forms of ours would say "Origin: null" where a browser has no Fetch Metadata, as over plain http.
    'Referrer-Policy': 'same-origin',
  });
  response.end(text);
}

export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(text),
    'Cache-Control': 'no-store',
    ...headers,
  });
  response.end(text);
}

/** See Other: the answer to a form is a page of its own (RFC 9110 §15.4.4). */
export function redirect(response: ServerResponse, to: string): void {
  response.writeHead(303, { Location: to, 'Content-Length': 0, 'Cache-Control': 'no-store' }).end();
}
