/** Apps that register themselves (RFC 7591), as far as REGISTRATION allows. */
import { errors } from 'oidc-provider';
import { bearerOf } from '../http/door.ts';
import { countApp } from './attempts.ts';
import type { ClientType, NewClient } from './clients.ts';
import type { SmartContext, Visit } from './context.ts';
import { readJson, sendJson, tooMany } from './forms.ts';
import { returnInvitation, useInvitation } from './invitations.ts';

/** Metadata that is understood; other members are left out, as RFC 7591 §2 says, and not in the answer. */
interface Asked {
  readonly client_name?: string;
  readonly redirect_uris?: readonly string[];
  readonly token_endpoint_auth_method?: string;
  readonly grant_types?: readonly string[];
  readonly scope?: string;
  readonly jwks?: object;
  readonly jwks_uri?: string;
  readonly initiate_login_uri?: string;
  readonly logo_uri?: string;
}

const SHAPES: Readonly<Record<keyof Asked, (value: unknown) => boolean>> = {
  client_name: isText,
  redirect_uris: isTexts,
  token_endpoint_auth_method: isText,
  grant_types: isTexts,
  scope: isText,
  jwks: (value) => typeof value === 'object' && value !== null,
  jwks_uri: isText,
  initiate_login_uri: isText,
  logo_uri: isText,
};

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= 4000;
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.length <= 20 && value.every(isText);
}

export async function register(context: SmartContext, { request, response, address }: Visit): Promise<void> {
  const { config, clients, pool } = context;
  const asked = read(await readJson(request).catch(asMetadata));
  const client = clientOf(asked);
  let invitation: string | undefined;
  if (config.registration === 'token') {
    const shown = bearerOf(request);
    invitation = shown !== undefined && (await useInvitation(pool, shown)) ? shown : undefined;
    if (invitation === undefined)
      throw new errors.InvalidToken('to register needs an initial access token, of who runs this server');
  }
  // An invitation is for an app that people let in; what lets itself in is looked at by somebody first.
  const waits = config.registration === 'open' || client.type === 'backend';
  const wait = config.registration === 'open' ? await countApp(pool, address) : 0;
  if (wait > 0) throw tooMany(response, wait);
  const credentials = await clients.add({ ...client, disabled: waits }).catch(async (fault: Error) => {
    // It made no app: the next try may.
    if (invitation !== undefined) await returnInvitation(pool, invitation);
    throw fault.constructor === Error ? new errors.InvalidClientMetadata(fault.message) : fault;
  });
  context.log.info({ event: 'registered', client: credentials.client_id, waits }, 'client');
  sendJson(response, 201, {
    ...asked,
    ...credentials,
    client_id_issued_at: Math.floor(Date.now() / 1000),
    ...(credentials.client_secret ? { client_secret_expires_at: 0 } : {}),
    ...(waits ? { consilium_status: 'waits until who runs this server enables it' } : {}),
  });
}

/** RFC 7591 §3.2.2 has an error of its own. */
function asMetadata(fault: unknown): never {
  if (!(fault instanceof errors.InvalidRequest)) throw fault;
  throw new errors.InvalidClientMetadata(fault.error_description ?? 'the metadata is a JSON object');
}

function read(body: Readonly<Record<string, unknown>>): Asked {
  const given = Object.entries(SHAPES).flatMap(([name, fits]) => {
    const value = body[name];
    if (value === undefined) return [];
    if (!fits(value)) throw new errors.InvalidClientMetadata(`${name} is not as RFC 7591 §2 has it`);
    return [[name, value] as const];
  });
  return Object.fromEntries(given) as Asked;
}

function clientOf(asked: Asked): NewClient {
  const { token_endpoint_auth_method: method = 'client_secret_basic', grant_types: grants } = asked;
  return {
    name: asked.client_name,
    type: typeOf(method, grants),
    redirectUris: asked.redirect_uris,
    scope: asked.scope,
    jwks: asked.jwks === undefined ? undefined : JSON.stringify(asked.jwks),
    jwksUri: asked.jwks_uri,
    launchUri: asked.initiate_login_uri,
    logoUri: asked.logo_uri,
  };
}

function typeOf(method: string, grants: readonly string[] = ['authorization_code']): ClientType {
  if (grants.includes('client_credentials')) {
    if (grants.length === 1 && method === 'private_key_jwt') return 'backend';
    throw new errors.InvalidClientMetadata(
      'client_credentials is for backend services, which have no other grant and authenticate by private_key_jwt',
    );
  }
  switch (method) {
    case 'none':
      return 'public';
    case 'client_secret_basic':
    case 'client_secret_post':
      return 'confidential';
    case 'private_key_jwt':
      return 'asymmetric';
    default:
      throw new errors.InvalidClientMetadata(
        'token_endpoint_auth_method is none, client_secret_basic, client_secret_post or private_key_jwt',
      );
  }
}
