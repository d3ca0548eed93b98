/** The database that a command works on: the one of DATABASE_URL, or the embedded one. */
import type { Config } from '../config.ts';
import { CONNECTIONS } from '../store/pool.ts';

export interface Database {
  readonly url: string;
  readonly embedded: boolean;
  /** Lets go; the last command that does so stops an embedded one. */
  release(): Promise<void>;
}

/**
 * @param log told what the operator should know of the embedded database
 * @throws    Error in one line
 */
export async function openDatabase(config: Config, log: (line: string) => void): Promise<Database> {
  if (config.databaseUrl) return { url: config.databaseUrl, embedded: false, release: async () => {} };
  const { startEmbedded } = await import('../store/embedded.ts');
  // Of the workers and of the process that started them; the rest is for commands beside the server.
  const settings = { max_connections: String(Math.max(100, (config.workers + 1) * CONNECTIONS + 40)) };
  const embedded = await startEmbedded({ dataDir: config.dataDir, log, settings });
  return { url: embedded.url, embedded: true, release: () => embedded.release() };
}

/** Opens the database for one piece of work, and lets go of it whatever becomes of that. */
export async function withDatabase<T>(config: Config, work: (database: Database) => Promise<T>): Promise<T> {
  const database = await openDatabase(config, (line) => process.stderr.write(`${line}\n`));
  try {
    return await work(database);
  } finally {
    await database.release();
  }
}
