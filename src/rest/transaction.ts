/** transaction (R4 http.html#transaction): all entries or none. */
import { readBundle, type SplitEntry } from '../fhir/entries.ts';
import { parseJson } from '../fhir/json.ts';
import { invalid, Refusal } from '../fhir/outcome.ts';
import { isId } from '../fhir/reference.ts';
import { nearest } from '../fhir/validation/nearest.ts';
import { answerJson } from '../http/answer.ts';
import { readText } from '../http/body.ts';
import { type Exchange, fhirBase } from '../http/exchange.ts';
import { demandFhirJson } from '../http/negotiation.ts';
import { once } from '../http/parameters.ts';
import { readReturn } from '../http/prefer.ts';
import { readTags } from '../http/versions.ts';
import type { Removed, TransactionEntry, Written } from '../records/records.ts';
import { answerBundle, type BundleEntry, responseOf } from './bundle.ts';
import { informing } from './resource.ts';
import type { RestContext } from './selection.ts';

/** POST [base] */
export async function transaction(context: RestContext, exchange: Exchange): Promise<void> {
  const { request, parameters, caller } = exchange;
  once(parameters, []);
  demandFhirJson(request.headers['content-type']);
  const text = await readText(request, context.config.maxBody);
  const done = await context.records
    .transaction(caller, readTransaction(context, text))
    .catch((thrown) => refuseWithPlace(thrown, text));

  const wanted = readReturn(request.headers.prefer as string | undefined, 'minimal');
  if (wanted === 'OperationOutcome')
    return answerJson(exchange, 200, [], informing(`All ${done.length} entries were carried out`));
  const base = fhirBase(context);
  return answerBundle(context, exchange, {
    type: 'transaction-response',
    links: [{ relation: 'self', url: base }],
    entries: done.map((each) => answerEntry(base, each, wanted === 'representation')),
  });
}

function answerEntry(base: string, done: Written | Removed, withResource: boolean): BundleEntry {
  if (!('content' in done)) return { rest: responseOf('204 No Content', done.version, done.updated) };
  const { type, id, version, updated, created, content } = done;
  const location = `${type}/${id}/_history/${version}`;
  // what a PUT with ifNoneMatch found was not read, and may be a deletion
  const shown = withResource && content !== '' ? done : undefined;
  return {
    fullUrl: `${base}/${type}/${id}`,
    resource: shown,
    rest: responseOf(created ? '201 Created' : '200 OK', version, updated, location),
  };
}

/** JSON faults in the text of an entry's resource are told with line and column in the whole. */
function refuseWithPlace(thrown: unknown, text: string): never {
  if (thrown instanceof Refusal && thrown.status === 400 && thrown.issues[0]?.code === 'structure')
    parseJson(text);
  throw thrown;
}

function readTransaction(context: RestContext, text: string): TransactionEntry[] {
  const { bundle, entries } = readBundle(text);
  if (bundle.resourceType !== 'Bundle')
    throw invalid('structure', 'Only a Bundle is posted here; other resources are posted to [base]/[type]');
  if (bundle.type === 'batch')
    throw invalid('not-supported', 'A batch is not supported yet: send a transaction', 'Bundle.type');
  if (bundle.type !== 'transaction')
    throw invalid('value', 'Bundle.type must be transaction for what is posted here', 'Bundle.type');
  return entries.map((entry, index) => readEntry(context, entry, `Bundle.entry[${index}]`));
}

function readEntry(context: RestContext, entry: SplitEntry, at: string): TransactionEntry {
  const { request, resource, fullUrl } = entry;
  if (typeof request !== 'object' || request === null)
    throw invalid('required', `${at} has no request, which says what to do with it`, `${at}.request`);
  const { method, ifMatch } = request;
  // Update as create only: where something was ever written under this id, it stays as it is.
  const create = method === 'PUT' && request.ifNoneMatch === '*';
  const unsupported = ['ifNoneExist', 'ifNoneMatch', 'ifModifiedSince'].find(
    (name) => Object.hasOwn(request, name) && !(create && name === 'ifNoneMatch'),
  );
  if (unsupported)
    throw invalid(
      'not-supported',
      `${at}.request.${unsupported} is not supported yet`,
      `${at}.request.${unsupported}`,
    );
  if (method !== 'POST' && method !== 'PUT' && method !== 'DELETE') throw noMethod(method, at);
  if (fullUrl !== undefined && typeof fullUrl !== 'string')
    throw invalid('structure', `${at}.fullUrl must be a text`, `${at}.fullUrl`);

  const { type, id } = readUrl(context, request.url, method, at);
  const version = ifMatch === undefined ? undefined : readVersion(ifMatch, at);
  if (method === 'DELETE') return { method, type, id, ifMatch: version };
  if (resource === undefined)
    throw invalid('required', `${at} has no resource, which ${method} needs`, `${at}.resource`);
  return method === 'POST'
    ? { method, type, fullUrl, body: resource }
    : { method, type, id, fullUrl, body: resource, ifMatch: version, create };
}

function noMethod(method: unknown, at: string): Refusal {
  const where = `${at}.request.method`;
  if (method === 'GET' || method === 'HEAD' || method === 'PATCH')
    return invalid('not-supported', `${where}: ${method} in a transaction is not supported yet`, where);
  return invalid('value', `${where} must be POST, PUT or DELETE`, where);
}

/** The type and id that an entry's url names: `Type` for POST, `Type/id` for the others. */
function readUrl(
  context: RestContext,
  url: unknown,
  method: string,
  at: string,
): { type: string; id: string } {
  const where = `${at}.request.url`;
  if (typeof url !== 'string') throw invalid('required', `${where} is missing`, where);
  const base = `${fhirBase(context)}/`;
  const text = url.startsWith(base) ? url.slice(base.length) : url;
  if (text.includes('?'))
    throw invalid('not-supported', `${where}: conditional interactions are not supported yet`, where);
  const [type = '', id, ...more] = text.split('/');
  const { definitions } = context;
  if (!definitions.isResourceType(type)) {
    const meant = nearest(type, definitions.resourceTypes);
    const hint = meant ? `: did you mean ${meant}?` : '';
    throw invalid('not-supported', `${where} "${url.slice(0, 80)}" names no resource type${hint}`, where);
  }
  if (method === 'POST') {
    if (id !== undefined)
      throw invalid('value', `${where} must be "${type}" alone: the server gives the id`, where);
    return { type, id: '' };
  }
  if (id === undefined || more.length > 0 || !isId(id))
    throw invalid('value', `${where} must be Type/id for ${method}, not "${url.slice(0, 80)}"`, where);
  return { type, id };
}

function readVersion(ifMatch: unknown, at: string): number {
  const where = `${at}.request.ifMatch`;
  const match = typeof ifMatch === 'string' ? readTags(ifMatch, where) : [];
  if (match === '*' || match.length !== 1)
    throw invalid('value', `${where} must be one entity tag, such as W/"3"`, where);
  return match[0]!;
}
