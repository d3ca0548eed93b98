/** Making the cluster: initdb, a password and an empty database, all or nothing. */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  lchownSync,
  mkdtempSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Binaries } from './binaries.ts';
import { get, giveTo, put } from './files.ts';
import type { Place } from './place.ts';
import { fault, run } from './program.ts';

/** The password of the role; undefined where the cluster was never made. */
export const passwordOf = (place: Place): string | undefined => get(join(place.dir, 'password'));

/**
 * Makes the cluster, with the superuser and the database `consilium`, where there is none; checks and mends an
 * existing one. To be called under the lock, while no postmaster runs.
 *
 * @param fsync false leaves the new files to the operating system
 * @throws      Error in one line: another major version, a lost password, a full disk
 */
export async function prepare(place: Place, { bin, major }: Binaries, fsync: boolean): Promise<void> {
  for (const entry of readdirSync(place.dir))
    if (entry.startsWith('new-')) rmSync(join(place.dir, entry), { recursive: true, force: true });
  if (existsSync(place.cluster)) return check(place, major);

  const { dir, account } = place;
  // The password first: a cluster that is there then always has one.
  const password = passwordOf(place) ?? randomBytes(24).toString('base64url');
  put(join(dir, 'password'), password);
  const stage = mkdtempSync(join(dir, 'new-'));
  giveTo(account, stage);
  const slip = join(stage, 'password');
  writeFileSync(slip, password, { mode: 0o600 });
  giveTo(account, slip);
  const fresh = join(stage, 'cluster');

  const step = async (program: string, args: string[], input?: string) => {
    const { ok, said } = await run(join(bin, program), args, { cwd: stage, account, input });
    return ok ? undefined : said;
  };
  const initdb = (...locale: string[]) =>
    step('initdb', [
      `--pgdata=${fresh}`,
      '--username=consilium',
      `--pwfile=${slip}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      // Collation by code point, the same on every machine and after every upgrade of its libraries.
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      ...locale,
      '--no-sync',
      '--no-instructions',
    ]);
  try {
    let failed = await initdb('--locale=C.UTF-8');
    if (failed && /invalid locale name/.test(failed)) {
      // An older macOS has no C.UTF-8. The character classes must know UTF-8, or trigrams drop every umlaut.
      failed = await initdb('--locale=C', '--lc-ctype=en_US.UTF-8');
    }
    failed ??= await step(
      'postgres',
      ['--single', '-F', '-D', fresh, '-c', 'exit_on_error=on', '-c', 'log_checkpoints=off', 'postgres'],
      'CREATE DATABASE consilium\n',
    );
    // All at the end and at once, instead of file by file.
    if (fsync) failed ??= await step('initdb', ['--sync-only', `--pgdata=${fresh}`]);
    if (failed) throw fault(`The database in ${dir} could not be made`, failed);
    renameSync(fresh, place.cluster);
    if (fsync) syncFolder(dir);
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}

function check(place: Place, major: string): void {
  const made = get(join(place.cluster, 'PG_VERSION'));
  if (made !== major)
    throw new Error(
      `${place.cluster} was made by PostgreSQL ${made ?? '(unknown)'}, this is ${major}: export with the version of Consilium that made it and import here, or choose another DATA_DIR`,
    );
  if (passwordOf(place) === undefined)
    throw new Error(
      `${join(place.dir, 'password')} is lost: put it back from a backup, or choose another DATA_DIR`,
    );
  // The same volume in another container, where the account of this name has another number.
  if (place.account && statSync(place.cluster).uid !== place.account.uid)
    giveAll(place.account, place.cluster);
}

function giveAll(account: { uid: number; gid: number }, path: string): void {
  lchownSync(path, account.uid, account.gid);
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const inner = join(path, entry.name);
    if (entry.isDirectory()) giveAll(account, inner);
    else lchownSync(inner, account.uid, account.gid);
  }
}

function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r');
  fsyncSync(handle);
  closeSync(handle);
}
