/** Where the authorization server's endpoints are: made from BASE_URL, never from what a request says of itself. */
import type { Config } from '../config.ts';
import { type Context, fhirBase } from './exchange.ts';

export interface Endpoints {
  /** the FHIR base: what tokens are for */
  readonly fhir: string;
  readonly issuer: string;
  readonly authorize: string;
  readonly token: string;
  readonly introspect: string;
  readonly revoke: string;
  /** where a person sees what apps may do */
  readonly manage: string;
  /** where apps register themselves, if they may */
  readonly register?: string;
  readonly par: string;
  readonly jwks: string;
  readonly userinfo: string;
  readonly style: string;
  readonly brands: string;
}

export function endpointsOf({
  config,
}: {
  readonly config: Pick<Config, 'baseUrl' | 'registration'>;
}): Endpoints {
  const issuer = `${config.baseUrl}/auth`;
  return {
    fhir: fhirBase({ config } as Pick<Context, 'config'>),
    issuer,
    authorize: `${issuer}/authorize`,
    token: `${issuer}/token`,
    introspect: `${issuer}/introspect`,
    revoke: `${issuer}/revoke`,
    manage: `${issuer}/account`,
    ...(config.registration === 'off' ? {} : { register: `${issuer}/register` }),
    par: `${issuer}/par`,
    jwks: `${issuer}/jwks`,
    userinfo: `${issuer}/userinfo`,
    style: `${issuer}/style.json`,
    brands: `${issuer}/brands.json`,
  };
}
