/** What apps and EHRs ask for with an access token: userinfo, launch contexts, and what a token is good for. */
import { errors } from 'oidc-provider';
import { type Access, demand } from '../access/access.ts';
import { type Letter, readScope, type Scope } from '../access/scopes.ts';
import { Refusal } from '../fhir/outcome.ts';
import { bearerOf } from '../http/door.ts';
import { readPath } from '../http/path.ts';
import { holderOf, lookUpToken, type TokenRow } from '../store/tokens.ts';
import type { SmartContext, Visit } from './context.ts';
import { readJson, sendJson } from './forms.ts';
import { grantedAt, type LaunchContext } from './grants.ts';
import { keepLaunch } from './launches.ts';

/** For browser apps of any origin. */
const CORS = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Expose-Headers': 'WWW-Authenticate',
};

/** @throws InvalidToken */
export async function tokenOf(context: SmartContext, { request, address }: Visit): Promise<TokenRow> {
  const shown = bearerOf(request);
  const token = shown === undefined ? undefined : await lookUpToken(context.pool, shown);
  if (token) return token;
  context.strangers.count('token-shown', address);
  throw new errors.InvalidToken('no valid access token: send Authorization: Bearer TOKEN');
}

/** OpenID Connect Core §5.3: claims of who has signed in. */
export async function userinfo(context: SmartContext, visit: Visit): Promise<void> {
  const { response } = visit;
  const { payload, scope } = await tokenOf(context, visit);
  const scopes = new Set(scope.split(' '));
  const account = payload?.accountId ? await context.accounts.find(payload.accountId) : undefined;
  if (!account || !scopes.has('openid'))
    throw new errors.InsufficientScope('this needs the scope openid', 'openid');
  const claims = {
    sub: account.id,
    ...(scopes.has('fhirUser') ? { fhirUser: `${context.endpoints.fhir}/${account.fhirUser}` } : {}),
    ...(scopes.has('profile') ? { name: account.name } : {}),
  };
  sendJson(response, 200, claims, CORS);
}

/** What may be said of a launch, and how it has to look. */
const LAUNCH: Readonly<Record<string, (value: unknown) => boolean>> = {
  client_id: isText,
  patient: isText,
  encounter: isText,
  intent: isText,
  tenant: isText,
  need_patient_banner: (value) => typeof value === 'boolean',
  fhirContext: (value) => Array.isArray(value) && value.length <= 50 && value.every(isContext),
};

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= 500;
}

/** SMART App Launch 2.2, scopes-and-launch-context.html#fhir-context: one of three ways to name something. */
function isContext(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { reference, canonical, identifier } = value as Record<string, unknown>;
  if (reference !== undefined && !(isText(reference) && /^[A-Z][A-Za-z]+\/[\w.-]+$/.test(reference)))
    return false;
  if (canonical !== undefined && !(isText(canonical) && /^https?:/.test(canonical))) return false;
  return [reference, canonical, identifier].some((one) => one !== undefined);
}

/**
 * Makes a launch: an EHR calls it with a token that may read the patient, of a backend service or of the person who will
 * use the app, and opens the app with what is answered.
 */
export async function launch(context: SmartContext, visit: Visit): Promise<void> {
  const { request, response } = visit;
  const token = await tokenOf(context, visit);
  const asked = await readJson(request);
  for (const [name, value] of Object.entries(asked))
    if (!LAUNCH[name]?.(value))
      throw new errors.InvalidRequest(
        `${name.slice(0, 50)} is not understood: a launch has ${Object.keys(LAUNCH).join(', ')}`,
      );
  const { client_id: client, ...about } = asked as LaunchContext & { readonly client_id?: string };
  if (client !== undefined && !(await context.clients.find(client)))
    throw new errors.InvalidRequest('client_id is no client of this server');
  const account = token.payload?.accountId;
  await mayLaunch(context, token, about);
  const value = await keepLaunch(context.pool, {
    ...(client ? { client } : {}),
    ...(account ? { account } : {}),
    context: about,
  });
  sendJson(response, 201, { launch: value, expires_in: 300 }, CORS);
}

/** A practitioner has to have signed in within so many seconds. */
const FRESH = 5 * 60;

/**
 * A practitioner opens the records of a patient whom they do not treat, for an hour. It takes a token of their own with
 * `user/Patient.r`, that they have signed in just now (RFC 9470), and a reason.
 */
export async function breakGlass(context: SmartContext, visit: Visit): Promise<void> {
  const { request, response } = visit;
  const token = await tokenOf(context, visit);
  const { patient, reason } = await readJson(request);
  const account = token.payload?.accountId ? await context.accounts.find(token.payload.accountId) : undefined;
  const [type, practitioner = ''] = account?.fhirUser.split('/') ?? [];
  if (!account || account.disabled || type !== 'Practitioner' || !readsPatients(context, token, 'user'))
    throw new errors.InsufficientScope(
      'only a practitioner breaks the glass, by an app with the scope user/Patient.r',
      'user/Patient.r',
    );
  if (!isText(patient) || !isText(reason))
    throw new errors.InvalidRequest('say whose records (patient, an id) and why (reason)');
  // What was granted before that may be used by an app alone: it does not show that the practitioner is there.
  const [newest] = await context.accounts.sessions(account.id);
  const granted = await grantedAt(context.pool, token.number);
  if (!newest || newest.since < Date.now() / 1000 - FRESH || granted < newest.since) {
    response.setHeader(
      'WWW-Authenticate',
      `Bearer error="insufficient_user_authentication", max_age="${FRESH}"`,
    );
    return sendJson(
      response,
      401,
      {
        error: 'insufficient_user_authentication',
        error_description:
          'have the practitioner sign in once more (max_age=0), and break the glass within five minutes by the token that comes of it',
      },
      CORS,
    );
  }
  const until = await context.records.breakGlass({ practitioner, patient, reason, agent: token.number });
  sendJson(response, 201, { patient, until: new Date(until).toISOString() }, CORS);
}

/** @throws InsufficientScope where the token could not read the patient itself */
async function mayLaunch(context: SmartContext, token: TokenRow, { patient }: LaunchContext): Promise<void> {
  const { patients, accounts } = context;
  const fault = new errors.InsufficientScope(
    'a launch needs the scope system/Patient.r, or user/Patient.r and a patient whose record the person may open',
    'system/Patient.r',
  );
  const { payload } = token;
  const account = payload?.accountId ? await accounts.find(payload.accountId) : undefined;
  if (!readsPatients(context, token, account ? 'user' : 'system') || account?.disabled) throw fault;
  const holder = account?.fhirUser ?? holderOf(token);
  if (patient !== undefined && holder !== undefined && !(await patients.find(holder, patient))) throw fault;
}

/** Whether a token has a scope of this level that reads Patients. */
function readsPatients({ grammar }: SmartContext, { scope }: TokenRow, level: Scope['level']): boolean {
  return scope.split(' ').some((text) => {
    const one = readScope(text, grammar.definitions.isResourceType);
    return one?.level === level && (one.type === '*' || one.type === 'Patient') && one.letters.has('r');
  });
}

const LETTERS: Readonly<Record<string, Letter>> = {
  GET: 'r',
  HEAD: 'r',
  POST: 'c',
  PUT: 'u',
  PATCH: 'u',
  DELETE: 'd',
};

/**
 * Tells what a token is good for, and, with `method` and `path`, whether it would let a request through and if not why. It
 * goes by types and letters alone, so it tells nothing of what is there.
 */
export async function whoami(context: SmartContext, visit: Visit, query: URLSearchParams) {
  const { request, response } = visit;
  const { scope, client, payload, expires } = await tokenOf(context, visit);
  const { patient, encounter, fhirUser } = payload?.extra ?? {};
  const path = query.get('path');
  const caller = await context.records.authenticate(bearerOf(request) ?? '');
  const told = {
    client_id: client,
    scope,
    expires: new Date(expires).toISOString(),
    ...(payload?.accountId ? { sub: payload.accountId, fhirUser } : {}),
    ...(patient ? { patient } : {}),
    ...(encounter ? { encounter } : {}),
    ...(path === null || !caller
      ? {}
      : { request: judge(context, caller.access, query.get('method') ?? 'GET', path) }),
  };
  sendJson(response, 200, told, CORS);
}

function judge({ grammar }: SmartContext, access: Access, given: string, path: string) {
  const method = given.toUpperCase();
  const { definitions } = grammar;
  try {
    const read = readPath(path.replace(/\?.*$/s, '').replace(/^\/?(?:fhir\/)?/, '/'), method, definitions);
    if (read.type === '') return { allowed: null, why: 'This goes by what the request itself holds' };
    const isSearch = read.pattern === '/:type/_search' || (read.pattern === '/:type' && method === 'GET');
    const letter = isSearch ? 's' : LETTERS[method];
    if (letter === undefined) return { allowed: false, why: `${method} is no method of FHIR` };
    demand(access, read.type, letter);
    return { allowed: true };
  } catch (fault) {
    if (fault instanceof Refusal) return { allowed: false, why: fault.message };
    throw fault;
  }
}
