/** People who sign in: each is a Practitioner, Patient, RelatedPerson or Person of the records. */
import type pg from 'pg';
import type { Clearance } from '../access/person.ts';
import { isId } from '../fhir/reference.ts';
import { isAddress } from '../jobs/mailer.ts';
import { type Executor, run, transaction } from '../store/pool.ts';
import { raiseEpoch } from '../store/tokens.ts';
import { countAttempt, forgiveAttempt } from './attempts.ts';
import { endGrants } from './grants.ts';
import { faultOfPassword, hashPassword, isPassword } from './passwords.ts';
import { hashOf, newSecret } from './secrets.ts';

export interface Account {
  /** the subject that apps see */
  readonly id: string;
  readonly username: string;
  readonly name: string;
  /** `Type/id` */
  readonly fhirUser: string;
  /** where links are sent to */
  readonly email?: string;
  /** without one, by passkey alone, or not yet */
  readonly hasPassword: boolean;
  /** signs in by password and passkey; else one of them is enough */
  readonly both: boolean;
  readonly disabled?: string;
}

export interface NewAccount {
  readonly username: string;
  readonly name: string;
  readonly fhirUser: string;
  readonly email?: string;
  /** without one, a link is made by which the person chooses it */
  readonly password?: string;
}

/** What came of an attempt to sign in. */
export type SignedIn =
  | { readonly account: Account }
  | { readonly account?: undefined /** seconds; 0 where it was just wrong */; readonly wait: number };

export interface Session {
  /** hash, in hex */
  readonly id: string;
  /** seconds since the epoch */
  readonly since: number;
}

export interface Accounts {
  /** @throws Error in one line saying what is wrong */
  add(account: NewAccount): Promise<Account>;
  list(): Promise<readonly Account[]>;
  find(id: string): Promise<Account | undefined>;
  named(username: string): Promise<Account | undefined>;
  signIn(username: string, password: string, address: string): Promise<SignedIn>;
  /** A secret for a link by which the person chooses a password, once, within so many hours. */
  link(id: string, hours: number): Promise<string>;
  /** The person whom a link is for, if it may be used still. */
  ofLink(secret: string): Promise<Account | undefined>;
  /**
   * Uses a link. All sessions end, as whoever knew the old password may have one.
   *
   * @returns what is wrong with the password or the link; undefined where it was done
   */
  choose(secret: string, password: string): Promise<string | undefined>;
  /** Where links are sent to from now on; undefined nowhere. @throws Error where it is no address */
  setEmail(id: string, email: string | undefined): Promise<void>;
  /** Lets the person in no more, and ends all sessions and grants. */
  disable(id: string): Promise<void>;
  enable(id: string): Promise<void>;
  /** Sets what the person may see of what is labelled confidential, from the next request on. */
  clear(id: string, clearance: Clearance): Promise<void>;
  sessions(id: string): Promise<readonly Session[]>;
  /** Ends a session, and what was granted for as long as it lasts. */
  endSession(account: string, session: string): Promise<void>;
}

/** Types that a person can be (SMART App Launch 2.2, fhirUser). */
export const FHIR_USERS = ['Practitioner', 'Patient', 'RelatedPerson', 'Person'];

/** Whether a text is `Type/id` of what a person can be. */
export function isFhirUser(text: string): boolean {
  const [type = '', id = '', ...more] = text.split('/');
  return FHIR_USERS.includes(type) && isId(id) && more.length === 0;
}

const COLUMNS = 'id, username, name, fhir_user, email, password is not null, needs_both, disabled';
const BY_ID = { name: 'smart_account', text: `select ${COLUMNS} from account where id = $1` };
const BY_NAME = {
  name: 'smart_account_named',
  text: `select ${COLUMNS}, password from account where username = $1`,
};
const OF_LINK = {
  name: 'smart_account_of_link',
  text: `select ${COLUMNS} from account
         where disabled is null
           and id = (select account from account_link where hash = $1 and used is null and expires > now())`,
};
const USE_LINK = {
  name: 'smart_use_link',
  text: `update account_link set used = now() where hash = $1 and used is null and expires > now() returning account`,
};
const SESSIONS = {
  name: 'smart_sessions',
  text: `select encode(id, 'hex'), (payload->>'loginTs')::bigint from smart_artifact
         where account = $1 and model = 'Session' and consumed is null and expires > now() order by 2 desc`,
};

/** They are kept as ended, so that a request that has read one before does not make it anew. */
export const END_SESSIONS = `update smart_artifact set consumed = now(), payload = '{}'
  where model = 'Session' and consumed is null`;

export function makeAccounts(pool: pg.Pool, transacting: pg.Pool): Accounts {
  const find: Accounts['find'] = async (id) => accountOf((await run(pool, BY_ID, [id]))[0]);

  async function ofLink(secret: string): Promise<Account | undefined> {
    return accountOf((await run(pool, OF_LINK, [hashOf(secret)]))[0]);
  }

  return {
    async add({ username: given, name, fhirUser, email, password }) {
      const username = folded(given);
      if (!/^[\p{L}\p{N}._@+-]{2,100}$/u.test(username))
        throw new Error(
          `"${given}" cannot be a user name: use 2 to 100 letters, digits, ".", "_", "@", "+", "-"`,
        );
      const fault = password === undefined ? undefined : faultOfPassword(password, username);
      if (fault) throw new Error(fault);
      checkEmail(email);
      const hash = password === undefined ? null : await hashPassword(password);
      const { rows } = await pool.query({
        text: `insert into account (username, name, fhir_user, email, password) values ($1, $2, $3, $4, $5)
               on conflict (username) do nothing returning ${COLUMNS}`,
        values: [username, name, fhirUser, email, hash],
        rowMode: 'array',
      });
      const account = accountOf(rows[0]);
      if (!account) throw new Error(`there is a user "${username}" already: choose another name`);
      return account;
    },
    async list() {
      const { rows } = await pool.query({
        text: `select ${COLUMNS} from account order by username`,
        rowMode: 'array',
      });
      return rows.map((row) => accountOf(row) as Account);
    },
    find,
    named: async (username) => accountOf((await run(pool, BY_NAME, [folded(username)]))[0]),
    async signIn(given, password, address) {
      const username = folded(given);
      const wait = await countAttempt(pool, username, address);
      if (wait > 0) return { wait };
      const [row] = await run(pool, BY_NAME, [username]);
      const account = accountOf(row);
      const isRight = await isPassword(password, (row?.[8] as string | null | undefined) ?? undefined);
      if (!isRight || !account || account.disabled) return { wait: 0 };
      await forgiveAttempt(pool, username, address);
      return { account };
    },
    async clear(id, clearance) {
      await transaction(transacting, async (executor) => {
        await executor.query({
          text: 'update account set clearance = $2 where id = $1',
          values: [id, clearance],
        });
        await raiseEpoch(executor);
      });
    },
    async setEmail(id, email) {
      checkEmail(email);
      await pool.query({ text: 'update account set email = $2 where id = $1', values: [id, email] });
    },
    async link(id, hours) {
      const secret = newSecret();
      await pool.query({
        text: `insert into account_link (hash, account, expires) values ($1, $2, now() + make_interval(hours => $3))`,
        values: [hashOf(secret), id, hours],
      });
      return secret;
    },
    ofLink,
    async choose(secret, password) {
      const account = await ofLink(secret);
      const gone = 'This link was used already, or is too old: ask for a new one.';
      if (!account) return gone;
      const fault = faultOfPassword(password, account.username);
      if (fault) return fault;
      const hash = await hashPassword(password);
      let result: string | undefined;
      await endGrants(transacting, { account: account.id, online: true }, async (executor) => {
        if ((await run(executor, USE_LINK, [hashOf(secret)])).length === 0) throw new Used();
        // Others that were given out before are as good as the old password.
        await executor.query({
          text: 'update account_link set used = now() where account = $1 and used is null',
          values: [account.id],
        });
        await executor.query({
          text: 'update account set password = $2 where id = $1',
          values: [account.id, hash],
        });
        await endSessions(executor, account.id);
        await executor.query({
          text: `delete from attempt where key = 'account ' || $1`,
          values: [account.username],
        });
      }).catch((fault) => {
        if (!(fault instanceof Used)) throw fault;
        result = gone;
      });
      return result;
    },
    async disable(id) {
      await endGrants(transacting, { account: id }, async (executor) => {
        await executor.query({
          text: 'update account set disabled = now() where id = $1 and disabled is null',
          values: [id],
        });
        await endSessions(executor, id);
      });
    },
    async enable(id) {
      await pool.query({ text: 'update account set disabled = null where id = $1', values: [id] });
    },
    async sessions(id) {
      const rows = await run(pool, SESSIONS, [id]);
      return rows.map(([hash, since]) => ({ id: hash, since }) as Session);
    },
    async endSession(account, session) {
      const { rows } = await pool.query({
        text: `${END_SESSIONS} and account = $1 and id = $2 returning uid`,
        values: [account, Buffer.from(session, 'hex')],
      });
      if (rows[0]) await endGrants(transacting, { session: rows[0].uid });
    },
  };
}

/** Somebody else was quicker. */
class Used extends Error {}

async function endSessions(executor: Executor, account: string): Promise<void> {
  await executor.query({
    text: `${END_SESSIONS} and account = $1`,
    values: [account],
  });
}

/** User names are without case, and the same however their letters were typed. */
export const folded = (username: string): string => username.trim().normalize('NFKC').toLowerCase();

function accountOf(row: readonly unknown[] | undefined): Account | undefined {
  if (!row) return undefined;
  const [id, username, name, fhirUser, email, hasPassword, both, disabled] = row;
  const given = { ...(email ? { email } : {}), ...(disabled ? { disabled } : {}) };
  return { id, username, name, fhirUser, hasPassword, both, ...given } as Account;
}

/** @throws Error */
function checkEmail(email: string | undefined): void {
  if (email !== undefined && !isAddress(email))
    throw new Error(`"${email.slice(0, 100)}" is no address of mail, such as ada@clinic.example`);
}
