/**
 * The change feed: what was written, read on from a position. A row's number is not its commit order, so a
 * position is a PostgreSQL snapshot: the next reading gives what that snapshot could not see. Late commits are
 * not skipped, and a transaction that never ends holds nothing up.
 */
import type pg from 'pg';
import { invalid } from '../fhir/outcome.ts';
import type { Catalog } from './catalog.ts';
import { type Executor, run } from './pool.ts';

/** One version that was written. */
export interface FeedEntry {
  readonly rid: number;
  readonly version: number;
  /** number of the resource type */
  readonly type: number;
  readonly interaction: 'create' | 'update' | 'delete';
}

export interface FeedPage {
  readonly entries: readonly FeedEntry[];
  /** where the next reading goes on */
  readonly position: string;
  /** whether there was more than the page holds */
  readonly more: boolean;
}

// $1 seen, $2 its base, $3 up to, $4 the base now, $5 to $7 the last entry of the page before, $8 limit.
// Rides on the primary key (tx, …): nothing older than the oldest transaction that `seen` saw under way is read.
// Where the database was restored into a new cluster, transactions count anew above a higher base, which is the number
// of the newest row that came along.
const READ = {
  name: 'feed',
  text: `select c.rid, c.version, c.type, c.interaction, c.tx
         from change c
         where c.tx >= $2::bigint + pg_snapshot_xmin($1::pg_snapshot)::text::bigint
           and (c.tx, c.rid, c.version) > ($5::bigint, $6::bigint, $7::integer)
           and (($2 < $4::bigint and c.tx > $4)
                or not pg_visible_in_snapshot(greatest(c.tx - $2, 0)::text::xid8, $1))
           and (c.tx <= $4 or pg_visible_in_snapshot(greatest(c.tx - $4, 0)::text::xid8, $3::pg_snapshot))
         order by c.tx, c.rid, c.version limit $8`,
};
const NOW = { name: 'snapshot', text: 'select pg_current_snapshot()::text' };

/** All that `seen` saw is behind; of what `upto` sees, all up to `last` is too. */
interface Position {
  /** the feed's base when `seen` was taken */
  readonly base: number;
  readonly seen: string;
  readonly upto?: string;
  readonly last?: Last;
}

type Last = readonly [tx: number, rid: number, version: number];

const START: Position = { base: 0, seen: '1:1:' };
const WORDS = { c: 'create', u: 'update', d: 'delete' } as const;

/**
 * Reads on in the feed.
 *
 * @param position of the page before; undefined begins with the first change there was
 * @param limit    entries on a page
 * @throws         Refusal 400 where the position is none of the feed's
 */
export async function readFeed(
  pool: Executor,
  catalog: Pick<Catalog, 'feedBase'>,
  position: string | undefined,
  limit: number,
): Promise<FeedPage> {
  const { base, seen, upto, last } = position === undefined ? START : readPosition(position);
  const end = upto ?? ((await run(pool, NOW, []))[0]?.[0] as string);
  const [tx, rid, version] = last ?? [-1, -1, -1];
  const rows = await run(pool, READ, [seen, base, end, catalog.feedBase, tx, rid, version, limit + 1]);
  const page = rows.slice(0, limit);
  const more = rows.length > limit;
  const [lastRid, lastVersion, , , lastTx] = page[page.length - 1] ?? [];
  return {
    entries: page.map(([of, number, type, interaction]) => ({
      rid: of as number,
      version: number as number,
      type: type as number,
      interaction: WORDS[interaction as keyof typeof WORDS],
    })),
    position: writePosition(
      more
        ? { base, seen, upto: end, last: [lastTx, lastRid, lastVersion] as Last }
        : { base: catalog.feedBase, seen: end },
    ),
    more,
  };
}

/** The position after everything that is committed now. */
export async function endOfFeed(pool: pg.Pool, catalog: Catalog): Promise<string> {
  return afterSnapshot(catalog, (await run(pool, NOW, []))[0]?.[0] as string);
}

/** The position after everything that a snapshot sees, as PostgreSQL writes it. */
export const afterSnapshot = ({ feedBase }: Pick<Catalog, 'feedBase'>, seen: string): string =>
  writePosition({ base: feedBase, seen });

function writePosition({ base, seen, upto = '', last }: Position): string {
  return [base, seen, upto, last?.join(',') ?? ''].join(';');
}

const POSITION = /^(\d{1,15});(\d+:\d+:[\d,]*);(\d+:\d+:[\d,]*)?;(?:(\d+),(\d+),(\d+))?$/;

function readPosition(text: string): Position {
  const found = POSITION.exec(text);
  if (!found) throw invalid('value', 'This is no position in the change feed: begin without one');
  const [, base, seen = '', upto, tx, rid, version] = found;
  const last = tx === undefined ? undefined : ([Number(tx), Number(rid), Number(version)] as const);
  return { base: Number(base), seen, upto, last };
}
