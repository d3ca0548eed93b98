/** Patient/$everything and Encounter/$everything (R4 patient-operation-everything.html, encounter-operation-everything.html). */
import { rangeOf } from '../fhir/date.ts';
import { invalid } from '../fhir/outcome.ts';
import type { Context, Exchange } from '../http/exchange.ts';
import { answerSearchset, type Found } from '../http/gathered.ts';
import { pageLinks, readPage } from '../http/page-links.ts';
import type { Everything, EverythingRequest } from '../records/records.ts';
import { type Arguments, readArguments } from './arguments.ts';

/** The whole record, in one Bundle unless `_count` asks for pages. */
export async function everything(context: Context, exchange: Exchange): Promise<void> {
  const { path, caller, format } = exchange;
  const place = [path.type, path.id, '$everything'].filter(Boolean).join('/');
  const asked = readPage(context, caller.agent, place, exchange.parameters);
  const given = await readArguments(context, { ...exchange, parameters: asked.parameters });
  const request: EverythingRequest = {
    type: path.type as EverythingRequest['type'],
    id: path.id || undefined,
    ...readWanted(context, given),
    after: asked.after,
  };
  const found = await context.records.everything(caller, request);
  const { parameters } = given;
  const first = { ...asked, parameters };
  const links = pageLinks(context, caller.agent, place, first, format.asked, { next: found.next });
  return answerSearchset(context, exchange, links, entriesOf(found));
}

async function* entriesOf({ pieces }: Everything): AsyncGenerator<Found[]> {
  for await (const piece of pieces)
    yield piece.map((resource) => ({ resource, mode: resource.support ? 'include' : 'match' }));
}

function readWanted(
  { definitions }: Context,
  given: Arguments,
): Omit<EverythingRequest, 'type' | 'id' | 'after'> {
  const start = given.text('start');
  const end = given.text('end');
  const since = given.text('_since');
  const types = given.texts('_type').flatMap((text) => text.split(',').filter(Boolean));
  const unknown = types.find((type) => !definitions.isResourceType(type));
  if (unknown !== undefined)
    throw invalid('value', `_type names resource types: "${unknown.slice(0, 80)}" is none of R4`);
  const count = given.text('_count');
  if (count !== undefined && Number(count) < 1) throw invalid('value', '_count is a number from 1');
  return {
    start: start === undefined ? undefined : rangeOf(start).low,
    end: end === undefined ? undefined : rangeOf(end).high,
    since: since === undefined ? undefined : rangeOf(since).low,
    types: types.length > 0 ? types : undefined,
    count: count === undefined ? undefined : Number(count),
  };
}
