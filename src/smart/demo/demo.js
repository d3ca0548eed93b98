// A SMART app in small, for trying out and as an example: no library, one page, a public client with PKCE.
const page = new URL(location.href);
const self = page.origin + page.pathname;
const base = self.replace(/\/auth\/demo$/, '/fhir');
const CLIENT = 'demo-app';
const show = (text) => {
  document.querySelector('#out').textContent = text;
};
const base64url = (bytes) =>
  btoa(String.fromCharCode(...new Uint8Array(bytes)))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

async function discover(iss) {
  const answer = await fetch(`${iss}/.well-known/smart-configuration`, {
    headers: { accept: 'application/json' },
  });
  return answer.json();
}

/** Sends the browser to the authorization server; `launch` is what an EHR has handed over. */
async function authorize(iss, launch) {
  const { authorization_endpoint } = await discover(iss);
  const verifier = random();
  const state = random();
  sessionStorage.setItem(state, JSON.stringify({ iss, verifier }));
  const challenge = base64url(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier)));
  const asked = document.querySelector('#scope').value;
  const url = new URL(authorization_endpoint);
  url.search = new URLSearchParams({
    response_type: 'code',
    client_id: CLIENT,
    redirect_uri: self,
    scope: launch ? asked.replace('launch/patient', 'launch') : asked,
    state,
    aud: iss,
    code_challenge: challenge,
    code_challenge_method: 'S256',
    ...(launch ? { launch } : {}),
  });
  location.assign(url);
}

/** Back from there: the code becomes a token, and the token a patient. */
async function finish(code, state) {
  const { iss, verifier } = JSON.parse(sessionStorage.getItem(state) ?? '{}');
  if (!verifier) return show('This page was not opened by the app: begin again.');
  sessionStorage.removeItem(state);
  history.replaceState(null, '', self);
  const { token_endpoint } = await discover(iss);
  const answer = await fetch(token_endpoint, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      code,
      redirect_uri: self,
      client_id: CLIENT,
      code_verifier: verifier,
    }),
  });
  const { access_token, refresh_token, id_token, ...told } = await answer.json();
  let text = JSON.stringify(told, null, 2);
  if (told.patient) {
    const read = await fetch(`${iss}/Patient/${told.patient}`, {
      headers: { authorization: `Bearer ${access_token}` },
    });
    text += `\n\nGET Patient/${told.patient}: ${read.status}\n${JSON.stringify(await read.json(), null, 2)}`;
  }
  show(text);
}

const { code, state, error, error_description, iss, launch } = Object.fromEntries(page.searchParams);
document.querySelector('#start').addEventListener('click', () => authorize(base));
if (launch && iss === base) authorize(iss, launch);
else if (launch) show(`This app only works with ${base}.`);
else if (code) finish(code, state);
else if (error) show(`${error}: ${error_description ?? ''}`);
