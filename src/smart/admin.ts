/** People and apps over HTTP, as the command line has them, with an access token of the scope `consilium/admin`. */
import { errors } from 'oidc-provider';
import { ADMIN } from '../access/access.ts';
import { type Account, FHIR_USERS } from './accounts.ts';
import { CLIENT_TYPES, type NewClient } from './clients.ts';
import type { SmartContext, Visit } from './context.ts';
import { readJson, sendJson } from './forms.ts';
import { tokenOf } from './services.ts';

type Body = Readonly<Record<string, unknown>>;

/** @param path `clients` or `users`, followed by `/id/action` where something is done with one */
export async function admin(
  context: SmartContext,
  { request, response }: Visit,
  path: string,
): Promise<void> {
  const { scope, payload } = await tokenOf(context, request);
  // Tokens of the command line alone: no app and no service can ask for it.
  if (payload !== null || !scope.split(' ').includes(ADMIN))
    throw new errors.InsufficientScope(
      `this needs an access token of: consilium token --scope ${ADMIN}`,
      ADMIN,
    );
  const [what = '', id, action = 'add'] = path.split('/');
  const tables = { clients: clientActions(context), users: userActions(context) };
  const actions = tables[what as keyof typeof tables];
  if (request.method !== 'POST') return sendJson(response, 200, await actions.list?.({}, ''));
  const act = action === 'list' ? undefined : actions[action];
  if (!act) throw Object.assign(new errors.InvalidRequest(`there is no ${action}`), { statusCode: 404 });
  try {
    const result = await act(await readJson(request), decoded(id ?? ''));
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

function clientActions({ clients }: SmartContext): Actions {
  return {
    list: () => clients.list(),
    add: (body) => clients.add(shaped<NewClient>(body, CLIENT)),
    rotate: (body, id) => clients.rotate(id, shaped(body, { jwks: isText, jwksUri: isText })),
    disable: (_body, id) => clients.disable(id),
    enable: (_body, id) => clients.enable(id),
  };
}

function userActions({ accounts, patients, endpoints }: SmartContext): Actions {
  const linkFor = async ({ id }: Account) => `${endpoints.issuer}/password?link=${await accounts.link(id)}`;
  async function named(username: string): Promise<Account> {
    const account = await accounts.named(username);
    if (!account) throw new Error(`there is no user "${username}"`);
    return account;
  }
  return {
    list: () => accounts.list(),
    async add(body) {
      const { username, fhirUser, name, password } = shaped<Person>(body, PERSON);
      const known = await patients.nameOf(fhirUser);
      if (known === undefined) throw new Error(`there is no ${fhirUser} in the records`);
      const account = await accounts.add({ username, fhirUser, name: name ?? known, password });
      return { ...account, ...(password === undefined ? { link: await linkFor(account) } : {}) };
    },
    async reset(_body, username) {
      const account = await named(username);
      return { ...account, link: await linkFor(account) };
    },
    disable: async (_body, username) => accounts.disable((await named(username)).id),
    enable: async (_body, username) => accounts.enable((await named(username)).id),
  };
}

interface Person {
  readonly username: string;
  readonly fhirUser: string;
  readonly name?: string;
  readonly password?: string;
}

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
  introspects: (value) => typeof value === 'boolean',
  organizations: areTexts,
};

const PERSON: Shapes = {
  username: isText,
  fhirUser: (value) =>
    isText(value) && new RegExp(`^(?:${FHIR_USERS.join('|')})/[A-Za-z0-9.-]{1,64}$`).test(value),
  name: isText,
  password: isText,
};

/** What has to be given; the rest may be left out. */
const REQUIRED = new Map<Shapes, readonly string[]>([
  [CLIENT, ['type']],
  [PERSON, ['username', 'fhirUser']],
]);

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= 50_000;
}

function areTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every(isText);
}

/** @throws Error naming the member that is missing, not known, or not as it should be */
function shaped<T>(body: Body, shapes: Shapes): T {
  for (const name of REQUIRED.get(shapes) ?? []) if (!(name in body)) throw new Error(`${name} is missing`);
  for (const [name, value] of Object.entries(body))
    if (!shapes[name]?.(value))
      throw new Error(
        `${name.slice(0, 50)} is not as it should be: known are ${Object.keys(shapes).join(', ')}`,
      );
  return body as T;
}
