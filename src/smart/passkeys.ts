/** Passkeys of people: a key on a device of theirs, which asks for a finger or a PIN, instead of a password. */
import type pg from 'pg';
import { run } from '../store/pool.ts';
import type { Account, Accounts, SignedIn } from './accounts.ts';
import { countAttempt, forgiveAttempt } from './attempts.ts';
import { hashOf, isStamp, newSecret, stampOf } from './secrets.ts';
import { challengeOf, created, type RelyingParty, type Response, used } from './webauthn.ts';

export interface Passkey {
  /** as its device calls it, in hex */
  readonly id: string;
  readonly created: string;
  readonly used?: string;
}

export interface Passkeys {
  /** What a device is to sign, within five minutes, once. */
  challenge(): string;
  /** Keeps a new one; false where the response is not right. */
  add(account: Account, response: Response): Promise<boolean>;
  list(account: string): Promise<readonly Passkey[]>;
  remove(account: string, id: string): Promise<void>;
  signIn(response: Response, address: string): Promise<SignedIn>;
}

const CHALLENGE = 'Challenge';
// Anybody may ask for one, so that only those that were answered are kept, for as long as they would be good.
const USE_CHALLENGE = {
  name: 'smart_use_challenge',
  text: `insert into smart_artifact (model, id, payload, expires) values ($1, $2, '{}', now() + interval '10 minutes')
         on conflict do nothing returning true`,
};
const KEEP = {
  name: 'smart_keep_passkey',
  text: `insert into passkey (id, account, key, counter) values ($1, $2, $3, $4) on conflict do nothing returning true`,
};
const FIND = { name: 'smart_find_passkey', text: `select account, key, counter from passkey where id = $1` };
// Of two that use it with one counter, one is a copy.
const USE = {
  name: 'smart_use_passkey',
  text: `update passkey set counter = $2, used = now() where id = $1 and (counter < $2 or (counter = 0 and $2 = 0))
         returning true`,
};
const LIST = {
  name: 'smart_passkeys',
  text: `select encode(id, 'hex'), created, used from passkey where account = $1 order by created`,
};
const REMOVE = { name: 'smart_remove_passkey', text: `delete from passkey where id = $1 and account = $2` };

const MINUTES = 5;

/** @param stamps key of what this server alone can make */
export function makePasskeys(
  pool: pg.Pool,
  accounts: Accounts,
  party: RelyingParty,
  stamps: () => Buffer,
): Passkeys {
  /** The challenge of a response, where it is one of ours that was not answered yet. */
  async function answered(response: Response): Promise<string | undefined> {
    const challenge = challengeOf(response);
    const [made = '', random, stamp] = Buffer.from(challenge, 'base64url').toString().split('.');
    const isOurs = isStamp(stamps(), `passkey ${made}.${random}`, stamp);
    if (!isOurs || Date.now() - Number(made) > MINUTES * 60_000) return undefined;
    const rows = await run(pool, USE_CHALLENGE, [CHALLENGE, hashOf(challenge)]);
    return rows.length > 0 ? challenge : undefined;
  }

  async function accountOf(response: Response): Promise<Account | undefined> {
    const challenge = await answered(response);
    const id = Buffer.from(response.id, 'base64url');
    const [row] = challenge === undefined ? [] : await run(pool, FIND, [id]);
    if (!row || challenge === undefined) return undefined;
    const [account, key, counter] = row as [string, Buffer, number];
    const now = used(response, challenge, party, { key, counter });
    if (now === undefined || (await run(pool, USE, [id, now])).length === 0) return undefined;
    return accounts.find(account);
  }

  return {
    challenge() {
      const made = `${Date.now()}.${newSecret()}`;
      return Buffer.from(`${made}.${stampOf(stamps(), `passkey ${made}`)}`).toString('base64url');
    },
    async add(account, response) {
      const challenge = await answered(response);
      const made = challenge === undefined ? undefined : created(response, challenge, party);
      if (!made) return false;
      return (await run(pool, KEEP, [made.id, account.id, made.key, made.counter])).length > 0;
    },
    async list(account) {
      const rows = await run(pool, LIST, [account]);
      return rows.map(
        ([id, since, last]) => ({ id, created: since, ...(last ? { used: last } : {}) }) as Passkey,
      );
    },
    async remove(account, id) {
      await run(pool, REMOVE, [Buffer.from(id, 'hex'), account]);
    },
    async signIn(response, address) {
      // A key cannot be guessed, but looking at one costs something.
      const name = `passkey ${response.id.slice(0, 100)}`;
      const wait = await countAttempt(pool, name, address);
      if (wait > 0) return { wait };
      const account = await accountOf(response);
      if (!account || account.disabled) return { wait: 0 };
      await forgiveAttempt(pool, name, address);
      return { account };
    },
  };
}
