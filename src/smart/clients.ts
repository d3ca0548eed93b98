/** Apps and backend services that may ask for tokens. */
import { randomBytes } from 'node:crypto';
import type { ClientMetadata } from 'oidc-provider';
import type pg from 'pg';
import { readScope } from '../access/scopes.ts';
import { instantOf, run } from '../store/pool.ts';
import { endGrants } from './grants.ts';
import { faultOfUrl, type KeySets, keysIn, type PublicJwk } from './jwks.ts';
import { hashOf, newSecret } from './secrets.ts';

/** How a client proves who it is: not at all, by a secret, by a key; or by a key and without any person (SMART 2.2). */
export const CLIENT_TYPES = ['public', 'confidential', 'asymmetric', 'backend'] as const;
export type ClientType = (typeof CLIENT_TYPES)[number];

export interface Client {
  readonly id: string;
  readonly name: string;
  readonly type: ClientType;
  readonly redirectUris: readonly string[];
  /** what it may ask for, apart by spaces; '' of an app: whatever a person grants */
  readonly scope: string;
  readonly jwksUri?: string;
  readonly launchUri?: string;
  readonly logoUri?: string;
  readonly introspects: boolean;
  /** ids of organizations that a backend service is limited to; none: it is not */
  readonly organizations: readonly string[];
  readonly created: string;
  readonly disabled?: string;
}

export interface NewClient {
  readonly id?: string;
  readonly name?: string;
  readonly type: ClientType;
  readonly redirectUris?: readonly string[];
  readonly scope?: string;
  /** a JSON Web Key Set, as text */
  readonly jwks?: string;
  readonly jwksUri?: string;
  readonly launchUri?: string;
  readonly logoUri?: string;
  readonly introspects?: boolean;
  /** `Organization/id` each */
  readonly organizations?: readonly string[];
  /** it waits until somebody enables it */
  readonly disabled?: boolean;
}

/** What its owner is told, once. */
export interface Credentials {
  readonly client_id: string;
  readonly client_secret?: string;
}

export interface Clients {
  /** @throws Error in one line saying what is wrong */
  add(client: NewClient): Promise<Credentials>;
  list(): Promise<readonly Client[]>;
  find(id: string): Promise<Client | undefined>;
  /** A new secret, or new keys; the old ones are no more. What was granted stays. */
  rotate(id: string, keys?: Pick<NewClient, 'jwks' | 'jwksUri'>): Promise<Credentials>;
  /** Lets no more in, and ends all that it was granted. */
  disable(id: string): Promise<void>;
  enable(id: string): Promise<void>;
  /** The client as oidc-provider wants it; undefined where there is none, or it is disabled. */
  metadata(id: string): Promise<ClientMetadata | undefined>;
}

export interface ClientsOptions {
  readonly pool: pg.Pool;
  readonly transacting: pg.Pool;
  readonly isResourceType: (type: string) => boolean;
  readonly keySets: KeySets;
  /** as of makeKeySets */
  readonly local: boolean;
  /** the assertion that the request at hand shows, of a client that proves itself by a key */
  readonly assertion?: () => string | undefined;
  /** told why keys could not be fetched */
  readonly warn?: (clientId: string, fault: Error) => void;
}

const ID = /^[\w.~-]{1,100}$/;
const ORGANIZATION = /^Organization\/[A-Za-z0-9.-]{1,64}$/;

const COLUMNS = `id, name, type, redirect_uris, scope, jwks_uri, launch_uri, logo_uri, introspects, organizations,
  created, disabled, secret, jwks`;
const FIND = { name: 'smart_find_client', text: `select ${COLUMNS} from client where id = $1` };

type Found = Client & {
  readonly secret: Buffer | null;
  readonly jwks: { keys: readonly PublicJwk[] } | null;
};

export function makeClients(options: ClientsOptions): Clients {
  const { pool, transacting, keySets } = options;

  async function found(id: string): Promise<Found | undefined> {
    if (!ID.test(id)) return undefined;
    const [row] = await run(pool, FIND, [id]);
    return row && clientOf(row);
  }

  /** @throws Error where there is none */
  async function known(id: string): Promise<Found> {
    const client = await found(id);
    if (!client) throw new Error(`there is no client "${id}": consilium client list shows them`);
    return client;
  }

  /** Those of a client with a URL are fetched when it shows an assertion: its owner may have removed one since. */
  async function keysOf(client: Found): Promise<readonly PublicJwk[]> {
    if (!client.jwksUri) return client.jwks?.keys ?? [];
    const assertion = options.assertion?.();
    if (assertion === undefined) return [];
    try {
      return await keySets.fetch(client.jwksUri, kidOf(assertion));
    } catch (fault) {
      options.warn?.(client.id, fault as Error);
      return [];
    }
  }

  return {
    async add(client) {
      const id = client.id ?? randomBytes(12).toString('base64url');
      const keys = check({ ...client, id }, options);
      const secret = client.type === 'confidential' ? newSecret() : undefined;
      const { rows } = await pool.query({
        text: `insert into client (id, name, type, secret, redirect_uris, scope, jwks, jwks_uri, launch_uri, logo_uri,
                 introspects, organizations, disabled)
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, case when $13 then now() end)
               on conflict (id) do nothing returning id`,
        values: [
          id,
          client.name ?? id,
          client.type,
          secret === undefined ? null : hashOf(secret),
          client.redirectUris ?? [],
          client.scope ?? '',
          keys && { keys },
          client.jwksUri,
          client.launchUri,
          client.logoUri,
          client.introspects ?? false,
          (client.organizations ?? []).map((one) => one.slice('Organization/'.length)),
          client.disabled ?? false,
        ],
      });
      if (rows.length === 0) throw new Error(`there is a client "${id}" already: choose another id`);
      return { client_id: id, client_secret: secret };
    },
    async list() {
      const { rows } = await pool.query({
        text: `select ${COLUMNS} from client order by created`,
        rowMode: 'array',
      });
      return rows.map((row) => {
        const { secret: _, jwks: __, ...client } = clientOf(row);
        return client;
      });
    },
    find: found,
    async rotate(id, keys = {}) {
      const client = await known(id);
      if (client.type === 'confidential') {
        const secret = newSecret();
        await pool.query({
          text: 'update client set secret = $2 where id = $1',
          values: [id, hashOf(secret)],
        });
        return { client_id: id, client_secret: secret };
      }
      if (client.type === 'public') throw new Error('a public client has no secret that could be changed');
      const set = checkKeys(keys, options.local);
      await pool.query({
        text: 'update client set jwks = $2, jwks_uri = $3 where id = $1',
        values: [id, set && { keys: set }, keys.jwksUri],
      });
      return { client_id: id };
    },
    async disable(id) {
      await known(id);
      await endGrants(transacting, { client: id }, (executor) =>
        executor.query({
          text: 'update client set disabled = now() where id = $1 and disabled is null',
          values: [id],
        }),
      );
    },
    async enable(id) {
      await known(id);
      await pool.query({ text: 'update client set disabled = null where id = $1', values: [id] });
    },
    async metadata(id) {
      const client = await found(id);
      if (!client || client.disabled) return undefined;
      return { ...metadataOf(client), ...(await keyMetadata(client, keysOf)) };
    },
  };
}

/** A column of a client that is null is left out. */
function clientOf(row: readonly unknown[]): Found {
  const [id, name, type, redirectUris, scope, jwksUri, launchUri, logoUri, introspects, organizations] = row;
  const [created, disabled, secret, jwks] = row.slice(10);
  const all = {
    id,
    name,
    type,
    redirectUris,
    scope,
    jwksUri,
    launchUri,
    logoUri,
    introspects,
    organizations,
  };
  const times = {
    created: instantOf(created as string),
    disabled: disabled === null ? null : instantOf(disabled as string),
  };
  const given = Object.entries({ ...all, ...times }).filter(([, value]) => value !== null);
  return { ...(Object.fromEntries(given) as unknown as Client), secret, jwks } as Found;
}

const METHODS: Readonly<Record<ClientType, 'none' | 'client_secret_basic' | 'private_key_jwt'>> = {
  public: 'none',
  confidential: 'client_secret_basic',
  asymmetric: 'private_key_jwt',
  backend: 'private_key_jwt',
};

function metadataOf(client: Found): ClientMetadata {
  const isApp = client.type !== 'backend';
  return {
    client_id: client.id,
    client_name: client.name,
    token_endpoint_auth_method: METHODS[client.type],
    grant_types: isApp ? ['authorization_code', 'refresh_token'] : ['client_credentials'],
    response_types: isApp ? ['code'] : [],
    redirect_uris: [...client.redirectUris],
    application_type: client.redirectUris.some(isNative) ? 'native' : 'web',
    // A secret is compared with its hash (provider.ts), which stands here in its place.
    ...(client.secret ? { client_secret: client.secret.toString('base64url') } : {}),
  };
}

async function keyMetadata(
  client: Found,
  keysOf: (client: Found) => Promise<readonly PublicJwk[]>,
): Promise<Pick<ClientMetadata, 'jwks'>> {
  if (METHODS[client.type] !== 'private_key_jwt') return {};
  return { jwks: { keys: [...(await keysOf(client))] } as ClientMetadata['jwks'] };
}

/** Of an app on somebody's device: a scheme of its own, or a port of this machine (RFC 8252 §7). */
function isNative(uri: string): boolean {
  const { protocol, hostname } = new URL(uri);
  return protocol !== 'https:' && (protocol !== 'http:' || isLoopback(hostname));
}

export const isLoopback = (hostname: string): boolean =>
  hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);

/**
 * @returns the keys of a client that brings some
 * @throws  Error
 */
function check(
  client: NewClient & { readonly id: string },
  options: ClientsOptions,
): readonly PublicJwk[] | undefined {
  const { id, type, redirectUris = [], scope = '', launchUri, logoUri, organizations = [] } = client;
  if (!ID.test(id))
    throw new Error(`"${id}" cannot be a client id: use 1 to 100 letters, digits, "-", ".", "_" and "~"`);
  if (type === 'backend') {
    if (redirectUris.length > 0) throw new Error('a backend service has no redirect URI');
    if (scope === '') throw new Error('a backend service needs a scope, such as system/*.rs');
  } else if (redirectUris.length === 0) throw new Error('an app needs a redirect URI');
  if (organizations.length > 0 && type !== 'backend')
    throw new Error('only a backend service is limited to organizations: an app sees what its person does');
  for (const one of organizations)
    if (!ORGANIZATION.test(one)) throw new Error(`"${one}" names no organization: write Organization/ID`);
  for (const uri of redirectUris) {
    const fault = faultOfRedirect(uri);
    if (fault) throw new Error(`redirect URI ${uri}: ${fault}`);
  }
  for (const uri of [launchUri, logoUri])
    if (uri !== undefined && !/^https?:$/.test(URL.parse(uri)?.protocol ?? ''))
      throw new Error(`"${uri}" is no http or https URL`);
  for (const text of scope.split(' ').filter(Boolean)) {
    const one = readScope(text, options.isResourceType);
    if (!one && !PLAIN.has(text))
      throw new Error(`"${text}" is no scope of SMART App Launch: as patient/Observation.rs or launch`);
    if (one && (one.level === 'system') !== (type === 'backend'))
      throw new Error(
        `"${text}" is not for this client: system/ scopes are for backend services, and only they`,
      );
    if (!one && type === 'backend') throw new Error(`"${text}" is not for a backend service`);
  }
  if (type === 'asymmetric' || type === 'backend') return checkKeys(client, options.local);
  if (client.jwks ?? client.jwksUri) throw new Error(`a ${type} client has no keys`);
  return undefined;
}

/** Scopes that are not for resources. */
export const PLAIN: ReadonlySet<string> = new Set([
  'openid',
  'fhirUser',
  'profile',
  'launch',
  'launch/patient',
  'launch/encounter',
  'offline_access',
  'online_access',
]);

/**
 * RFC 8252 §7.1, §8.4: a scheme of an app's own is a name of its owner's turned around, so that no other app has it, nor acts
 * a browser on it itself (javascript:, data:) or the device (tel:, intent:).
 */
function faultOfRedirect(uri: string): string | undefined {
  if (!URL.canParse(uri)) return 'it is no absolute URL';
  const { protocol, hostname, username, password } = new URL(uri);
  if (uri.includes('#')) return 'it must not have a fragment';
  if (username || password) return 'it must not have a user and password';
  if (!/^https?:$/.test(protocol) && !protocol.includes('.'))
    return `${protocol} is no scheme of one app: it has to begin with a name of yours, as in org.example.heart:/callback`;
  if (protocol === 'http:' && !isLoopback(hostname)) return 'http is for this machine only: use https';
  return undefined;
}

/**
 * @returns the keys, where they are not fetched from a URL
 * @throws  Error
 */
function checkKeys(
  { jwks, jwksUri }: Pick<NewClient, 'jwks' | 'jwksUri'>,
  local: boolean,
): readonly PublicJwk[] | undefined {
  if ((jwks === undefined) === (jwksUri === undefined))
    throw new Error('a client that proves itself by a key needs a key set, or the URL of one');
  if (jwksUri !== undefined) {
    const fault = faultOfUrl(jwksUri, local);
    if (fault) throw new Error(`the URL of the key set: ${fault}`);
    return undefined;
  }
  const keys = keysOrNone(jwks as string);
  if (keys.length === 0)
    throw new Error(
      'the key set has no public RSA or EC key with a kid: {"keys":[{"kty":"EC","crv":"P-384","kid":…}]}',
    );
  return keys;
}

function keysOrNone(jwks: string): readonly PublicJwk[] {
  try {
    return keysIn(jwks);
  } catch {
    return [];
  }
}

/** The key that an assertion says it was signed with; nothing of it is believed. */
function kidOf(assertion: string): string | undefined {
  try {
    return JSON.parse(Buffer.from(assertion.split('.')[0] as string, 'base64url').toString()).kid;
  } catch {
    return undefined;
  }
}
