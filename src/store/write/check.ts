/** REFERENCES=check: after a write and in its transaction, every local target stands. */
import { int8Array } from '../arrays.ts';
import { type Executor, run } from '../pool.ts';
import type { Write } from './batch.ts';

/** Thrown where a target is not there; the transaction is to be rolled back. */
export class Dangling extends Error {
  /** its number */
  readonly target: number;

  constructor(target: number) {
    super('a target is not there');
    this.target = target;
  }
}

// The locks hold off deletions until the transaction ends.
const MISSING = {
  name: 'missing_target',
  text: `select t.rid
         from (select rid, version, deleted from resource where rid = any ($1::bigint[]) order by rid for share) t
         where t.version = 0 or t.deleted limit 1`,
};

/** @throws Dangling */
export async function checkTargets(executor: Executor, writes: readonly Write[]): Promise<void> {
  const targets = [...new Set(writes.flatMap(({ row }) => row?.targets ?? []))];
  const [missing] = await run(executor, MISSING, [int8Array(targets)]);
  if (missing) throw new Dangling(missing[0] as number);
}
