// Passkeys, where the browser has them. Pages work without: what is for passkeys alone is shown by this script.
const bytes = (text) =>
  Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');

const root = new URL('.', import.meta.url).pathname;

async function challenge() {
  const answer = await fetch(`${root}passkey`, { method: 'POST' });
  return bytes((await answer.json()).challenge);
}

/** Sends a form with what the device has said in its field `passkey`. */
function send(form, id, response) {
  const told = { id, clientDataJSON: text(response.clientDataJSON) };
  if (response.signature) {
    told.authenticatorData = text(response.authenticatorData);
    told.signature = text(response.signature);
  } else {
    told.authenticatorData = text(response.getAuthenticatorData());
    told.publicKey = text(response.getPublicKey());
  }
  form.querySelector('[name=passkey]').value = JSON.stringify(told);
  form.submit();
}

async function use(form) {
  const publicKey = { challenge: await challenge(), userVerification: 'required', timeout: 120_000 };
  const { id, response } = await navigator.credentials.get({ publicKey });
  send(form, id, response);
}

async function make(form) {
  const { id: user, name, display } = form.dataset;
  const publicKey = {
    challenge: await challenge(),
    rp: { name: 'Consilium' },
    user: { id: new TextEncoder().encode(user), name, displayName: display },
    pubKeyCredParams: [
      { type: 'public-key', alg: -7 },
      { type: 'public-key', alg: -257 },
    ],
    authenticatorSelection: {
      residentKey: 'required',
      requireResidentKey: true,
      userVerification: 'required',
    },
    timeout: 120_000,
  };
  const { id, response } = await navigator.credentials.create({ publicKey });
  send(form, id, response);
}

if (window.PublicKeyCredential)
  for (const form of document.querySelectorAll('form[data-passkey]')) {
    form.hidden = false;
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      const doing = form.dataset.passkey === 'make' ? make(form) : use(form);
      // The person has called it off, or the device has: the page is as before.
      doing.catch(() => {});
    });
  }
