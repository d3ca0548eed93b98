/** The composed server without its door, for the commands that work on the data themselves. */
import type { App } from '../app.ts';
import type { Config } from '../config.ts';
import type { Database } from './database.ts';
import { logger } from './log.ts';

/** Migrates, opens the rooms, and closes them again whatever becomes of the work. */
export async function withApp<T>(
  config: Config,
  { url }: Database,
  work: (app: App) => Promise<T>,
): Promise<T> {
  const { migrate } = await import('../store/migrate.ts');
  const log = await logger(config);
  await migrate(url, { log: (line) => log.info(line) });
  const { openApp } = await import('../app.ts');
  const app = await openApp({ ...config, databaseUrl: url }, log);
  try {
    return await work(app);
  } finally {
    await app.close();
  }
}
