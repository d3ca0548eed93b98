/** What is included, at the versions that are referred to (R4 search.html#include). */
import { int8Array } from '../arrays.ts';
import type { Catalog } from '../catalog.ts';
import { type Executor, type Row, run } from '../pool.ts';

/** A version of a resource that is included. */
export interface Included {
  readonly rid: number;
  readonly type: string;
  readonly id: string;
  readonly version: number;
  readonly updated: string;
  readonly content: string;
  readonly blob: string | null;
}

/** From a row of rid, type, id, version, updated, content, blob. */
export const includedOf = (
  catalog: Pick<Catalog, 'typeName'>,
  [rid, type, id, version, updated, content, blob]: Row,
): Included =>
  ({ rid, type: catalog.typeName(type as number), id, version, updated, content, blob }) as Included;

const VERSIONS = {
  name: 'included_versions',
  text: `select v.rid, r.type, r.id, v.version, v.updated, v.content, v.blob
         from unnest($1::bigint[], $2::integer[]) e (rid, version)
         join version v on v.rid = e.rid and v.version = e.version join resource r on r.rid = v.rid
         where not v.deleted`,
};

// Contents are kept without white space.
const VERSIONED = /"reference":"([A-Z][A-Za-z]+\/[A-Za-z0-9.-]{1,64})\/_history\/([1-9]\d{0,8})"/g;

/**
 * The versions that are referred to, in place of the current ones; these stay where they are referred to as well.
 *
 * @param from     what refers
 * @param included current versions of what it refers to
 */
export async function asReferred(
  executor: Executor,
  catalog: Pick<Catalog, 'typeName'>,
  from: readonly Pick<Included, 'content'>[],
  included: readonly Included[],
): Promise<readonly Included[]> {
  const texts = from.map(({ content }) => content).filter((content) => content.includes('/_history/'));
  if (texts.length === 0) return included;
  const named = new Map<string, Set<number>>();
  for (const text of texts)
    for (const [, name = '', version] of text.matchAll(VERSIONED))
      named.set(name, (named.get(name) ?? new Set()).add(Number(version)));
  const wanted = included.flatMap(({ rid, type, id, version: current }) =>
    [...(named.get(`${type}/${id}`) ?? [])]
      .filter((version) => version !== current)
      .map((version) => ({ rid, version })),
  );
  if (wanted.length === 0) return included;
  const rows = await run(executor, VERSIONS, [
    int8Array(wanted.map(({ rid }) => rid)),
    wanted.map(({ version }) => version),
  ]);
  const past = rows.map((row) => includedOf(catalog, row));
  const replaced = new Set(past.map(({ rid }) => rid));
  const isCurrent = ({ type, id, version }: Included): boolean =>
    named.get(`${type}/${id}`)?.has(version) ||
    from.some(({ content }) => content.includes(`"reference":"${type}/${id}"`));
  return [...included.filter((one) => !replaced.has(one.rid) || isCurrent(one)), ...past];
}
