/** Access tokens, opaque to clients: the database keeps their hashes only. */
import { createHash, randomBytes } from 'node:crypto';
import { type Executor, type Row, run } from './pool.ts';

export interface TokenRow {
  readonly number: number;
  readonly scope: string;
  /** who uses it */
  readonly client: string;
  /** what the authorization server knows of it; null of the command line's */
  readonly payload: TokenPayload | null;
  /** of the person; null where there is none */
  readonly clearance: 'N' | 'R' | 'V' | null;
  /** ids of those that its client is limited to; null where it is not */
  readonly organizations: readonly string[] | null;
  /** milliseconds */
  readonly expires: number;
  /** the epoch that was read along */
  readonly epoch: number;
}

/** As it is kept of an access token of the authorization server. */
export interface TokenPayload {
  /** the person; undefined of a backend service */
  readonly accountId?: string;
  /** of the launch: `patient` and `encounter` are ids, `fhirUser` is `Type/id` */
  readonly extra?: { readonly patient?: string; readonly encounter?: string; readonly fhirUser?: string };
}

const ISSUE = {
  name: 'issue_token',
  text: `insert into token (hash, scope, client, expires)
         values ($1, $2, $3, now() + make_interval(secs => $4))`,
};
const LOOK = {
  name: 'look_up_token',
  text: `select t.number, t.scope, t.client, t.payload,
           (select a.clearance from account a where a.id::text = t.payload->>'accountId'),
           (select nullif(c.organizations, '{}') from client c where c.id = t.client and t.payload is not null),
           (extract(epoch from t.expires) * 1000)::bigint, epoch.value
         from token t, epoch where t.hash = $1 and t.expires > now()`,
};
const LOOK_BY_NUMBER = {
  name: 'look_up_token_number',
  text: LOOK.text.replace('t.hash = $1', 't.number = $1'),
};
const EPOCH = { name: 'epoch', text: 'select value from epoch' };
const RAISE = 'update epoch set value = value + 1';
const END = {
  name: 'end_token',
  text: `with ended as (update token set expires = now() where hash = $1 and expires > now() returning true)
         ${RAISE} where exists (select from ended)`,
};

const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest();

/**
 * Makes an access token.
 *
 * @param grant   `seconds` it is valid for
 * @returns       the token, which is not kept
 */
export async function issueToken(
  executor: Executor,
  grant: { readonly scope: string; readonly client: string; readonly seconds: number },
): Promise<string> {
  const token = randomBytes(32).toString('base64url');
  await run(executor, ISSUE, [hashOf(token), grant.scope, grant.client, grant.seconds]);
  return token;
}

/** What a token stands for; undefined where it is none or has expired. */
export async function lookUpToken(executor: Executor, token: string): Promise<TokenRow | undefined> {
  return rowOf(await run(executor, LOOK, [hashOf(token)]));
}

/** The same of a token that was shown before, by its number. */
export async function lookUpTokenNumber(executor: Executor, number: number): Promise<TokenRow | undefined> {
  return rowOf(await run(executor, LOOK_BY_NUMBER, [number]));
}

function rowOf([row]: readonly Row[]): TokenRow | undefined {
  if (!row) return undefined;
  const [number, scope, client, payload, clearance, organizations, expires, epoch] = row;
  return { number, scope, client, payload, clearance, organizations, expires, epoch } as TokenRow;
}

/**
 * By whose eyes a token sees: `Type/id` of its person, or of the organizations that it is limited to, apart by commas;
 * undefined of a system that is limited to none.
 */
export function holderOf({ payload, organizations }: Pick<TokenRow, 'payload' | 'organizations'>) {
  return organizations?.map((id) => `Organization/${id}`).join(',') ?? payload?.extra?.fhirUser;
}

/** Ends a token, from the next request on. */
export async function endToken(executor: Executor, token: string): Promise<void> {
  await run(executor, END, [hashOf(token)]);
}

/** The number that rises whenever something changes that decides about access. */
export async function currentEpoch(executor: Executor): Promise<number> {
  return (await run(executor, EPOCH, []))[0]?.[0] as number;
}

/** Lets no process decide by what it knows: each looks again with its next statement. In the transaction of the change. */
export async function raiseEpoch(executor: Executor): Promise<void> {
  await executor.query(RAISE);
}
