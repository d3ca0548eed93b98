/** `_text` and `_content`: which contents may have the words. The matcher tells which have (search/widen.ts). */
import type { Filter, Words } from '../../search/request.ts';
import { or, type Setting } from './setting.ts';
import type { Sql } from './sql.ts';

/** Contents in which a letter may be written in another way than as itself are not ruled out. */
export function wordsCondition(
  sql: Sql,
  { values }: Extract<Filter, { readonly kind: 'words' }>,
  { row }: Setting,
): string {
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
