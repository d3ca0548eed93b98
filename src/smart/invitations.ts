/** Initial access tokens, by which an app may register itself once (REGISTRATION=token). */
import { type Executor, run } from '../store/pool.ts';
import { hashOf, newSecret } from './secrets.ts';

const USE_INVITATION = {
  name: 'smart_use_invitation',
  text: `update client_invitation set used = now() where hash = $1 and used is null and expires > now() returning true`,
};
const RETURN_INVITATION = {
  name: 'smart_return_invitation',
  text: `update client_invitation set used = null where hash = $1`,
};
const KEEP_INVITATION = {
  name: 'smart_keep_invitation',
  text: `insert into client_invitation (hash, expires) values ($1, now() + interval '7 days')`,
};

/** A secret with which one app may register itself, within a week. */
export async function invite(executor: Executor): Promise<string> {
  const secret = newSecret();
  await run(executor, KEEP_INVITATION, [hashOf(secret)]);
  return secret;
}

/** False where it was used already, is too old, or none. */
export async function useInvitation(executor: Executor, secret: string): Promise<boolean> {
  return (await run(executor, USE_INVITATION, [hashOf(secret)])).length > 0;
}

/** It has made no app: the next try may. */
export async function returnInvitation(executor: Executor, secret: string): Promise<void> {
  await run(executor, RETURN_INVITATION, [hashOf(secret)]);
}
