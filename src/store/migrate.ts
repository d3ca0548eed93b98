/** The schema: `migrations/*.sql`, applied forwards only, by one process at a time. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { connect } from './connect.ts';

const folder = join(import.meta.dirname, '../../migrations');
/** Where node-pg-migrate notes what it has applied. */
const table = 'migration';

/**
 * Applies the migrations that this database does not have yet: all of them, or none.
 *
 * @param database its URL, or a connection to it that the caller closes
 * @returns        the names of those applied, in order
 * @throws         Error in one line: unreachable, of a newer schema, or the migration that fails and why
 */
export async function migrate(database: string | pg.Client): Promise<string[]> {
  return connected(database, async (client) => {
    const names = await pendingOf(client);
    if (names.length === 0) return [];
    // Heavy, and seldom needed: most starts find nothing to do.
    const { runner } = await import('node-pg-migrate');
    try {
      // Another process may be faster: the list is made anew under an advisory lock, for which this waits.
      const applied = await runner({
        dbClient: client,
        dir: folder,
        migrationsTable: table,
        direction: 'up',
        advisoryLockMode: 'wait',
        // It logs whole statements; what is worth telling is in the error.
        logger: { info: () => {}, warn: () => {}, error: () => {} },
      });
      // While this one waited, a newer version may have migrated.
      if (applied.length === 0) await pendingOf(client);
      return applied.map(({ name }) => name);
    } catch (fault) {
      throw new Error(
        `The database could not be migrated (${names.join(', ')}): ${(fault as Error).message}`,
      );
    }
  });
}

/**
 * The names of the migrations that a database does not have yet, in order.
 *
 * @throws Error in one line: unreachable, or of a newer schema
 */
export function pending(database: string | pg.Client): Promise<string[]> {
  return connected(database, pendingOf);
}

async function pendingOf(client: pg.Client): Promise<string[]> {
  const known = readdirSync(folder)
    .filter((file) => file.endsWith('.sql'))
    .map((file) => file.slice(0, -'.sql'.length))
    .sort();
  const { rows } = await client.query(`select to_regclass('public.${table}') is not null as made`);
  if (!rows[0].made) return known;
  const { rows: applied } = await client.query(`select name from public.${table} order by id`);
  const names = new Set(applied.map(({ name }) => name as string));
  const foreign = [...names].filter((name) => !known.includes(name));
  if (foreign.length > 0)
    throw new Error(
      `The database has a newer schema than this version of Consilium knows (${foreign.join(', ')}): run the newer version, or use another database`,
    );
  return known.filter((name) => !names.has(name));
}

async function connected<T>(
  database: string | pg.Client,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  if (typeof database !== 'string') return work(database);
  const client = await connect(database);
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
