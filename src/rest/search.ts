/** search of a type, by GET and by POST (R4 http.html#search). */
import { invalid, operationOutcome, refusal } from '../fhir/outcome.ts';
import { readText } from '../http/body.ts';
import { type Exchange, fhirBase } from '../http/exchange.ts';
import { negotiate, notAcceptable } from '../http/negotiation.ts';
import { prefersLenient } from '../http/prefer.ts';
import type { SearchPage, Stored } from '../records/records.ts';
import { parseSearch } from '../search/parse.ts';
import { type Parameter, readParameters } from '../search/query-string.ts';
import type { Filter, SearchRequest } from '../search/request.ts';
import { answerBundle, type Bundle, type BundleEntry, type Link, pageLinks } from './bundle.ts';
import { type RestContext, selectionOf } from './selection.ts';

/** GET [base]/[type]?…, and in a compartment [base]/Patient/[id]/[type]?… (R4 http.html#vsearch) */
export async function search(context: RestContext, exchange: Exchange): Promise<void> {
  const { path, parameters, format, caller } = exchange;
  const lenient = prefersLenient(exchange.request.headers.prefer);
  const type = path.member ?? path.type;
  const asked = parseSearch(context.definitions, type, parameters, fhirBase(context), lenient);
  const within: Filter[] = path.member ? [{ kind: 'compartment', type: path.type, id: path.id }] : [];
  const request = { ...asked, filters: [...within, ...asked.filters] };
  const selection = selectionOf(context, type, request);
  const page = await context.records.search(caller, request);

  const bundle = searchBundle(context, request, format.asked, page);
  if (exchange.request.method === 'POST') demandFollowable(bundle.links);
  return answerBundle(context, exchange, bundle, selection);
}

/** @param asked further parameters for the links */
export function searchBundle(
  context: RestContext,
  request: SearchRequest,
  asked: readonly Parameter[],
  page: SearchPage,
): Bundle {
  const base = fhirBase(context);
  const own = [...request.parameters, ...asked];
  // `_elements` names those of the type that is searched.
  const included = selectionOf(context, undefined, { summary: request.summary });
  return {
    type: 'searchset',
    total: page.total,
    links: pageLinks(`${base}/${placeOf(request)}`, own, request.after, page.next),
    entries: [
      ...page.entries.map((resource) => entryOf(base, resource, 'match')),
      ...page.included.map((resource) => ({ ...entryOf(base, resource, 'include'), selection: included })),
      ...(page.cut ? [CUT] : []),
    ],
  };
}

/** Where a search is asked for. */
function placeOf({ types: [type], filters: [first] }: SearchRequest): string {
  return first?.kind === 'compartment' ? `${first.type}/${first.id}/${type}` : (type as string);
}

function entryOf(base: string, resource: Stored, mode: 'match' | 'include'): BundleEntry {
  return {
    fullUrl: `${base}/${resource.type}/${resource.id}`,
    resource,
    rest: `"search":{"mode":"${mode}"}`,
  };
}

/** Tells that not all was included (R4 search.html#outcome). */
const CUT: BundleEntry = {
  rest: `"resource":${JSON.stringify(
    operationOutcome([
      {
        severity: 'warning',
        code: 'incomplete',
        diagnostics: 'There is more to include than one page takes: ask for smaller pages with _count',
      },
    ]),
  )},"search":{"mode":"outcome"}`,
};

/** Characters of a URL that servers and what stands before them take (RFC 9110 §4.1 recommends 8000). */
const MAX_LINK = 8000;

/**
 * The next page is asked for by GET (R4 http.html#paging), also where the first came by POST.
 *
 * @throws Refusal 400 where there is a next page and its link is too long for that
 */
function demandFollowable(links: readonly Link[]): void {
  const next = links.find(({ relation }) => relation === 'next');
  if (next && next.url.length > MAX_LINK)
    throw invalid(
      'too-long',
      `There is more than one page, and the link to the next would have ${next.url.length} characters, more than the ${MAX_LINK} that a GET may: raise _count so that all is on one page, or search for fewer values at a time`,
    );
}

/** POST [base]/[type]/_search: parameters come in the body, in the URL, or both */
export async function searchByPost(context: RestContext, exchange: Exchange): Promise<void> {
  const { request, format: before, parameters: inUrl } = exchange;
  const body = await readText(request, context.config.maxBody);
  const contentType = request.headers['content-type'];
  if (body !== '' && !/^application\/x-www-form-urlencoded\s*(?:;|$)/i.test(contentType ?? ''))
    throw refusal(
      415,
      'not-supported',
      'Send the parameters as application/x-www-form-urlencoded, as in a URL',
    );
  const given = [...before.asked, ...inUrl, ...readParameters(body)];
  const { format, parameters } = negotiate(request.headers.accept, given);
  if (!format) throw notAcceptable();
  return search(context, { ...exchange, format, parameters });
}
