/** Reading current versions by type and id: reads under way at the same time share a statement. */
import { int2Array, textArray } from '../arrays.ts';
import { lane } from '../lane.ts';
import { type Executor, type Row, run } from '../pool.ts';

/** A row of `resource`, and the epoch that was read along with it. */
export interface Current {
  readonly epoch: number;
  /** undefined where it was not asked for */
  readonly rid?: number;
  /** 0 where nothing was ever written under this id */
  readonly version: number;
  readonly deleted: boolean;
  /** PostgreSQL's text of the time stamp */
  readonly updated: string;
  readonly content: string | null;
  readonly blob: string | null;
}

// Both ride on the unique index (type, id).
const ONE = {
  name: 'read',
  text: `select (select value from epoch), coalesce(r.version, 0), r.deleted, r.updated, r.content, r.blob, r.rid
         from (values (1)) one left join resource r on r.type = $1 and r.id = $2`,
};
const MANY = {
  name: 'read_many',
  text: `select (select value from epoch), coalesce(r.version, 0), r.deleted, r.updated, r.content, r.blob, r.rid, e.n
         from unnest($1::smallint[], $2::text[]) with ordinality e (type, id, n)
         left join resource r on r.type = e.type and r.id = e.id`,
};

interface Wanted {
  readonly type: number;
  readonly id: string;
}

/** Makes the function that reads one resource. */
export function makeReader(executor: Executor): (wanted: Wanted) => Promise<Current> {
  return lane<Wanted, Current>({ width: 2, most: 64 }, async (batch) => {
    if (batch.length === 1) {
      const { type, id } = batch[0] as Wanted;
      return (await run(executor, ONE, [type, id])).map(currentOf);
    }
    const rows = await run(executor, MANY, [
      int2Array(batch.map(({ type }) => type)),
      textArray(batch.map(({ id }) => id)),
    ]);
    const found: Current[] = [];
    for (const row of rows) found[(row[7] as number) - 1] = currentOf(row);
    return found;
  });
}

function currentOf([epoch, version, deleted, updated, content, blob, rid]: Row): Current {
  return {
    epoch: epoch as number,
    version: version as number,
    deleted: deleted as boolean,
    updated: updated as string,
    content: content as string | null,
    blob: blob as string | null,
    rid: rid as number,
  };
}
