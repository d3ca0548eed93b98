/** Whether a person is signed in here: the session is oidc-provider's, so that apps and our own pages share it. */
import type { Account } from './accounts.ts';
import type { SmartContext, Visit } from './context.ts';
import { readResponse } from './passkeys.ts';
import { SESSION } from './provider.ts';
import { hashOf, isStamp, stampOf } from './secrets.ts';

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

/** What came of a form on which a person says who they are. */
export type Arrival =
  | { readonly account: Account /** how they were recognized (RFC 8176) */; readonly methods: string[] }
  | {
      readonly account?: undefined /** the password is right, and a passkey is to follow */;
      readonly ticket: string;
    }
  | {
      readonly account?: undefined;
      readonly ticket?: string | undefined;
      readonly fault: string;
      readonly status: number;
    };

/**
 * By password, by passkey, or by a passkey after a password: who signs in.
 *
 * @param page which the form is of: a ticket of one page is none of another
 */
export async function signInBy(
  context: SmartContext,
  form: URLSearchParams,
  address: string,
  page: string,
): Promise<Arrival> {
  const { accounts, passkeys, keys, log, records, strangers } = context;
  const passkey = readResponse(form.get('passkey'));
  const ticket = form.get('ticket') ?? undefined;
  const username = form.get('username') ?? '';
  const first = ticket === undefined ? undefined : personOf(keys().stamps, page, ticket);
  if (ticket !== undefined && first === undefined)
    return { fault: 'That took too long: sign in once more.', status: 401 };
  const signedIn = await (passkey
    ? passkeys.signIn(passkey, address)
    : accounts.signIn(username, form.get('password') ?? '', address));
  // Who is locked out was not asked who they are; and whoever tries on must not fill the trail.
  if (!signedIn.account && signedIn.wait > 0) {
    strangers.count('sign-in', address, passkey ? undefined : username.slice(0, 100));
    return { ...faultOfWait(signedIn.wait), ticket };
  }
  const { account } = signedIn;
  if (account?.both && !passkey) {
    log.info({ event: 'a passkey is to follow', account: account.id }, 'sign-in');
    return { ticket: ticketFor(keys().stamps, page, account.id) };
  }
  // Of who asks for both, a passkey says nothing before the password; and it is to be that person's.
  const isRight = account && (passkey && (first ?? account.both) ? first === account.id : true);
  const asked = passkey ? undefined : username.slice(0, 100);
  await records.note({ what: 'sign-in', refused: !isRight, person: account?.fhirUser, address, asked });
  if (!isRight) {
    log.info({ event: 'sign-in refused' }, 'sign-in');
    return { ...(passkey ? WRONG_PASSKEY : WRONG_PASSWORD), ticket };
  }
  log.info({ event: 'signed in', account: account.id }, 'sign-in');
  return { account, methods: [...(!passkey || first ? ['pwd'] : []), ...(passkey ? BY_PASSKEY : [])] };
}

/** A key of a device that has recognized its person itself is two factors (RFC 8176). */
const BY_PASSKEY = ['hwk', 'user', 'mfa'];

const WRONG_PASSWORD = { fault: 'User name or password is wrong.', status: 401 };
const WRONG_PASSKEY = {
  fault: 'This passkey does not sign in here. Who uses password and passkey gives the password first.',
  status: 401,
};

/** @param wait seconds */
export function faultOfWait(wait: number): { readonly fault: string; readonly status: number } {
  const minutes = Math.ceil(wait / 60);
  return {
    fault: `There were too many attempts. Try again in ${minutes === 1 ? 'a minute' : `${minutes} minutes`}.`,
    status: 429,
  };
}

/** For so long, in milliseconds, a passkey may follow a password. */
const FOLLOWS = 5 * 60_000;

/** Says on a page that somebody's password was right; who changes it has none. */
function ticketFor(stamps: Buffer, page: string, account: string): string {
  const until = Date.now() + FOLLOWS;
  return `${account}.${until}.${stampOf(stamps, `second ${page} ${account} ${until}`)}`;
}

function personOf(stamps: Buffer, page: string, ticket: string): string | undefined {
  const [account, until, stamp] = ticket.split('.');
  const isOurs = isStamp(stamps, `second ${page} ${account} ${until}`, stamp);
  return isOurs && Number(until) > Date.now() ? account : undefined;
}

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
