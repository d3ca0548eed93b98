/** The authorization server without its door, for the commands on people and apps. */
import type { Smart } from '../smart/open.ts';
import { withDatabase } from './database.ts';
import { configuration } from './fault.ts';
import { logger } from './log.ts';
import { withApp } from './with-app.ts';

export async function withSmart<T>(work: (smart: Smart) => Promise<T>): Promise<T> {
  const config = configuration();
  const log = await logger({ logLevel: 'warn' });
  return withDatabase(config, (database) => withApp(config, database, log, (app) => work(app.smart)));
}
