/** Writes on their way to PostgreSQL. */
import type { IndexRow } from '../index/values.ts';

/** A resource to write; without content and row a deletion. */
export interface Write {
  readonly rid: number;
  readonly type: number;
  readonly id: string;
  readonly content: string | null;
  readonly security: string | null;
  readonly blob: string | null;
  readonly agent: number;
  /** of the request that it came by */
  readonly origin: string | null;
  readonly row: IndexRow | null;
  /** the epoch under which it was allowed */
  readonly epoch: number;
  /** whether the targets must be there */
  readonly check: boolean;
  /** Binaries that are claimed by their number: the first claim holds */
  readonly owns: readonly { readonly binary: number; readonly owner: number }[];
  /** stripes of the values that identify it (locks.ts) */
  readonly locks: readonly number[];
}

/** A write to what may already be there. */
export interface Change extends Write {
  /** the version that it must have; as a negative number, that of its deletion */
  readonly expected: number | null;
  /** labels as they were read, where these are meant to be replaced */
  readonly labels: string | null;
}

/** So many bytes and rows a write brings along, roughly: to bound a statement. */
export function weight({ content, row }: Write): number {
  return (content?.length ?? 0) + (row ? 8 * row.keys.length + 64 * row.numbers.low.length : 0) + 500;
}

/** Where a resource has value rows, as resource_index.tables says it. */
export function tablesOf({ numbers, strings, dates }: IndexRow): number {
  return (
    (numbers.low.length > 0 ? NUMBERS : 0) |
    (strings.values.length > 0 ? STRINGS : 0) |
    (dates.low.length > 0 ? DATES : 0)
  );
}

export const NUMBERS = 1;
export const STRINGS = 2;
export const DATES = 4;
