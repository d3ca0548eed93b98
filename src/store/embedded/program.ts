/** Starting PostgreSQL's programs. */
import { spawn } from 'node:child_process';
import type { Account } from './account.ts';

/**
 * The environment of PostgreSQL's programs: nothing of ours, where a PGPORT or PGOPTIONS would change what they
 * do. The messages' language is fixed, as we read them.
 */
export const environment = { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };

/** Who a program runs as, in the words of child_process. */
export const as = (account: Account | undefined) => (account ? { uid: account.uid, gid: account.gid } : {});

/**
 * Runs a program to its end.
 *
 * @param cwd   a folder that the account can enter
 * @param input what it reads
 * @returns     what it wrote to stderr, and whether it ended well
 */
export function run(
  program: string,
  args: readonly string[],
  { cwd, account, input = '' }: { cwd: string; account?: Account; input?: string },
): Promise<{ ok: boolean; said: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd,
      env: environment,
      stdio: ['pipe', 'ignore', 'pipe'],
      ...as(account),
    });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    child.on('error', (why) => reject(cannotRun(program, why)));
    child.on('close', (code) => resolve({ ok: code === 0, said }));
    // A program that fails at once does not read.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

/**
 * The one line worth showing of what a program said, with what to do where that is known.
 *
 * @param doing what was being done
 */
export function fault(doing: string, said: string): Error {
  if (/No space left on device/.test(said)) return new Error(`${doing}: the disk is full: make room on it`);
  const unknown = /could not look up effective user ID (\d+)/.exec(said)?.[1];
  if (unknown)
    return new Error(
      `${doing}: user id ${unknown} has no line in /etc/passwd, which PostgreSQL needs: run as a user that has one, or set DATABASE_URL`,
    );
  const lines = said.split('\n').filter((line) => line.trim() !== '');
  const telling =
    lines.find((line) => /\b(FATAL|PANIC|error|ERROR):/.test(line)) ?? lines.at(-1) ?? 'no reason given';
  return new Error(`${doing}: ${telling.replace(/^.*?(FATAL|PANIC|error|ERROR):\s*/, '')}`);
}

/** A program that the system does not even start: no loader for it, a disk mounted noexec, no right to change user. */
export function cannotRun(program: string, why: Error): Error {
  const { code } = why as NodeJS.ErrnoException;
  return new Error(
    `${program} cannot be run here (${code ?? why.message}): set DATABASE_URL to a PostgreSQL 15 or later`,
  );
}
