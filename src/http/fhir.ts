/** From a request under /fhir to the interaction that answers it. */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { error, Refusal, refusal } from '../fhir/outcome.ts';
import type { Caller } from '../records/records.ts';
import { readParameters } from '../search/query-string.ts';
import { addressOf } from './address.ts';
import { answerEmpty } from './answer.ts';
import { drain, hasGone } from './body.ts';
import { preflight } from './cors.ts';
import type { Context, Exchange, Interaction, Method, Reply, Routes } from './exchange.ts';
import { answerFault, faultOf, tracesOf } from './faults.ts';
import type { Meters } from './meters.ts';
import { negotiate, notAcceptable, PLAIN } from './negotiation.ts';
import { type FhirPath, readPath } from './path.ts';
import { prefersAsync } from './prefer.ts';

export interface FhirOptions extends Pick<Context, 'config' | 'definitions'> {
  readonly routes: Routes;
  readonly log: Logger;
  readonly meters: Meters;
}

const BASE = '/fhir';
const SLASH = 47;
const QUESTION = 63;

/** Whether a request's URL is under the FHIR base. */
export const isFhirUrl = (url: string): boolean => isUnder(BASE, url);

/** Whether a request's URL is under a base, which has no slash at its end. */
export function isUnder(base: string, url: string): boolean {
  if (!url.startsWith(base)) return false;
  const next = url.charCodeAt(base.length);
  return next === SLASH || next === QUESTION || Number.isNaN(next);
}

/** How a request comes in. */
export interface Entrance {
  /** @throws Refusal where nobody may come in so */
  enter(request: IncomingMessage): Promise<Caller>;
  /** answers, and has the request done later, where that is preferred */
  readonly defer?: (exchange: Exchange) => Promise<void>;
}

/** Answers a request under the FHIR base, in full and whatever goes wrong. */
export type Handle = (
  request: IncomingMessage,
  response: ServerResponse,
  entrance: Entrance,
) => Promise<void>;

/** Makes it for these routes. */
export function makeFhir(options: FhirOptions): Handle {
  const { log, meters, definitions } = options;
  const newId = makeIds();
  return async (request, response, entrance) => {
    const started = performance.now();
    const reply: Reply = { request, response, id: ownId(request) ?? newId(), format: PLAIN };
    const url = request.url as string;
    const mark = url.indexOf('?');
    let route = BASE;
    let fault: number | undefined;
    try {
      const pathText = mark < 0 ? url.slice(BASE.length) : url.slice(BASE.length, mark);
      const path = readPath(pathText, request.method, definitions);
      route = BASE + path.pattern;
      await dispatch(options, entrance, reply, path, mark < 0 ? '' : url.slice(mark + 1));
    } catch (thrown) {
      fault = hasGone(reply, thrown) ? GONE : await refuse(log, reply, thrown);
    }
    const method = request.method as string;
    const status = fault ?? response.statusCode;
    const milliseconds = performance.now() - started;
    meters.count(method, route, status, milliseconds);
    log.info({ id: reply.id, method, route, status, ms: Math.round(milliseconds * 10) / 10 }, 'answered');
  };
}

/** As others write it where the client has gone without waiting. */
const GONE = 499;

/** Answers with what was thrown, as far as that can be, and returns the status that stands for it. */
async function refuse(log: Logger, reply: Reply, thrown: unknown): Promise<number> {
  const fault = faultOf(thrown, reply.id);
  if (fault.own || reply.response.headersSent)
    log.error({ id: reply.id, status: fault.status, fault: tracesOf(thrown) }, 'failed');
  try {
    await answerFault(reply, fault);
  } catch (second) {
    log.error({ id: reply.id, fault: tracesOf(second) }, 'could not answer');
    reply.response.destroy();
  }
  drain(reply.request);
  return fault.status;
}

async function dispatch(
  { routes, config }: FhirOptions,
  entrance: Entrance,
  reply: Reply,
  path: FhirPath,
  query: string,
): Promise<void> {
  const { request } = reply;
  const routed = routes[path.pattern];
  if (!routed) throw notRouted(routes, path);
  if (request.method === 'OPTIONS') {
    const allow = allowed(routed);
    const asks = request.headers['access-control-request-method'] !== undefined;
    answerEmpty(reply, 204, ['Allow', allow, ...(asks ? preflight(allow) : [])]);
    return;
  }
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  const interaction = routed[method as Method];
  if (!interaction) throw wrongMethod(request.method, path, allowed(routed));

  const caller = 'run' in interaction ? await entrance.enter(request) : undefined;
  const origin = `${reply.id} ${addressOf(request, config.trustProxy)}`;
  const { format, parameters } = negotiate(request.headers.accept, query === '' ? [] : readParameters(query));
  // a Binary is read in the form it has, and answers to Accept by itself
  if (!format && path.type !== 'Binary' && !interaction.anyForm) throw notAcceptable();
  const visit = { ...reply, format: format ?? PLAIN, path, parameters };
  if ('open' in interaction) return interaction.open(visit);
  const exchange = { ...visit, caller: { ...caller!, origin } };
  const { defer } = entrance;
  // Clients send the same headers with all of their requests; how far one is, is told at once.
  if (defer && path.pattern !== '/_async/:id' && !interaction.later && prefersAsync(request.headers.prefer))
    return defer(exchange);
  return interaction.run(exchange);
}

/** An operation that R4 has, and this server has not, or not there (R4 operations.html: 4xx). */
function notRouted(routes: Routes, { pattern, operation }: FhirPath): Refusal {
  const called = `$${operation?.code}`;
  const places = Object.keys(routes).filter((one) => one.endsWith(`/${called}`));
  const why =
    places.length > 0
      ? `${called} is not supported at ${BASE}${pattern}, only at ${places.map((place) => BASE + place).join(', ')}`
      : `${called} is not supported`;
  return refusal(404, 'not-supported', why);
}

function allowed(routed: Partial<Record<Method, Interaction>>): string {
  const methods = Object.keys(routed).flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
  return [...methods, 'OPTIONS'].join(', ');
}

function wrongMethod(method: string | undefined, path: FhirPath, allow: string): Refusal {
  const issue = error('not-supported', `${method} cannot be done at ${BASE}${path.pattern}, only ${allow}`);
  return new Refusal(405, [issue], { Allow: allow });
}

/** The client's own id of its request (R4 http.html#custom), where it is fit for a log. */
function ownId(request: IncomingMessage): string | undefined {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && /^[\w.:-]{1,100}$/.test(given) ? given : undefined;
}

function makeIds(): () => string {
  const process = randomBytes(6).toString('base64url');
  let count = 0;
  return () => `${process}-${(count++).toString(36)}`;
}
