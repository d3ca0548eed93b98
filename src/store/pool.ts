/** The connections to PostgreSQL, and the two shapes of call that all of the store is made of. */
import pg from 'pg';

export interface PoolOptions {
  readonly databaseUrl: string;
  /** connections, at most; PostgreSQL's max_connections bounds the sum over WORKERS */
  readonly size?: number;
  /**
   * `once`: each statement is planned once for each connection, for any values, and by indexes alone, as it may be
   * planned while the tables are empty. `each`: for the values at hand, as searches need (ARCHITECTURE.md).
   */
  readonly plans?: keyof typeof PLANS;
  /** milliseconds that a statement may take */
  readonly timeout?: number;
}

/** Within a transaction of a pool that plans `once`: for the searches that follow, as `each`. */
export const PLAN_EACH =
  'set local plan_cache_mode = auto; set local enable_seqscan = on; set local enable_hashjoin = on; set local enable_mergejoin = on';

/** And back. */
export const PLAN_ONCE =
  'set local plan_cache_mode = force_generic_plan; set local enable_seqscan = off; set local enable_hashjoin = off; set local enable_mergejoin = off';

const PLANS = {
  once: '-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off',
  each: '-c plan_cache_mode=auto',
};

const INT8 = 20;
const TIMESTAMPTZ = 1184;

// Resource numbers are safe integers, and time stamps are shown as text: no Date is made of them.
const types = {
  getTypeParser(type: number, format?: string): (text: string) => unknown {
    if (type === INT8) return Number;
    if (type === TIMESTAMPTZ) return (text) => text;
    return pg.types.getTypeParser(type as never, format as never) as (text: string) => unknown;
  },
};

/**
 * A pool. Statements are bounded in time, so that one that has gone astray does not hold its connection and
 * the vacuum horizon for ever; so is a transaction in which nothing happens.
 */
export function openPool({ databaseUrl, size = 6, plans = 'once', timeout = 60_000 }: PoolOptions): pg.Pool {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: size,
    types: types as never,
    application_name: 'consilium',
    statement_timeout: timeout,
    idle_in_transaction_session_timeout: 30_000,
    connectionTimeoutMillis: 10_000,
    // Kept for good: a timer at each return of a connection costs a few percent of a read.
    idleTimeoutMillis: 0,
    keepAlive: true,
    options: `-c timezone=UTC -c datestyle=ISO -c jit=off ${PLANS[plans]}`,
  });
  // A connection that breaks while idle is replaced at the next use; the error has no other receiver.
  pool.on('error', () => {});
  // So does one that breaks between two statements of a transaction: the next statement tells.
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}

const SIZES = { fixed: 6, searching: 6, transacting: 4 };

/** Connections of a server process, at most. */
export const CONNECTIONS = SIZES.fixed + SIZES.searching + SIZES.transacting;

/** The pools of a server process. */
export interface Pools {
  readonly fixed: pg.Pool;
  readonly searching: pg.Pool;
  /** for transactions of several statements: however many wait, reads and single writes go on */
  readonly transacting: pg.Pool;
  end(): Promise<void>;
}

/** @param searchTimeout SEARCH_TIMEOUT */
export function openPools(databaseUrl: string, searchTimeout?: number): Pools {
  const fixed = openPool({ databaseUrl, size: SIZES.fixed });
  const searching = openPool({ databaseUrl, size: SIZES.searching, plans: 'each', timeout: searchTimeout });
  const transacting = openPool({ databaseUrl, size: SIZES.transacting });
  return {
    fixed,
    searching,
    transacting,
    async end() {
      await Promise.all([fixed.end(), searching.end(), transacting.end()]);
    },
  };
}

/** A fixed statement, prepared once for each connection under its name. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

export type Row = unknown[];

/** Anything that runs statements: the pool, or one connection inside a transaction. */
export interface Executor {
  // biome-ignore lint/suspicious/noExplicitAny: pg's own overloads
  query(config: any): Promise<{ rows: any[]; rowCount: number | null }>;
}

/** Runs a prepared statement; each row is an array of its columns. */
export async function run(
  executor: Executor,
  statement: Statement,
  values: readonly unknown[],
): Promise<Row[]> {
  const result = await executor.query({
    name: statement.name,
    text: statement.text,
    values,
    rowMode: 'array',
  });
  return result.rows;
}

/**
 * Runs `work` in one transaction on one connection: committed when it resolves, rolled back when it throws.
 *
 * @param mode of `begin`
 */
export async function transaction<T>(
  pool: pg.Pool,
  work: (executor: Executor) => Promise<T>,
  mode = '',
): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query(`begin ${mode}`);
    const result = await work(client);
    await client.query('commit');
    return result;
  } catch (fault) {
    await client.query('rollback').catch((cause) => {
      broken = cause as Error;
    });
    throw fault;
  } finally {
    client.release(broken);
  }
}

/** Whether a statement gave way to another that waited for it: it may be run again. */
export const isDeadlock = (fault: unknown): boolean => (fault as { code?: unknown }).code === '40P01';

/** PostgreSQL's time stamp, `2026-11-24 04:50:23.1+00`, as a FHIR instant with milliseconds. */
export function instantOf(text: string): string {
  const fraction = text.charCodeAt(19) === 46 ? text.slice(20, text.length - 3) : '';
  return `${text.slice(0, 10)}T${text.slice(11, 19)}.${fraction.padEnd(3, '0')}Z`;
}
