/** Whether all that the store keeps of a resource agrees: contents, versions, index rows, changes. */
import type { Resource } from 'fhir/r4.js';
import type pg from 'pg';
import type { Definitions } from '../../src/fhir/definitions.ts';
import { type Catalog, openCatalog } from '../../src/store/catalog.ts';
import { keyText, makeKeys } from '../../src/store/index/keys.ts';
import { type Indexer, makeIndexer } from '../../src/store/index/row.ts';
import type { IndexRow } from '../../src/store/index/values.ts';

export interface ConsistencyOptions {
  /** the FHIR base that references were read under */
  readonly baseUrl?: string;
  /** only resources written at or after it have their index rows made anew and compared */
  readonly since?: Date;
}

/** So many faults of one sort are told. */
const TOLD = 10;

/**
 * Looks for what does not agree, in one snapshot, so that it may be asked while writers run.
 *
 * @returns a line for each fault, naming the resource; empty where all is well
 */
export async function inconsistencies(
  pool: pg.Pool,
  definitions: Definitions,
  options: ConsistencyOptions = {},
): Promise<string[]> {
  const catalog = await openCatalog(pool, definitions);
  const client = await pool.connect();
  try {
    await client.query('begin isolation level repeatable read');
    await client.query('set local statement_timeout = 0');
    return await inconsistenciesIn(client, catalog, definitions, options);
  } finally {
    await client.query('rollback').catch(() => {});
    client.release();
  }
}

/** The same, as seen by a transaction that is under way. */
export async function inconsistenciesIn(
  client: pg.ClientBase,
  catalog: Catalog,
  definitions: Definitions,
  { baseUrl = 'http://localhost:8080/fhir', since = new Date(0) }: ConsistencyOptions = {},
): Promise<string[]> {
  const indexer = makeIndexer(definitions, makeKeys(catalog.secret), catalog);
  const faults: string[] = [];
  for (const [rule, text] of Object.entries(RULES)) {
    const { rows } = await client.query(
      `select t.name || '/' || coalesce(r.id, '?') as name, f.rid, f.detail
       from (${text}) f (rid, detail) left join resource r on r.rid = f.rid left join type t on t.code = r.type
       limit ${TOLD}`,
    );
    for (const { name, rid, detail } of rows)
      faults.push(`${rule}: ${name ?? `number ${rid}`} ${detail ?? ''}`);
  }
  // The timeline has no index by resource: searches need none.
  await client.query(
    `create temporary table line on commit drop as
     select t.* from timeline t join resource r on r.rid = t.rid where r.updated >= '${since.toISOString()}'`,
  );
  await client.query('create index on line (rid)');
  const codes = await codeKeys(client);
  for (const table of ['resource', 'version'] as const)
    await compareAll({ client, catalog, indexer, baseUrl, codes, since, faults }, table);
  return faults;
}

/** Every version there should be: the current one, the past ones and the deletions. */
const VERSIONS = `
  select rid, version, type, deleted, updated from resource where version > 0
  union
  select rid, version, type, deleted, updated from version`;

/** Each selects the numbers of resources that break it, and what about them does. */
const RULES: Readonly<Record<string, string>> = {
  'a current resource has content and an index row, a deleted or unwritten one has neither': `
    select r.rid, format('version %s, deleted %s, content %s, index row %s', r.version, r.deleted,
      r.content is not null, i.rid is not null)
    from resource r left join resource_index i on i.rid = r.rid
    where (r.version > 0 and not r.deleted) <> (r.content is not null)
       or (r.version > 0 and not r.deleted) <> (i.rid is not null)`,
  'an index row belongs to a resource of its type': `
    select i.rid, '' from resource_index i left join resource r on r.rid = i.rid
    where r.rid is null or r.type <> i.type`,
  'an index row says in which tables there are value rows': `
    select i.rid, format('says %s', i.tables) from resource_index i
    where i.tables <> (exists (select from value_number v where v.rid = i.rid))::int
      + 2 * (exists (select from value_string v where v.rid = i.rid))::int
      + 4 * (exists (select from value_date v where v.rid = i.rid))::int`,
  ...Object.fromEntries(
    ['timeline', 'value_number', 'value_string', 'value_date'].map((table) => [
      `a row of ${table} belongs to an index row`,
      `select distinct v.rid, '' from ${table} v where not exists (select from resource_index i where i.rid = v.rid)`,
    ]),
  ),
  'a row of timeline is of a key and the time of its index row, once for each patient': `
    select t.rid, format('key %s, patient %s, %s', t.key, t.patient, t.at)
    from timeline t join resource_index i on i.rid = t.rid
    where t.at <> coalesce(i.at, '-infinity') or t.key <> all (i.keys[1 : i.timeline])
    union all
    select rid, format('key %s twice', key) from timeline group by rid, key, patient having count(*) > 1`,
  'versions count up from 1 to the current one without a gap': `
    select r.rid, format('%s versions up to %s, current is %s', count(v.version), max(v.version), r.version)
    from resource r left join (${VERSIONS}) v on v.rid = r.rid
    group by r.rid having count(v.version) <> r.version or coalesce(max(v.version), 0) <> r.version`,
  'a past version belongs to a resource': `
    select v.rid, '' from version v where not exists (select from resource r where r.rid = v.rid and r.version >= v.version)`,
  'a version has content, a deletion has none': `
    select rid, format('version %s', version) from version where deleted <> (content is null)`,
  'a past version ends when the next one begins': `
    select v.rid, format('version %s until %s, then %s', v.version, v.superseded, n.updated)
    from version v left join (${VERSIONS}) n on n.rid = v.rid and n.version = v.version + 1
    where v.superseded <> coalesce(n.updated, 'infinity') or v.superseded < v.updated`,
  'each version has one change, that says what was done, when and about whom': `
    select coalesce(v.rid, c.rid), format('version %s: %s changes (%s)', coalesce(v.version, c.version), c.count, c.done)
    from (
      select rid, version, type, deleted, updated, patients from version
      union all
      select r.rid, r.version, r.type, r.deleted, r.updated, i.patients
      from resource r join resource_index i on i.rid = r.rid where r.version > 0
    ) v
    full join (
      select rid, version, count(*), min(type) as type, min(interaction::text) as done, min(at) as at,
        min(patients) as patients
      from change group by rid, version
    ) c on c.rid = v.rid and c.version = v.version
    where v.rid is null or c.count is distinct from 1 or c.type <> v.type or (c.done = 'd') <> v.deleted
       or (v.version = 1 and c.done <> 'c') or c.at <> v.updated or c.patients is distinct from v.patients`,
  'a Binary has its bytes': `
    select r.rid, '' from resource r where r.blob is not null and not exists (select from blob b where b.name = r.blob)`,
};

interface Comparison {
  readonly client: pg.ClientBase;
  readonly catalog: Catalog;
  readonly indexer: Indexer;
  readonly baseUrl: string;
  readonly codes: ReadonlySet<string>;
  readonly since: Date;
  readonly faults: string[];
}

interface Kept {
  readonly rid: number;
  readonly type: number;
  readonly id: string;
  readonly version: number;
  readonly content: string;
}

const PAGE = 500;

/** Makes the index rows of all contents anew. */
async function compareAll(comparison: Comparison, table: 'resource' | 'version'): Promise<void> {
  const { client, since, faults } = comparison;
  const stop = faults.length + TOLD;
  for (let last: Kept | undefined; faults.length < stop; ) {
    const { rows } = await client.query<Kept>(
      `select v.rid, v.type, r.id, v.version, v.content
       from ${table} v join resource r on r.rid = v.rid
       where (v.rid, v.version) > ($1, $2) and v.content is not null and r.updated >= $3
       order by v.rid, v.version limit ${PAGE}`,
      [last?.rid ?? -1, last?.version ?? -1, since],
    );
    await comparePage(comparison, table, rows);
    last = rows.at(-1);
    if (!last || rows.length < PAGE) return;
  }
}

async function comparePage(
  comparison: Comparison,
  table: 'resource' | 'version',
  page: Kept[],
): Promise<void> {
  const { client, catalog, indexer, baseUrl, codes, faults } = comparison;
  const analyses = page.map(({ id, content }) =>
    indexer.analyse({ ...(JSON.parse(content) as Resource), id }, baseUrl),
  );
  const rids = await numbersOf(
    client,
    analyses.flatMap(({ edges }) => edges),
  );
  const kept = await (table === 'resource' ? indexRows : pastKeys)(client, page);
  for (const [i, { rid, type, id, version }] of page.entries()) {
    const analysis = analyses[i]!;
    const targets = analysis.edges.map((edge) => rids.get(`${edge.type}/${edge.id}`) ?? -1);
    const paths = await catalog.pathNumbers(analysis.edges.map(({ path }) => path));
    const row = indexer.row(analysis, rid, targets, paths, baseUrl);
    const expected = printed(row);
    const found = kept.get(`${rid}/${version}`) ?? {};
    const name = `${catalog.typeName(type)}/${id} version ${version}`;
    for (const [part, value] of Object.entries(found))
      if (value !== expected[part as keyof Printed])
        faults.push(`${part} of ${name} are ${value}, its content makes ${expected[part as keyof Printed]}`);
    for (const pair of keyTexts(row.codes, 2))
      if (!codes.has(pair)) faults.push(`${name} lacks code_key ${pair}`);
  }
}

async function codeKeys(client: pg.ClientBase): Promise<Set<string>> {
  const { rows } = await client.query('select code::text, key::text from code_key');
  return new Set(rows.map(({ code, key }) => `${code} ${key}`));
}

/** The numbers of the resources that edges lead to, by Type/id. */
async function numbersOf(
  client: pg.ClientBase,
  edges: readonly { readonly type: string; readonly id: string }[],
): Promise<Map<string, number>> {
  const { rows } = await client.query(
    `select t.name, r.id, r.rid from unnest($1::text[], $2::text[]) e (type, id)
     join type t on t.name = e.type join resource r on r.type = t.code and r.id = e.id`,
    [edges.map(({ type }) => type), edges.map(({ id }) => id)],
  );
  return new Map(rows.map(({ name, id, rid }) => [`${name}/${id}`, rid]));
}

/** Index rows as texts that can be compared. Value rows are sets: a value twice in a resource is one. */
interface Printed {
  readonly row: string;
  readonly keys: string;
  readonly edges: string;
  readonly timeline: string;
  readonly numbers: string;
  readonly strings: string;
  readonly dates: string;
  readonly patients: string;
  readonly present: string;
}

function printed({
  patients,
  at,
  until,
  timeline,
  keys,
  targets,
  paths,
  numbers,
  strings,
  dates,
  present,
}: IndexRow): Printed {
  const allKeys = keyTexts(keys);
  const lines = (patients.length > 0 ? patients : [0]).flatMap((patient, p) =>
    allKeys.slice(0, timeline).map((key) => `${key} ${patient} ${at ?? Number.NEGATIVE_INFINITY} ${p === 0}`),
  );
  const units = keyTexts(numbers.units);
  return {
    row: `${timeline} ${at} ${until}`,
    patients: patients.join(),
    keys: allKeys.join(),
    edges: targets.map((target, i) => `${target} ${paths[i]}`).join(),
    timeline: set(lines),
    numbers: set(
      keyTexts(numbers.keys).map(
        (key, i) =>
          `${key} ${units[i]} ${numbers.low[i]} ${numbers.high[i]} ${at ?? Number.NEGATIVE_INFINITY}`,
      ),
    ),
    strings: set(
      keyTexts(strings.keys).map((key, i) => `${key} ${strings.values[i]} ${strings.wholes[i] ?? '-'}`),
    ),
    present: Buffer.from(present).toString('hex'),
    dates: set(keyTexts(dates.keys).map((key, i) => `${key} ${dates.low[i]} ${dates.high[i]}`)),
  };
}

const set = (lines: readonly string[]): string => [...new Set(lines)].sort().join('; ');

/** Keys given as halves, as texts: so many to one. */
function keyTexts(halves: readonly number[], together = 1): string[] {
  const texts: string[] = [];
  for (let i = 0; i < halves.length; i += 2 * together) {
    const each = Array.from({ length: together }, (_, n) => {
      const high = halves[i + 2 * n]!;
      return Number.isNaN(high) ? 'null' : keyText({ high, low: halves[i + 2 * n + 1]! });
    });
    texts.push(each.join(' '));
  }
  return texts;
}

type Found = Map<string, Partial<Printed>>;

/** What is in the tables. */
async function indexRows(client: pg.ClientBase, page: readonly Kept[]): Promise<Found> {
  const ms = (column: string) => `(extract(epoch from ${column}) * 1000)::float8`;
  const { rows } = await client.query({
    rowMode: 'array',
    text: `
      select i.rid, i.timeline, ${ms('i.at')}, ${ms('i.until')}, i.patients::text[],
        i.keys::text[], i.targets::text[], i.paths::text[],
        array(select array[t.key::text, t.patient::text, ${ms('t.at')}::text, t.lead::text] from line t where t.rid = i.rid),
        array(select array[v.key::text, coalesce(v.unit::text, 'null'), v.low::text, v.high::text, ${ms('v.at')}::text]
              from value_number v where v.rid = i.rid),
        array(select array[v.key::text, v.value, coalesce(v.whole, '-')] from value_string v where v.rid = i.rid),
        array(select array[v.key::text, ${ms('v.low')}::text, ${ms('v.high')}::text] from value_date v where v.rid = i.rid),
        i.present::text
      from resource_index i where i.rid = any ($1)`,
    values: [page.map(({ rid }) => rid)],
  });
  const versions = new Map(page.map(({ rid, version }) => [rid, version]));
  return new Map(
    rows.map(
      ([
        rid,
        timeline,
        at,
        until,
        patients,
        keys,
        targets,
        paths,
        lines,
        numbers,
        strings,
        dates,
        present,
      ]) => [
        `${rid}/${versions.get(rid)}`,
        {
          row: `${timeline} ${at} ${until}`,
          present: hex(present),
          patients: patients.join(),
          keys: keys.join(),
          edges: targets.map((target: string, i: number) => `${target} ${paths[i]}`).join(),
          timeline: set(
            lines.map(([key, about, when, lead]: string[]) => `${key} ${about} ${Number(when)} ${lead}`),
          ),
          numbers: set(
            numbers.map(
              ([key, unit, low, high, when]: string[]) =>
                `${key} ${unit} ${Number(low)} ${Number(high)} ${Number(when)}`,
            ),
          ),
          strings: set(strings.map(([key, value, whole]: string[]) => `${key} ${value} ${whole}`)),
          dates: set(dates.map(([key, low, high]: string[]) => `${key} ${Number(low)} ${Number(high)}`)),
        },
      ],
    ),
  );
}

/** Bits as PostgreSQL writes them. */
const hex = (bits: string): string =>
  Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2))).toString('hex');

/** Past versions keep the keys by which access to them is judged. */
async function pastKeys(client: pg.ClientBase, page: readonly Kept[]): Promise<Found> {
  const { rows } = await client.query(
    `select rid, version, patients::text[], keys::text[] from version
     where (rid, version) in (select * from unnest($1::bigint[], $2::integer[]))`,
    [page.map(({ rid }) => rid), page.map(({ version }) => version)],
  );
  return new Map(
    rows.map(({ rid, version, patients, keys }) => [
      `${rid}/${version}`,
      { keys: keys?.join(), patients: patients?.join() },
    ]),
  );
}
