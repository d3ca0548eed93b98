// Passkeys, where the browser has them. Pages work without: what is for passkeys alone is shown by this script.
const { PublicKeyCredential: Passkey } = window;
const root = new URL('.', import.meta.url).pathname;

/** What the device is asked for: to `use` a passkey, or to `make` one. */
async function asked(what) {
  const answer = await fetch(`${root}passkey/${what}`, { method: 'POST' });
  const options = await answer.json();
  return what === 'make'
    ? navigator.credentials.create({ publicKey: Passkey.parseCreationOptionsFromJSON(options) })
    : navigator.credentials.get({ publicKey: Passkey.parseRequestOptionsFromJSON(options) });
}

if (Passkey?.parseRequestOptionsFromJSON)
  for (const form of document.querySelectorAll('form[data-passkey]')) {
    form.hidden = false;
    form.addEventListener('submit', async (event) => {
      event.preventDefault();
      try {
        const told = await asked(form.dataset.passkey);
        form.querySelector('[name=passkey]').value = JSON.stringify(told);
        form.submit();
      } catch {
        // The person has called it off, or the device has: the page is as before.
      }
    });
  }
