/**
 * Passkeys of people (Web Authentication Level 3): a key on a device of theirs, which asks for a finger or a PIN. One signs in
 * instead of a password or after it, as its person has chosen.
 */
import type { AuthenticationResponseJSON, RegistrationResponseJSON } from '@simplewebauthn/server';
import type pg from 'pg';
import { type Executor, run, transaction } from '../store/pool.ts';
import type { Account, Accounts, SignedIn } from './accounts.ts';
import { countAttempt, forgiveAttempt } from './attempts.ts';
import { hashOf, isStamp, newSecret, stampOf } from './secrets.ts';

export interface Passkey {
  /** as its device calls it, in hex */
  readonly id: string;
  readonly created: string;
  readonly used?: string;
}

/** What a browser has said of a passkey, as JSON (§5.1): nothing of it is believed yet. */
export type Response = (AuthenticationResponseJSON | RegistrationResponseJSON) & { readonly id: string };

/** What a person signs in by: one of password and passkey, both, or a passkey and nothing else. */
export type Way = 'either' | 'both' | 'alone';

/** Whom a passkey is for: this server. */
export interface RelyingParty {
  /** host name */
  readonly id: string;
  readonly origin: string;
}

export interface Passkeys {
  /** What a browser is asked for, as JSON, to use any passkey of this server: within five minutes, once. */
  toUse(): Promise<object>;
  /** The same, to make a new one. */
  toMake(account: Account): Promise<object>;
  /** Keeps a new one; false where the response is not right. */
  add(account: Account, response: Response): Promise<boolean>;
  list(account: string): Promise<readonly Passkey[]>;
  /** False where it is the last without which the person could not sign in. */
  remove(account: string, id: string): Promise<boolean>;
  /** Removes all of a person who has lost them; a password is enough then. */
  removeAll(account: string): Promise<void>;
  /** False where the person has not what it takes. */
  setWay(account: string, way: Way): Promise<boolean>;
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
const LOCK = { name: 'smart_lock_account', text: `select from account where id = $1 for update` };
const REMOVE = {
  name: 'smart_remove_passkey',
  text: `delete from passkey where id = $1 and account = $2
           and (exists (select from passkey other where other.account = $2 and other.id <> $1)
                or exists (select from account where id = $2 and password is not null and not needs_both))
         returning true`,
};
const REMOVE_ALL = { name: 'smart_remove_passkeys', text: `delete from passkey where account = $1` };
const WAYS: Readonly<Record<Way, { readonly name: string; readonly text: string }>> = {
  either: {
    name: 'smart_way_either',
    text: `update account set needs_both = false where id = $1 returning true`,
  },
  both: {
    name: 'smart_way_both',
    text: `update account set needs_both = true
           where id = $1 and password is not null and exists (select from passkey where account = $1) returning true`,
  },
  alone: {
    name: 'smart_way_alone',
    text: `update account set password = null, needs_both = false
           where id = $1 and exists (select from passkey where account = $1) returning true`,
  },
};

const MINUTES = 5;
const TIMEOUT = 120_000;

/** EdDSA, ES256 and RS256 (IANA, COSE algorithms): what devices have. */
const ALGORITHMS = [-8, -7, -257];

export interface PasskeysOptions {
  readonly pool: pg.Pool;
  readonly transacting: pg.Pool;
  readonly accounts: Pick<Accounts, 'find'>;
  readonly party: RelyingParty;
  /** key of what this server alone can make */
  readonly stamps: () => Buffer;
}

export function makePasskeys({ pool, transacting, accounts, party, stamps }: PasskeysOptions): Passkeys {
  const { id: rpID, origin } = party;

  function challenge(): string {
    const made = `${Date.now()}.${newSecret()}`;
    return `${made}.${stampOf(stamps(), `passkey ${made}`)}`;
  }

  /** What a response has to be right by, where it answers a challenge of ours that was not answered yet. */
  async function expectedOf({ response }: Response) {
    const expectedChallenge = challengeIn(response.clientDataJSON);
    const [made = '', random, stamp] = Buffer.from(expectedChallenge, 'base64url').toString().split('.');
    const isOurs = isStamp(stamps(), `passkey ${made}.${random}`, stamp);
    if (!isOurs || Date.now() - Number(made) > MINUTES * 60_000) return undefined;
    const rows = await run(pool, USE_CHALLENGE, [CHALLENGE, hashOf(expectedChallenge)]);
    if (rows.length === 0) return undefined;
    return { expectedChallenge, expectedOrigin: origin, expectedRPID: rpID, requireUserVerification: true };
  }

  async function accountOf(given: Response): Promise<Account | undefined> {
    const response = given as AuthenticationResponseJSON;
    const expected = await expectedOf(response);
    const id = Buffer.from(response.id, 'base64url');
    const [row] = expected ? await run(pool, FIND, [id]) : [];
    if (!row || !expected) return undefined;
    const [account, key, counter] = row as [string, Buffer, number];
    // §7.2 step 6: the device says whose it is, too
    const { userHandle } = response.response;
    if (userHandle !== undefined && Buffer.from(userHandle, 'base64url').toString() !== account)
      return undefined;
    const { verifyAuthenticationResponse } = await library();
    const credential = { id: response.id, publicKey: new Uint8Array(key), counter };
    const checked = await verifyAuthenticationResponse({ ...expected, response, credential }).catch(notRight);
    if (!checked?.verified) return undefined;
    const used = await run(pool, USE, [id, checked.authenticationInfo.newCounter]);
    return used.length > 0 ? accounts.find(account) : undefined;
  }

  /** One at a time of those that change what an account is signed in by: two together could leave nothing. */
  function alone<T>(account: string, work: (executor: Executor) => Promise<T>): Promise<T> {
    return transaction(transacting, async (executor) => {
      await run(executor, LOCK, [account]);
      return work(executor);
    });
  }

  async function list(account: string): Promise<readonly Passkey[]> {
    const rows = await run(pool, LIST, [account]);
    return rows.map(
      ([id, since, last]) => ({ id, created: since, ...(last ? { used: last } : {}) }) as Passkey,
    );
  }

  return {
    list,
    async toUse() {
      const { generateAuthenticationOptions } = await library();
      const asked = { challenge: challenge(), userVerification: 'required', timeout: TIMEOUT } as const;
      return generateAuthenticationOptions({ rpID, ...asked });
    },
    async toMake({ id, username, name }) {
      const { generateRegistrationOptions } = await library();
      const known = await list(id);
      return generateRegistrationOptions({
        rpID,
        rpName: 'Consilium',
        userID: new TextEncoder().encode(id),
        userName: username,
        userDisplayName: name,
        challenge: challenge(),
        timeout: TIMEOUT,
        // Which make of device holds it is not asked: who makes one has signed in, and could bring any.
        attestationType: 'none',
        excludeCredentials: known.map((one) => ({ id: Buffer.from(one.id, 'hex').toString('base64url') })),
        authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
        supportedAlgorithmIDs: ALGORITHMS,
      });
    },
    async add(account, given) {
      const response = given as RegistrationResponseJSON;
      const expected = await expectedOf(response);
      if (!expected) return false;
      const { verifyRegistrationResponse } = await library();
      const checked = await verifyRegistrationResponse({
        ...expected,
        response,
        supportedAlgorithmIDs: ALGORITHMS,
      }).catch(notRight);
      if (!checked?.verified) return false;
      const { id, publicKey, counter } = checked.registrationInfo.credential;
      const kept = [Buffer.from(id, 'base64url'), account.id, Buffer.from(publicKey), counter];
      return (await run(pool, KEEP, kept)).length > 0;
    },
    remove: (account, id) =>
      alone(account, async (executor) => {
        return (await run(executor, REMOVE, [Buffer.from(id, 'hex'), account])).length > 0;
      }),
    removeAll: (account) =>
      alone(account, async (executor) => {
        await run(executor, REMOVE_ALL, [account]);
        await run(executor, WAYS.either, [account]);
      }),
    setWay: (account, way) =>
      alone(account, async (executor) => (await run(executor, WAYS[way], [account])).length > 0),
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

/** It takes a quarter of a second to load, and comes with the first passkey. */
const library = () => import('@simplewebauthn/server');

/** It throws whatever is wrong with what it is shown; to whom that is told, it is one thing. */
const notRight = (): undefined => undefined;

/** Of what a page has sent; undefined where it is not of that form. */
export function readResponse(text: unknown): Response | undefined {
  if (typeof text !== 'string' || text.length > 20_000) return undefined;
  try {
    const read = JSON.parse(text) as { id?: unknown; response?: { clientDataJSON?: unknown } };
    const isOne = typeof read.id === 'string' && typeof read.response?.clientDataJSON === 'string';
    return isOne ? (read as Response) : undefined;
  } catch {
    return undefined;
  }
}

/** The challenge that a response says it answers. */
function challengeIn(clientDataJSON: string): string {
  try {
    return String(JSON.parse(Buffer.from(clientDataJSON, 'base64url').toString()).challenge);
  } catch {
    return '';
  }
}
