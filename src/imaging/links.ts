/**
 * Links to pictures for what sends no access token, as `<img>`: `…/rendered/$link` gives one, good for ten minutes and as
 * long as the access token that it came from (media/links.ts). The query is the picture's own.
 */
import { refusal } from '../fhir/outcome.ts';
import type { Thing } from '../media/links.ts';
import { answer } from './answers.ts';
import { type ImagingContext, namedBy, type Visit } from './context.ts';

/** Beside others that are made under the same key. */
const SORT = 'dicomweb';

/** What stands behind the path of a picture. */
export const LINK = '/$link';

/** Gives a link to a picture that the caller may see now. */
export async function link(context: ImagingContext, visit: Visit, path: string): Promise<void> {
  const { records, links, base } = context;
  await records.imaging.read(visit.caller, namedBy(visit));
  const picture = path.slice(0, -LINK.length);
  const made = links.make(visit.caller, [SORT, picture, visit.query.toString()], base);
  answer(visit, 200, 'application/json', JSON.stringify(made));
}

/** Where a link leads. @throws Refusal 404 */
export function placeOf([sort, path = '', query = '']: Thing): {
  readonly path: string;
  readonly query: string;
} {
  if (sort !== SORT) throw refusal(404, 'not-found', 'This link leads to no picture: ask for a new one');
  return { path, query };
}
