/**
 * Seals over the audit trail. A batch is what became visible between two snapshots: the same rows whenever it is looked
 * at, in whatever order they were committed, and no writer waits for another. Its accesses are hashed by their months, so
 * that it holds for the rest when a month has been dropped (AUDIT_MONTHS).
 */
import { createHash } from 'node:crypto';
import type pg from 'pg';
import type { Catalog } from '../catalog.ts';
import { type Executor, run, transaction } from '../pool.ts';
import { monthsKept } from './partitions.ts';

// $1 and $2 base and snapshot of the seal before, $3 and $4 of this one. Transactions of what came along with a dump
// count as seen.
const BETWEEN = `
  tx >= $1::bigint + pg_snapshot_xmin($2::pg_snapshot)::text::bigint
  and not pg_visible_in_snapshot(greatest(tx - $1, 0)::text::xid8, $2)
  and pg_visible_in_snapshot(greatest(tx - $3::bigint, 0)::text::xid8, $4::pg_snapshot)`;

/** Each row's own hash, then one over all of them: rows of any number are hashed in little memory. */
const hashed = (row: string, order: string): string =>
  `encode(sha256(string_agg(sha256(convert_to(row(${row})::text, 'UTF8')), ''::bytea order by ${order})), 'hex')`;

// Both ride on their index by tx.
const PARTS = {
  name: 'audit_parts',
  text: `
    select 'writes', count(*), ${hashed(
      'tx, rid, version, extract(epoch from at), patients, agent, type, interaction, origin',
      'tx, rid, version',
    )}
    from change where ${BETWEEN} having count(*) > 0
    union all
    select to_char(at at time zone 'UTC', 'YYYY-MM'), count(*), ${hashed(
      `tx, n, extract(epoch from at), patient, rid, agent, found, status, type, action, purpose, origin,
       encode(query, 'hex'), client, person`,
      'tx, n',
    )}
    from access_log where ${BETWEEN} group by 1`,
};
const SEAL = 'select n, base, upto::text, parts, hash from audit_seal';
const LAST = { name: 'last_seal', text: `${SEAL} order by n desc limit 1` };
const NTH = { name: 'nth_seal', text: `${SEAL} where n = $1` };
const ADD = {
  name: 'add_seal',
  text: 'insert into audit_seal (n, base, upto, parts, hash) values ($1, $2, $3, $4, $5)',
};

/** Rows and hash of the writes, and of the accesses of each month. */
type Parts = Readonly<Record<string, readonly [rows: number, hash: string]>>;

interface Seal {
  readonly n: number;
  readonly base: number;
  readonly upto: string;
  readonly parts: Parts;
  readonly hash: Buffer;
}

const BEGINNING: Seal = { n: 0, base: 0, upto: '1:1:', parts: {}, hash: Buffer.alloc(32) };

async function partsBetween(
  executor: Executor,
  before: Seal,
  { base, upto }: Pick<Seal, 'base' | 'upto'>,
): Promise<Parts> {
  const rows = await run(executor, PARTS, [before.base, before.upto, base, upto]);
  return Object.fromEntries(rows.map(([name, count, hash]) => [name as string, [count, hash]])) as Parts;
}

function hashOf(before: Seal, { n, base, upto, parts }: Omit<Seal, 'hash'>): Buffer {
  const sorted = Object.entries(parts).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256')
    .update(before.hash)
    .update(JSON.stringify([n, base, upto, sorted]))
    .digest();
}

async function find(executor: Executor, n?: number): Promise<Seal | undefined> {
  const [row] = n === undefined ? await run(executor, LAST, []) : await run(executor, NTH, [n]);
  if (!row) return undefined;
  const [number, base, upto, parts, hash] = row;
  return { n: number, base, upto, parts, hash } as Seal;
}

/** Seals what is not sealed yet, one process at a time; does nothing where there is nothing. */
export async function seal(pool: pg.Pool, { feedBase: base }: Pick<Catalog, 'feedBase'>): Promise<void> {
  await transaction(pool, async (executor) => {
    await executor.query(`select pg_advisory_xact_lock(hashtext('audit seal'))`);
    // What was loaded while no server ran is one batch.
    await executor.query('set local statement_timeout = 0');
    const before = (await find(executor)) ?? BEGINNING;
    const [[upto] = []] = await run(executor, NOW, []);
    const parts = await partsBetween(executor, before, { base, upto: upto as string });
    if (Object.keys(parts).length === 0) return;
    const made = { n: before.n + 1, base, upto: upto as string, parts };
    await run(executor, ADD, [made.n, base, made.upto, JSON.stringify(parts), hashOf(before, made)]);
  });
}

const NOW = { name: 'snapshot', text: 'select pg_current_snapshot()::text' };

export interface Verified {
  /** how many hold, and over how many rows of each */
  readonly seals: number;
  readonly changes: number;
  readonly accesses: number;
  /** accesses of months that were dropped since */
  readonly dropped: number;
  readonly broken?: Broken;
}

/** The first seal that does not hold. */
export interface Broken {
  readonly n: number;
  /** `seal` itself, `writes`, or the month of accesses */
  readonly part: string;
  /** so many rows were sealed, and so many are there */
  readonly was: number;
  readonly is: number;
}

/** Checks every seal, from the first on. */
export async function verify(
  executor: Executor,
  progress: (seals: number) => void = () => {},
): Promise<Verified> {
  const [oldest = ''] = await monthsKept(executor);
  const sum = { seals: 0, changes: 0, accesses: 0, dropped: 0 };
  for (let before = BEGINNING; ; ) {
    const sealed = await find(executor, before.n + 1);
    if (!sealed) {
      const last = await find(executor);
      // One that is gone from between leaves those after it.
      if (last && last.n > before.n)
        return { ...sum, broken: { n: before.n + 1, part: 'seal', was: 1, is: 0 } };
      return sum;
    }
    const { n, parts } = sealed;
    if (!hashOf(before, sealed).equals(sealed.hash))
      return { ...sum, broken: { n, part: 'seal', was: 1, is: 1 } };
    const now = await partsBetween(executor, before, sealed);
    for (const part of new Set([...Object.keys(parts), ...Object.keys(now)])) {
      const [was, hash] = parts[part] ?? [0, ''];
      const [is, found] = now[part] ?? [0, ''];
      if (is === 0 && part < oldest) sum.dropped += was;
      else if (hash !== found) return { ...sum, broken: { n, part, was, is } };
      else if (part === 'writes') sum.changes += was;
      else sum.accesses += was;
    }
    sum.seals++;
    progress(sum.seals);
    before = sealed;
  }
}
