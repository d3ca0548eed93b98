/**
 * oidc-provider, set up for SMART App Launch 2.2. It is made anew whenever the signing keys change; what it keeps is in
 * the adapter, so that nothing is lost by that. Only its public interface is used.
 */
import { type Configuration, errors, type KoaContextWithOIDC, Provider } from 'oidc-provider';
import type { Endpoints } from '../http/issuer.ts';
import type { Records } from '../records/records.ts';
import type { Grammar } from '../search/parameters.ts';
import type { Accounts } from './accounts.ts';
import { type AdapterOptions, makeAdapters } from './adapter.ts';
import { AUD } from './authorize.ts';
import type { Clients } from './clients.ts';
import { ASSERTION_ALGORITHMS } from './discovery.ts';
import { contextOf, type LaunchContext } from './grants.ts';
import type { Keys } from './keys.ts';
import { findLaunch } from './launches.ts';
import { errorPage } from './pages/error.ts';
import { permitted } from './scopes.ts';
import { isSecret } from './secrets.ts';

export interface ProviderOptions extends AdapterOptions {
  readonly endpoints: Endpoints;
  readonly grammar: Grammar;
  readonly accounts: Accounts;
  readonly clients: Clients;
  readonly records: Pick<Records, 'note'>;
}

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86_400;

/** A refresh token for offline access is good for this long after its last use (170.315(g)(10): 3 months or more). */
const OFFLINE = 180 * DAY;
/** A session, and what is granted for as long as it lasts. */
export const SESSION = 12 * HOUR;

export function makeProvider(options: ProviderOptions, keys: Keys): Provider {
  const { endpoints } = options;
  const provider = new Provider(endpoints.issuer, configurationOf(options, keys));
  // Its links, cookies and audiences come of the request's headers, which server.ts pins to BASE_URL.
  provider.proxy = true;
  provider.use(async (ctx, next) => {
    await next();
    if (ctx.path.endsWith('/token')) await complete(options, ctx as unknown as KoaContextWithOIDC);
  });
  // What is kept of a secret is its hash.
  provider.Client.prototype.compareClientSecret = function compare(given: string) {
    return isSecret(given, Buffer.from(this.clientSecret as string, 'base64url'));
  };
  provider.on('server_error', (_ctx, fault) => options.failed(fault));
  return provider;
}

function configurationOf(options: ProviderOptions, keys: Keys): Configuration {
  const { endpoints, pool, accounts, grammar } = options;
  const { pathname, protocol } = new URL(endpoints.issuer);
  const isSecure = protocol === 'https:';
  const cookie = { httpOnly: true, sameSite: 'lax', signed: true, secure: isSecure } as const;
  return {
    adapter: makeAdapters(options),
    jwks: { keys: [...keys.signing] },
    cookies: {
      keys: [...keys.cookies],
      // A path has to be told of the others, so they cannot be __Host-.
      names: isSecure
        ? { session: '__Host-session', interaction: '__Secure-interaction', resume: '__Secure-resume' }
        : { session: 'session', interaction: 'interaction', resume: 'resume' },
      long: cookie,
      short: cookie,
    },
    routes: {
      authorization: '/authorize',
      token: '/token',
      introspection: '/introspect',
      revocation: '/revoke',
      jwks: '/jwks',
      pushed_authorization_request: '/par',
    },
    scopes: ['openid', 'offline_access'],
    claims: { openid: ['sub'], fhirUser: ['fhirUser'], profile: ['name'] },
    conformIdTokenClaims: false,
    findAccount: async (_ctx, id) => {
      const account = await accounts.find(id);
      if (!account || account.disabled) return undefined;
      const { name, fhirUser } = account;
      return {
        accountId: id,
        claims: async () => ({ sub: id, name, fhirUser: `${endpoints.fhir}/${fhirUser}` }),
      };
    },
    responseTypes: ['code'],
    pkce: { required: () => true },
    allowOmittingSingleRegisteredRedirectUri: false,
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'],
    enabledJWA: {
      clientAuthSigningAlgValues: [...ASSERTION_ALGORITHMS],
      idTokenSigningAlgValues: ['RS256'],
    },
    assertJwtClientAuthClaimsAndHeader: async (_ctx, claims, header) => checkAssertion(claims, header),
    extraParams: {
      [AUD]: (ctx, value) => checkAudience(endpoints, ctx as KoaContextWithOIDC, value),
      launch: (ctx, value) => checkLaunch(options, ctx as KoaContextWithOIDC, value),
    },
    features: {
      devInteractions: { enabled: false },
      userinfo: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      dPoP: { enabled: false },
      clientCredentials: { enabled: true },
      pushedAuthorizationRequests: { enabled: true },
      revocation: {
        enabled: true,
        allowedPolicy: async (_ctx, client, token) => token.clientId === client.clientId,
      },
      introspection: {
        enabled: true,
        allowedPolicy: async (_ctx, client, token) => {
          if (client.clientAuthMethod === 'none') return false;
          if (token.clientId === client.clientId) return true;
          return (await options.clients.find(client.clientId))?.introspects ?? false;
        },
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => endpoints.fhir,
        useGrantedResource: () => true,
        getResourceServerInfo: async (ctx, resource, client) => {
          if (resource.replace(/\/$/, '') !== endpoints.fhir)
            throw new errors.InvalidTarget(`tokens are for ${endpoints.fhir} only`);
          const registered = await options.clients.find(client.clientId);
          const scopes = registered ? permitted(grammar, askedIn(ctx), registered) : [];
          if (scopes.length === 0)
            throw new errors.InvalidScope(
              'none of these scopes can be granted to this client',
              askedIn(ctx).join(' '),
            );
          const isBackend = registered?.type === 'backend';
          return {
            scope: scopes.join(' '),
            audience: endpoints.fhir,
            accessTokenFormat: 'opaque',
            accessTokenTTL: isBackend ? 5 * MINUTE : HOUR,
          };
        },
      },
    },
    extraTokenClaims: async (_ctx, token) => {
      const { grantId, accountId } = token as { grantId?: string; accountId?: string };
      if (!grantId || !accountId) return { iss: endpoints.issuer };
      const { patient, encounter } = await contextOf(pool, grantId);
      const account = await accounts.find(accountId);
      return {
        iss: endpoints.issuer,
        ...(patient ? { patient } : {}),
        ...(encounter ? { encounter } : {}),
        ...(account ? { fhirUser: account.fhirUser } : {}),
      };
    },
    interactions: { url: (_ctx, { uid }) => `${pathname}/interaction/${uid}` },
    // Each launch has a grant of its own: that of an earlier one may be for another patient.
    loadExistingGrant: async (ctx) => {
      const grantId = ctx.oidc.result?.consent?.grantId;
      return grantId ? await ctx.oidc.provider.Grant.find(grantId) : undefined;
    },
    issueRefreshToken: async (_ctx, client, code) =>
      client.grantTypeAllowed('refresh_token') &&
      (code.scopes.has('offline_access') || code.scopes.has('online_access')),
    rotateRefreshToken: () => true,
    // Another launch of an app, or of another app, does not end this one; who signs out ends those of online_access.
    expiresWithSession: () => false,
    clientBasedCORS: () => true,
    revokeGrantPolicy: () => true,
    ttl: {
      AccessToken: (_ctx, token) => token.resourceServer?.accessTokenTTL ?? HOUR,
      ClientCredentials: (_ctx, token) => token.resourceServer?.accessTokenTTL ?? 5 * MINUTE,
      AuthorizationCode: MINUTE,
      // Longer than any refresh token that slides along would make it useless: it is ended, not left to expire.
      Grant: 10 * 365 * DAY,
      IdToken: HOUR,
      Interaction: HOUR,
      RefreshToken: ({ oidc }, token) => {
        if (token.scope?.split(' ').includes('offline_access')) return OFFLINE;
        // That of online_access does not slide along: it would outlive the session.
        return oidc.entities.RotatedRefreshToken?.remainingTTL ?? SESSION;
      },
      // From when the person has signed in: who has got hold of a cookie does not keep it alive by using it.
      Session: (_ctx, { loginTs }) =>
        loginTs === undefined ? SESSION : Math.max(1, loginTs + SESSION - Math.floor(Date.now() / 1000)),
    },
    renderError: (ctx, out, fault) => {
      ctx.type = 'html';
      const name = fault instanceof errors.SessionNotFound ? 'session_not_found' : out.error;
      ctx.body = errorPage(pathname, name, out.error_description);
    },
  };
}

/** What is asked for, wherever the request has it. */
function askedIn({ oidc }: KoaContextWithOIDC): string[] {
  const { AuthorizationCode, RotatedRefreshToken, RefreshToken } = oidc.entities;
  const source = AuthorizationCode ?? RotatedRefreshToken ?? RefreshToken;
  const scope = source?.scope ?? (oidc.params?.scope as string | undefined) ?? '';
  return scope.split(' ').filter(Boolean);
}

/** SMART App Launch 2.2, client-confidential-asymmetric.html#authenticating-to-the-token-endpoint. */
function checkAssertion(
  claims: Readonly<Record<string, unknown>>,
  header: Readonly<Record<string, unknown>>,
): void {
  const fault = (says: string) => new errors.InvalidClientAuth(says);
  if (typeof header.kid !== 'string') throw fault('the assertion names no key (kid)');
  // A key that an assertion brings along, or says where to fetch, proves nothing.
  if ('jwk' in header || 'jku' in header || 'x5u' in header || 'x5c' in header)
    throw fault('the assertion must not bring its own key: keys are those that were registered');
  if (claims.sub !== claims.iss) throw fault('sub of the assertion must be its iss, the client_id');
  const now = Date.now() / 1000;
  const skew = 15;
  if (Number(claims.exp) > now + 5 * MINUTE + skew)
    throw fault('the assertion may be valid for five minutes at most (exp)');
  if (String(claims.jti).length > 500) throw fault('jti of the assertion is too long');
}

/** An app must name the server that it will send the token to, lest another gets it (SMART App Launch 2.2). */
function checkAudience({ fhir }: Endpoints, { oidc }: KoaContextWithOIDC, value: string | undefined): void {
  const asksForData = ((oidc.params?.scope as string | undefined) ?? '').includes('/');
  if (value === undefined && !asksForData) return;
  if (value?.replace(/\/$/, '') !== fhir)
    throw new errors.InvalidRequest(`aud must be ${fhir}, the FHIR server that the token is for`);
}

async function checkLaunch(
  { pool }: ProviderOptions,
  { oidc }: KoaContextWithOIDC,
  value: string | undefined,
): Promise<void> {
  if (value === undefined) return;
  const launch = await findLaunch(pool, value);
  if (!launch || (launch.client !== undefined && launch.client !== oidc.client?.clientId))
    throw new errors.InvalidRequest('this launch was used already, is too old, or is for another app');
}

/** The token response of a launch says what it is about, also of a refresh; that there is a token is noted. */
async function complete(options: ProviderOptions, ctx: KoaContextWithOIDC): Promise<void> {
  const { pool, endpoints } = options;
  ctx.set('Cache-Control', 'no-store');
  ctx.set('Pragma', 'no-cache');
  const grantId = ctx.oidc?.entities?.AccessToken?.grantId;
  const body = ctx.body as Record<string, unknown> | undefined;
  if (!body || !('access_token' in body)) return;
  const context = grantId ? await contextOf(pool, grantId) : {};
  await noteToken(options, ctx, context, String(body.scope ?? ''));
  if (!grantId) return;
  ctx.body = { ...body, ...context, smart_style_url: endpoints.style };
}

async function noteToken(
  { records, accounts }: ProviderOptions,
  { oidc }: KoaContextWithOIDC,
  { patient }: LaunchContext,
  scope: string,
): Promise<void> {
  const { AccessToken, ClientCredentials } = oidc.entities;
  const token = AccessToken ?? ClientCredentials;
  const account = AccessToken?.accountId ? await accounts.find(AccessToken.accountId) : undefined;
  const asked = new URLSearchParams({ grant_type: String(oidc.params?.grant_type), scope }).toString();
  await records.note({ what: 'token', client: token?.clientId, person: account?.fhirUser, patient, asked });
}
