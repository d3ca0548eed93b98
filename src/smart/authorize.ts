/**
 * Requests for authorization, as SMART apps make them, in the form in which oidc-provider takes them. Nothing else is
 * changed.
 */

/** The name under which `aud` goes through oidc-provider: where requests are pushed, it has an `aud` of its own. */
export const AUD = 'fhir_aud';

/** @param form the query or form of the request */
export function adapted(form: URLSearchParams): URLSearchParams {
  const params = new URLSearchParams();
  for (const [name, value] of form) {
    // An app must not say by itself what was checked.
    if (name === AUD) continue;
    params.append(name === 'aud' ? AUD : name, value);
  }
  const scopes = (form.get('scope') ?? '').split(' ');
  // It takes offline_access away where the person is not sure to be asked. Here they always are.
  if (scopes.includes('offline_access') && form.get('prompt') === null) params.set('prompt', 'consent');
  // It would answer in the fragment; SMART knows `code` only, whose errors are in the query.
  const isPushed = form.has('request_uri');
  if (!isPushed && form.get('response_type') !== 'code' && form.get('response_mode') === null)
    params.set('response_mode', 'query');
  return params;
}
