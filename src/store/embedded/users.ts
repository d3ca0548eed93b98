/** Who uses the database: one file for each use, believed only while its process lives. */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { own, put } from './files.ts';
import { alive, foreign, type Identity, self } from './process.ts';

/** How often a use says that it lives, and for how long that is believed of another container, in ms. */
export const beat = { every: 2000, believed: 7000 };

/** Notes a use of the database by this process; answers the file that stands for it. */
export function register(folder: string): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  own(folder);
  const file = join(folder, `${process.pid}-${Math.random().toString(36).slice(2)}`);
  put(file, JSON.stringify(self()));
  return file;
}

/** Says that this use lives. Only a process in another container needs it, as it cannot see our PID. */
export function stillHere(file: string): void {
  const now = new Date();
  try {
    utimesSync(file, now, now);
  } catch {
    // The folder was taken away; the database will notice by itself.
  }
}

/** Takes a use back. */
export function unregister(file: string): void {
  rmSync(file, { force: true });
}

/** The uses by living processes that see our PIDs; what dead ones left is swept away. */
export function users(folder: string): Identity[] {
  return entries(folder).flatMap(({ file, who }) => {
    if (who && alive(who)) return [who];
    if (!who || !foreign(who) || Date.now() - touched(file) > beat.believed) unregister(file);
    return [];
  });
}

/**
 * Whether a process in another container uses the database now. Two PostgreSQL on one folder destroy it, and
 * PostgreSQL's own guard sees neither PIDs nor shared memory of another container.
 */
export function usedElsewhere(folder: string): boolean {
  return entries(folder).some(
    ({ file, who }) => who && foreign(who) && Date.now() - touched(file) < beat.believed,
  );
}

function entries(folder: string): { file: string; who: Identity | undefined }[] {
  return readdirSync(folder)
    .filter((entry) => /^\d+-\w+$/.test(entry))
    .map((entry) => {
      const file = join(folder, entry);
      try {
        return { file, who: JSON.parse(readFileSync(file, 'utf8')) as Identity };
      } catch {
        return { file, who: undefined };
      }
    });
}

function touched(file: string): number {
  try {
    return statSync(file).mtimeMs;
  } catch {
    return 0;
  }
}
