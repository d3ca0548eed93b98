/** What people have granted to apps. Each launch makes a grant; codes and tokens live only as long as it does. */
import type pg from 'pg';
import { type Executor, type Row, run, transaction } from '../store/pool.ts';
import { raiseEpoch } from '../store/tokens.ts';
import { hashOf } from './secrets.ts';

/** What of a launch goes into the token response (SMART App Launch 2.2, scopes-and-launch-context.html). */
export interface LaunchContext {
  readonly patient?: string;
  readonly encounter?: string;
  readonly fhirContext?: readonly object[];
  readonly need_patient_banner?: boolean;
  readonly intent?: string;
  readonly tenant?: string;
}

/** A grant as its person sees it. */
export interface GrantView {
  /** hash, in hex */
  readonly id: string;
  readonly client: string;
  readonly scope: string;
  readonly context: LaunchContext;
  readonly created: string;
}

// Who disables an account or a client waits for these shares, and then ends the grant, too.
const KEEP = {
  name: 'smart_keep_grant',
  text: `insert into smart_grant (id, account, client, payload, expires)
         select $1, a.id, c.id, $4, now() + make_interval(secs => $5)
         from account a, client c
         where a.id = $2 and a.disabled is null and c.id = $3 and c.disabled is null
         for share
         on conflict (id) do update set payload = excluded.payload, expires = excluded.expires
         returning true`,
};
const FIND = {
  name: 'smart_find_grant',
  text: `select payload from smart_grant where id = $1 and ended is null and expires > now()`,
};
const SET_CONTEXT = {
  name: 'smart_set_context',
  text: `update smart_grant set context = $2, session = $3 where id = $1`,
};
const CONTEXT = { name: 'smart_context', text: `select context from smart_grant where id = $1` };
const GRANTED = {
  name: 'smart_granted_at',
  text: `select extract(epoch from g.created)::float8 from token t join smart_grant g on g.id = t.grant_id
         where t.number = $1`,
};
const OF_ACCOUNT = {
  name: 'smart_grants_of_account',
  text: `select encode(g.id, 'hex'), c.name, g.payload, g.context, g.created
         from smart_grant g join client c on c.id = g.client
         where g.account = $1 and g.ended is null and g.expires > now()
           and exists (select from smart_artifact a where a.grant_id = g.id and a.consumed is null and a.expires > now()
                       union all select from token t where t.grant_id = g.id and t.expires > now())
         order by g.created desc limit 200`,
};

/** Keeps a grant; false where its person or app may no longer have one. */
export async function keepGrant(
  executor: Executor,
  id: string,
  payload: { readonly accountId?: string; readonly clientId?: string },
  seconds: number,
): Promise<boolean> {
  const rows = await run(executor, KEEP, [hashOf(id), payload.accountId, payload.clientId, payload, seconds]);
  return rows.length > 0;
}

/** What oidc-provider keeps of a grant that has not ended. */
export async function findGrant(executor: Executor, id: string): Promise<object | undefined> {
  return (await run(executor, FIND, [hashOf(id)]))[0]?.[0] as object | undefined;
}

/** @param session uid of the session that the grant ends with, of online_access */
export async function setContext(
  executor: Executor,
  id: string,
  context: LaunchContext,
  session?: string,
): Promise<void> {
  await run(executor, SET_CONTEXT, [hashOf(id), context, session]);
}

export async function contextOf(executor: Executor, id: string): Promise<LaunchContext> {
  return ((await run(executor, CONTEXT, [hashOf(id)]))[0]?.[0] as LaunchContext | undefined) ?? {};
}

/** When what a token came of was granted, in seconds; -Infinity of one that no person has granted. */
export async function grantedAt(executor: Executor, token: number): Promise<number> {
  const [row] = await run(executor, GRANTED, [token]);
  return (row?.[0] as number | undefined) ?? Number.NEGATIVE_INFINITY;
}

/** What a person has granted and what is in use still, newest first. */
export async function grantsOf(executor: Executor, account: string): Promise<readonly GrantView[]> {
  const rows = await run(executor, OF_ACCOUNT, [account]);
  return rows.map(([id, client, payload, context, created]) => {
    const { resources = {} } = payload as { readonly resources?: Record<string, string> };
    return { id, client, scope: Object.values(resources).join(' '), context, created } as GrantView;
  });
}

/** Which grants end: one by its id, or by its hash and person, or all of a person, a session or an app. */
export type Which =
  | { readonly id: string }
  | { readonly hash: string; readonly account: string }
  | { readonly account: string /** only those that end with a session */; readonly online?: boolean }
  | { readonly session: string }
  | { readonly client: string };

/**
 * Ends grants with all that came of them, from the next request on: the epoch makes every process judge its callers
 * anew. Whoever is just making a token of such a grant shares its row: either it is waited for here and its token
 * ended, or it finds the grant ended.
 *
 * @param first what else is done in the same transaction, before
 */
export async function endGrants(
  pool: pg.Pool,
  which: Which,
  first: (executor: Executor) => Promise<unknown> = async () => {},
): Promise<void> {
  await transaction(pool, async (executor) => {
    await first(executor);
    const ended = (await endRows(executor, which)).map(([id]) => id);
    await executor.query({ text: 'delete from smart_artifact where grant_id = any($1)', values: [ended] });
    const { rowCount } = await executor.query({
      text: `update token set expires = now()
             where expires > now() and (grant_id = any($1) or (payload is not null and client = $2))`,
      values: [ended, 'client' in which ? which.client : null],
    });
    if (rowCount) await raiseEpoch(executor);
  });
}

async function endRows(executor: Executor, which: Which): Promise<Row[]> {
  const [condition, values] = conditionOf(which);
  // One order for all, so that none waits for another that waits for it.
  const { rows } = await executor.query({
    text: `update smart_grant set ended = now()
           where id in (select id from smart_grant where ended is null and ${condition} order by id for update)
           returning id`,
    values,
    rowMode: 'array',
  });
  return rows;
}

function conditionOf(which: Which): [condition: string, values: unknown[]] {
  if ('id' in which) return ['id = $1', [hashOf(which.id)]];
  if ('hash' in which) return ['id = $1 and account = $2', [Buffer.from(which.hash, 'hex'), which.account]];
  if ('account' in which)
    return [`account = $1 and ${which.online ? 'session is not null' : 'true'}`, [which.account]];
  if ('session' in which) return ['session = $1', [which.session]];
  return ['client = $1', [which.client]];
}
