/** The tables of values, and the parameters by which a write brings rows for them: `$number_low` for `low` of numbers. */
import { DATES, NUMBERS, STRINGS } from './batch.ts';

/** One of them. */
export interface ValueTable {
  /** of resource_index.tables */
  readonly bit: number;
  readonly kind: 'number' | 'string' | 'date';
  /** besides that of the resource's number */
  readonly columns: readonly string[];
  /** the one of these that may be null */
  readonly nullable?: string;
}

const ALL: readonly ValueTable[] = [
  { bit: NUMBERS, kind: 'number', columns: ['key', 'unit', 'low', 'high', 'at'], nullable: 'unit' },
  { bit: STRINGS, kind: 'string', columns: ['key', 'value', 'whole'], nullable: 'whole' },
  { bit: DATES, kind: 'date', columns: ['key', 'low', 'high'] },
];

/** What is written about some of the tables, one after the other. */
export const ofTables = (tables: number, part: (table: ValueTable) => string): string =>
  ALL.filter(({ bit }) => (tables & bit) > 0)
    .map(part)
    .join('');

/** SQL that puts in rows of a table, and of those that a write brings. */
export function brought({ kind, columns }: ValueTable): { readonly insert: string; readonly rows: string } {
  const all = ['rid', ...columns];
  return {
    insert: `insert into value_${kind} (${all.join(', ')})`,
    rows: `unnest(${all.map((column) => `$${kind}_${column}`).join(', ')}) e (${all.join(', ')})`,
  };
}

/** Whether a row that is brought (e) is one that is there (v). */
export const isSame = ({ columns, nullable }: ValueTable): string =>
  ['rid', ...columns]
    .map((column) => `e.${column} ${column === nullable ? 'is not distinct from' : '='} v.${column}`)
    .join(' and ');
