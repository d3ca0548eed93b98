/** $meta, $meta-add and $meta-delete (R4 resource-operation-meta.html and its like). */
import { render } from '../fhir/content.ts';
import { parseKeepingNumbers } from '../fhir/json.ts';
import { invalid } from '../fhir/outcome.ts';
import { answerJson } from '../http/answer.ts';
import type { Context, Exchange } from '../http/exchange.ts';
import { etagOf, httpDate, readTags } from '../http/versions.ts';
import type { MetaEdit, Stored } from '../records/records.ts';
import { readArguments } from './arguments.ts';

/** Meta of a resource, or of one of its versions. */
export async function meta(context: Context, exchange: Exchange): Promise<void> {
  const { path, caller } = exchange;
  const { type, id, version } = path;
  await readArguments(context, exchange);
  const { records } = context;
  const stored =
    version === '' ? await records.read(caller, type, id) : await records.vread(caller, type, id, version);
  return answerMeta(exchange, stored);
}

export const metaAdd = changing('add');
export const metaDelete = changing('delete');

function changing(kind: MetaEdit['kind']) {
  return async (context: Context, exchange: Exchange): Promise<void> => {
    const { path, caller, request } = exchange;
    const given = await readArguments(context, exchange);
    const [meta = {}] = given.values('meta');
    const to = { type: path.type, id: path.id, ifMatch: readIfMatch(request.headers['if-match']) };
    return answerMeta(exchange, await context.records.changeMeta(caller, to, { kind, meta }));
  };
}

/** The version that must be the current one; undefined: any. */
function readIfMatch(header: string | undefined): number | undefined {
  const match = header === undefined ? '*' : readTags(header, 'If-Match');
  if (match === '*') return undefined;
  if (match.length === 1) return match[0];
  throw invalid('not-supported', 'If-Match is one entity tag here, such as W/"3"');
}

async function answerMeta(exchange: Exchange, stored: Stored): Promise<void> {
  const { meta } = parseKeepingNumbers(render(stored.content, stored));
  const parameters = { resourceType: 'Parameters', parameter: [{ name: 'return', valueMeta: meta }] };
  const headers = ['ETag', etagOf(stored.version), 'Last-Modified', httpDate(stored.updated)];
  return answerJson(exchange, 200, headers, JSON.stringify(parameters));
}
