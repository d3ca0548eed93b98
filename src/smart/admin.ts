/** People and apps over HTTP, as the command line has them, with an access token of the scope `consilium/admin`. */
import { errors } from 'oidc-provider';
import { ADMIN } from '../access/access.ts';
import { CLIENT_TYPES, type NewClient } from './clients.ts';
import type { SmartContext, Visit } from './context.ts';
import type { NewPerson } from './enrolment.ts';
import { readJson, sendJson } from './forms.ts';
import { invite } from './invitations.ts';
import { tokenOf } from './services.ts';

type Body = Readonly<Record<string, unknown>>;

/** @param path `clients`, `users` or `invitations`, followed by `/id/action` where something is done with one */
export async function admin(context: SmartContext, visit: Visit, path: string): Promise<void> {
  const { request, response } = visit;
  const { scope, payload } = await tokenOf(context, visit);
  // Tokens of the command line alone: no app and no service can ask for it.
  if (payload !== null || !scope.split(' ').includes(ADMIN))
    throw new errors.InsufficientScope(
      `this needs an access token of: consilium token --scope ${ADMIN}`,
      ADMIN,
    );
  const [what = '', id, action = 'add'] = path.split('/');
  const actions = ACTIONS[what]?.(context);
  if (request.method !== 'POST') return sendJson(response, 200, await actions?.list?.({}, ''));
  const act = actions && action !== 'list' && Object.hasOwn(actions, action) ? actions[action] : undefined;
  if (!act) throw Object.assign(new errors.InvalidRequest(`there is no ${action}`), { statusCode: 404 });
  try {
    const result = await act(await readJson(request), decoded(id ?? ''));
    context.log.info({ event: `${what} ${action}` }, 'admin');
    sendJson(response, action === 'add' ? 201 : 200, result ?? {});
  } catch (fault) {
    // What they refuse, they say in one line.
    if (!(fault instanceof Error) || fault.constructor !== Error) throw fault;
    throw new errors.InvalidRequest(fault.message);
  }
}

/** @throws Error where it is not UTF-8 */
function decoded(id: string): string {
  try {
    return decodeURIComponent(id);
  } catch {
    throw new Error(`${id} is not escaped as in a URL`);
  }
}

type Actions = Readonly<Record<string, (body: Body, id: string) => Promise<unknown>>>;

const ACTIONS: Readonly<Record<string, (context: SmartContext) => Actions>> = {
  clients: ({ clients }) => ({
    list: () => clients.list(),
    add: (body) => clients.add(shaped<NewClient>(body, CLIENT, ['type'])),
    rotate: (body, id) => clients.rotate(id, shaped(body, { jwks: isText, jwksUri: isText })),
    disable: (_body, id) => clients.disable(id),
    enable: (_body, id) => clients.enable(id),
  }),
  users: ({ accounts, enrolment }) => ({
    list: () => accounts.list(),
    add: (body) => enrolment.add(shaped<NewPerson>(body, PERSON, ['username', 'fhirUser'])),
    reset: (body, username) => enrolment.reset(username, shaped(body, { passkeys: isBoolean })),
    email: (body, username) =>
      enrolment.setEmail(username, shaped<{ email?: string }>(body, { email: isText }).email),
    clear: (body, username) =>
      enrolment.clear(username, shaped<{ label: string }>(body, { label: isText }, ['label']).label),
    disable: (_body, username) => enrolment.turn(username, false),
    enable: (_body, username) => enrolment.turn(username, true),
  }),
  invitations: ({ pool }) => ({
    add: async (body) => {
      shaped(body, {});
      return { initial_access_token: await invite(pool) };
    },
  }),
};

type Shapes = Readonly<Record<string, (value: unknown) => boolean>>;

const CLIENT: Shapes = {
  id: isText,
  name: isText,
  type: (value) => CLIENT_TYPES.includes(value as never),
  redirectUris: areTexts,
  scope: isText,
  jwks: isText,
  jwksUri: isText,
  launchUri: isText,
  logoUri: isText,
  introspects: isBoolean,
  organizations: areTexts,
};

const PERSON: Shapes = {
  username: isText,
  fhirUser: isText,
  email: isText,
  name: isText,
  password: isText,
};

function isBoolean(value: unknown): boolean {
  return typeof value === 'boolean';
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= 50_000;
}

function areTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every(isText);
}

/**
 * @param required what has to be given; the rest may be left out
 * @throws         Error naming the member that is missing, not known, or not as it should be
 */
function shaped<T>(body: Body, shapes: Shapes, required: readonly string[] = []): T {
  for (const name of required) if (!(name in body)) throw new Error(`${name} is missing`);
  for (const [name, value] of Object.entries(body))
    if (!Object.hasOwn(shapes, name) || !shapes[name]?.(value))
      throw new Error(
        `${name.slice(0, 50)} is not as it should be: known are ${Object.keys(shapes).join(', ') || 'none'}`,
      );
  return body as T;
}
