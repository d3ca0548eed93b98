/** What an entry of a batch or transaction asks for (R4 bundle.html#bundle-unique, http.html#transaction). */
import { setImmediate as turn } from 'node:timers/promises';
import type { Binary, BundleEntryRequest } from 'fhir/r4.js';
import type { SplitEntry } from '../fhir/entries.ts';
import { parseJson } from '../fhir/json.ts';
import { invalid, Refusal } from '../fhir/outcome.ts';
import { isId } from '../fhir/reference.ts';
import { nearest } from '../fhir/validation/nearest.ts';
import { fhirBase } from '../http/exchange.ts';
import { type FhirPath, readPath } from '../http/path.ts';
import { makeUnderstood } from '../http/understood.ts';
import { readTags } from '../http/versions.ts';
import type { Entry, Read, Target } from '../records/records.ts';
import { parseCondition } from '../search/condition.ts';
import { type Parameter, readParameters } from '../search/query-string.ts';
import { queryOf } from './condition.ts';
import { readHistory } from './history.ts';
import { JSON_PATCH } from './patch.ts';
import { readSearch } from './search.ts';
import { type RestContext, readSelection, type Selection, WHOLE } from './selection.ts';

/** An entry that was understood. */
export interface Asked {
  readonly entry: Entry;
  /** of a reading entry: which part, and of what there is already nothing */
  readonly selection: Selection;
  /** of a search or history: where its links lead to, and of a history with which parameters */
  readonly place: string;
  readonly parameters: readonly Parameter[];
  readonly head: boolean;
  readonly unless: Unless;
}

/** ifNoneMatch and ifModifiedSince of a reading entry. */
export interface Unless {
  readonly match?: '*' | readonly number[];
  /** milliseconds */
  readonly since?: number;
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH'];

/**
 * Makes what reads the entries of a Bundle, one after the other.
 *
 * @param agent number of the access token
 */
export function makeEntryReader(
  context: RestContext,
  agent: number,
): (entry: SplitEntry, index: number) => Promise<Asked> {
  const understood = makeUnderstood(context);
  return async (entry, index) => {
    // other requests have their turn
    if (index % 100 === 99) await turn();
    return understood(() => readEntry(context, agent, entry, `Bundle.entry[${index}]`));
  };
}

/**
 * Reads an entry.
 *
 * @param agent number of the access token
 * @param at    `Bundle.entry[n]`
 * @throws      Refusal 400, 404 whose expression says which element of the entry is at fault
 */
async function readEntry(context: RestContext, agent: number, entry: SplitEntry, at: string): Promise<Asked> {
  const { request } = entry;
  if (typeof request !== 'object' || request === null)
    throw invalid('required', `${at} has no request, which says what to do with it`, `${at}.request`);
  const { method } = request;
  if (!METHODS.includes(method))
    throw invalid(
      'value',
      `${at}.request.method must be one of ${METHODS.join(', ')}`,
      `${at}.request.method`,
    );
  checkConditions(request, at);
  demandNoOperation(request, `${at}.request.url`);
  const reads = method === 'GET' || method === 'HEAD';
  const made = reads
    ? readReading(context, agent, request, at)
    : await readWriting(context, entry, request, at);
  return { selection: WHOLE, place: '', parameters: [], unless: {}, head: method === 'HEAD', ...made };
}

/** Where each condition may stand; elsewhere it must not be passed over. */
const CONDITIONS = {
  ifNoneExist: ['POST'],
  ifMatch: ['PUT', 'PATCH', 'DELETE'],
  ifNoneMatch: ['GET', 'HEAD', 'PUT'],
  ifModifiedSince: ['GET', 'HEAD'],
} as const;

function checkConditions(request: BundleEntryRequest, at: string): void {
  for (const [name, methods] of Object.entries(CONDITIONS)) {
    const value = request[name as keyof typeof CONDITIONS];
    if (value === undefined) continue;
    const where = `${at}.request.${name}`;
    if (typeof value !== 'string') throw invalid('structure', `${where} must be a text`, where);
    if (!(methods as readonly string[]).includes(request.method))
      throw invalid('invalid', `${where} is for ${methods.join(', ')}: leave it out`, where);
  }
}

/** What an operation answers with is as long as it likes, and is streamed: what a Bundle answers with is held. */
function demandNoOperation({ url }: BundleEntryRequest, where: string): void {
  const operation = typeof url === 'string' ? /\/(\$[^/?]{1,80})(\?|$)/.exec(`/${url}`)?.[1] : undefined;
  if (operation !== undefined)
    throw invalid('not-supported', `${operation} is called by itself, not in a Bundle`, where);
}

type Part = Pick<Asked, 'entry'> & Partial<Asked>;

function readReading(context: RestContext, agent: number, request: BundleEntryRequest, at: string): Part {
  const where = `${at}.request.url`;
  return placed(where, () => {
    const { path, query } = readUrl(context, request, where);
    const parameters = readParameters(query).filter(([name]) => name !== '_format' && name !== '_pretty');
    return { ...readingOf(context, agent, path, parameters, where), unless: readUnless(request, at) };
  });
}

function readingOf(
  context: RestContext,
  agent: number,
  path: FhirPath,
  parameters: readonly Parameter[],
  where: string,
): Part {
  const { pattern, type, id, version } = path;
  const reading = (read: Read, selection: Selection): Part => ({ entry: { method: 'GET', read }, selection });
  switch (pattern) {
    case '/:type/:id':
      return reading({ kind: 'read', type, id }, readSelection(context, type, parameters));
    case '/:type/:id/_history/:version':
      return reading({ kind: 'vread', type, id, version }, readSelection(context, type, parameters));
    case '/':
    case '/:type':
    case '/:type/:id/:member': {
      const { place, request, selection } = readSearch(context, agent, path, parameters);
      return { ...reading({ kind: 'search', request }, selection), place };
    }
    case '/_history':
    case '/:type/_history':
    case '/:type/:id/_history': {
      const { request, selection, ...asked } = readHistory(context, agent, path, parameters);
      return { ...reading({ kind: 'history', request }, selection), ...asked };
    }
    default:
      throw invalid(
        'not-supported',
        `${where} is nothing that a Bundle can ask for: ask for it by itself`,
        where,
      );
  }
}

function readUnless({ ifNoneMatch, ifModifiedSince }: BundleEntryRequest, at: string): Unless {
  const since = ifModifiedSince === undefined ? undefined : Date.parse(ifModifiedSince);
  if (Number.isNaN(since))
    throw invalid(
      'value',
      `${at}.request.ifModifiedSince must be an instant, such as 2026-01-31T10:00:00Z`,
      `${at}.request.ifModifiedSince`,
    );
  const match = ifNoneMatch === undefined ? undefined : readTags(ifNoneMatch, `${at}.request.ifNoneMatch`);
  return { match, since };
}

async function readWriting(
  context: RestContext,
  { resource, fullUrl }: SplitEntry,
  request: BundleEntryRequest,
  at: string,
): Promise<Part> {
  const { method } = request;
  if (fullUrl !== undefined && typeof fullUrl !== 'string')
    throw invalid('structure', `${at}.fullUrl must be a text`, `${at}.fullUrl`);
  const where = `${at}.request.url`;
  const { type, id, query } = placed(where, () => readTypeAndId(context, request, where));
  if (method === 'POST') {
    if (id !== undefined || query !== undefined)
      throw invalid('value', `${where} must be "${type}" alone: the server gives the id`, where);
    const ifNoneExist =
      request.ifNoneExist === undefined ? undefined : readIfNoneExist(context, type, request, at);
    return { entry: { method, type, fullUrl, body: bodyOf(resource, method, at), ifNoneExist } };
  }
  const target = targetOf(context, { type, id, query }, method, where);
  const ifMatch = request.ifMatch === undefined ? undefined : readVersion(request.ifMatch, at);
  if (method === 'DELETE') return { entry: { method, ...target, ifMatch } };
  const body = bodyOf(resource, method, at);
  if (method === 'PATCH') {
    const patch = await placed(`${at}.resource`, () => readPatch(context, body, at));
    return { entry: { method: 'PATCH', ...target, fullUrl, patch, ifMatch } };
  }
  const ifNew = readIfNew(request, target, at);
  return { entry: { method: 'PUT', ...target, fullUrl, body, ifMatch, ifNew } };
}

function bodyOf(resource: string | undefined, method: string, at: string): string {
  if (resource === undefined)
    throw invalid('required', `${at} has no resource, which ${method} needs`, `${at}.resource`);
  return resource;
}

function readIfNoneExist(
  context: RestContext,
  type: string,
  { ifNoneExist }: BundleEntryRequest,
  at: string,
) {
  return placed(`${at}.request.ifNoneExist`, () =>
    parseCondition(context.definitions, type, queryOf(ifNoneExist as string, type), fhirBase(context)),
  );
}

function readIfNew({ ifNoneMatch }: BundleEntryRequest, { where }: Target, at: string): boolean {
  if (ifNoneMatch === undefined) return false;
  if (ifNoneMatch.trim() === '*' && !where) return true;
  const place = `${at}.request.ifNoneMatch`;
  throw invalid(
    'not-supported',
    `${place} with PUT is * at Type/id, to create only what is not there`,
    place,
  );
}

function targetOf(
  context: RestContext,
  { type, id, query }: { type: string; id: string | undefined; query: string | undefined },
  method: string,
  where: string,
): Target {
  if (id !== undefined && query === undefined) return { type, id };
  if (id !== undefined || query === undefined)
    throw invalid('value', `${where} must be Type/id or Type?condition for ${method}`, where);
  return {
    type,
    where: placed(where, () => parseCondition(context.definitions, type, query, fhirBase(context))),
  };
}

/** JSON Patch comes as a Binary, FHIRPath Patch as Parameters (R4 http.html#patch). */
function readPatch({ patches }: RestContext, body: string, at: string) {
  const resource = parseJson(body).value as { readonly resourceType?: unknown };
  if (resource.resourceType === 'Parameters') return patches.fhirPath(body);
  const { contentType, data } = resource as Partial<Binary>;
  if (resource.resourceType !== 'Binary' || contentType !== JSON_PATCH || typeof data !== 'string')
    throw invalid(
      'value',
      `${at}.resource must be Parameters, or a Binary of contentType ${JSON_PATCH} with data, for PATCH`,
      `${at}.resource`,
    );
  return patches.json(Buffer.from(data, 'base64').toString());
}

/** The url of an entry: relative to the base, or below it. */
function readUrl(
  context: RestContext,
  { url }: BundleEntryRequest,
  where: string,
): { readonly path: FhirPath; readonly query: string } {
  const [path, query = ''] = splitUrl(context, url, where);
  return { path: readPath(`/${path}`, 'GET', context.definitions), query };
}

function splitUrl(
  context: RestContext,
  url: unknown,
  where: string,
): [path: string, query: string | undefined] {
  if (typeof url !== 'string') throw invalid('required', `${where} is missing`, where);
  const base = `${fhirBase(context)}/`;
  const text = url.startsWith(base) ? url.slice(base.length) : url.replace(/^\//, '');
  if (/^[a-z][a-z0-9+.-]*:/i.test(text))
    throw invalid(
      'value',
      `${where} must be relative, or begin with ${base}: this server has no other resources`,
      where,
    );
  const mark = text.indexOf('?');
  return mark < 0 ? [text, undefined] : [text.slice(0, mark), text.slice(mark + 1)];
}

/** The type and id that a writing entry's url names. */
function readTypeAndId(
  context: RestContext,
  request: BundleEntryRequest,
  where: string,
): { type: string; id: string | undefined; query: string | undefined } {
  const [path, query] = splitUrl(context, request.url, where);
  const [type = '', id, ...more] = path.split('/');
  const { definitions } = context;
  if (!definitions.isResourceType(type)) {
    const meant = nearest(type, definitions.resourceTypes);
    const hint = meant ? `: did you mean ${meant}?` : '';
    throw invalid('not-supported', `${where} "${path.slice(0, 80)}" names no resource type${hint}`, where);
  }
  if (more.length > 0 || (id !== undefined && !isId(id)))
    throw invalid(
      'value',
      `${where} must be Type/id for ${request.method}, not "${path.slice(0, 80)}"`,
      where,
    );
  return { type, id, query };
}

function readVersion(ifMatch: string, at: string): number {
  const where = `${at}.request.ifMatch`;
  const match = placed(where, () => readTags(ifMatch, where));
  if (match === '*' || match.length !== 1)
    throw invalid('value', `${where} must be one entity tag, such as W/"3"`, where);
  return match[0]!;
}

/** Does what knows nothing of the Bundle; its refusals get the place. */
function placed<T>(where: string, work: () => T): T {
  const refuse = (fault: unknown): never => {
    if (!(fault instanceof Refusal)) throw fault;
    const issues = fault.issues.map((issue) => {
      const { expression = '' } = issue;
      if (expression.startsWith('Bundle.')) return issue;
      const within = expression.startsWith('Parameters.') ? expression.slice('Parameters'.length) : '';
      return { ...issue, expression: where + within };
    });
    throw new Refusal(fault.status, issues, fault.headers);
  };
  try {
    const made = work();
    return made instanceof Promise ? (made.catch(refuse) as T) : made;
  } catch (fault) {
    return refuse(fault);
  }
}
