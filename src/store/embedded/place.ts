/** Where the cluster of a data folder lies, and who runs it. */
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, realpathSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Account, canReach, chooseAccount } from './account.ts';
import { get, isRoot, own, put } from './files.ts';

export interface Place {
  /** our folder: cluster, password, port, log, locks, users */
  readonly dir: string;
  /** PGDATA */
  readonly cluster: string;
  /** who runs PostgreSQL, where it is not us */
  readonly account?: Account;
}

/** Where root puts the cluster of a data folder that PostgreSQL's account cannot enter. */
const SHARED = '/var/lib/consilium';

/**
 * The place of the embedded database of a data folder: `postgres` in it. Where we are root and the data folder
 * lies where no ordinary user may go (/root/…), it is below /var/lib/consilium, and a note leads there.
 *
 * @param dataDir the data folder; made where missing
 * @throws        Error, in one line, where no place can be had
 */
export function placeOf(dataDir: string, log: (line: string) => void, shared = SHARED): Place {
  makeFolder(dataDir, isRoot() ? 0o711 : 0o700);
  const real = realpathSync(dataDir);
  const usual = join(real, 'postgres');
  const note = join(usual, 'elsewhere');
  const dir = get(note) ?? usual;
  const cluster = join(dir, 'cluster');
  if (!isRoot()) {
    makeFolder(dir, 0o700);
    const owner = ownerOf(cluster);
    if (owner !== undefined && owner !== process.getuid?.())
      throw new Error(`${cluster} belongs to user id ${owner}: run as that user or choose another DATA_DIR`);
    return { dir, cluster };
  }

  const account = chooseAccount([ownerOf(cluster) ?? 0, statSync(real).uid]);
  // Enterable, but not readable, by the account that has its folder in it.
  makeFolder(dir, 0o711);
  if (canReach(account, dir)) return { dir, cluster, account };
  if (existsSync(cluster) || dir !== usual)
    throw new Error(
      `${dir} holds the database, but user ${account.name} cannot enter it: chmod o+x the folders above it`,
    );

  const away = join(shared, createHash('sha256').update(real).digest('hex').slice(0, 16));
  try {
    makeFolder(away, 0o711);
  } catch {
    throw new Error(
      `PostgreSQL does not run as root, and user ${account.name} can enter neither ${real} nor ${shared}: choose another DATA_DIR`,
    );
  }
  put(note, away);
  log(`user ${account.name}, who runs PostgreSQL for root, cannot enter ${real}: the database is in ${away}`);
  return { dir: away, cluster: join(away, 'cluster'), account };
}

/** Makes a folder and those above it, with this mode whatever the umask; an existing one stays as it is. */
function makeFolder(folder: string, mode: number): void {
  const first = mkdirSync(folder, { recursive: true });
  if (first === undefined) return;
  const made: string[] = [];
  for (let path = folder; ; path = dirname(path)) {
    made.unshift(path);
    if (path === first || path === dirname(path)) break;
  }
  for (const path of made) {
    chmodSync(path, mode);
    own(path);
  }
}

function ownerOf(path: string): number | undefined {
  return existsSync(path) ? statSync(path).uid : undefined;
}
