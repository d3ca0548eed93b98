/** What has expired is removed, hourly. */
import type pg from 'pg';

const SWEEP = [
  // Anybody can begin these.
  `delete from smart_artifact where expires < now() and model in ('Interaction', 'PushedAuthorizationRequest')`,
  `delete from smart_artifact where expires < now() - interval '1 day'`,
  `delete from smart_launch where expires < now() - interval '1 day'`,
  `delete from account_link where expires < now() - interval '30 days'`,
  `delete from client_invitation where expires < now() - interval '30 days'`,
  `delete from attempt where since < now() - interval '1 day' and (until is null or until < now())`,
];

/** Removes what has expired. */
export async function sweep(pool: pg.Pool): Promise<void> {
  for (const text of SWEEP) await pool.query(text);
}
