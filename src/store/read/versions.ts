/** The current versions behind numbers, without their contents. */
import { int8Array } from '../arrays.ts';
import { type Executor, run } from '../pool.ts';

const VERSIONS = {
  name: 'versions',
  text: `select r.rid, r.version, r.updated, r.deleted from resource r where r.rid = any ($1::bigint[]) and r.version > 0`,
};

export interface VersionNumber {
  readonly version: number;
  readonly updated: string;
  readonly deleted: boolean;
}

/** Of those that were ever written, by number. */
export async function readVersions(
  executor: Executor,
  rids: readonly number[],
): Promise<ReadonlyMap<number, VersionNumber>> {
  if (rids.length === 0) return new Map();
  const rows = await run(executor, VERSIONS, [int8Array(rids)]);
  return new Map(
    rows.map(
      ([rid, version, updated, deleted]) => [rid, { version, updated, deleted }] as [number, VersionNumber],
    ),
  );
}
