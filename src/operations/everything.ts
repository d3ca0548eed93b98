/** Patient/$everything and Encounter/$everything (R4 patient-operation-everything.html, encounter-operation-everything.html). */
import { rangeOf } from '../fhir/date.ts';
import { invalid } from '../fhir/outcome.ts';
import { type Context, type Exchange, fhirBase } from '../http/exchange.ts';
import { answerSearchset, type BundleLink, type Found } from '../http/searchset.ts';
import type { Everything, EverythingRequest } from '../records/records.ts';
import { type Parameter, writeParameters } from '../search/query-string.ts';
import { type Arguments, readArguments } from './arguments.ts';

/** Names the first resource of a further page. */
const AFTER = '_after';

/** The whole record, in one Bundle unless `_count` asks for pages. */
export async function everything(context: Context, exchange: Exchange): Promise<void> {
  const { path, caller, format } = exchange;
  const given = await readArguments(context, exchange, (name) => name === AFTER);
  const request: EverythingRequest = {
    type: path.type as EverythingRequest['type'],
    id: path.id || undefined,
    ...readWanted(context, given),
  };
  const found = await context.records.everything(caller, request);
  const url = [fhirBase(context), path.type, path.id, '$everything'].filter(Boolean).join('/');
  const links = linksOf(url, [...given.parameters, ...format.asked], request.after, found.next);
  return answerSearchset(context, exchange, links, entriesOf(found));
}

async function* entriesOf({ pieces }: Everything): AsyncGenerator<Found[]> {
  for await (const piece of pieces)
    yield piece.map((resource) => ({ resource, mode: resource.support ? 'include' : 'match' }));
}

function readWanted({ definitions }: Context, given: Arguments): Omit<EverythingRequest, 'type' | 'id'> {
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
    after: given.others[0]?.[1],
  };
}

function linksOf(
  url: string,
  parameters: readonly Parameter[],
  after: string | undefined,
  next: string | undefined,
): BundleLink[] {
  const link = (relation: string, from: string | undefined): BundleLink => {
    const query = writeParameters(from === undefined ? parameters : [...parameters, [AFTER, from]]);
    return { relation, url: query === '' ? url : `${url}?${query}` };
  };
  return next === undefined ? [link('self', after)] : [link('self', after), link('next', next)];
}
