/** DICOMweb over HTTP: from a request under /dicomweb to what answers it. */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { error, Refusal, refusal } from '../fhir/outcome.ts';
import { addressOf } from '../http/address.ts';
import { Aborted, drain } from '../http/body.ts';
import { preflight } from '../http/cors.ts';
import { faultOf, tracesOf } from '../http/faults.ts';
import type { Caller } from '../records/records.ts';
import { answerFault, begin } from './answers.ts';
import type { ImagingContext, Visit } from './context.ts';
import { LINK, link, placeOf } from './links.ts';
import { search } from './qido.ts';
import { remove } from './remove.ts';
import { rendered, thumbnail } from './rendered.ts';
import { store } from './stow.ts';
import { bulkdata, frames, metadata, retrieve } from './wado.ts';
import { wadoUri } from './wado-uri.ts';

type Method = 'GET' | 'POST' | 'DELETE';
type Run = (context: ImagingContext, visit: Visit, path: string) => Promise<void>;

const STUDY = '/studies/:study';
const SERIES = `${STUDY}/series/:series`;
const INSTANCE = `${SERIES}/instances/:instance`;

type Methods = Readonly<Partial<Record<Method, Run>>>;

const FRAMES = `${INSTANCE}/frames/:frames`;

/** What is routed under /dicomweb; HEAD goes with GET, OPTIONS with all. */
export const ROUTES: Readonly<Record<string, Methods>> = {
  '/studies': { GET: search('study'), POST: store },
  [STUDY]: { GET: retrieve, POST: store, DELETE: remove },
  [`${STUDY}/metadata`]: { GET: metadata },
  [`${STUDY}/rendered`]: { GET: rendered },
  [`${STUDY}/thumbnail`]: { GET: thumbnail },
  '/series': { GET: search('series') },
  [`${STUDY}/series`]: { GET: search('series') },
  [SERIES]: { GET: retrieve },
  [`${SERIES}/metadata`]: { GET: metadata },
  [`${SERIES}/rendered`]: { GET: rendered },
  [`${SERIES}/thumbnail`]: { GET: thumbnail },
  '/instances': { GET: search('instance') },
  [`${STUDY}/instances`]: { GET: search('instance') },
  [`${SERIES}/instances`]: { GET: search('instance') },
  [INSTANCE]: { GET: retrieve },
  [`${INSTANCE}/metadata`]: { GET: metadata },
  [`${INSTANCE}/rendered`]: { GET: rendered },
  [`${INSTANCE}/thumbnail`]: { GET: thumbnail },
  [`${INSTANCE}/bulkdata/:path`]: { GET: bulkdata },
  [FRAMES]: { GET: frames },
  [`${FRAMES}/rendered`]: { GET: rendered },
  [`${FRAMES}/rendered${LINK}`]: { GET: link },
  [`${FRAMES}/thumbnail`]: { GET: thumbnail },
  [`${FRAMES}/thumbnail${LINK}`]: { GET: link },
  '/wado': { GET: wadoUri },
};

/** How a request comes in, and what is counted of it. */
export interface Doors {
  /** @throws Refusal where nobody may come in so */
  enter(request: IncomingMessage): Promise<Caller>;
  count(method: string, route: string, status: number, milliseconds: number): void;
}

/** Answers a request under /dicomweb, in full and whatever goes wrong. */
export type Handle = (request: IncomingMessage, response: ServerResponse, doors: Doors) => Promise<void>;

export const BASE = '/dicomweb';

/** Where links are followed: who has one needs no access token. */
const FOLLOWED = /^\/_link\/([\w-]+)$/;

interface Compiled {
  readonly pattern: string;
  readonly path: RegExp;
  readonly names: readonly string[];
  readonly methods: Readonly<Partial<Record<Method, Run>>>;
}

export function makeHandle(context: ImagingContext): Handle {
  const routes = Object.entries(ROUTES).map(compile);
  const { log } = context;
  const routed = (path: string) => routes.find((one) => one.path.test(path));
  return async (request, response, doors) => {
    const started = performance.now();
    const id = randomBytes(8).toString('base64url');
    const [path = '', query = ''] = (request.url as string).slice(BASE.length).split(/\?(.*)/s);
    const [, sealed] = FOLLOWED.exec(path) ?? [];
    const route = sealed === undefined ? routed(path) : undefined;
    const method = request.method as string;
    response.setHeader('X-Request-Id', id);
    let aborted = false;
    try {
      if (sealed === undefined) await dispatch(context, doors, { request, response }, route, path, query);
      else await follow(context, { request, response }, sealed, routed);
    } catch (thrown) {
      aborted = thrown instanceof Aborted || (request.socket.destroyed && !response.headersSent);
      if (aborted) response.destroy();
      else {
        const fault = faultOf(thrown, id);
        // What is refused in the middle of an answer can be told to the log alone.
        if (fault.own || response.headersSent)
          log.error({ id, status: fault.status, fault: tracesOf(thrown) }, 'failed');
        answerFault({ request, response }, fault);
        drain(request);
      }
    }
    const status = aborted ? 499 : response.statusCode;
    const milliseconds = performance.now() - started;
    const pattern = BASE + (sealed === undefined ? (route?.pattern ?? '') : '/_link/:link');
    doors.count(method, pattern, status, milliseconds);
    log.info({ id, method, route: pattern, status, ms: Math.round(milliseconds * 10) / 10 }, 'answered');
  };
}

/** Answers with the picture that a link leads to, as the caller whom it came from would get it. */
async function follow(
  context: ImagingContext,
  reply: Pick<Visit, 'request' | 'response'>,
  sealed: string,
  routed: (path: string) => Compiled | undefined,
): Promise<void> {
  const { method } = reply.request;
  if (method !== 'GET' && method !== 'HEAD')
    throw new Refusal(405, [error('not-supported', 'A link is only read')], { Allow: 'GET, HEAD' });
  const { caller, thing } = await context.links.follow(sealed);
  const { path, query } = placeOf(thing);
  const origin = `- ${addressOf(reply.request, context.config.trustProxy)}`;
  const enter = async () => ({ ...caller, origin });
  await dispatch(context, { enter }, reply, routed(path), path, query);
}

async function dispatch(
  context: ImagingContext,
  doors: Pick<Doors, 'enter'>,
  reply: Pick<Visit, 'request' | 'response'>,
  route: Compiled | undefined,
  path: string,
  query: string,
): Promise<void> {
  if (!route) throw refusal(404, 'not-found', 'DICOMweb has nothing there: studies are at /dicomweb/studies');
  const { request, response } = reply;
  const allow = allowed(route.methods);
  if (request.method === 'OPTIONS') {
    const asks = preflight(allow);
    begin(reply, { Allow: allow });
    for (let i = 0; i < asks.length; i += 2) response.setHeader(asks[i] as string, asks[i + 1] as string);
    response.writeHead(204).end();
    return;
  }
  const run = route.methods[(request.method === 'HEAD' ? 'GET' : request.method) as Method];
  if (!run)
    throw new Refusal(405, [error('not-supported', `This cannot be done there, only ${allow}`)], {
      Allow: allow,
    });
  const caller = await doors.enter(request);
  const values = route.path.exec(path) ?? [];
  const names = Object.fromEntries(route.names.map((name, i) => [name, values[i + 1] as string]));
  await run(context, { ...reply, caller, query: new URLSearchParams(query), names }, path);
}

function allowed(methods: Compiled['methods']): string {
  const all = Object.keys(methods).flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
  return [...all, 'OPTIONS'].join(', ');
}

/** UIDs are digits and full stops; a path of a long value has slashes. */
function compile([pattern, methods]: [string, Compiled['methods']]): Compiled {
  const names: string[] = [];
  const text = pattern.replace('$', '\\$').replace(/:(\w+)/g, (_, name: string) => {
    names.push(name);
    if (name === 'path') return '([0-9A-Fa-f/]+)';
    return name === 'frames' ? '([0-9,%Cc]+)' : '([0-9.]{1,64})';
  });
  return { pattern, path: new RegExp(`^${text}/?$`), names, methods };
}
