/** One process at a time, without a daemon and without trusting that holders live to let go. */
import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { own, put } from './files.ts';
import { alive, type Identity, self } from './process.ts';

/** What a waiting process tells its user, once, where the wait is long. */
export interface Waiting {
  readonly log: (line: string) => void;
  readonly patience?: number;
}

/**
 * Runs `work` while no other process does so under the same folder.
 *
 * The lock is a row of numbered tickets; the highest one holds. Who finds it let go, or its holder dead,
 * takes the next number, and link(2) gives a number to one process only. A stale lock is thus never
 * removed, only outnumbered: there is no moment at which two that saw the same stale lock can both win.
 *
 * @param folder where the tickets lie; made where missing
 */
export async function locked<T>(folder: string, waiting: Waiting, work: () => Promise<T>): Promise<T> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  own(folder);
  const ticket = await take(folder, waiting);
  try {
    return await work();
  } finally {
    // By rename, so that nobody reads half of it.
    put(ticket, FREE);
  }
}

const FREE = 'free';

async function take(folder: string, waiting: Waiting): Promise<string> {
  const mine = join(folder, `.${process.pid}-${Math.random().toString(36).slice(2)}`);
  put(mine, JSON.stringify(self()));
  const since = Date.now();
  let told = false;
  try {
    for (;;) {
      const last = newest(folder);
      const holder = last === 0 ? undefined : holderOf(join(folder, name(last)));
      if (holder) {
        if (!told && Date.now() - since > (waiting.patience ?? 3000)) {
          waiting.log(`waiting for process ${holder.pid}, which is starting or stopping the database`);
          told = true;
        }
        await sleep(10);
        continue;
      }
      const ticket = join(folder, name(last + 1));
      try {
        linkSync(mine, ticket);
      } catch (fault) {
        if ((fault as NodeJS.ErrnoException).code === 'EEXIST') continue;
        throw fault;
      }
      // A process that slept between looking and taking may have taken a number long passed.
      if (newest(folder) !== last + 1) {
        rmSync(ticket, { force: true });
        continue;
      }
      sweep(folder, last + 1);
      return ticket;
    }
  } finally {
    rmSync(mine, { force: true });
  }
}

const name = (number: number) => String(number).padStart(12, '0');

const numbers = (folder: string) =>
  readdirSync(folder)
    .filter((entry) => /^\d{12}$/.test(entry))
    .map(Number);

const newest = (folder: string) => Math.max(0, ...numbers(folder));

/** The living holder of a ticket; none where it is let go, dead, or emptied by a power cut. */
function holderOf(ticket: string): Identity | undefined {
  try {
    const text = readFileSync(ticket, 'utf8');
    if (text === FREE) return undefined;
    const holder = JSON.parse(text) as Identity;
    return alive(holder) ? holder : undefined;
  } catch {
    return undefined;
  }
}

/** The last few stay, so that a late process finds its number taken rather than free again. */
function sweep(folder: string, held: number): void {
  for (const number of numbers(folder))
    if (number < held - 8) rmSync(join(folder, name(number)), { force: true });
  for (const entry of readdirSync(folder)) {
    const pid = Number(/^\.(\d+)-/.exec(entry)?.[1]);
    if (pid && !alive({ ...self(), pid, start: readStart(join(folder, entry)) }))
      rmSync(join(folder, entry), { force: true });
  }
}

function readStart(file: string): string {
  try {
    return (JSON.parse(readFileSync(file, 'utf8')) as Identity).start;
  } catch {
    return '';
  }
}
