/**
 * What a search saw, so that its later pages can tell what was written since. The order of commits is that of
 * snapshots, not of time stamps: what was stamped before a search may be committed after it.
 */

import { type Executor, run } from '../pool.ts';

/** SQL of the snapshot that a statement sees; null where its own transaction has written, which no other has seen. */
export const SNAPSHOT = `(select pg_current_snapshot()::text where pg_current_xact_id_if_assigned() is null)`;

/** Whether a version, by the lower half of its transaction's number, was there. */
export type Seen = (xmin: number) => boolean;

const HALF = 2n ** 32n;

/** @param snapshot PostgreSQL's text, `xmin:xmax:under,way`; not older than some 2,000,000,000 transactions */
export function seenBy(snapshot: string): Seen {
  const [low = '', high = '', list = ''] = snapshot.split(':');
  const end = BigInt(high);
  // Numbers of transactions are compared around the end of the snapshot, as their lower halves come round again.
  const behind = (xid: bigint): bigint => BigInt.asIntN(32, end - xid);
  const oldest = behind(BigInt(low) % HALF);
  const underWay = new Set(
    list
      .split(',')
      .filter(Boolean)
      .map((xid) => Number(BigInt(xid) % HALF)),
  );
  return (xmin) => {
    const by = behind(BigInt(xmin));
    return by > oldest || (by > 0n && !underWay.has(xmin));
  };
}

const NOW = { name: 'search_snapshot', text: `select ${SNAPSHOT}` };

/** What is seen now; null inside a transaction that has written. */
export async function snapshotNow(executor: Executor): Promise<string | null> {
  return (await run(executor, NOW, []))[0]?.[0] as string | null;
}
