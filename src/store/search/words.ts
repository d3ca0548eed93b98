/** `_text` and `_content`: which contents may have the words. The matcher tells which have (search/widen.ts). */
import type { Filter, Words } from '../../search/request.ts';
import { tsqueryOf, type WordIndex } from '../index/words.ts';
import type { Executor } from '../pool.ts';
import { type Judged, or, type Setting } from './setting.ts';
import { type Sql, sql } from './sql.ts';

type WordsFilter = Extract<Filter, { readonly kind: 'words' }>;
type Indexed = Extract<Judged, { readonly kind: 'indexed-words' }>;

/**
 * What the index of words makes of a filter: the resources, where they are few, or a condition by the index.
 *
 * @param index undefined: there is none here, as within a transaction that has written
 * @param few   so many are few
 * @returns     the filter itself, where the index does not help
 */
export async function fromWords(
  executor: Executor,
  index: Pick<WordIndex, 'pending'> | undefined,
  filter: WordsFilter,
  few: number,
): Promise<Judged> {
  // Before the index is asked: what it takes in meanwhile would be in neither.
  const pending = await index?.pending();
  const queries = filter.values.map(tsqueryOf);
  if (!pending || queries.includes(undefined)) return filter;
  const query = queries.map((one) => `(${one})`).join(' | ');
  const s = sql();
  const text = `select rid from resource_words where words @@ ${s.bind(query)}::tsquery
    union all select rid from resource_words where words is null limit ${few + 1}`;
  const { rows } = await executor.query({ text, values: s.values, rowMode: 'array' });
  if (rows.length > few) return { kind: 'indexed-words', query, pending };
  return { kind: 'rids', rids: [...new Set([...rows.map(([rid]) => rid as number), ...pending])] };
}

export function indexedWordsCondition(sql: Sql, { query, pending }: Indexed, { row }: Setting): string {
  const w = sql.alias();
  return `(exists (select from resource_words ${w} where ${w}.rid = ${row}.rid
      and (${w}.words is null or ${w}.words @@ ${sql.bind(query)}::tsquery))
    or ${row}.rid = any (${sql.bind(pending)}::bigint[]))`;
}

/**
 * Without the index, by the contents themselves: those in which a letter may be written in another way than as itself
 * are not ruled out.
 */
export function wordsCondition(sql: Sql, { values }: WordsFilter, { row }: Setting): string {
  const r = sql.alias();
  const either = or(values.map((words) => mayHave(sql, words, `${r}.low`)));
  // Lowered once: "offset 0" keeps PostgreSQL from doing so for each word.
  return `exists (select from (
      select content, lower(content collate "C") as low from resource where rid = ${row}.rid offset 0) ${r}
    where ${either} or octet_length(${r}.content) <> char_length(${r}.content)
      or strpos(${r}.content, '\\u') > 0 or strpos(${r}.content, '&') > 0)`;
}

function mayHave(sql: Sql, words: Words, content: string): string {
  switch (words.kind) {
    case 'phrase':
      return `(${words.words.map((word) => `strpos(${content}, ${sql.bind(word)}) > 0`).join(' and ')})`;
    case 'and':
      return `(${words.parts.map((part) => mayHave(sql, part, content)).join(' and ')})`;
    case 'or':
      return or(words.parts.map((part) => mayHave(sql, part, content)));
    case 'not':
      return 'true';
  }
}
