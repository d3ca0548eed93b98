/** Which process is which: an identity that outlives neither a reboot nor the reuse of its PID. */
import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';

/** A process, told apart from a later one with the same PID. */
export interface Identity {
  readonly pid: number;
  /** when it started, in the units of this system; only ever compared for being equal */
  readonly start: string;
  /** the boot it belongs to, as start times begin anew with each */
  readonly boot: string;
  /** its PID namespace: the PIDs of another container mean nothing here */
  readonly space: string;
}

/** The identity of this very process. */
export function self(): Identity {
  return { pid: process.pid, start: startOf(process.pid) ?? '', boot: boot(), space: space() };
}

/** Whether this process still runs. One of another PID namespace cannot be seen from here and counts as gone. */
export function alive(who: Identity): boolean {
  return who.boot === boot() && who.space === space() && startOf(who.pid) === who.start;
}

/** Whether this process lives in another container, with its own PIDs. */
export function foreign(who: Identity): boolean {
  return who.space !== space();
}

/**
 * When the process with this PID started, undefined where there is none. A zombie is none: where nobody
 * reaps it (a container whose first process is Node), `kill(pid, 0)` would say for ever that it lives.
 */
export function startOf(pid: number): string | undefined {
  if (process.platform !== 'linux') {
    const [state, ...start] = ps('stat=,lstart=', pid).split(/\s+/);
    return !state || state.startsWith('Z') ? undefined : start.join(' ');
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name, in brackets, may hold spaces; the state follows it, and the start is field 22 of proc(5).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

/** The words of the process's command line, empty where there is no such process. */
export function commandOf(pid: number): string[] {
  if (process.platform !== 'linux') return ps('command=', pid).split(' ');
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

function ps(format: string, pid: number): string {
  try {
    return execFileSync('ps', ['-o', format, '-p', String(pid)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return '';
  }
}

function boot(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}

function space(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}
