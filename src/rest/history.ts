/** history of an instance, of a type, of all (R4 http.html#history). */
import { rangeOf } from '../fhir/date.ts';
import { invalid } from '../fhir/outcome.ts';
import { isId } from '../fhir/reference.ts';
import { type Exchange, fhirBase } from '../http/exchange.ts';
import { pageLinks, readPage } from '../http/page-links.ts';
import { once } from '../http/parameters.ts';
import type { FhirPath } from '../http/path.ts';
import type { HistoryEntry, HistoryPage, HistoryRequest } from '../records/records.ts';
import type { Parameter } from '../search/query-string.ts';
import { answerBundle, type Bundle, type BundleEntry, responseOf } from './bundle.ts';
import { type RestContext, readSelection, type Selection } from './selection.ts';

const PAGE = 50;
const MOST = 1000;

/** GET [base]/_history, [base]/[type]/_history, [base]/[type]/[id]/_history */
export async function history(context: RestContext, exchange: Exchange): Promise<void> {
  const { path, parameters, format, caller } = exchange;
  const asked = readHistory(context, caller.agent, path, parameters);
  const page = await context.records.history(caller, asked.request);
  const bundle = historyBundle(context, caller.agent, asked, format.asked, page);
  return answerBundle(context, exchange, bundle, asked.selection);
}

/** What a history's path and parameters ask for. */
export interface Looked {
  /** the path under the FHIR base that its links lead to */
  readonly place: string;
  readonly request: HistoryRequest;
  /** of the first page */
  readonly parameters: readonly Parameter[];
  readonly selection: Selection;
}

/** @param agent number of the access token */
export function readHistory(
  context: RestContext,
  agent: number,
  path: Pick<FhirPath, 'type' | 'id'>,
  asked: readonly Parameter[],
): Looked {
  const place = [path.type, path.id, '_history'].filter(Boolean).join('/');
  const { parameters, after } = readPage(context, agent, place, asked);
  const given = once(parameters, ['_count', '_since', '_at', '_list', '_summary', '_elements']);
  const selection = readSelection(
    context,
    path.type || undefined,
    parameters.filter(([name]) => name === '_summary' || name === '_elements'),
  );
  const request = {
    type: path.type || undefined,
    id: path.id || undefined,
    count: readCount(given._count),
    since: given._since === undefined ? undefined : rangeOf(given._since, 'search').low,
    at: given._at === undefined ? undefined : rangeOf(given._at, 'search'),
    list: given._list === undefined ? undefined : readList(given._list),
    after,
  };
  return { place, request, parameters, selection };
}

/**
 * @param agent  number of the access token that may follow its links
 * @param format further parameters for the links
 */
export function historyBundle(
  context: RestContext,
  agent: number,
  { place, parameters, request: { after } }: Omit<Looked, 'selection'>,
  format: readonly Parameter[],
  page: HistoryPage,
): Bundle {
  const base = fhirBase(context);
  return {
    type: 'history',
    total: page.total,
    links: pageLinks(context, agent, place, { parameters, after }, format, page),
    entries: page.entries.map((entry) => historyEntry(base, entry)),
  };
}

function historyEntry(base: string, entry: HistoryEntry): BundleEntry {
  const { type, id, version, updated, interaction, deleted } = entry;
  const place = `${type}/${id}`;
  const [method, url, status] = {
    create: ['POST', type, '201 Created'],
    update: ['PUT', place, '200 OK'],
    delete: ['DELETE', place, '204 No Content'],
  }[interaction] as [string, string, string];
  return {
    fullUrl: `${base}/${place}`,
    resource: deleted ? undefined : entry,
    rest: `"request":${JSON.stringify({ method, url })},${responseOf(status, { version, updated })}`,
  };
}

function readCount(text: string | undefined): number {
  if (text === undefined) return PAGE;
  if (!/^[1-9]\d*$/.test(text))
    throw invalid('value', `_count is a number from 1, not "${text.slice(0, 80)}"`);
  return Math.min(Number(text), MOST);
}

function readList(text: string): string {
  const id = text.startsWith('List/') ? text.slice('List/'.length) : text;
  if (!isId(id))
    throw invalid('value', `_list is the id of a List, as in _list=42, not "${text.slice(0, 80)}"`);
  return id;
}
