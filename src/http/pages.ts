/** All that is not FHIR: health, metrics, uploads, documentation (Express; errors as RFC 9457 problem details). */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import express, { type ErrorRequestHandler, type Express, type Request, type RequestHandler } from 'express';
import type { Logger } from 'pino';
import { Refusal } from '../fhir/outcome.ts';
import { docs } from './docs.ts';
import { tracesOf } from './faults.ts';
import type { Meters } from './meters.ts';

export interface PageOptions {
  readonly log: Logger;
  readonly meters: Meters;
  /** resolves where requests can be served: the database answers */
  readonly ready: () => Promise<unknown>;
  /** answers what comes under /auth, whatever goes wrong */
  readonly auth?: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  /** answers at /uploads */
  readonly uploads: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
}

/** Makes the application that answers outside of /fhir. */
export function makePages({ log, meters, ready, auth, uploads }: PageOptions): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', 'simple');
  app.use((_request, response, next) => {
    response.set({
      'X-Content-Type-Options': 'nosniff',
      'X-Frame-Options': 'DENY',
      'Referrer-Policy': 'no-referrer',
      'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
    });
    next();
  });

  app.get('/healthz', (_request, response) => {
    response.set('Cache-Control', 'no-store').json({ status: 'ok' });
  });
  app.get('/readyz', async (_request, response) => {
    response.set('Cache-Control', 'no-store');
    try {
      await ready();
      response.json({ status: 'ready' });
    } catch (fault) {
      log.warn({ fault: tracesOf(fault) }, 'not ready');
      problem(response.set('Retry-After', '2'), 503, 'The database does not answer');
    }
  });
  app.get('/metrics', (request, response) => {
    if (!isLocal(request)) return problem(response, 403, 'Metrics are told on this machine only');
    response.type('text/plain; version=0.0.4').send(meters.text());
  });
  const upload = logged(log, uploads);
  app.route('/uploads').options(upload).post(upload);
  app.route('/uploads/:id').options(upload).head(upload).get(upload).patch(upload).delete(upload);
  app.use(docs());
  if (auth) app.use('/auth', (request, response) => auth(request, response));

  app.use((_request, response) =>
    problem(response, 404, 'Nothing is here: the FHIR API is at /fhir, its description at /docs'),
  );
  const failed: ErrorRequestHandler = (fault, _request, response, next) => {
    if (response.headersSent) return next(fault);
    if (fault instanceof Refusal) return problem(response.set(fault.headers), fault.status, fault.message);
    const given = Number(fault?.status);
    const status = given >= 400 && given < 500 ? given : 500;
    if (status === 500) log.error({ fault: tracesOf(fault) }, 'failed');
    problem(
      response,
      status,
      status === 500 ? 'Something went wrong on the server' : 'The request is malformed',
    );
  };
  app.use(failed);
  return app;
}

/** The same, with a line in the log for each request. */
function logged(log: Logger, handle: PageOptions['uploads']): RequestHandler {
  return async (request, response) => {
    const started = performance.now();
    response.on('close', () => {
      const ms = Math.round((performance.now() - started) * 10) / 10;
      const { method, route } = request;
      log.info({ method, route: route.path, status: response.statusCode, ms }, 'answered');
    });
    await handle(request, response);
  };
}

function problem(response: express.Response, status: number, detail: string): void {
  response
    .status(status)
    .type('application/problem+json')
    .send(JSON.stringify({ type: 'about:blank', title: STATUS_CODES[status], status, detail }));
}

const LOOPBACK = new Set(['127.0.0.1', '::1', '::ffff:127.0.0.1']);

/** Whether a request comes from this machine, and not through a proxy on it. */
function isLocal(request: Request): boolean {
  const { forwarded, 'x-forwarded-for': forwardedFor } = request.headers;
  return (
    forwarded === undefined && forwardedFor === undefined && LOOPBACK.has(request.socket.remoteAddress ?? '')
  );
}
