/** Whether a person is signed in here: the session is oidc-provider's, so that apps and our own pages share it. */
import type { Account } from './accounts.ts';
import type { SmartContext, Visit } from './context.ts';
import { SESSION } from './provider.ts';
import { hashOf } from './secrets.ts';

export interface Visitor {
  readonly account: Account;
  /** of the session: hash in hex, and what stays the same while its id changes */
  readonly session: string;
  readonly uid: string;
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
  return { account, session: hashOf(session.jti).toString('hex'), uid: session.uid };
}

/** Begins a session of its own: one that was there before is not taken over (session fixation). */
export async function begin({ provider }: SmartContext, { request, response }: Visit, account: Account) {
  const current = provider();
  const ctx = current.createContext(request, response);
  const session = new current.Session();
  session.loginAccount({ accountId: account.id, amr: ['pwd'] });
  await session.save(SESSION);
  ctx.cookies.set(current.cookieName('session'), session.jti, {
    httpOnly: true,
    sameSite: 'lax',
    signed: true,
    path: '/',
    maxAge: SESSION * 1000,
  });
}
