/** The processes of a benchmark: started, asked, weighed and stopped. Weighing needs Linux's /proc. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

const root = join(import.meta.dirname, '..');

/** Runs a command of `consilium` to its end; resolves with what it printed. */
export async function consilium(args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  const child = start(args, env);
  const [code] = await once(child.process, 'close');
  if (code !== 0) throw new Error(`consilium ${args.join(' ')} ended with ${code}: ${child.complaints()}`);
  return child.printed();
}

export interface Started {
  readonly process: ChildProcess;
  readonly pid: number;
  /** what it has written to its standard output so far, and to its standard error */
  readonly printed: () => string;
  readonly complaints: () => string;
}

/** Starts a command of `consilium`. */
export function start(args: readonly string[], env: NodeJS.ProcessEnv): Started {
  const child = spawn(process.execPath, [join(root, 'bin/consilium.js'), ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const read = (stream: Readable) => {
    let text = '';
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    return () => text;
  };
  return { process: child, pid: child.pid!, printed: read(child.stdout), complaints: read(child.stderr) };
}

export interface Running extends Started {
  readonly port: number;
  stop(): Promise<void>;
}

/** Starts a server on a port and waits until it accepts connections; without a trail of reads, which yardsticks do not keep. */
export async function serve(env: NodeJS.ProcessEnv, port: number): Promise<Running> {
  const child = start(['serve'], { LOG_LEVEL: 'warn', AUDIT: 'off', ...env, PORT: String(port) });
  while (!(await accepts(port))) {
    if (child.process.exitCode !== null)
      throw new Error(`the server ended: ${child.printed()}${child.complaints()}`);
    await sleep(10);
  }
  return { ...child, port, stop: () => stop(child.process) };
}

/** Starts a module of this folder that tells its port over IPC, or nothing at all. */
export function forkHere(module: string, env: NodeJS.ProcessEnv = {}): ChildProcess {
  return fork(join(import.meta.dirname, module), { env: { ...process.env, ...env } });
}

/** Sends a message to a forked process, where there is one, and waits for its answer. */
export async function ask<Answer>(child: ChildProcess, message?: object): Promise<Answer> {
  const settled = new AbortController();
  const answered = once(child, 'message', settled);
  const ended = once(child, 'exit', settled);
  if (message) child.send(message);
  try {
    const [answer] = await Promise.race([
      answered,
      ended.then(([code]) => {
        throw new Error(`a process of the benchmark ended with ${code}`);
      }),
    ]);
    return answer as Answer;
  } finally {
    settled.abort();
  }
}

export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** /proc counts in ticks of 10 ms on every Linux that Node runs on. */
const TICK = 10_000;

/** CPU that a process has used, in µs; undefined where there is no /proc. */
export function cpuOf(pid: number): number | undefined {
  const fields = statOf(pid);
  return fields && (Number(fields[11]) + Number(fields[12])) * TICK;
}

/** CPU of a postmaster and all its processes, those that have ended included. */
export function cpuOfPostgres(pid: number): number | undefined {
  const own = statOf(pid);
  if (!own) return undefined;
  let ticks = Number(own[11]) + Number(own[12]) + Number(own[13]) + Number(own[14]);
  for (const name of readdirSync('/proc')) {
    const fields = /^\d+$/.test(name) ? statOf(Number(name)) : undefined;
    if (fields && Number(fields[1]) === pid) ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks * TICK;
}

/** The fields of /proc/PID/stat from `state` on. */
function statOf(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

/** Memory of a process in MiB: what it holds, and the most that it has held. */
export function memoryOf(pid: number): { readonly now: number; readonly peak: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/status`, 'utf8');
    // Of one that has just ended there is no memory left to tell of.
    if (!text.includes('VmRSS')) return undefined;
    const of = (name: string) =>
      Math.round(Number(new RegExp(`${name}:\\s*(\\d+) kB`).exec(text)?.[1]) / 1024);
    return { now: of('VmRSS'), peak: of('VmHWM') };
  } catch {
    return undefined;
  }
}
