/** An app that a person lets in, through openid-client. */
import * as oidc from 'openid-client';
import type { Browser, Filled, Shown } from './browser.ts';
import { CALLBACK, PASSWORD, type SmartServer } from './server.ts';

export interface Asked {
  readonly client?: string;
  readonly authentication?: oidc.ClientAuth;
  readonly scope: string;
  readonly user?: string;
  /** whom the person picks, where they are asked */
  readonly patient?: string;
  /** the consent form; by default all stays ticked */
  readonly consent?: Filled;
  readonly browser?: Browser;
  readonly more?: Record<string, string>;
}

export interface Launched {
  readonly config: oidc.Configuration;
  readonly tokens: oidc.TokenEndpointResponse & oidc.TokenEndpointResponseHelpers;
  readonly browser: Browser;
}

export function configure(
  { issuer }: SmartServer,
  client = 'app',
  authentication: oidc.ClientAuth = oidc.None(),
): Promise<oidc.Configuration> {
  return oidc.discovery(new URL(issuer), client, undefined, authentication, {
    execute: [oidc.allowInsecureRequests],
  });
}

/** The pages from the app's request on, up to where the browser is sent back to the app. */
export async function decide(browser: Browser, first: Shown, asked: Asked): Promise<Shown> {
  let page = first;
  if (page.text.includes('<h1>Sign in</h1>'))
    page = await browser.submit(page, '/login', { username: asked.user ?? 'doctor', password: PASSWORD });
  if (page.text.includes('<h1>Choose a patient</h1>'))
    page = await browser.submit(page, '/patient', { patient: asked.patient ?? 'ines' });
  if (page.text.includes('<h1>Allow '))
    page = await browser.submit(page, '/consent', { decision: 'allow', ...asked.consent });
  return page;
}

/** The request of an app, with a verifier that goes with it. */
export async function requestOf(server: SmartServer, config: oidc.Configuration, asked: Asked) {
  const verifier = oidc.randomPKCECodeVerifier();
  const state = oidc.randomState();
  const url = oidc.buildAuthorizationUrl(config, {
    redirect_uri: CALLBACK,
    scope: asked.scope,
    aud: server.fhir,
    state,
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    ...asked.more,
  });
  return { url, checks: { pkceCodeVerifier: verifier, expectedState: state } };
}

/** All of it: signed in, decided, and the code exchanged. */
export async function launch(server: SmartServer, asked: Asked): Promise<Launched> {
  const browser = asked.browser ?? server.browser();
  const config = await configure(server, asked.client, asked.authentication);
  const { url, checks } = await requestOf(server, config, asked);
  const back = await decide(browser, await browser.open(url.href), asked);
  if (!back.url.startsWith(CALLBACK)) throw new Error(`not sent back, but at ${back.url}: ${back.text}`);
  const tokens = await oidc.authorizationCodeGrant(config, new URL(back.url), checks);
  return { config, tokens, browser };
}
