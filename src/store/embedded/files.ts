/** Small files written whole, and owned by whom their folder belongs to. */
import { chownSync, lchownSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** Whether this process is root, which PostgreSQL refuses to run as. */
export const isRoot = (): boolean => process.getuid?.() === 0;

/**
 * Gives what root made in the folder of an ordinary user to that user, who would otherwise find files there
 * that they cannot open the next time.
 */
export function own(path: string): void {
  if (!isRoot()) return;
  const { uid, gid } = statSync(dirname(path));
  if (uid !== 0) lchownSync(path, uid, gid);
}

/** Writes a file that only its owner may read; a reader sees all of it or the one before. */
export function put(file: string, text: string): void {
  const fresh = `${file}.${process.pid}.new`;
  // A leftover of a killed process, or a link laid there: `wx` follows neither.
  rmSync(fresh, { force: true });
  writeFileSync(fresh, text, { mode: 0o600, flag: 'wx' });
  own(fresh);
  renameSync(fresh, file);
}

/** The text of a file without white space around it, undefined where there is no such file. */
export function get(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (fault) {
    if ((fault as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw fault;
  }
}

/** Gives a path to an account; without one it stays ours. */
export function giveTo(account: { uid: number; gid: number } | undefined, path: string): void {
  if (account) chownSync(path, account.uid, account.gid);
}
