/** Whether a person is signed in here: the session is oidc-provider's, so that apps and our own pages share it. */
import type { Account, SignedIn } from './accounts.ts';
import type { SmartContext, Visit } from './context.ts';
import { SESSION } from './provider.ts';
import { hashOf } from './secrets.ts';
import { readResponse } from './webauthn.ts';

export interface Visitor {
  readonly account: Account;
  /** of the session: hash in hex, and what stays the same while its id changes */
  readonly session: string;
  readonly uid: string;
  /** when the person has signed in, in seconds */
  readonly since: number;
}

/** Who is signed in, by the cookie. */
export async function visitorOf(
  { provider, accounts }: SmartContext,
  { request, response }: Visit,
): Promise<Visitor | undefined> {
  const current = provider();
  const session = await current.Session.get(current.createContext(request, response));
  if (!session.accountId) return undefined;
  const account = await accounts.find(session.accountId);
  if (!account || account.disabled) return undefined;
  return {
    account,
    session: hashOf(session.jti).toString('hex'),
    uid: session.uid,
    since: session.loginTs ?? 0,
  };
}

/** By password or by passkey: who signs in. */
export async function signInBy(
  { accounts, passkeys, records }: SmartContext,
  form: URLSearchParams,
  address: string,
): Promise<SignedIn> {
  const passkey = readResponse(form.get('passkey'));
  const username = form.get('username') ?? '';
  const signedIn = await (passkey
    ? passkeys.signIn(passkey, address)
    : accounts.signIn(username, form.get('password') ?? '', address));
  const { account } = signedIn;
  // Who is locked out was not asked who they are; and whoever tries on must not fill the trail.
  if (!account && signedIn.wait > 0) return signedIn;
  const asked = passkey ? undefined : username.slice(0, 100);
  await records.note({ what: 'sign-in', refused: !account, person: account?.fhirUser, address, asked });
  return signedIn;
}

/** How the person was recognized (RFC 8176). */
export const methodsOf = (form: URLSearchParams): string[] =>
  form.get('passkey') ? ['hwk', 'user', 'mfa'] : ['pwd'];

/** Begins a session of its own: one that was there before is not taken over (session fixation). */
export async function begin(
  { provider }: SmartContext,
  { request, response }: Visit,
  account: Account,
  amr: string[],
) {
  const current = provider();
  const ctx = current.createContext(request, response);
  const session = new current.Session();
  session.loginAccount({ accountId: account.id, amr });
  await session.save(SESSION);
  ctx.cookies.set(current.cookieName('session'), session.jti, {
    httpOnly: true,
    sameSite: 'lax',
    signed: true,
    path: '/',
    maxAge: SESSION * 1000,
  });
}
