/** Pages are bounded by bytes, too: contents are read whole, and each of a thousand may have megabytes. */
import { int8Array } from '../arrays.ts';
import { type Executor, run } from '../pool.ts';

const PAGE_BYTES = 32 * 2 ** 20;

/** A version on a page, before large contents are there. */
export interface PageRow {
  readonly rid: number;
  readonly version: number;
  /** of the content, in bytes */
  readonly size: number;
  /** null where it is larger than its share of the page */
  readonly content: string | null;
}

/**
 * SQL of the columns `size` and `content`. Each content has an equal share of the page: a running sum over them, as a
 * window, costs a tenth of a search. octet_length knows the size of what is stored out of line without reading it.
 *
 * @param content SQL of the content
 * @param most    SQL of how many rows there are at most
 */
export const contentColumns = (content: string, most: string): string =>
  `octet_length(${content}), case when octet_length(${content}) <= ${PAGE_BYTES} / ${most} then ${content} end`;

// A version stands in one of the two tables, whatever has happened since the page was read.
const LARGE = {
  name: 'large_contents',
  text: `select coalesce(v.content, r.content)
         from unnest($1::bigint[], $2::integer[]) with ordinality e (rid, version, n)
         left join resource r on r.rid = e.rid and r.version = e.version
         left join version v on v.rid = e.rid and v.version = e.version
         order by e.n`,
};

/**
 * The rows that make the page, with all contents: `count` at most, and none after the one that fills the page. Where
 * fewer are left than were read, there is a next page.
 */
export async function cutPage<Row extends PageRow>(
  executor: Executor,
  rows: readonly Row[],
  count: number,
): Promise<(Row & { readonly content: string })[]> {
  const page: Row[] = [];
  let bytes = 0;
  for (const row of rows) {
    if (page.length === count || bytes >= PAGE_BYTES) break;
    bytes += row.size;
    page.push(row);
  }
  const large = page.filter(({ content }) => content === null);
  if (large.length === 0) return page as (Row & { readonly content: string })[];
  const found = await run(executor, LARGE, [
    int8Array(large.map(({ rid }) => rid)),
    large.map(({ version }) => version),
  ]);
  const contents = found.map(([content]) => content as string).values();
  return page.map((row) => ({ ...row, content: row.content ?? (contents.next().value as string) }));
}
