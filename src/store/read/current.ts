/** Reading current versions by type and id: reads under way at the same time share a statement. */
import type pg from 'pg';
import { int2Array, textArray } from '../arrays.ts';
import { lane } from '../lane.ts';
import { type Row, run } from '../pool.ts';

/** A row of `resource`, and the epoch that was read along with it. */
export interface Current {
  readonly epoch: number;
  /** 0 where nothing was ever written under this id */
  readonly version: number;
  readonly deleted: boolean;
  /** PostgreSQL's text of the time stamp */
  readonly updated: string;
  readonly content: string | null;
  readonly blob: string | null;
}

// Rides on the unique index (type, id).
const ONE = {
  name: 'read',
  text: `select epoch.value, coalesce(r.version, 0), r.deleted, r.updated, r.content, r.blob
         from epoch left join resource r on r.type = $1 and r.id = $2`,
};
const MANY = {
  name: 'read_many',
  text: `select epoch.value, coalesce(r.version, 0), r.deleted, r.updated, r.content, r.blob
         from epoch, unnest($1::smallint[], $2::text[]) with ordinality e (type, id, n)
         left join resource r on r.type = e.type and r.id = e.id
         order by e.n`,
};

interface Wanted {
  readonly type: number;
  readonly id: string;
}

/** Makes the function that reads one resource. */
export function makeReader(pool: pg.Pool): (wanted: Wanted) => Promise<Current> {
  return lane<Wanted, Current>({ width: 2, most: 64 }, async (batch) => {
    const rows =
      batch.length === 1
        ? await run(pool, ONE, [batch[0]?.type, batch[0]?.id])
        : await run(pool, MANY, [
            int2Array(batch.map(({ type }) => type)),
            textArray(batch.map(({ id }) => id)),
          ]);
    return rows.map(currentOf);
  });
}

function currentOf([epoch, version, deleted, updated, content, blob]: Row): Current {
  return {
    epoch: epoch as number,
    version: version as number,
    deleted: deleted as boolean,
    updated: updated as string,
    content: content as string | null,
    blob: blob as string | null,
  };
}
