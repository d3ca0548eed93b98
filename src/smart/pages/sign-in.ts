/** Pages on which a person says who they are. */
import { type Html, html } from './html.ts';
import { alert, page } from './layout.ts';

/** What comes back to the page of a form that did not sign in. */
export interface Returned {
  readonly username?: string | undefined;
  /** that the password was right, and a passkey is to follow */
  readonly ticket?: string | undefined;
  readonly fault?: string | undefined;
  readonly status?: number;
}

export interface SignInForm extends Omit<Returned, 'status'> {
  readonly root: string;
  /** where the form goes */
  readonly action: string;
  readonly stamp: string;
  /** the app that waits for it */
  readonly app?: string;
  /** whether links to choose a password are sent by mail */
  readonly isMailing: boolean;
  /** where to give up goes */
  readonly cancel?: string;
  /** who is signed in already, and where to say that it is somebody else */
  readonly already?: { readonly person: string; readonly action: string };
}

export function signInPage(form: SignInForm): string {
  const { root, stamp, app, fault, ticket, cancel, already } = form;
  return page(
    root,
    'Sign in',
    app && html`<p>to go on to <strong>${app}</strong></p>`,
    alert(fault),
    ticket === undefined
      ? byPassword(form)
      : html`<p>The password is right. Now use your passkey.</p>
<noscript><p>This needs a browser with script.</p></noscript>`,
    html`<form method="post" action="${form.action}" data-passkey="use" hidden>
<input type="hidden" name="stamp" value="${stamp}"><input type="hidden" name="passkey">
${ticket !== undefined && html`<input type="hidden" name="ticket" value="${ticket}">`}
<button ${ticket !== undefined && html`class="primary"`}>${ticket === undefined ? 'Sign in with a passkey' : 'Use your passkey'}</button>
</form>
<script type="module" src="${root}/passkey.js"></script>`,
    ticket !== undefined && !cancel && html`<p class="small"><a href="${root}/account">Begin anew</a></p>`,
    cancel &&
      html`<form method="post" action="${cancel}"><input type="hidden" name="stamp" value="${stamp}">
<button>Cancel</button></form>`,
    already &&
      html`<form method="post" action="${already.action}" class="foot"><input type="hidden" name="stamp" value="${stamp}">
<p>Signed in as ${already.person}. <button class="link">Not you?</button></p></form>`,
  );
}

const byPassword = ({ root, action, stamp, username, isMailing }: SignInForm): Html =>
  html`<form method="post" action="${action}">
<input type="hidden" name="stamp" value="${stamp}">
<label>User name <input name="username" value="${username ?? ''}" autocomplete="username" autocapitalize="none"
  spellcheck="false" required ${autofocus(username === undefined)}></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required
  ${autofocus(username !== undefined)}></label>
<button class="primary">Sign in</button>
${isMailing && html`<p class="small"><a href="${root}/forgotten">Forgotten the password?</a></p>`}
</form>`;

const autofocus = (is: boolean): Html | undefined => (is ? html`autofocus` : undefined);

export interface PasswordForm {
  readonly root: string;
  readonly link: string;
  readonly username: string;
  readonly name: string;
  readonly shortest: number;
  readonly fault?: string;
}

export function passwordPage({ root, link, username, name, shortest, fault }: PasswordForm): string {
  return page(
    root,
    'Choose a password',
    html`<p>for <strong>${name}</strong>, user name <strong>${username}</strong></p>`,
    alert(fault),
    html`<form method="post" action="${root}/password">
<input type="hidden" name="link" value="${link}">
<input type="hidden" name="username" value="${username}" autocomplete="username">
<label>New password <input name="password" type="password" autocomplete="new-password" minlength="${shortest}"
  required autofocus></label>
<label>The same once more <input name="again" type="password" autocomplete="new-password" required></label>
<p class="small">${shortest} characters or more. A few words make a good one.</p>
<button class="primary">Keep it</button>
</form>`,
  );
}

export interface ForgottenForm {
  readonly root: string;
  readonly stamp: string;
  readonly fault?: string | undefined;
}

export function forgottenPage({ root, stamp, fault }: ForgottenForm): string {
  return page(
    root,
    'Forgotten the password?',
    alert(fault),
    html`<form method="post" action="${root}/forgotten">
<input type="hidden" name="stamp" value="${stamp}">
<label>User name <input name="username" autocomplete="username" autocapitalize="none" spellcheck="false" required
  autofocus></label>
<button class="primary">Send me a link</button>
</form>
<p class="small">It goes to the address of mail that was given when you were registered.</p>`,
  );
}

/** A page that only says something. */
export function notePage(
  root: string,
  title: string,
  says: string,
  link?: readonly [href: string, text: string],
): string {
  return page(root, title, html`<p>${says}</p>`, link && html`<p><a href="${link[0]}">${link[1]}</a></p>`);
}
