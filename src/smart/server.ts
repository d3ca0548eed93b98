/** The authorization server over HTTP: what comes under /auth, and where it goes. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { errors } from 'oidc-provider';
import { Refusal } from '../fhir/outcome.ts';
import { addressOf, networkOf } from '../http/address.ts';
import { Aborted } from '../http/body.ts';
import { tracesOf } from '../http/faults.ts';
import { makeBuckets } from '../http/quota.ts';
import { admin } from './admin.ts';
import { adapted } from './authorize.ts';
import { brands } from './brands.ts';
import type { SmartContext, Visit } from './context.ts';
import { discovery } from './discovery.ts';
import { STYLE, sendCss, sendDemo, sendPasskeyScript } from './files.ts';
import * as forgotten from './forgotten.ts';
import { readForm, redirect, sendJson, sendPage, tooMany, unkeepable, withForm } from './forms.ts';
import * as interaction from './interaction.ts';
import { errorPage } from './pages/error.ts';
import * as people from './people.ts';
import { register } from './register.ts';
import * as services from './services.ts';

/** So many requests for authorization are taken from one address in a minute: a hospital's, of all who begin their day. */
const KEPT = 300;

/** What the page of form_post may do, to which oidc-provider adds the hash of its script: to send its form to the app. */
const BACK = "default-src 'none'; script-src; base-uri 'none'; frame-ancestors 'none'";

const OPEN = { 'Access-Control-Allow-Origin': '*' };

/** Answers a request under /auth, whose URL has lost that part of its path. */
export type Handle = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

interface Route {
  readonly method: 'GET' | 'POST';
  /** with one group for what varies, perhaps */
  readonly path: RegExp;
  /** as it is logged */
  readonly name: string;
  /** whether it is answered in maintenance, too: it writes nothing */
  readonly reads?: boolean;
  /** whether the answer to whatever goes wrong is JSON, and no page */
  readonly api?: boolean;
  /** whether anybody can have something kept by it: bounded for each address */
  readonly keeps?: boolean;
  readonly run: (visit: Visit, query: URLSearchParams, part: string) => unknown;
}

export function makeHandle(context: SmartContext): Handle {
  const routes = routesOf(context);
  const { config, log, endpoints, root } = context;
  const issuer = new URL(endpoints.issuer);
  const buckets = makeBuckets(KEPT);
  return async (request, response) => {
    const started = performance.now();
    const address = addressOf(request, config.trustProxy);
    const [path = '/', query = ''] = (request.url as string).split(/\?(.*)/s);
    const method = request.method === 'HEAD' ? 'GET' : request.method;
    const at = routes.filter((route) => route.path.test(path));
    const route = at.find((one) => one.method === method);
    pin(request, issuer);
    try {
      if (/%00/.test(request.url as string)) throw unkeepable();
      if (!route) return unrouted(request, response, at);
      if (config.readOnly && !route.reads) throw inMaintenance();
      const wait = route.keeps ? buckets.take(networkOf(address)) : 0;
      if (wait > 0) throw tooMany(response, wait / 1000);
      const part = route.path.exec(path)?.[1] ?? '';
      await route.run({ request, response, address }, new URLSearchParams(query), part);
    } catch (thrown) {
      if (thrown instanceof Aborted || response.destroyed) return;
      const fault = faultOf(context, thrown);
      if (response.headersSent) response.destroy();
      else if (route && !route.api)
        sendPage(response, fault.statusCode, errorPage(root, nameOf(fault), fault.error_description));
      else sendFault(response, fault);
    } finally {
      const ms = Math.round((performance.now() - started) * 10) / 10;
      const name = route ? route.name : path.replace(/[\w-]{20,}/g, ':id').slice(0, 60);
      log.info(
        { method: request.method, route: `/auth${name}`, status: response.statusCode, ms },
        'answered',
      );
    }
  };
}

/**
 * oidc-provider makes links, cookies and the audiences it accepts of these headers: they say what BASE_URL says, whatever
 * the client has sent.
 */
function pin(request: IncomingMessage, { host, protocol, pathname }: URL): void {
  request.headers.host = host;
  request.headers['x-forwarded-proto'] = protocol.slice(0, -1);
  delete request.headers['x-forwarded-host'];
  delete request.headers['x-forwarded-for'];
  (request as IncomingMessage & { originalUrl?: string }).originalUrl = pathname + request.url;
}

/** Answers what is no route: nothing, another method, or the question of a browser beforehand (Fetch standard). */
function unrouted({ method }: IncomingMessage, response: ServerResponse, at: readonly Route[]): void {
  if (at.length === 0) throw Object.assign(new errors.InvalidRequest('nothing is here'), { statusCode: 404 });
  const methods = [...new Set(at.map((route) => route.method))].join(', ');
  response.setHeader('Allow', `${methods}, OPTIONS`);
  if (method !== 'OPTIONS')
    throw Object.assign(new errors.InvalidRequest('it has no such method'), { statusCode: 405 });
  if (at.some(({ api }) => api)) {
    response.setHeader('Access-Control-Allow-Origin', '*');
    response.setHeader('Access-Control-Allow-Methods', methods);
    response.setHeader('Access-Control-Allow-Headers', 'Accept, Authorization, Content-Type');
    response.setHeader('Access-Control-Max-Age', '7200');
  }
  response.writeHead(204).end();
}

function faultOf({ log }: SmartContext, thrown: unknown): errors.OIDCProviderError {
  if (thrown instanceof errors.OIDCProviderError) return thrown;
  if (thrown instanceof Refusal) {
    const fault = new errors.InvalidRequest(thrown.message);
    return Object.assign(fault, { status: thrown.status, statusCode: thrown.status });
  }
  log.error({ fault: tracesOf(thrown) }, 'failed');
  const fault = new errors.TemporarilyUnavailable('something went wrong on this server');
  return Object.assign(fault, { error: 'server_error', status: 500, statusCode: 500 });
}

function inMaintenance(): errors.OIDCProviderError {
  const fault = new errors.TemporarilyUnavailable('this server is in maintenance: try again later');
  return Object.assign(fault, { status: 503, statusCode: 503 });
}

/** A name of our own for the page of what has expired, which is an invalid_request to apps. */
const nameOf = (fault: errors.OIDCProviderError): string =>
  fault instanceof errors.SessionNotFound ? 'session_not_found' : fault.error;

function sendFault(
  response: ServerResponse,
  { statusCode, error, error_description }: errors.OIDCProviderError,
): void {
  const bearer: Record<string, string> =
    statusCode === 401 ? { 'WWW-Authenticate': `Bearer realm="consilium", error="${error}"` } : {};
  sendJson(response, statusCode, { error, error_description }, { ...OPEN, Pragma: 'no-cache', ...bearer });
}

/** What is routed: requests and openapi.yaml's test read it. */
export function routesOf(context: SmartContext): readonly Route[] {
  const { endpoints, root, config, respond: hand } = context;
  const configuration = discovery(endpoints);
  const json =
    (body: unknown) =>
    ({ response }: Visit) =>
      sendJson(response, 200, body, { ...OPEN, 'Cache-Control': 'max-age=300' });
  /** An endpoint of oidc-provider that takes a form. */
  const endpoint = (
    name: string,
    change: (form: URLSearchParams, visit: Visit) => Promise<void> | void,
    reads = false,
  ): Route => ({
    method: 'POST',
    path: new RegExp(`^/${name}$`),
    name: `/${name}`,
    reads,
    api: true,
    async run(visit) {
      const { request, response } = visit;
      // An app that asks for HTML would get its errors as a page.
      request.headers.accept = 'application/json';
      if (!/^application\/x-www-form-urlencoded\b/i.test(request.headers['content-type'] ?? ''))
        return hand(request, response);
      const form = await readForm(request);
      await change(form, visit);
      const again = withForm(request, form);
      await hand(Object.assign(again, { originalUrl: `${root}/${name}` }), response);
    },
  });
  const replace = (form: URLSearchParams): void => {
    const changed = [...adapted(form)];
    for (const name of [...form.keys()]) form.delete(name);
    for (const [name, value] of changed) form.append(name, value);
  };

  const get = (path: RegExp, name: string, run: Route['run'], more: Partial<Route> = {}): Route => ({
    method: 'GET',
    path,
    name,
    run,
    ...more,
  });
  const post = (path: RegExp, name: string, run: Route['run'], more: Partial<Route> = {}): Route => ({
    method: 'POST',
    path,
    name,
    run,
    ...more,
  });
  const open = { reads: true, api: true };
  return [
    get(
      /^\/\.well-known\/(?:openid-configuration|oauth-authorization-server)$/,
      '/.well-known/openid-configuration',
      json(configuration),
      open,
    ),
    get(/^\/style\.json$/, '/style.json', json(STYLE), open),
    get(/^\/brands\.json$/, '/brands.json', json(brands(endpoints, config)), open),
    get(/^\/pages\.css$/, '/pages.css', (visit) => sendCss(visit), open),
    get(/^\/passkey\.js$/, '/passkey.js', (visit) => sendPasskeyScript(visit), open),
    post(
      /^\/passkey\/use$/,
      '/passkey/use',
      async ({ response }) => sendJson(response, 200, await context.passkeys.toUse()),
      open,
    ),
    post(/^\/passkey\/make$/, '/passkey/make', (visit) => people.askForPasskey(context, visit), open),
    get(/^\/demo$/, '/demo', (visit) => sendDemo(context, visit, false), { reads: true }),
    get(/^\/demo\.js$/, '/demo.js', (visit) => sendDemo(context, visit, true), { reads: true }),

    get(
      /^\/authorize$/,
      '/authorize',
      ({ request, response }, query) => {
        request.url = `/authorize?${adapted(query)}`;
        (request as IncomingMessage & { originalUrl?: string }).originalUrl = root + request.url;
        return hand(request, response);
      },
      { keeps: true },
    ),
    // the way back from an interaction
    get(/^\/authorize\/[\w-]+$/, '/authorize/:uid', ({ request, response }) => {
      response.setHeader('Content-Security-Policy', BACK);
      return hand(request, response);
    }),
    get(/^\/jwks$/, '/jwks', ({ request, response }) => hand(request, response), open),
    // authorize-post: the same by GET, as its cookies would not come along with a form of another site (SameSite)
    post(/^\/authorize$/, '/authorize', async ({ request, response }) =>
      redirect(response, `${root}/authorize?${await readForm(request)}`),
    ),
    endpoint('token', async (form) => {
      await nameClient(context, form);
      await nameScope(context, form);
    }),
    { ...endpoint('par', replace), keeps: true },
    endpoint('revoke', () => {}),
    endpoint('introspect', (form) => refusePublic(context, form), true),

    get(/^\/interaction\/([\w-]+)$/, '/interaction/:uid', (visit, query, uid) =>
      interaction.show(context, visit, uid, query.get('name') ?? ''),
    ),
    post(
      /^\/interaction\/([\w-]+\/(?:login|cancel|switch|patient|consent))$/,
      '/interaction/:uid/:action',
      (visit, _query, part) => {
        const [uid, action] = part.split('/') as [string, string];
        return interaction.submit(context, visit, uid, action);
      },
    ),

    get(/^\/sign-in$/, '/sign-in', (visit, query) =>
      people.showSignIn(context, visit, query.get('to') ?? ''),
    ),
    post(/^\/sign-in$/, '/sign-in', (visit, query) => people.signIn(context, visit, query.get('to') ?? '')),
    get(/^\/$/, '/', ({ response }) => redirect(response, `${root}/account`), { reads: true }),
    get(/^\/account$/, '/account', (visit) => people.showAccount(context, visit)),
    post(
      /^\/account\/(revoke|sign-out|passkey|remove-passkey|way)$/,
      '/account/:action',
      (visit, _query, action) => people.change(context, visit, action),
    ),
    get(/^\/forgotten$/, '/forgotten', (visit) => forgotten.show(context, visit)),
    post(/^\/forgotten$/, '/forgotten', (visit) => forgotten.submit(context, visit)),
    get(/^\/password$/, '/password', (visit, query) =>
      people.showPassword(context, visit, query.get('link') ?? ''),
    ),
    post(/^\/password$/, '/password', (visit) => people.choosePassword(context, visit)),
    get(/^\/try$/, '/try', (visit, query) => people.showTry(context, visit, query.get('name') ?? '')),
    post(/^\/try$/, '/try', (visit) => people.tryLaunch(context, visit)),

    get(/^\/userinfo$/, '/userinfo', (visit) => services.userinfo(context, visit), open),
    post(/^\/userinfo$/, '/userinfo', (visit) => services.userinfo(context, visit), open),
    get(/^\/whoami$/, '/whoami', (visit, query) => services.whoami(context, visit, query), open),
    post(/^\/launch$/, '/launch', (visit) => services.launch(context, visit), { api: true }),
    post(/^\/break-glass$/, '/break-glass', (visit) => services.breakGlass(context, visit), { api: true }),
    get(
      /^\/admin\/(clients|users)$/,
      '/admin/:what',
      (visit, _query, part) => admin(context, visit, part),
      open,
    ),
    post(
      /^\/admin\/(clients|users|invitations)$/,
      '/admin/:what',
      (visit, _query, part) => admin(context, visit, part),
      { api: true },
    ),
    post(
      /^\/admin\/((?:clients|users)\/[^/]+\/[a-z]+)$/,
      '/admin/:what/:id/:action',
      (visit, _query, part) => admin(context, visit, part),
      { api: true },
    ),
    ...(endpoints.register
      ? [post(/^\/register$/, '/register', (visit) => register(context, visit), { api: true })]
      : []),
  ];
}

/**
 * A backend service that names no scope asks for all that it was registered for (RFC 6749 §3.3), as one of @medplum/core
 * does. What its assertion says is believed by nobody: whether it is of that service is looked at afterwards.
 */
async function nameScope({ clients }: SmartContext, form: URLSearchParams): Promise<void> {
  if (form.get('grant_type') !== 'client_credentials' || form.get('scope')) return;
  const client = await clients.find(issuerOf(form.get('client_assertion') ?? ''));
  if (client?.type === 'backend') form.set('scope', client.scope);
}

function issuerOf(assertion: string): string {
  try {
    return String(JSON.parse(Buffer.from(assertion.split('.')[1] ?? '', 'base64url').toString()).iss);
  } catch {
    return '';
  }
}

/** RFC 7662 §2.1: only who proves who they are asks about tokens. oidc-provider would tell others that there are none. */
async function refusePublic({ clients }: SmartContext, form: URLSearchParams): Promise<void> {
  if ((await clients.find(form.get('client_id') ?? ''))?.type === 'public')
    throw new errors.InvalidClientAuth('a public client does not ask about tokens');
}

/** A public app refreshes without saying who it is, as fhirclient does: its refresh token says it. */
async function nameClient({ provider, clients }: SmartContext, form: URLSearchParams): Promise<void> {
  const token = form.get('refresh_token');
  if (form.get('grant_type') !== 'refresh_token' || form.has('client_id') || token === null) return;
  if (form.has('client_assertion')) return;
  const found = await provider().RefreshToken.find(token);
  const client = found?.clientId ? await clients.find(found.clientId) : undefined;
  if (client?.type === 'public') form.set('client_id', client.id);
}
