/**
 * What the authorization server says of itself: one object for SMART apps (`/fhir/.well-known/smart-configuration`) and
 * for OpenID Connect and OAuth ones (`/auth/.well-known/openid-configuration`).
 */
import type { Endpoints } from '../http/issuer.ts';
import { PLAIN } from './clients.ts';

/** Algorithms by which clients sign assertions (SMART App Launch 2.2, client-confidential-asymmetric.html). */
export const ASSERTION_ALGORITHMS = ['RS384', 'ES384'] as const;

/** Which capabilities there are (SMART App Launch 2.2, conformance.html#capability-sets). */
const CAPABILITIES = [
  'launch-ehr',
  'launch-standalone',
  'authorize-post',
  'client-public',
  'client-confidential-symmetric',
  'client-confidential-asymmetric',
  'sso-openid-connect',
  'context-banner',
  'context-style',
  'context-ehr-patient',
  'context-ehr-encounter',
  'context-standalone-patient',
  'context-standalone-encounter',
  'permission-offline',
  'permission-online',
  'permission-patient',
  'permission-user',
  'permission-v1',
  'permission-v2',
  // Argonaut SMART Imaging Access 0.1: images by DICOMweb under the token that found the ImagingStudy
  'smart-imaging-access',
  'http://fhir.org/argonaut/smart-imaging/capabilities/app-launch',
  'http://fhir.org/argonaut/smart-imaging/capabilities/backend-services',
];

/** Of the many that can be asked for, those that say what sorts there are. */
const SCOPES = [
  ...PLAIN,
  'patient/*.cruds',
  'user/*.cruds',
  'system/*.cruds',
  'patient/*.rs',
  'user/*.rs',
  'system/*.rs',
  'patient/*.read',
  'user/*.read',
  'system/*.read',
  // SMART Imaging Access names these
  'patient/ImagingStudy.rs',
  'system/ImagingStudy.rs',
];

const METHODS = ['client_secret_basic', 'client_secret_post', 'private_key_jwt'];

export function discovery(endpoints: Endpoints): Readonly<Record<string, unknown>> {
  const { issuer, authorize, token, introspect, revoke, manage, register, par, jwks, userinfo } = endpoints;
  return {
    issuer,
    authorization_endpoint: authorize,
    token_endpoint: token,
    introspection_endpoint: introspect,
    revocation_endpoint: revoke,
    management_endpoint: manage,
    ...(register ? { registration_endpoint: register } : {}),
    pushed_authorization_request_endpoint: par,
    jwks_uri: jwks,
    userinfo_endpoint: userinfo,
    user_access_brand_bundle: endpoints.brands,
    capabilities: CAPABILITIES,
    scopes_supported: SCOPES,
    response_types_supported: ['code'],
    response_modes_supported: ['query', 'fragment', 'form_post'],
    grant_types_supported: ['authorization_code', 'refresh_token', 'client_credentials'],
    code_challenge_methods_supported: ['S256'],
    token_endpoint_auth_methods_supported: [...METHODS, 'none'],
    token_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGORITHMS,
    introspection_endpoint_auth_methods_supported: METHODS,
    introspection_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGORITHMS,
    revocation_endpoint_auth_methods_supported: [...METHODS, 'none'],
    revocation_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGORITHMS,
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
    claims_supported: ['sub', 'fhirUser', 'name', 'iss', 'aud', 'exp', 'iat', 'nonce', 'auth_time'],
    claim_types_supported: ['normal'],
    authorization_response_iss_parameter_supported: true,
    claims_parameter_supported: false,
    request_parameter_supported: false,
    request_uri_parameter_supported: false,
    associated_endpoints: [{ url: endpoints.fhir, capabilities: CAPABILITIES }],
  };
}
