/** The ordinary user that PostgreSQL runs as where we are root, which it refuses. */
import { readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/**
 * Chooses the account: the first of `owners` that is an ordinary one, else one meant for PostgreSQL, else one
 * meant for nothing. It needs its line in /etc/passwd, since initdb looks up its own name.
 *
 * @param owners user ids to prefer, such as that of an existing cluster
 * @throws       Error where there is no ordinary account
 */
export function chooseAccount(owners: readonly number[], passwd = '/etc/passwd'): Account {
  const accounts = readFileSync(passwd, 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .filter((fields) => fields.length >= 4)
    .map(([name, , uid, gid]) => ({ name: name!, uid: Number(uid), gid: Number(gid) }))
    .filter(({ uid, gid }) => uid > 0 && gid >= 0);
  const found =
    owners.map((owner) => accounts.find(({ uid }) => uid === owner)).find(Boolean) ??
    ['postgres', '_postgres', 'nobody', 'daemon']
      .map((wanted) => accounts.find(({ name }) => name === wanted))
      .find(Boolean);
  if (!found)
    throw new Error(
      'PostgreSQL does not run as root and /etc/passwd has no account "postgres" or "nobody": add one, run as an ordinary user, or set DATABASE_URL',
    );
  return found;
}

/** Whether the account can enter this folder and all those above it; we ourselves can always. */
export function canReach(account: Account | undefined, folder: string): boolean {
  if (!account) return true;
  for (let path = folder; ; path = dirname(path)) {
    const { mode, uid, gid } = statSync(path);
    const bit = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return false;
    if (path === dirname(path)) return true;
  }
}
