/** search of a type, of several, of a compartment, by GET and by POST (R4 http.html#search). */
import { invalid, operationOutcome, type Refusal, refusal } from '../fhir/outcome.ts';
import { readText } from '../http/body.ts';
import { type Exchange, fhirBase } from '../http/exchange.ts';
import { negotiate, notAcceptable } from '../http/negotiation.ts';
import { pageLinks, readPage } from '../http/page-links.ts';
import type { FhirPath } from '../http/path.ts';
import { prefersLenient } from '../http/prefer.ts';
import { asDefined, understood } from '../http/understood.ts';
import type { SearchPage, Stored } from '../records/records.ts';
import { compartmentFilter, typesWithin } from '../search/compartment.ts';
import { parseSearch, parseSearchOfTypes } from '../search/parse.ts';
import { type Parameter, readParameters } from '../search/query-string.ts';
import type { SearchRequest } from '../search/request.ts';
import { answerBundle, type Bundle, type BundleEntry } from './bundle.ts';
import { answerExplanation, readExplain } from './explain.ts';
import { type RestContext, type Selection, selectionOf } from './selection.ts';

/** GET [base]/[type]?…, [base]?…, and in a compartment [base]/Patient/[id]/[type]?… (R4 http.html#vsearch) */
export async function search(context: RestContext, exchange: Exchange): Promise<void> {
  const { path, parameters, format, caller, request: sent } = exchange;
  const lenient = prefersLenient(sent.headers.prefer);
  const { explained, others } = readExplain(parameters);
  const given = others.filter(([, value]) => value !== '').length;
  const bundleOf = async (asked: SearchRequest, place: string): Promise<Bundle> => {
    const page = await context.records.search(caller, asked);
    return searchBundle(context, caller.agent, place, asked, format.asked, page);
  };
  const searched = await asDefined(async () => {
    const { place, request, selection } = await understood(
      context,
      () => readSearch(context, caller.agent, path, others, lenient),
      (found) => !lenient || found.request.parameters.length >= given,
    );
    if (explained) return { request };
    return { request, place, selection, bundle: await bundleOf(request, place) };
  });
  if (searched.bundle === undefined) return answerExplanation(context, exchange, searched.request);
  const { request, place, selection } = searched;
  let { bundle } = searched;
  if (sent.method === 'POST' && !isFollowable(bundle)) {
    // Where no number was asked for, all may come on one page.
    if (others.some(([name]) => name === '_count')) throw tooLong();
    bundle = await bundleOf({ ...request, count: MOST_ON_ONE }, place);
    if (!isFollowable(bundle)) throw tooLong();
  }
  return answerBundle(context, exchange, bundle, selection);
}

/** What a search's path and parameters ask for. */
export interface Searched {
  /** the path under the FHIR base that its links lead to */
  readonly place: string;
  readonly request: SearchRequest;
  readonly selection: Selection;
}

/**
 * Reads a search of a type, of several or of a compartment.
 *
 * @param agent number of the access token
 * @throws      Refusal 400 as parseSearch, and as readPage
 */
export function readSearch(
  context: RestContext,
  agent: number,
  { type, id, member }: Pick<FhirPath, 'type' | 'id' | 'member'>,
  given: readonly Parameter[],
  lenient = false,
): Searched {
  const { definitions } = context;
  const base = fhirBase(context);
  const place = member === undefined ? type : `${type}/${id}/${member}`;
  const { parameters, after } = readPage(context, agent, place, given);
  const one = member ?? type;
  const asked =
    one === '' || one === '*'
      ? parseSearchOfTypes(
          definitions,
          member === undefined ? definitions.resourceTypes : typesWithin(definitions, type),
          parameters,
          base,
          lenient,
        )
      : parseSearch(definitions, one, parameters, base, lenient);
  const within = <Asked extends Pick<SearchRequest, 'types' | 'filters'>>(each: Asked): Asked =>
    member === undefined
      ? each
      : {
          ...each,
          filters: [compartmentFilter(definitions, { type, id }, each.types[0] as string), ...each.filters],
        };
  if (asked.contained && member !== undefined)
    throw invalid(
      'not-supported',
      `A compartment is of whole resources: leave _contained out, or search for the type without ${type}/${id}`,
    );
  const request: SearchRequest = { ...within(asked), each: asked.each?.map(within), after };
  return { place, request, selection: selectionOfTypes(context, request) };
}

/** `_elements` names those of each type that is searched. */
function selectionOfTypes(
  context: RestContext,
  { types, elements, summary, contained, containedType }: SearchRequest,
): Selection {
  const [type, ...others] = types;
  // What contains the type is of others.
  if (contained && containedType !== 'contained') return selectionOf(context, undefined, { summary });
  if (others.length === 0) return selectionOf(context, type, { elements, summary });
  if (elements === undefined) return selectionOf(context, undefined, { summary });
  const byType = new Map(types.map((each) => [each, selectionOf(context, each, { elements })]));
  return {
    show: (stored) => (byType.get(stored.type) as Selection).show(stored),
    withData: elements.includes('data'),
    isWhole: false,
  };
}

/**
 * @param agent number of the access token that may follow its links
 * @param asked further parameters for the links
 */
export function searchBundle(
  context: RestContext,
  agent: number,
  place: string,
  request: SearchRequest,
  asked: readonly Parameter[],
  page: SearchPage,
): Bundle {
  const base = fhirBase(context);
  // `_elements` names those of the type that is searched.
  const included = selectionOf(context, undefined, { summary: request.summary });
  return {
    type: 'searchset',
    total: page.total,
    links: pageLinks(context, agent, place, request, asked, page),
    entries: [
      ...page.entries.map((resource) => entryOf(base, resource, 'match')),
      ...page.included.map((resource) => ({ ...entryOf(base, resource, 'include'), selection: included })),
      ...(page.cut ? [CUT] : []),
    ],
  };
}

function entryOf(base: string, resource: Stored, mode: 'match' | 'include'): BundleEntry {
  const { type, id, container } = resource;
  // What is contained is a part of its container (R4 search.html#contained).
  const url = container ? `${container.type}/${container.id}#${id}` : `${type}/${id}`;
  return {
    fullUrl: `${base}/${url}`,
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

/** So many come on one page where no link could lead to a next one. */
const MOST_ON_ONE = 10_000;

/** Whether a GET can follow the link to the next page (R4 http.html#paging), also where the first came by POST. */
function isFollowable({ links }: Bundle): boolean {
  const next = links.find(({ relation }) => relation === 'next');
  return next === undefined || next.url.length <= MAX_LINK;
}

function tooLong(): Refusal {
  return invalid(
    'too-long',
    `There is more than one page, and the link to the next would be longer than the ${MAX_LINK} characters that a GET may have: raise _count so that all is on one page, leave it out, or search for fewer values at a time`,
  );
}

/** POST [base]/[type]/_search and [base]/_search: parameters come in the body, in the URL, or both */
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
