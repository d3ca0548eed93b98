/** The composed server without its door, for the commands that work on the data themselves. */
import type { Logger } from 'pino';
import type { App } from '../app.ts';
import type { Config } from '../config.ts';
import type { Database } from './database.ts';

/** Migrates, opens the rooms, and closes them again whatever becomes of the work. */
export async function withApp<T>(
  config: Config,
  { url }: Database,
  log: Logger,
  work: (app: App) => Promise<T>,
): Promise<T> {
  const { migrate } = await import('../store/migrate.ts');
  const applied = await migrate(url);
  if (applied.length > 0) log.info({ applied }, 'migrated the database');
  const { openApp } = await import('../app.ts');
  const app = await openApp({ ...config, databaseUrl: url }, log);
  try {
    return await work(app);
  } finally {
    await app.close();
  }
}
