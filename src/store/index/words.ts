/**
 * The index of words, for `_text` and `_content`. Words are many, and few searches ask for them: so no write pays for
 * them. They are kept from the change feed in the background, from the first search that asks for words on; what has
 * been written since counts as if it had all words. What is found here is judged on its texts afterwards.
 */
import type pg from 'pg';
import type { Words } from '../../search/request.ts';
import { allWords } from '../../search/words.ts';
import { int8Array, textArray } from '../arrays.ts';
import type { Catalog } from '../catalog.ts';
import { readFeed } from '../feed.ts';
import { type Executor, run, transaction } from '../pool.ts';

/** Changes that are read at a time. */
const STRIDE = 500;
/** Where more has changed since, everything is looked at. */
const MOST_PENDING = 2000;
/** Of a word so much is kept. */
const LONGEST_WORD = 100;
/** A tsvector holds one megabyte, and of each word some bytes more. */
const MOST_BYTES = 700_000;

const UPTO = { name: 'words_upto', text: `select value from setting where name = 'words_upto'` };
const BEGIN = {
  name: 'words_begin',
  text: `insert into setting (name, value) values ('words_upto', '') on conflict do nothing`,
};
const ADVANCE = { name: 'words_advance', text: `update setting set value = $1 where name = 'words_upto'` };
// One process at a time: the others find it busy, and leave it at that.
const LOCK = { name: 'words_lock', text: `select pg_try_advisory_xact_lock(hashtext('consilium words'))` };
const CONTENTS = {
  name: 'words_contents',
  text: 'select rid, content from resource where rid = any ($1::bigint[]) and version > 0 and not deleted',
};
const REMOVE = { name: 'words_remove', text: 'delete from resource_words where rid = any ($1::bigint[])' };
// Words come joined, as arrays of arrays would have to be of one length.
const WRITE = {
  name: 'words_write',
  text: `insert into resource_words (rid, words)
         select rid, array_to_tsvector(string_to_array(words, ' '))
         from unnest($1::bigint[], $2::text[]) e (rid, words)
         on conflict (rid) do update set words = excluded.words
         where resource_words.words is distinct from excluded.words`,
};

export interface WordIndex {
  /** What was written since the index was; undefined where that is too much to be looked at, or all there is. */
  pending(): Promise<readonly number[] | undefined>;
  /**
   * Reads on in the feed, where a search has asked for words before.
   *
   * @returns whether there is more
   */
  advance(): Promise<boolean>;
}

export function makeWordIndex(pool: pg.Pool, catalog: Pick<Catalog, 'feedBase'>): WordIndex {
  return {
    async pending() {
      const [upto] = await run(pool, UPTO, []);
      if (!upto) await run(pool, BEGIN, []);
      if (!upto?.[0]) return undefined;
      const { entries, more } = await readFeed(pool, catalog, upto[0] as string, MOST_PENDING);
      return more ? undefined : [...new Set(entries.map(({ rid }) => rid))];
    },
    async advance() {
      if (!(await run(pool, UPTO, []))[0]) return false;
      return transaction(pool, async (client) => {
        if (!(await run(client, LOCK, []))[0]?.[0]) return false;
        const upto = (await run(client, UPTO, []))[0]?.[0] as string;
        const { entries, position, more } = await readFeed(client, catalog, upto || undefined, STRIDE);
        if (entries.length > 0) await write(client, [...new Set(entries.map(({ rid }) => rid))]);
        if (entries.length > 0 || upto === '') await run(client, ADVANCE, [position]);
        return more;
      });
    },
  };
}

/** So often it is looked whether there is something to read. */
const PAUSE = 1000;

/**
 * Keeps the index, until it is stopped.
 *
 * @param failed is told what went wrong; it is tried again
 * @returns      stops it
 */
export function keepWords(index: WordIndex, failed: (fault: unknown) => void): () => Promise<void> {
  let stopped = false;
  let keeping: Promise<void> | undefined;
  const advance = async (): Promise<void> => {
    while (!stopped && (await index.advance()));
  };
  const timer = setInterval(() => {
    keeping ??= advance()
      .catch(failed)
      .finally(() => {
        keeping = undefined;
      });
  }, PAUSE).unref();
  return async () => {
    stopped = true;
    clearInterval(timer);
    await keeping;
  };
}

async function write(client: Executor, rids: readonly number[]): Promise<void> {
  const rows = (await run(client, CONTENTS, [int8Array(rids)])) as [number, string][];
  const found = rows.map(([rid]) => rid);
  const words = rows.map(([, content]) => joined(allWords(JSON.parse(content) as object)));
  const there = new Set(found);
  const gone = rids.filter((rid) => !there.has(rid));
  if (gone.length > 0) await run(client, REMOVE, [int8Array(gone)]);
  if (found.length > 0) await run(client, WRITE, [int8Array(found), textArray(words)]);
}

function joined(words: ReadonlySet<string>): string | null {
  const text = [...words].map(shortened).join(' ');
  return text.length > MOST_BYTES || Buffer.byteLength(text) > MOST_BYTES ? null : text;
}

const shortened = (word: string): string => Array.from(word).slice(0, LONGEST_WORD).join('');

/**
 * A tsquery that finds what may have the words; undefined where that is everything.
 *
 * @param words folded letters and digits alone: nothing in them means anything to PostgreSQL within quotation marks
 */
export function tsqueryOf(words: Words): string | undefined {
  switch (words.kind) {
    case 'phrase':
      return words.words.map((word) => `'${shortened(word)}'`).join(' & ');
    case 'and': {
      const parts = words.parts.flatMap((part) => tsqueryOf(part) ?? []);
      return parts.length === 0 ? undefined : parts.map((part) => `(${part})`).join(' & ');
    }
    case 'or': {
      const parts = words.parts.map(tsqueryOf);
      return parts.includes(undefined) ? undefined : parts.map((part) => `(${part})`).join(' | ');
    }
    case 'not':
      return undefined;
  }
}
