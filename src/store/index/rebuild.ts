/** Index rows made anew from the contents, stretch by stretch, while others read and write. */
import type { Resource } from 'fhir/r4.js';
import type { Definitions } from '../../fhir/definitions.ts';
import { Refusal } from '../../fhir/outcome.ts';
import { int2Array, int8Array } from '../arrays.ts';
import type { Catalog } from '../catalog.ts';
import type { Numbers } from '../numbers.ts';
import { type Executor, run } from '../pool.ts';
import type { Write } from '../write/batch.ts';
import { parametersOf } from '../write/parameters.ts';
import { REBUILD } from '../write/rebuild.ts';
import type { CodeKeys } from './code-keys.ts';
import { type Indexer, MOST_SETS, madeBy } from './row.ts';
import type { Units } from './units.ts';

/** Which index rows are looked at: of resources of some types, with numbers in (after, last]. */
export interface Stretch {
  readonly after: number;
  readonly last: number;
  /** numbers of types */
  readonly types: readonly number[];
  /** what a row must say it was made by, or something later */
  readonly made: number;
  /** whether rows that say so are made anew too */
  readonly whole: boolean;
}

export interface Rebuilt {
  /** up to this number all is done */
  readonly at: number;
  readonly count: number;
}

/** Thrown where a resource would be refused by what is indexed now, naming it. */
export class Unindexable extends Error {}

export interface Rebuilder {
  /**
   * Makes the next rows of a stretch anew, under locks of their resources until the transaction ends.
   *
   * @returns undefined where the posted parameters have changed meanwhile: nothing is done then
   */
  rebuild(executor: Executor, stretch: Stretch, baseUrl: string): Promise<Rebuilt | undefined>;
  /** What there is of each type in a stretch. */
  count(executor: Executor, stretch: Stretch): Promise<readonly Count[]>;
}

export interface Count {
  readonly type: string;
  readonly resources: number;
  /** index rows; as many as resources, where all is well */
  readonly rows: number;
  /** of these, made by what was asked for, or later */
  readonly current: number;
}

/** Resources whose locks are held together: who writes one waits some tens of milliseconds. */
const STRIDE = 100;

// Old values meet new ones by hash: each with each would be most of the time of a stride (100 ms against 15).
const PLAN_STRIDE = 'set local plan_cache_mode = force_custom_plan; set local enable_hashjoin = on';

const STALE = `(i.extractor is null or i.extractor / ${MOST_SETS} < $4::integer / ${MOST_SETS} or i.extractor % ${MOST_SETS} < $4::integer % ${MOST_SETS})`;
const NEXT = {
  name: 'rebuild_next',
  text: `select r.rid from resource r left join resource_index i on i.rid = r.rid
         where r.rid > $1 and r.rid <= $2 and r.type = any ($3::smallint[]) and r.version > 0 and not r.deleted
           and ($5::boolean or ${STALE})
         order by r.rid limit ${STRIDE}`,
};
// In the order of numbers, as all writers lock; what was written while this waited is seen as it is then.
const LOCK = {
  name: 'rebuild_lock',
  text: `select r.rid, r.type, r.id, r.content from resource r
         where r.rid = any ($1::bigint[]) and r.version > 0 and not r.deleted
         order by r.rid for no key update of r`,
};
const COUNT = {
  name: 'rebuild_count',
  text: `select coalesce(r.type, i.type), count(r.rid), count(i.rid), count(i.rid) filter (where not ${STALE})
         from (
           select rid, type from resource
           where rid > $1 and rid <= $2 and type = any ($3::smallint[]) and version > 0 and not deleted
         ) r
         full join (
           select rid, type, extractor from resource_index where rid > $1 and rid <= $2 and type = any ($3::smallint[])
         ) i on i.rid = r.rid
         group by 1`,
};

export function makeRebuilder(store: {
  readonly definitions: Definitions;
  readonly catalog: Catalog;
  readonly indexer: Indexer;
  readonly numbers: Numbers;
  readonly codeKeys: CodeKeys;
  readonly units: Units;
}): Rebuilder {
  const { definitions, catalog, indexer, numbers, codeKeys, units } = store;

  async function writesOf(rows: readonly unknown[][], baseUrl: string): Promise<Write[]> {
    const analyses = rows.map(([, , , content]) =>
      indexer.analyse(JSON.parse(content as string) as Resource, baseUrl),
    );
    const edges = analyses.flatMap((analysis) => analysis.edges);
    const targets = await numbers.resolve(edges);
    const paths = await catalog.pathNumbers(edges.map(({ path }) => path));
    let at = 0;
    return analyses.map((analysis, i) => {
      const [rid, type, id] = rows[i] as [number, number, string];
      const from = at;
      at += analysis.edges.length;
      try {
        const row = indexer.row(analysis, rid, targets.slice(from, at), paths.slice(from, at), baseUrl);
        return { ...NOTHING, rid, type, id, row };
      } catch (fault) {
        if (!(fault instanceof Refusal)) throw fault;
        throw new Unindexable(`${catalog.typeName(type)}/${id}: ${fault.message}`);
      }
    });
  }

  return {
    async rebuild(executor, { after, last, types, made, whole }, baseUrl) {
      const version = definitions.posted.version;
      const next = await run(executor, NEXT, [after, last, int2Array(types), made, whole]);
      const end = next[next.length - 1];
      if (!end) return { at: last, count: 0 };
      const rids = next.map(([rid]) => rid as number);
      const rows = await run(executor, LOCK, [int8Array(rids)]);
      const at = next.length < STRIDE ? last : (end[0] as number);
      // All of them deleted meanwhile.
      if (rows.length === 0) return { at, count: 0 };
      const writes = await writesOf(rows, baseUrl);
      if (definitions.posted.version !== version || madeBy(version) < made) return undefined;
      await codeKeys.add(writes.flatMap(({ row }) => row?.codes ?? []));
      await units.add(writes.flatMap(({ row }) => row?.units ?? []));
      const all = parametersOf(catalog, writes);
      await executor.query(PLAN_STRIDE);
      const [done] = await run(
        executor,
        REBUILD,
        REBUILD.parameters.map((name) => all[name]()),
      );
      return done?.[0] === 0 ? undefined : { at, count: writes.length };
    },
    async count(executor, { after, last, types, made }) {
      const rows = await run(executor, COUNT, [after, last, int2Array(types), made]);
      return rows.map(([type, resources, found, current]) => ({
        type: catalog.typeName(type as number),
        resources: resources as number,
        rows: found as number,
        current: current as number,
      }));
    },
  };
}

/** What is not written. */
const NOTHING = {
  content: '',
  security: null,
  blob: null,
  agent: 0,
  origin: null,
  epoch: 0,
  check: false,
  owns: [],
  locks: [],
} as const;
