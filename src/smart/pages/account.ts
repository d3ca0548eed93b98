/** A person's own page: apps, sessions; and the launch page for who makes apps. */
import type { Account } from '../accounts.ts';
import type { Look, PatientView } from '../patients.ts';
import { type Html, html } from './html.ts';
import { alert, page } from './layout.ts';

export interface AccountPage {
  readonly root: string;
  readonly stamp: string;
  readonly account: Account;
  readonly apps: readonly {
    readonly id: string;
    readonly name: string;
    readonly since: string;
    readonly may: readonly string[];
    readonly patient?: string;
  }[];
  readonly sessions: readonly { readonly id: string; readonly since: string; readonly current: boolean }[];
  readonly passkeys: readonly { readonly id: string; readonly says: string }[];
  /** who was shown what of the person's record; of practitioners nothing */
  readonly looks: readonly Look[];
  readonly done?: string;
}

export function accountPage({
  root,
  stamp,
  account,
  apps,
  sessions,
  passkeys,
  looks,
  done,
}: AccountPage): string {
  const form = (action: string, id: string, text: string): Html =>
    html`<form method="post" action="${root}/account/${action}"><input type="hidden" name="stamp" value="${stamp}">
<input type="hidden" name="id" value="${id}"><button>${text}</button></form>`;
  return page(
    root,
    'Your account',
    html`<p><strong>${account.name}</strong>, user name ${account.username}</p>`,
    done && html`<p class="done" role="status">${done}</p>`,
    html`<h2>Connected apps</h2>
${apps.length === 0 && html`<p>None.</p>`}
<ul class="list">${apps.map(
      (app) => html`
<li><div><strong>${app.name}</strong><br><span class="small">since ${app.since}${app.patient && html`, for ${app.patient}`}</span>
<details><summary>What it may do</summary><ul>${app.may.map((each) => html`<li>${each}</li>`)}</ul></details></div>
${form('revoke', app.id, 'End access')}</li>`,
    )}
</ul>
<h2>Where you are signed in</h2>
<ul class="list">${sessions.map(
      ({ id, since, current }) => html`
<li><div>since ${since}${current && html` <strong>(here)</strong>`}</div>${form('sign-out', id, 'Sign out')}</li>`,
    )}
</ul>
<h2>Passkeys</h2>
${passkeys.length === 0 && html`<p>None. With one you sign in by a finger or a PIN on your device.</p>`}
<ul class="list">${passkeys.map(
      ({ id, says }) => html`
<li><div>${says}</div>${form('remove-passkey', id, 'Remove')}</li>`,
    )}
</ul>
<form method="post" action="${root}/account/passkey" data-passkey="make" hidden>
<input type="hidden" name="stamp" value="${stamp}"><input type="hidden" name="passkey">
<button>Add a passkey of this device</button>
</form>
${passkeys.length > 0 && waysOf(account, form)}
${
  looks.length > 0 &&
  html`<h2>Who has looked at your record</h2>
<ul class="list">${looks.map(
    ({ at, who, by, did, emergency }) => html`
<li><div><strong>${who}</strong> ${did}${emergency && html` <strong>in an emergency</strong>`}<br>
<span class="small">${at.slice(0, 16).replace('T', ' ')}, through ${by}</span></div></li>`,
  )}
</ul>`
}
<script type="module" src="${root}/passkey.js"></script>`,
  );
}

/** What the person signs in by now, and what else there is. */
function waysOf(
  { hasPassword, both }: Account,
  form: (action: string, id: string, text: string) => Html,
): Html {
  if (!hasPassword) return html`<p>Your password was taken away: you sign in by passkey alone.</p>`;
  return html`<p>${both ? 'You sign in by password and passkey, both.' : 'You sign in by password or passkey: either is enough.'}</p>
${both ? form('way', 'either', 'Either is enough') : form('way', 'both', 'Ask for both')}
${form('way', 'alone', 'Sign in by passkey alone')}`;
}

export interface TryPage {
  readonly root: string;
  readonly stamp: string;
  readonly person: string;
  readonly fhir: string;
  readonly name: string;
  readonly patients: readonly PatientView[];
  readonly apps: readonly { readonly id: string; readonly name: string }[];
  readonly fault?: string;
}

/** An EHR in small: it launches an app for a patient. */
export function tryPage(form: TryPage): string {
  const { root, stamp, patients, apps, name } = form;
  return page(
    root,
    'Launch an app',
    html`<p>This does what a health record system does when it opens an app: the app is called at its launch URL with
<code>iss=${form.fhir}</code> and a <code>launch</code> of five minutes. Signed in as ${form.person}.</p>`,
    alert(form.fault),
    apps.length === 0 &&
      html`<p>No app has a launch URL yet: register one with
<code>consilium client add --launch-uri URL …</code>.</p>`,
    html`<form method="get" action="${root}/try" class="search">
<label>Name <input name="name" type="search" value="${name}" autocomplete="off"></label><button>Search</button>
</form>
<form method="post" action="${root}/try">
<input type="hidden" name="stamp" value="${stamp}">
<label>Patient <select name="patient" required>${patients.map(
      ({ id, name, birthDate }) =>
        html`<option value="${id}">${name}${birthDate && html`, ${birthDate}`}</option>`,
    )}</select></label>
<label>App <select name="app" required>${apps.map(
      ({ id, name }) => html`<option value="${id}">${name}</option>`,
    )}</select></label>
<button class="primary">Launch</button>
</form>`,
  );
}
