/** The command line as people run it: a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const BIN = join(import.meta.dirname, '../../bin/consilium.js');

export interface Run {
  readonly child: ChildProcess;
  /** what it wrote until now */
  readonly out: () => string;
  readonly err: () => string;
  /** Its exit code; the signal where one ended it. */
  readonly ended: Promise<number | string>;
}

export interface RunOptions {
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  readonly input?: string | Buffer;
}

/** A folder of one's own that the account of PostgreSQL can enter, too. */
export function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'consilium-cli-'));
  chmodSync(made, 0o755);
  return made;
}

/** Starts a command; nothing of this process's own settings reaches it. */
export function start(args: readonly string[], { env = {}, cwd = tmpdir(), input }: RunOptions = {}): Run {
  const child = spawn(process.execPath, [BIN, ...args], {
    cwd,
    env: { PATH: process.env.PATH, PORT: '0', LOG_LEVEL: 'warn', ...env },
  });
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    err += text;
  });
  child.stdin.on('error', () => {});
  child.stdin.end(input ?? '');
  const ended = once(child, 'close').then(([code, signal]) => code ?? signal);
  return { child, out: () => out, err: () => err, ended };
}

/** Runs a command to its end. */
export async function run(
  args: readonly string[],
  options?: RunOptions,
): Promise<{ code: number | string; out: string; err: string }> {
  const { ended, out, err } = start(args, options);
  const code = await ended;
  return { code, out: out(), err: err() };
}

/** Waits until something holds. */
export async function until<T>(
  look: () => T | undefined | Promise<T | undefined>,
  within = 20_000,
): Promise<T> {
  for (const end = Date.now() + within; Date.now() < end; ) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('it does not come to hold');
}

/** Waits for a server to say where it listens. */
export async function listening({ out, err, ended }: Run): Promise<string> {
  let over = false;
  ended.then(() => {
    over = true;
  });
  return until(() => {
    if (over) throw new Error(`the server ended: ${err()}`);
    return /^ {2}Stop/m.test(out()) ? /at (http\S+)/.exec(out())?.[1] : undefined;
  });
}
