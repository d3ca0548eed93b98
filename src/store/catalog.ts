/** What a database knows about itself, read once at start: its secret, its feed base, the numbers of types and paths. */
import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import type { Definitions } from '../fhir/definitions.ts';
import { EXTRACTOR_VERSION } from '../fhir/extract.ts';
import type { Key } from './hash.ts';
import { HASH_SCHEME } from './index/keys.ts';
import { run } from './pool.ts';

export interface Catalog {
  /** the secret of all keys */
  readonly secret: Key;
  /** what links to pages are sealed with */
  readonly linkKey: Buffer;
  /** added to transaction numbers in the feed, so that they go on rising after a restore into a new cluster */
  readonly feedBase: number;
  typeNumber(name: string): number;
  typeName(number: number): string;
  /** of all types */
  readonly typeNumbers: readonly number[];
  pathName(number: number): string | undefined;
  /** Where `present` of an index row says whether it has a value for a parameter, by the parameter's `nameOf`. */
  parameterBit(type: string, name: string): number;
  /** Gives bits to parameters that have none yet, by type and name. */
  addParameters(wanted: readonly (readonly [type: string, name: string])[]): Promise<void>;
  /** Numbers of element paths, which are made where they are new. */
  pathNumbers(names: readonly string[]): Promise<readonly number[]>;
}

const SETTINGS = {
  name: 'settings',
  text: `with made as (
           insert into setting (name, value) select * from unnest($1::text[], $2::text[])
           on conflict (name) do nothing returning name, value
         )
         select name, value from setting union all select name, value from made`,
};
// Transactions count from the beginning in the cluster that a dump is restored into: the base lifts them above
// those of the feed that came along.
const LIFT_FEED = {
  name: 'lift_feed',
  text: `update setting set value = newest.tx::text
         from (select coalesce(max(tx), 0) as tx from change) newest
         where name = 'feed_base'
           and newest.tx > value::bigint + pg_snapshot_xmax(pg_current_snapshot())::text::bigint
         returning value`,
};
const TYPES = {
  name: 'types',
  text: `insert into type (code, name) select ordinality, name from unnest($1::text[]) with ordinality e (name)
         on conflict do nothing`,
};
const PATHS = { name: 'paths', text: 'select code, name from path' };
const ADD_PATHS = {
  name: 'add_paths',
  text: `with wanted as (select distinct unnest($1::text[]) as name), made as (
           insert into path (name) select name from wanted w where not exists (select from path p where p.name = w.name)
           on conflict (name) do nothing returning code, name
         )
         select code, name from path where name = any ($1) union all select code, name from made`,
};
const PARAMETERS = { name: 'parameters', text: 'select type, code, bit from parameter' };
// Bits that are given away stay: rows have them.
const ADD_PARAMETERS = {
  name: 'add_parameters',
  text: `insert into parameter (type, code, bit)
         select type, code, coalesce((select max(bit) + 1 from parameter p where p.type = w.type), 0)
           + row_number() over (partition by type order by n) - 1
         from unnest($1::smallint[], $2::text[]) with ordinality w (type, code, n)
         on conflict do nothing`,
};

/**
 * Reads the catalog of a migrated database, and writes what a new one lacks.
 *
 * @param definitions whose types are in the frozen order of R4: their numbers are stored
 * @throws            Error where the database was filled under another hash scheme
 */
export async function openCatalog(
  pool: pg.Pool,
  definitions: Pick<Definitions, 'resourceTypes' | 'searchParameters'>,
): Promise<Catalog> {
  const { resourceTypes } = definitions;
  const fresh = {
    secret: randomBytes(8).toString('hex'),
    link_key: randomBytes(32).toString('hex'),
    hash_scheme: String(HASH_SCHEME),
    feed_base: '0',
    extractor: String(EXTRACTOR_VERSION),
  };
  const settings = new Map(
    (await run(pool, SETTINGS, [Object.keys(fresh), Object.values(fresh)])) as [string, string][],
  );
  if (settings.get('hash_scheme') !== String(HASH_SCHEME))
    throw new Error(
      `The database has keys of scheme ${settings.get('hash_scheme')}, this version makes scheme ${HASH_SCHEME}: use the version of Consilium that it was filled with`,
    );
  if (Number(settings.get('extractor')) > EXTRACTOR_VERSION)
    throw new Error(
      `The database is indexed by extractors of version ${settings.get('extractor')}, this version has ${EXTRACTOR_VERSION}: use the version of Consilium that it was used with last`,
    );
  const secret = Buffer.from(settings.get('secret') as string, 'hex');
  await run(pool, TYPES, [resourceTypes]);
  const [lifted] = await run(pool, LIFT_FEED, []);
  const numbers = new Map(resourceTypes.map((name, i) => [name, i + 1]));
  const paths = new Map<string, number>();
  const names = new Map<number, string>();
  const keep = (rows: unknown[][]): void => {
    for (const [code, name] of rows as [number, string][]) {
      paths.set(name, code);
      names.set(code, name);
    }
  };
  keep(await run(pool, PATHS, []));
  const standard = resourceTypes.flatMap((type) =>
    definitions.searchParameters(type).map(({ code }) => [type, code] as const),
  );
  const bits = new Map<string, number>();
  const addParameters: Catalog['addParameters'] = async (wanted) => {
    const missing = wanted
      .map(([type, name]) => [numbers.get(type) as number, name] as const)
      .filter(([type, name]) => !bits.has(`${type} ${name}`));
    if (missing.length === 0) return;
    for (const [parameter, bit] of await readBits(pool, missing)) bits.set(parameter, bit);
  };
  await addParameters(standard);
  return {
    linkKey: Buffer.from(settings.get('link_key') as string, 'hex'),
    secret: { high: secret.readInt32BE(0), low: secret.readInt32BE(4) },
    feedBase: Number(lifted?.[0] ?? settings.get('feed_base')),
    typeNumber: (name) => {
      const number = numbers.get(name);
      if (number === undefined) throw new Error(`${name} is no resource type`);
      return number;
    },
    typeNumbers: [...numbers.values()],
    typeName: (number) => resourceTypes[number - 1] as string,
    pathName: (number) => names.get(number),
    parameterBit: (type, name) => {
      const bit = bits.get(`${numbers.get(type)} ${name}`);
      if (bit === undefined) throw new Error(`${name} is no parameter of ${type}`);
      return bit;
    },
    addParameters,
    async pathNumbers(wanted) {
      // Other processes add paths too; a conflict with one that has not committed yet gives no row at first.
      for (;;) {
        const missing = wanted.filter((name) => !paths.has(name));
        if (missing.length === 0) return wanted.map((name) => paths.get(name) as number);
        keep(await run(pool, ADD_PATHS, [missing]));
      }
    },
  };
}

/** The bits of all parameters, by number of the type and name; those that are wanted and new get one. */
async function readBits(
  pool: pg.Pool,
  wanted: readonly (readonly [type: number, name: string])[],
): Promise<ReadonlyMap<string, number>> {
  // Another process may give the same bits away at this moment: its rows are then seen at the next look.
  for (;;) {
    const rows = (await run(pool, PARAMETERS, [])) as [number, string, number][];
    const bits = new Map(rows.map(([type, name, bit]) => [`${type} ${name}`, bit]));
    const missing = wanted.filter(([type, name]) => !bits.has(`${type} ${name}`));
    if (missing.length === 0) return bits;
    await run(pool, ADD_PARAMETERS, [missing.map(([type]) => type), missing.map(([, name]) => name)]);
  }
}
