/** Composition/$document (R4 composition-operation-document.html): the document that a composition is the beginning of. */
import { randomUUID } from 'node:crypto';
import { render } from '../fhir/content.ts';
import { invalid } from '../fhir/outcome.ts';
import { parseReference } from '../fhir/reference.ts';
import { answerJson } from '../http/answer.ts';
import { type Context, type Exchange, fhirBase } from '../http/exchange.ts';
import { etagOf, httpDate } from '../http/versions.ts';
import { type Arguments, readArguments } from './arguments.ts';

/** GET or POST [base]/Composition/[id]/$document, or [base]/Composition/$document?id=…; `persist=true` stores it as well. */
export async function document(context: Context, exchange: Exchange): Promise<void> {
  const { caller, path } = exchange;
  const given = await readArguments(context, exchange);
  if (given.text('graph') !== undefined)
    throw invalid(
      'not-supported',
      'graph is not supported: a document has all that its composition refers to',
    );
  const id = path.id === '' ? compositionOf(context, given) : path.id;
  const found = await context.records.document(caller, id);
  const base = fhirBase(context);
  const entries = found.map((stored) => {
    const { type, id: own } = stored;
    return `{"fullUrl":"${base}/${type}/${own}","resource":${render(stored.content, stored)}}`;
  });
  const identifier = `{"system":"urn:ietf:rfc:3986","value":"urn:uuid:${randomUUID()}"}`;
  const bundle = `{"resourceType":"Bundle","identifier":${identifier},"type":"document","timestamp":"${new Date().toISOString()}","entry":[${entries.join(',')}]}`;
  if (given.text('persist') !== 'true') return answerJson(exchange, 200, [], bundle);
  const written = await context.records.create(caller, 'Bundle', bundle);
  const location = `${base}/Bundle/${written.id}/_history/${written.version}`;
  const headers = [
    ...['Location', location, 'ETag', etagOf(written.version)],
    ...['Last-Modified', httpDate(written.updated)],
  ];
  return answerJson(exchange, 201, headers, render(written.content, written));
}

/** The parameter `id` names it by its id, or by a URL. */
function compositionOf({ config, definitions }: Context, given: Arguments): string {
  const text = given.text('id');
  if (text === undefined)
    throw invalid(
      'required',
      '$document needs to know of which composition: call it on one, or give the parameter id',
    );
  if (!text.includes('/')) return text;
  const parsed = parseReference(text, `${config.baseUrl}/fhir`, definitions.isResourceType);
  if (parsed.kind === 'local' && parsed.type === 'Composition') return parsed.id;
  throw invalid('value', 'id is that of a Composition of this server');
}
