/**
 * Where a page of a search begins. A walk over the pages goes by places in the order, which those keep that are not
 * written meanwhile; the others are left out of it, and come once at its end, as the change feed has them. So one that
 * is unchanged comes exactly once, and one that has changed at most once more, whatever the order.
 */
import { refusal } from '../fhir/outcome.ts';
import type { Catalog } from '../store/catalog.ts';
import { afterSnapshot } from '../store/feed.ts';
import { instantOf } from '../store/pool.ts';
import type { Match } from '../store/search/search.ts';
import { seenBy } from '../store/search/snapshot.ts';

/** What a resource is sorted by: a value for each key, null where it has none; then its number. */
export type Place = readonly (string | number | null)[];

/** What the first page of a walk saw. */
export interface Began {
  /** base of the feed then */
  readonly base: number;
  /** as PostgreSQL writes it */
  readonly snapshot: string;
  /** milliseconds */
  readonly at: number;
}

export interface Position {
  /** whether the page ends before its place, instead of beginning after it */
  readonly back?: boolean;
  /** undefined: the beginning, or the end where it goes back */
  readonly place?: Place;
  readonly began?: Began;
  /** of a page of what has changed: where it begins in the feed */
  readonly changes?: string;
  /** of all matches, as it was counted once */
  readonly total?: number;
}

export const writePosition = (position: Position): string => JSON.stringify(position);

/**
 * @param text from `writePosition`: the door has it sealed
 * @throws     Refusal 410 where the database was restored since
 */
export function readPosition({ feedBase }: Pick<Catalog, 'feedBase'>, text: string): Position {
  const position = JSON.parse(text) as Position;
  if (position.began && position.began.base !== feedBase)
    throw refusal(410, 'processing', 'The database was restored since: begin again with the first page');
  return position;
}

/** Where the feed begins to tell what the walk's first page has not seen. */
export const changesSince = ({ base, snapshot }: Began): string =>
  afterSnapshot({ feedBase: base }, snapshot);

/** Numbers of transactions come round again: what is older than this was seen, whatever its transaction. */
const LONGEST = 86_400_000;

/** Whether a match was written before the walk began. */
export function isUnchangedSince({ snapshot, at }: Began): (match: Match) => boolean {
  const seen = seenBy(snapshot);
  return ({ updated, xmin }) => Date.parse(instantOf(updated)) < at - LONGEST || seen(xmin);
}
