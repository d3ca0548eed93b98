/** What is included with the matches of a search (R4 search.html#include): a few statements, however many matches. */
import type { Definitions } from '../../fhir/definitions.ts';
import { patientParameters } from '../../fhir/patient-parameters.ts';
import { referencePaths } from '../../fhir/reference-paths.ts';
import type { Include } from '../../search/request.ts';
import { int8Array, keyArray } from '../arrays.ts';
import type { Catalog } from '../catalog.ts';
import type { Key } from '../hash.ts';
import { type Keys, keyText, localKey } from '../index/keys.ts';
import { type Executor, run } from '../pool.ts';
import { asReferred, type Included, includedOf } from './versions.ts';

export interface Including {
  readonly included: readonly Included[];
  /** whether there would have been more than the bounds allow */
  readonly more: boolean;
}

/** So many are included with a page, and so many bytes of them, at most. */
export const MOST_INCLUDED = 1000;
const MOST_BYTES = 32 * 2 ** 20;

// Of each resource the current targets of its edges at these paths, of this type, where it is given.
const FORWARD = {
  name: 'include',
  text: `select distinct e.target
         from resource_index s cross join unnest(s.targets, s.paths) e (target, path)
         join resource_index t on t.rid = e.target
         where s.rid = any ($1::bigint[]) and ($2::smallint is null or s.type = $2)
           and e.path = any (array(select code from path where name = any ($3::text[])))
           and ($4::smallint is null or t.type = $4)
         limit $5`,
};
// Whose patients they are; rides on timeline_patient.
const OF_PATIENTS = {
  name: 'revinclude_patients',
  text: `select distinct t.rid from timeline t
         where t.patient = any ($1::bigint[]) and t.key = any ($2::bigint[]) limit $3`,
};
// What has a key of one of them, and an edge to it; rides on the GIN index of keys.
const REVERSE = {
  name: 'revinclude',
  text: `select s.rid from resource_index s
         where s.keys && $1::bigint[] and ($2::smallint is null or s.type = $2) and s.targets && $3::bigint[] limit $4`,
};
const CONTENTS = {
  name: 'included_contents',
  text: `select rid, type, id, version, updated, content, blob
         from (
           select r.*, sum(octet_length(r.content)) over (order by e.n) as bytes, e.n
           from unnest($1::bigint[]) with ordinality e (rid, n) join resource r on r.rid = e.rid
           where r.version > 0 and not r.deleted
         ) found where bytes <= $2::bigint order by n`,
};

/** A resource from which references are followed. */
export type From = Pick<Included, 'rid' | 'type' | 'id' | 'content'>;

export interface Includer {
  /**
   * Follows includes from a page's matches, and those that iterate from what they lead to.
   *
   * Nothing is followed further, or shown, that the caller may not see.
   */
  include(matches: readonly From[], includes: readonly Include[], following: Following): Promise<Including>;
}

export interface Following {
  /** types of which the caller may be shown resources */
  mayRead(type: string): boolean;
  /** those that the caller may be shown */
  seen(found: readonly Included[]): Promise<readonly Included[]>;
  /** The numbers of what canonicals lead to, or of what leads to some by these; so many at most. */
  byUrl(from: readonly From[], include: Include, most: number): Promise<readonly number[]>;
}

export function makeIncluder(
  executor: Executor,
  definitions: Definitions,
  catalog: Catalog,
  keys: Keys,
): Includer {
  const numberOf = (type: string | undefined): number | null =>
    type === undefined || type === '*' ? null : catalog.typeNumber(type);

  const referencesOf = (type: string) =>
    definitions.searchParameters(type).filter((one) => one.type === 'reference');

  async function forward(from: readonly From[], { source, parameter, target }: Include, most: number) {
    const types = source === '*' ? new Set(from.map(({ type }) => type)) : [source];
    const paths = [...types].flatMap((type) =>
      (parameter ? [parameter] : referencesOf(type)).flatMap(
        (one) => referencePaths(definitions, type, one) ?? [],
      ),
    );
    if (paths.length === 0) return [];
    const rids = int8Array(from.map(({ rid }) => rid));
    return run(executor, FORWARD, [rids, numberOf(source), paths, numberOf(target), most]);
  }

  async function backward(from: readonly From[], { source, parameter, target }: Include, most: number) {
    const sources = source === '*' ? definitions.resourceTypes : [source];
    const aimed = target === undefined ? from : from.filter(({ type }) => type === target);
    const rows: unknown[][] = [];
    const wanted: Key[] = [];
    // By whichever of its parameters: a patient's stretch is one.
    const stretches = new Set<string>();
    for (const referring of sources) {
      const ofPatients = patientParameters(definitions, referring);
      for (const one of parameter ? [parameter] : referencesOf(referring)) {
        if (!referencePaths(definitions, referring, one)) continue;
        const own = keys.parameter(referring, one);
        for (const { type, id } of aimed)
          if (type === 'Patient' && ofPatients.has(one.code)) stretches.add(keyText(keys.type(referring)));
          else if (!one.target?.length || one.target.includes(type)) wanted.push(localKey(own, type, id));
      }
    }
    if (stretches.size > 0) {
      const patients = aimed.filter(({ type }) => type === 'Patient').map(({ rid }) => rid);
      rows.push(...(await run(executor, OF_PATIENTS, [int8Array(patients), [...stretches], most])));
    }
    if (wanted.length > 0)
      rows.push(
        ...(await run(executor, REVERSE, [
          keyArray(wanted.flatMap(({ high, low }) => [high, low])),
          numberOf(source),
          int8Array(aimed.map(({ rid }) => rid)),
          most,
        ])),
      );
    return rows;
  }

  return {
    async include(matches, includes, { mayRead, seen, byUrl }) {
      const known = new Set(matches.map(({ rid }) => rid));
      const included: Included[] = [];
      let from: readonly From[] = matches;
      let more = false;
      let bytes = MOST_BYTES;
      for (let round = includes; round.length > 0 && from.length > 0 && !more; ) {
        const fresh: number[] = [];
        for (const one of round) {
          const most = MOST_INCLUDED - included.length - fresh.length + 1;
          const rows = (await (one.reverse ? backward : forward)(from, one, most + known.size)) as [number][];
          const led = await byUrl(from, one, most + known.size);
          for (const rid of [...rows.map(([rid]) => rid), ...led]) {
            if (known.has(rid)) continue;
            if (included.length + fresh.length >= MOST_INCLUDED) {
              more = true;
              break;
            }
            known.add(rid);
            fresh.push(rid);
          }
        }
        const found = await contents(fresh, mayRead, bytes);
        more ||= found.cut;
        const current = await seen(found.included);
        const shown = await asReferred(executor, catalog, from, current);
        for (const { content } of shown) bytes -= content.length;
        included.push(...(await seen(shown)));
        from = current;
        round = includes.filter(({ iterate }) => iterate);
      }
      return { included, more };
    },
  };

  async function contents(rids: readonly number[], mayRead: (type: string) => boolean, bytes: number) {
    if (rids.length === 0) return { included: [], cut: false };
    const rows = await run(executor, CONTENTS, [int8Array(rids), Math.max(bytes, 0)]);
    const all = rows.map((row) => includedOf(catalog, row));
    // What has been deleted since is missing as well: then it is told once too often that there is more.
    return { included: all.filter(({ type }) => mayRead(type)), cut: rows.length < rids.length };
  }
}
