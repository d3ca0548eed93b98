/** Revocation in the middle of a request: its statements wait until the token is gone. */
import type { Caller } from '../../src/records/records.ts';
import { connect } from '../../src/store/connect.ts';
import { issueToken } from '../../src/store/tokens.ts';
import type { TestRecords } from './records.ts';

const WAITING = `select 1 from pg_locks where not granted and database = (
                   select oid from pg_database where datname = current_database())`;

/** What becomes of `ask` where its token is revoked after it began, and before it has read `resource`. */
export async function revokedMeanwhile<T>(
  { url, store, records }: TestRecords,
  ask: (caller: Caller) => Promise<T>,
): Promise<T> {
  const token = await issueToken(store.pool, { scope: 'system/*.cruds', client: 'test', seconds: 60 });
  const caller = (await records.authenticate(token)) as Caller;
  const revoker = await connect(url);
  try {
    await revoker.query('begin; lock table resource in access exclusive mode');
    const asked = ask(caller);
    // Its rejection is looked at below.
    asked.catch(() => {});
    while ((await revoker.query(WAITING)).rowCount === 0)
      await new Promise((resolve) => setTimeout(resolve, 5));
    await revoker.query('delete from token where number = $1', [caller.agent]);
    await revoker.query('update epoch set value = value + 1; commit');
    return await asked;
  } finally {
    await revoker.end();
  }
}
