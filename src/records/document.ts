/** A Composition with all that it refers to (R4 composition-operation-document.html, documents.html). */
import { demand } from '../access/access.ts';
import { error, Refusal } from '../fhir/outcome.ts';
import { instantOf } from '../store/pool.ts';
import { type ContentRow, readContents } from '../store/read/everything.ts';
import { cutPage } from '../store/read/page.ts';
import { checkEpoch } from './callers.ts';
import { read } from './read.ts';
import type { Caller, Stored } from './records.ts';
import type { ReadSetting } from './setting.ts';

/** So many resources a document may have. */
const MOST = 1000;

/**
 * The Composition first, then each local resource that it refers to, in the order of their numbers.
 *
 * @throws Refusal 404, 410; 403; 422 naming what is not there, or that it refers to too much
 */
export async function document(setting: ReadSetting, caller: Caller, id: string): Promise<readonly Stored[]> {
  const { store, baseUrl } = setting;
  const composition = await read(setting, caller, 'Composition', id);
  const { edges } = store.indexer.analyse(JSON.parse(composition.content), baseUrl);
  // Other documents that it stands in a relation to are no part of it.
  const named = edges.filter(({ path }) => !path.startsWith('Composition.relatesTo'));
  if (named.length > MOST)
    throw refused(
      'too-costly',
      `Composition/${id} refers to ${named.length} resources: ${MOST} at most make a document`,
    );
  for (const { type } of named) demand(caller.access, type, 'r');
  const numbers = await store.numbers.find(named);
  const rids = [...new Set(numbers.filter((rid) => rid !== undefined))];
  const rows = await wholeContents(setting, rids);
  checkEpoch(caller, rows[0]?.epoch ?? caller.epoch);
  const found = new Set(rows.map(({ rid }) => rid));
  const missing = named.filter((_, i) => !found.has(numbers[i] as number));
  if (missing.length > 0) {
    const names = [...new Set(missing.map((edge) => `${edge.type}/${edge.id}`))].slice(0, 10);
    throw refused('not-found', `Composition/${id} refers to what is not here: ${names.join(', ')}`);
  }
  const { typeName } = store.catalog;
  const others = rows.map(({ type, id, version, updated, content, blob }) => ({
    ...{ type: typeName(type), id, version, updated: instantOf(updated), deleted: false, content, blob },
  }));
  return [composition, ...others.filter((one) => one.type !== 'Composition' || one.id !== id)];
}

/** All of them, also where they are more bytes than a page takes. */
async function wholeContents(
  { store }: ReadSetting,
  rids: readonly number[],
): Promise<(ContentRow & { readonly content: string })[]> {
  const rows: (ContentRow & { readonly content: string })[] = [];
  for (let left = rids; left.length > 0; ) {
    const page = await cutPage(store.pool, await readContents(store.pool, left), left.length);
    rows.push(...page);
    const last = page[page.length - 1];
    if (!last) break;
    left = left.slice(left.indexOf(last.rid) + 1);
  }
  return rows;
}

const refused = (code: 'too-costly' | 'not-found', why: string): Refusal =>
  new Refusal(422, [error(code, why)]);
