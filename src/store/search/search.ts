/**
 * Finding resources. There are two plans: walk a timeline in its order and judge what comes by, or take what the
 * key index finds and sort it. The first is the quicker where many match, the second where few do (ARCHITECTURE.md,
 * "Search plans").
 */
import { createHash } from 'node:crypto';
import type { Definitions } from '../../fhir/definitions.ts';
import type { Filter } from '../../search/request.ts';
import type { Catalog } from '../catalog.ts';
import { type Keys, keyText } from '../index/keys.ts';
import type { WordIndex } from '../index/words.ts';
import type { Numbers } from '../numbers.ts';
import { type Executor, type Row, run } from '../pool.ts';
import { contentColumns, type PageRow } from '../read/page.ts';
import { type Among, makeAmong } from './among.ts';
import { countOfMany } from './counts.ts';
import { candidates, joined, judged } from './judged.ts';
import { makePlans, type Walk } from './plans.ts';
import { isOfRow } from './setting.ts';
import { SNAPSHOT } from './snapshot.ts';
import { type Sql, sql } from './sql.ts';
import {
  boundsIn,
  findsNothing,
  isOfMany,
  isOne,
  parameterOf,
  type Stretch,
  stretchesOf,
} from './stretches.ts';
import { isDated, isSaidBy, stretchesOfRows } from './value-rows.ts';

/** A match, as a row of `resource`, and the epoch that was read along with it. */
export interface Match extends PageRow {
  readonly epoch: number;
  /** what the statement saw; null where it is part of a transaction that has written */
  readonly snapshot: string | null;
  /** of the transaction that wrote this version, its number's lower half */
  readonly xmin: number;
  readonly id: string;
  readonly updated: string;
  readonly blob: string | null;
  /** where it stands in the order: clinical date or lastUpdated, PostgreSQL's text */
  readonly at: string;
}

/** Only what comes after this match, in the order of the search. */
export interface After {
  /** PostgreSQL's text of a time stamp */
  readonly at: string;
  readonly rid: number;
}

/** What is looked for: resources of one type, in one of the orders that an index has. */
export interface Sought {
  readonly type: string;
  /** all of them must hold */
  readonly filters: readonly Filter[];
  readonly sort: {
    readonly by: 'date' | '_lastUpdated';
    readonly descending: boolean;
    /** where those stand that have no date; else where the index has them, as the earliest of all */
    readonly undated?: 'first' | 'last';
  };
  /** matches on a page */
  readonly count: number;
}

/** The order in which what is found is read where any will do. */
export const NEWEST_FIRST = { by: '_lastUpdated', descending: true } as const;

export interface Searcher extends Among {
  /** One match more than the page holds, where there are that many. */
  find(request: Sought, after?: After): Promise<Match[]>;
  count(request: Pick<Sought, 'type' | 'filters'>): Promise<number>;
}

/** So many statements are prepared: of the shapes that they have most are never seen. */
const MOST_NAMES = 200;

/** So many rows of a timeline are walked before the other plan is tried. */
const PATIENCE = 2000;

/** And of many patients' rows so many, as each is looked at in the index alone. */
const PATIENCE_OF_MANY = 5000;

/**
 * Makes the searches of this process, or of one transaction.
 *
 * @param executor a pool that plans for the values at hand, or a connection set so
 * @param words    undefined: of what has not been committed it knows nothing
 */
export function makeSearcher(
  executor: Executor,
  definitions: Definitions,
  catalog: Catalog,
  keys: Keys,
  numbers: Pick<Numbers, 'find'>,
  words?: Pick<WordIndex, 'pending'>,
): Searcher {
  const plans = makePlans(executor, definitions, catalog, keys, numbers, words);
  const { settingOf, walkOf } = plans;

  async function find(request: Sought, after?: After): Promise<Match[]> {
    const { sort, count } = request;
    if (isAsIndexed(sort)) return findAmong(request, after);
    const [first, second]: Dated[] = sort.descending ? ['undated', 'dated'] : ['dated', 'undated'];
    const begun: Dated = after?.at === UNDATED ? 'undated' : 'dated';
    if (after && begun === second) return findAmong(request, after, second);
    const found = await findAmong(request, after, first);
    if (found.length > count) return found;
    return [...found, ...(await findAmong({ ...request, count: count - found.length }, undefined, second))];
  }

  async function findAmong(request: Sought, after?: After, among?: Dated): Promise<Match[]> {
    const limit = request.count + 1;
    const setting = settingOf(request.type);
    const byDate = request.sort.by === 'date';
    const first = await walkOf(request, true);
    if (findsNothing(first)) return [];
    const narrow = isNarrow(first);
    if (first.open && !first.selective && (byDate || !narrow)) {
      const walk = byDate ? walkStatement : updatedStatement;
      const tried = await query(walk(first, after, limit, PATIENCE));
      if (tried.length >= limit) return matches(tried);
    }
    const walk = first.open ? await walkOf(request) : first;
    if (findsNothing(walk)) return [];
    if (byDate && !walk.selective && isOfMany(walk)) {
      const tried = await query(walkOfMany(walk, after, limit));
      if (tried.length >= limit) return matches(tried);
    }
    const { valued } = walk;
    const isFound = byDate && valued !== undefined && isDated(valued);
    if (isFound && walk.selective) return matches(await query(valuesStatement(walk, valued, after, limit)));
    if (byDate && !walk.selective) {
      // Without conditions of its own, or within one patient's or code's stretch, the walk is the plan.
      if (walk.rest.length === 0 || (narrow && !walk.sparse))
        return matches(await query(walkStatement(walk, after, limit)));
      const tried = await query(walkStatement(walk, after, limit, PATIENCE));
      if (tried.length >= limit) return matches(tried);
    }
    // Beside others of which few may pass, PostgreSQL chooses.
    if (isFound && walk.rest.length === 1)
      return matches(await query(valuesStatement(walk, valued, after, limit)));
    // By then chains may have come to patients, which the rows in order of lastUpdated do not tell.
    if (!byDate && !walk.selective && !isNarrow(walk)) {
      const tried = await query(
        updatedStatement(walk, after, limit, walk.rest.length === 0 ? undefined : PATIENCE),
      );
      if (tried.length >= limit || walk.rest.length === 0) return matches(tried);
    }
    if (walk.selective && (byDate || !narrow) && (await plans.isReferredByMany(request, walk))) {
      const often = byDate ? walkStatement : updatedStatement;
      const tried = await query(often(walk, after, limit, PATIENCE));
      if (tried.length >= limit) return matches(tried);
    }
    return matches(await query(sortStatement(walk, after, limit)));

    function order(column: string, rid: string): string {
      const direction = request.sort.descending ? 'desc' : 'asc';
      return `${column} ${direction}, ${rid} ${direction}`;
    }

    function beyond(sql: Sql, column: string, rid: string, from: After | undefined): string {
      const dated = among === undefined ? '' : `${column} ${among === 'dated' ? '>' : '='} '${UNDATED}' and `;
      if (!from) return `${dated}true`;
      const comparison = request.sort.descending ? '<' : '>';
      return `${dated}(${column}, ${rid}) ${comparison} (${sql.bind(from.at)}, ${sql.bind(from.rid)})`;
    }

    /** Rides on timeline_patient or timeline_key, backwards or forwards. */
    function walkStatement(walk: Walk, from: After | undefined, most: number, patience?: number): Statement {
      const s = sql();
      const stretches = stretchesOf(s, walk, request.type, keys);
      const page = `${beyond(s, 't.at', 't.rid', from)}${boundsIn(s, walk)}`;
      // One text for all stretches: bound once, however many there are.
      const conditions = judged(s, walk.rest, setting, 'w');
      const limit = s.bind(most);
      const rowsOf = ({ where, distinct }: Stretch): string =>
        `select ${distinct} t.at, t.rid from timeline t where ${where} and ${page}`;
      // One resource may stand in several stretches.
      const merged = patience !== undefined && stretches.length > 1 ? 'distinct' : '';
      const judgedOf = (rows: string): string =>
        `(select ${merged} w.at, w.rid from (${rows}) w${joined(conditions, 'w')} where true${conditions}
          order by ${order('w.at', 'w.rid')} limit ${limit})`;
      const inner =
        patience === undefined
          ? stretches.map((stretch) => {
              const { many } = stretch;
              // Of each patient a page is enough, and is read off its own stretch.
              if (many && walk.rest.length === 0)
                return `(select distinct l.at, l.rid from unnest(${many.patients}::bigint[]) p (patient)
                         cross join unnest(${many.keys}::bigint[]) k (key) cross join lateral (
                           select t.at, t.rid from timeline t where t.patient = p.patient and t.key = k.key and ${page}
                           order by ${order('t.at', 't.rid')} limit ${limit}) l)`;
              const rows = `${rowsOf(stretch)} order by ${order('t.at', 't.rid')}`;
              return walk.rest.length === 0 ? `(${rows} limit ${limit})` : judgedOf(rows);
            })
          : // In one order: what comes after the last row of one stretch may come before those of another.
            [
              judgedOf(
                `${stretches.map(rowsOf).join(' union all ')} order by ${order('at', 'rid')} limit ${s.bind(patience)}`,
              ),
            ];
      const all =
        inner.length === 1 ? inner[0] : `(select distinct at, rid from (${inner.join(' union all ')}) u)`;
      return {
        text: pageOf(
          `select x.at, x.rid from ${all} x order by ${order('x.at', 'x.rid')} limit ${limit}`,
          order('p.at', 'p.rid'),
          limit,
        ),
        values: s.values,
        name: isOne(stretches) && walk.rest.every((filter) => isOfRow(filter, setting)),
      };
    }

    /**
     * Of many patients: rides on timeline_key, which tells of each row who its first patient is. Finds nothing where one of
     * them is another patient of something.
     */
    function walkOfMany(walk: Walk, from: After | undefined, most: number): Statement {
      const s = sql();
      const named = walk.keys ?? [keyText(keys.type(request.type))];
      // Not as a list of the statement's own: the planner would weigh each of thousands.
      const [patients, every] = [s.bind(parameterOf(walk)), s.bind(named)];
      const page = `${beyond(s, 't.at', 't.rid', from)}${boundsIn(s, walk)}`;
      const conditions = judged(s, walk.rest, setting, 'w');
      const [limit, patience] = [s.bind(most), s.bind(PATIENCE_OF_MANY)];
      const rows = named.map(
        (key) =>
          `select t.at, t.rid, t.patient from timeline t where t.key = ${s.bind(key)} and t.lead and ${page}`,
      );
      return {
        text: pageOf(
          `select ${named.length === 1 ? '' : 'distinct'} w.at, w.rid
           from (${rows.join(' union all ')} order by ${order('at', 'rid')} limit ${patience}) w${joined(conditions, 'w')}
           where coalesce(w.patient in (select unnest(${patients}::bigint[])), false)${conditions}
             and not exists (select from timeline n where n.key = any (${every}::bigint[]) and not n.lead
               and coalesce(n.patient in (select unnest(${patients}::bigint[])), false))
           order by ${order('w.at', 'w.rid')} limit ${limit}`,
          order('p.at', 'p.rid'),
          limit,
        ),
        values: s.values,
      };
    }

    /** Rides on value_number_key: what is found there has its date, so that of many no more than a page is looked at. */
    function valuesStatement(walk: Walk, valued: Filter, from: After | undefined, most: number): Statement {
      const s = sql();
      const stretches = stretchesOfRows(s, valued, setting, 'at, rid') ?? [];
      const rest = walk.rest.filter((one) => !isSaidBy(valued, one));
      const within = walk.keys ? ` and coalesce(i.keys && ${s.bind(walk.keys)}::bigint[], false)` : '';
      const conditions = `${within}${judged(s, rest, setting, 'w')}`;
      const limit = s.bind(most);
      // One by one in their order, where each is looked at.
      const rows = `select distinct t.at, t.rid from (${stretches.join(' union all ')}) t
        where ${beyond(s, 't.at', 't.rid', from)}${boundsIn(s, walk)}
        order by ${order('t.at', 't.rid')}${conditions ? ' offset 0' : ''}`;
      return {
        text: pageOf(
          `select w.at, w.rid from (${rows}) w${joined(conditions, 'w')}
           where true${conditions} order by ${order('w.at', 'w.rid')} limit ${limit}`,
          order('p.at', 'p.rid'),
          limit,
        ),
        values: s.values,
      };
    }

    /** Rides on resource_updated. */
    function updatedStatement(
      walk: Walk,
      from: After | undefined,
      most: number,
      patience?: number,
    ): Statement {
      const s = sql();
      const limit = s.bind(most);
      const walked = `select u.updated, u.rid from resource u
        where u.type = ${s.bind(catalog.typeNumber(request.type))} and u.version > 0 and not u.deleted
          and ${beyond(s, 'u.updated', 'u.rid', from)} order by ${order('u.updated', 'u.rid')} limit ${s.bind(patience ?? most)}`;
      return {
        text: pageOf(
          `select w.updated as at, w.rid from (${walked}) w join resource_index i on i.rid = w.rid
           where true${judged(s, walk.rest, setting)} order by ${order('w.updated', 'w.rid')} limit ${limit}`,
          order('p.at', 'p.rid'),
          limit,
        ),
        values: s.values,
      };
    }

    /** Rides on the GIN index of keys, or on the index of the table that a condition names; then sorts. */
    function sortStatement(walk: Walk, from: After | undefined, most: number): Statement {
      const s = sql();
      const limit = s.bind(most);
      const at = byDate ? `coalesce(i.at, '-infinity')` : 'u.updated';
      const rows = byDate ? 'resource_index i' : 'resource_index i join resource u on u.rid = i.rid';
      return {
        text: pageOf(
          `select ${at} as at, i.rid from ${rows} where ${candidates(s, walk, request.type, setting)}
           and ${beyond(s, at, 'i.rid', from)} order by ${order(at, 'i.rid')} limit ${limit}`,
          order('p.at', 'p.rid'),
          limit,
        ),
        values: s.values,
      };
    }
  }

  async function count(request: Pick<Sought, 'type' | 'filters'>): Promise<number> {
    const walk = await walkOf(request);
    if (findsNothing(walk)) return 0;
    const setting = settingOf(request.type);
    const s = sql();
    if (walk.selective) {
      const text = `select count(*) from resource_index i where ${candidates(s, walk, request.type, setting)}`;
      return (await query({ text, values: s.values }))[0]?.[0] as number;
    }
    const bounds = boundsIn(s, walk);
    const conditions = judged(s, walk.rest, setting);
    const ofMany = conditions ? undefined : countOfMany(s, walk, keyText(keys.type(request.type)), bounds);
    if (ofMany) return (await query({ text: ofMany, values: s.values }))[0]?.[0] as number;
    const stretches = stretchesOf(s, walk, request.type, keys);
    const rows = stretches
      .map(({ where, distinct }) => `select ${distinct} t.rid from timeline t where ${where}${bounds}`)
      .join(' union ');
    const text = conditions
      ? `select count(*) from (${rows}) t join resource_index i on i.rid = t.rid where true${conditions}`
      : `select count(*) from (${rows}) t`;
    return (await query({ text, values: s.values, name: !conditions && isOne(stretches) }))[0]?.[0] as number;
  }

  // Plans made without the values are ten times slower on GIN: only walks are prepared that look at rows alone.
  const names = new Map<string, string>();
  async function query({ text, values, name }: Statement): Promise<Row[]> {
    if (!name || names.size > MOST_NAMES)
      return (await executor.query({ text, values, rowMode: 'array' })).rows;
    let known = names.get(text);
    if (!known) {
      known = `search_${createHash('sha1').update(text).digest('base64url')}`;
      names.set(text, known);
    }
    return run(executor, { name: known, text }, values);
  }

  return { find, count, ...makeAmong(executor, { catalog, keys, settingOf }) };
}

/** What the index has as the date of what has none. */
export const UNDATED = '-infinity';
type Dated = 'dated' | 'undated';

/** Whether those without date stand where the index has them. */
export const isAsIndexed = ({ by, descending, undated }: Sought['sort']): boolean =>
  by !== 'date' || undated === undefined || (undated === 'last') === descending;

interface Statement {
  readonly text: string;
  readonly values: unknown[];
  /** whether its shape is one of few, worth preparing */
  readonly name?: boolean;
}

/** Whether stretches of patients or codes hold all matches. */
const isNarrow = ({ patients, keys }: Walk): boolean => patients !== undefined || keys !== undefined;

/** The contents of a page of `most` rows. */
const pageOf = (found: string, order: string, most: string): string => `
  select (select value from epoch), ${SNAPSHOT}, r.xmin::text::bigint, p.rid, r.id, r.version, r.updated,
    ${contentColumns('r.content', most)}, r.blob, p.at
  from (${found}) p join resource r on r.rid = p.rid order by ${order}`;

function matches(rows: readonly Row[]): Match[] {
  return rows.map(
    ([epoch, snapshot, xmin, rid, id, version, updated, size, content, blob, at]) =>
      ({ epoch, snapshot, xmin, rid, id, version, updated, size, content, blob, at }) as Match,
  );
}
