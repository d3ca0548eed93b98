/** Links between the pages of a search or a history (R4 http.html#paging). */
import { invalid } from '../fhir/outcome.ts';

import { type Parameter, writeParameters } from '../search/query-string.ts';
import { type Context, fhirBase } from './exchange.ts';

export interface Link {
  readonly relation: 'self' | 'first' | 'previous' | 'next';
  readonly url: string;
}

/** What a page was asked for by. */
export interface Asked {
  /** of its first page */
  readonly parameters: readonly Parameter[];
  /** undefined: it is the first */
  readonly after?: string;
}

/**
 * What a request for a page means: `_page` stands for all parameters of the first page, and for which page it is. How many
 * come on a page may be said anew.
 *
 * @param agent number of the access token
 * @param place the path under the FHIR base
 * @throws      Refusal 400 for a damaged link; 403 for one that was made for another access token; 410 for an old one
 */
export function readPage(
  { seal }: Context,
  agent: number,
  place: string,
  parameters: readonly Parameter[],
): Asked {
  const sealed = parameters.find(([name]) => name === '_page');
  if (!sealed) return { parameters };
  // @medplum/core says with each page how many it wants.
  const count = parameters.find(([name]) => name === '_count');
  if (parameters.length > (count ? 2 : 1))
    throw invalid(
      'invalid',
      '_page stands for all parameters of the first page but _count: follow the link as it is, or begin again without it',
    );
  const asked = seal.open(agent, place, sealed[1]);
  if (!count) return asked;
  return { ...asked, parameters: [...asked.parameters.filter(([name]) => name !== '_count'), count] };
}

/**
 * Links to a page and those around it.
 *
 * @param agent  number of the access token that may follow them
 * @param format further parameters of each link
 * @param page   those around it, where there are any
 */
export function pageLinks(
  context: Context,
  agent: number,
  place: string,
  { parameters, after }: Asked,
  format: readonly Parameter[],
  { next, previous }: { readonly next?: string; readonly previous?: string },
): Link[] {
  const url = place === '' ? fhirBase(context) : `${fhirBase(context)}/${place}`;
  const link = (relation: Link['relation'], to: string | undefined): Link => {
    const own: readonly Parameter[] =
      to === undefined
        ? parameters
        : [['_page', context.seal.close(agent, { parameters, after: to, path: place })]];
    const query = writeParameters([...own, ...format]);
    return { relation, url: query === '' ? url : `${url}?${query}` };
  };
  const links = [link('self', after)];
  if (after !== undefined || next !== undefined) links.push(link('first', undefined));
  if (previous !== undefined) links.push(link('previous', previous));
  if (next !== undefined) links.push(link('next', next));
  return links;
}
