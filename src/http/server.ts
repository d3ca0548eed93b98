/** The HTTP server: /fhir is answered before Express is entered, which alone costs a tenth of the rate of reads. */
import {
  createServer as createHttpServer,
  type IncomingMessage,
  maxHeaderSize,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { error, type IssueType, operationOutcome } from '../fhir/outcome.ts';
import type { Perform } from '../records/records.ts';
import { defer } from './async.ts';
import type { Enter } from './door.ts';
import type { Context, Routes } from './exchange.ts';
import { type Entrance, isFhirUrl, isUnder, makeFhir } from './fhir.ts';
import { type Meters, makeMeters } from './meters.ts';
import { FHIR_JSON } from './negotiation.ts';
import { makePages } from './pages.ts';
import { makePerform } from './perform.ts';

export interface ServerOptions extends Context {
  /** what is done under /fhir */
  readonly routes: Routes;
  readonly log: Logger;
  readonly enter: Enter;
  /** resolves where the database answers */
  readonly ready: () => Promise<unknown>;
  /** answers what comes under /auth */
  readonly auth?: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  /** answers at /uploads */
  readonly uploads: (
    request: IncomingMessage,
    response: ServerResponse,
    door: Pick<Entrance, 'enter'>,
  ) => Promise<void>;
  /** answers what comes under /dicomweb */
  readonly dicomweb?: (
    request: IncomingMessage,
    response: ServerResponse,
    doors: Pick<Entrance, 'enter'> & Pick<Meters, 'count'>,
  ) => Promise<void>;
}

export interface RunningServer {
  /** not listening yet */
  readonly server: Server;
  /** does what was to be done later */
  readonly perform: Perform;
  /** Takes no more connections, answers what is under way and ends. */
  close(): Promise<void>;
}

const DICOMWEB = '/dicomweb';
const SECOND = 1000;

/** Makes the server; who calls it lets it listen. */
export function createServer({
  routes,
  log,
  enter,
  ready,
  auth,
  uploads,
  dicomweb,
  ...context
}: ServerOptions): RunningServer {
  const meters = makeMeters();
  const fhir = makeFhir({ ...context, routes, log, meters });
  const { config, records } = context;
  const entrance: Entrance = {
    enter,
    // To keep a request is to write: then it is done at once, as a preference is no demand.
    defer: config.readOnly ? undefined : (exchange) => defer({ ...context, log }, exchange),
  };
  const pages = makePages({
    ...{ log, meters, ready, auth },
    uploads: (request, response) => uploads(request, response, entrance),
  });
  const server = createHttpServer((request, response) => {
    const url = withoutOrigin(request.url as string);
    request.url = url;
    if (isFhirUrl(url)) void fhir(request, response, entrance);
    else if (dicomweb && isUnder(DICOMWEB, url)) void dicomweb(request, response, { ...entrance, ...meters });
    else pages(request, response);
  });

  // Longer than the idle time of common balancers (60 s), which else would send into a closing connection.
  server.keepAliveTimeout = 65 * SECOND;
  server.headersTimeout = 20 * SECOND;
  // An upload may take long, but not stand still.
  server.requestTimeout = 3600 * SECOND;
  server.timeout = 120 * SECOND;
  server.on('clientError', answerMalformed);
  return { server, perform: makePerform(fhir, records), close: () => close(server) };
}

/** The path and query of a request's target, which may be a whole URL (RFC 9112 §3.2.2). */
function withoutOrigin(target: string): string {
  if (target.startsWith('/')) return target;
  const [, rest] = /^https?:\/\/[^/?#]*(.*)$/i.exec(target) ?? [];
  if (rest === undefined) return target;
  return rest.startsWith('/') ? rest : `/${rest}`;
}

/** What is no HTTP request gets as much of an answer as can be given without one. */
function answerMalformed(fault: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable || fault.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const [status, code, diagnostics] = MALFORMED[fault.code ?? ''] ?? [
    400,
    'structure',
    'This is no HTTP request',
  ];
  const body = JSON.stringify(operationOutcome([error(code, diagnostics)]));
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: ${FHIR_JSON}\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

const MALFORMED: Readonly<Record<string, readonly [number, IssueType, string] | undefined>> = {
  HPE_HEADER_OVERFLOW: [
    431,
    'too-long',
    `URL and headers are longer than ${maxHeaderSize} bytes: send a long search by POST to _search`,
  ],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'timeout', 'The request took too long to arrive'],
};

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    if (!server.listening) return resolve();
    // A connection that is kept alive becomes idle when what it waits for is answered.
    const sweep = setInterval(() => server.closeIdleConnections(), 20);
    server.close(() => {
      clearInterval(sweep);
      resolve();
    });
  });
}
