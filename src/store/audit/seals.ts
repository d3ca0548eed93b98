/**
 * Seals over the audit trail. A batch is what became visible between two snapshots: the same rows whenever it is looked
 * at, in whatever order they were committed, and no writer waits for another.
 */
import { createHash } from 'node:crypto';
import type pg from 'pg';
import type { Catalog } from '../catalog.ts';
import { type Executor, run, transaction } from '../pool.ts';

const between = (from: string, upto: string, base: string): string => `
  tx >= ${base} + pg_snapshot_xmin(${from}::pg_snapshot)::text::bigint
  and not pg_visible_in_snapshot(greatest(tx - ${base}, 0)::text::xid8, ${from}::pg_snapshot)
  and pg_visible_in_snapshot(greatest(tx - ${base}, 0)::text::xid8, ${upto}::pg_snapshot)`;

// Each row's own hash, then one over all of them: rows of any number are hashed in little memory.
const DIGESTS = {
  name: 'audit_digests',
  text: `select
      (select count(*) from change where ${between('$1', '$2', '$3')}),
      (select encode(sha256(coalesce(string_agg(sha256(concat_ws('|', tx, rid, version, extract(epoch from at), patients::text,
         agent, type, interaction)::bytea), ''::bytea order by tx, rid, version), ''::bytea)), 'hex')
       from change where ${between('$1', '$2', '$3')}),
      (select count(*) from access_log where ${between('$1', '$2', '$3')}),
      (select encode(sha256(coalesce(string_agg(sha256(concat_ws('|', tx, n, extract(epoch from at), patient, rid, agent, found, status,
         type, action, purpose, encode(query, 'hex'), person)::bytea), ''::bytea order by tx, n), ''::bytea)), 'hex')
       from access_log where ${between('$1', '$2', '$3')})`,
};
const LAST = {
  name: 'last_seal',
  text: 'select n, upto::text, hash from audit_seal order by n desc limit 1',
};
const ADD = {
  name: 'add_seal',
  text: 'insert into audit_seal (n, upto, changes, accesses, hash) values ($1, $2, $3, $4, $5)',
};

const BEGINNING = { upto: '1:1:', hash: Buffer.alloc(32) };

interface Digest {
  readonly changes: number;
  readonly accesses: number;
  readonly hash: Buffer;
}

async function digest(
  executor: Executor,
  base: number,
  before: { readonly upto: string; readonly hash: Buffer },
  upto: string,
): Promise<Digest> {
  const [[changes, ofChanges, accesses, ofAccesses] = []] = await run(executor, DIGESTS, [
    before.upto,
    upto,
    base,
  ]);
  const hash = createHash('sha256').update(before.hash).update(upto);
  hash.update(ofChanges as string).update(ofAccesses as string);
  return { changes: changes as number, accesses: accesses as number, hash: hash.digest() };
}

/** Seals what is not sealed yet, one process at a time; does nothing where there is nothing. */
export async function seal(pool: pg.Pool, { feedBase }: Pick<Catalog, 'feedBase'>): Promise<void> {
  const upto = ((await pool.query('select pg_current_snapshot()::text as now')).rows[0] as { now: string })
    .now;
  await transaction(pool, async (executor) => {
    await executor.query(`select pg_advisory_xact_lock(hashtext('audit seal'))`);
    const [[n, last, hash] = []] = await run(executor, LAST, []);
    const before = n === undefined ? BEGINNING : { upto: last as string, hash: hash as Buffer };
    const made = await digest(executor, feedBase, before, upto);
    if (made.changes + made.accesses === 0) return;
    const { changes, accesses } = made;
    await run(executor, ADD, [((n as number | undefined) ?? 0) + 1, upto, changes, accesses, made.hash]);
  });
}

export interface Verified {
  readonly seals: number;
  readonly changes: number;
  readonly accesses: number;
  /** the first that does not hold, and how many rows of each it was made over, and there are now */
  readonly broken?: { readonly n: number; readonly was: readonly number[]; readonly is: readonly number[] };
}

/** Checks every seal, from the first on. What was sealed, and dropped as too old since, breaks those over it. */
export async function verify(
  executor: Executor,
  { feedBase }: Pick<Catalog, 'feedBase'>,
  progress: (seals: number) => void = () => {},
): Promise<Verified> {
  let before: { readonly upto: string; readonly hash: Buffer } = BEGINNING;
  const sum = { seals: 0, changes: 0, accesses: 0 };
  for (;;) {
    const { rows } = await executor.query({
      text: 'select n, upto::text, changes, accesses, hash from audit_seal where n = $1',
      values: [sum.seals + 1],
      rowMode: 'array',
    });
    const [n, upto, changes, accesses, hash] = (rows[0] ?? []) as [number, string, number, number, Buffer];
    if (n === undefined) return sum;
    const now = await digest(executor, feedBase, before, upto);
    if (!now.hash.equals(hash))
      return { ...sum, broken: { n, was: [changes, accesses], is: [now.changes, now.accesses] } };
    before = { upto, hash };
    sum.seals++;
    sum.changes += changes;
    sum.accesses += accesses;
    progress(sum.seals);
  }
}
