/** One connection of its own, for what the pool is not for: migrations, a look at the database. */
import pg from 'pg';

/** The oldest PostgreSQL that the SQL of this project runs on. */
const OLDEST = 15;

/**
 * Connects. No time-out is set on statements: a migration takes as long as it takes.
 *
 * @throws Error in one line, saying what is wrong with the DATABASE_URL or its database and what to do
 */
export async function connect(databaseUrl: string): Promise<pg.Client> {
  const client = new pg.Client({
    ...options(databaseUrl),
    application_name: 'consilium',
    connectionTimeoutMillis: 10_000,
  });
  // A connection that breaks later speaks through the query under way.
  client.on('error', () => {});
  try {
    await client.connect();
    const { rows } = await client.query(`select current_setting('server_version_num')::int / 10000 as major`);
    if (rows[0].major < OLDEST)
      throw new Error(`PostgreSQL ${rows[0].major} is too old: ${OLDEST} or later is needed`);
    return client;
  } catch (fault) {
    await client.end().catch(() => {});
    throw explained(fault as Fault, databaseUrl);
  }
}

function options(databaseUrl: string): pg.ClientConfig {
  if (!/^postgres(ql)?:\/\//.test(databaseUrl) || !URL.canParse(databaseUrl))
    throw new Error('DATABASE_URL is no postgres://user:password@host:port/database');
  return { connectionString: databaseUrl };
}

type Fault = Error & { code?: string };

/** Which database, without its password. */
export function nameOf(databaseUrl: string): string {
  const { hostname, port, pathname } = new URL(databaseUrl);
  return `${hostname || 'localhost'}:${port || 5432}${pathname}`;
}

/** Why there is no connection, in words: error codes of the system and of PostgreSQL (its Appendix A). */
function explained(fault: Fault, databaseUrl: string): Error {
  const where = `The database at ${nameOf(databaseUrl)}`;
  switch (fault.code) {
    case 'ECONNREFUSED':
      return new Error(`${where} does not answer: is PostgreSQL running there? Check DATABASE_URL`);
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new Error(`${where} is not found: check the host name in DATABASE_URL`);
    case '28P01':
    case '28000':
      return new Error(`${where} refuses this user or password: check DATABASE_URL (${fault.message})`);
    case '3D000':
      return new Error(`${where} does not exist: create it, or name another in DATABASE_URL`);
    case '53300':
      return new Error(`${where} has no free connection: raise its max_connections or lower WORKERS`);
    default:
      return new Error(
        `${where} cannot be used: ${fault.message || fault.code || 'no reason given'}; check DATABASE_URL`,
      );
  }
}
