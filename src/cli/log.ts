/** The log of the running server: JSON lines on stderr, so that stdout is what a command prints. */
import type { Logger } from 'pino';
import type { Config } from '../config.ts';

export async function logger({ logLevel }: Pick<Config, 'logLevel'>): Promise<Logger> {
  const { pino } = await import('pino');
  return pino({ level: logLevel, base: { pid: process.pid } }, pino.destination({ fd: 2, sync: true }));
}
