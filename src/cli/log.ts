/** The log of the running server: JSON lines on stderr, so that stdout is what a command prints. */
import type { Logger } from 'pino';
import type { Config } from '../config.ts';

/** A line for each request would be a system call for each: they are gathered, for no longer than this, in ms. */
const GATHERED = 500;

export async function logger({ logLevel }: Pick<Config, 'logLevel'>): Promise<Logger> {
  const { pino } = await import('pino');
  const stderr = pino.destination({ fd: 2, sync: true, minLength: 8192 });
  setInterval(() => stderr.flush(), GATHERED).unref();
  process.on('exit', () => stderr.flushSync());
  return pino({ level: logLevel, base: { pid: process.pid } }, stderr);
}
