/** A Composition with all that it refers to, directly and in turn (R4 composition-operation-document.html, documents.html). */
import { demand } from '../access/access.ts';
import { error, Refusal } from '../fhir/outcome.ts';
import { findParts } from '../store/read/document.ts';
import { checkEpoch } from './callers.ts';
import { contentsOf } from './gathered.ts';
import { read } from './read.ts';
import type { Caller, Stored } from './records.ts';
import { numbersSeen } from './seen.ts';
import type { Setting } from './setting.ts';

/** So many resources a document may have. */
const MOST = 1000;

/**
 * The Composition first, then what it refers to, in its order. All of that is there, or there is no document; of what
 * these refer to in turn there is what is here, may be read, and is about nobody else than the Composition.
 *
 * @throws Refusal 404, 410; 403; 422 naming what is not there, or that it is too much
 */
export async function document(
  setting: Setting,
  caller: Caller,
  id: string,
): Promise<AsyncIterable<readonly Stored[]>> {
  const { store, definitions, baseUrl, callers } = setting;
  const { catalog } = store;
  const composition = await read(setting, caller, 'Composition', id);
  const { edges } = store.indexer.analyse(JSON.parse(composition.content), baseUrl);
  // Other documents that it stands in a relation to are no part of it.
  const named = edges.filter(({ path }) => !path.startsWith('Composition.relatesTo'));
  if (named.length > MOST) throw tooMuch(id);
  for (const { type } of named) demand(caller.access, type, 'r');
  const [own, ...numbers] = await store.numbers.find([{ type: 'Composition', id }, ...named]);
  const direct = [...new Set(numbers.filter((rid) => rid !== undefined && rid !== own))] as number[];
  // Whatever else refers to a Composition refers to another document.
  const types = definitions.resourceTypes.filter(
    (type) => type !== 'Composition' && caller.access.allows(type, 'r'),
  );
  const parts = await findParts(store.pool, {
    rid: own as number,
    direct,
    types: types.map(catalog.typeNumber),
    patient: catalog.typeNumber('Patient'),
    count: MOST,
  });
  checkEpoch(caller, parts[0]?.epoch ?? (await callers.epoch()));
  const here = new Set(parts.map(({ rid }) => rid)).add(own as number);
  const seen = await numbersSeen(setting, caller, 'r', direct);
  const missing = named.filter((_, i) => {
    const rid = numbers[i] as number;
    return !here.has(rid) || (caller.access.limited && rid !== own && !seen.has(rid));
  });
  // One more is the Composition itself.
  if (parts.length === MOST) throw tooMuch(id);
  if (missing.length > 0) {
    const names = [...new Set(missing.map((edge) => `${edge.type}/${edge.id}`))].slice(0, 10);
    throw refused('not-found', `Composition/${id} refers to what is not here: ${names.join(', ')}`);
  }
  return pieces();

  async function* pieces(): AsyncGenerator<readonly Stored[]> {
    yield [composition];
    if (parts.length > 0)
      yield* contentsOf(
        setting,
        caller,
        parts.map((part) => ({ ...part, support: true })),
      );
  }
}

const tooMuch = (id: string): Refusal =>
  refused('too-costly', `Composition/${id} refers to too much: a document has ${MOST} resources at most`);

const refused = (code: 'too-costly' | 'not-found', why: string): Refusal =>
  new Refusal(422, [error(code, why)]);
