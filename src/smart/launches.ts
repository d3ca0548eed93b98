/** Launch contexts that an EHR hands to apps: values that are used once, within five minutes (SMART App Launch 2.2). */
import type pg from 'pg';
import { run } from '../store/pool.ts';
import type { LaunchContext } from './grants.ts';
import { hashOf, newSecret } from './secrets.ts';

export interface Launch {
  /** the app that it is for; undefined any */
  readonly client?: string;
  /** the person who has to sign in; undefined anybody */
  readonly account?: string;
  readonly context: LaunchContext;
}

const KEEP = {
  name: 'smart_keep_launch',
  text: `insert into smart_launch (hash, client, account, context, expires)
         values ($1, $2, $3, $4, now() + interval '5 minutes')`,
};
// A person takes longer to sign in and consent than the launch takes to arrive: from its arrival on it waits an hour.
const FIND = {
  name: 'smart_find_launch',
  text: `select client, account, context from smart_launch
         where hash = $1 and consumed is null and expires > now() - make_interval(secs => $2)`,
};
const CONSUME = {
  name: 'smart_consume_launch',
  text: `update smart_launch set consumed = now() where hash = $1 and consumed is null returning true`,
};

/** Keeps a launch; answers with the value of `launch`. */
export async function keepLaunch(pool: pg.Pool, launch: Launch): Promise<string> {
  const secret = newSecret();
  await run(pool, KEEP, [hashOf(secret), launch.client, launch.account, launch.context]);
  return secret;
}

/**
 * What a launch hands over, where it was not used yet.
 *
 * @param grace seconds after its end: it arrived in time, and a person is at work on it
 */
export async function findLaunch(pool: pg.Pool, secret: string, grace = 0): Promise<Launch | undefined> {
  const [row] = await run(pool, FIND, [hashOf(secret), grace]);
  if (!row) return undefined;
  const [client, account, context] = row;
  return {
    ...(client ? { client } : {}),
    ...(account ? { account } : {}),
    context,
  } as Launch;
}

/** Uses a launch up; false where somebody else has. */
export async function consumeLaunch(pool: pg.Pool, secret: string): Promise<boolean> {
  return (await run(pool, CONSUME, [hashOf(secret)])).length > 0;
}
