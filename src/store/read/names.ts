/** What numbers stand for. */
import { int8Array } from '../arrays.ts';
import { type Executor, run } from '../pool.ts';

const NAMES = {
  name: 'names',
  text: `select rid, type, id from resource where rid = any ($1::bigint[]) and version > 0 and not deleted`,
};

export interface Name {
  readonly rid: number;
  /** number of its type */
  readonly type: number;
  readonly id: string;
}

/** Of these resources those that are there. */
export async function readNames(executor: Executor, rids: readonly number[]): Promise<Name[]> {
  const rows = await run(executor, NAMES, [int8Array(rids)]);
  return rows.map(([rid, type, id]) => ({ rid, type, id }) as Name);
}
