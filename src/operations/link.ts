/** `$link` on what has bytes (profiles/OperationDefinition-link.json), and what such a link leads to. */
import { refusal } from '../fhir/outcome.ts';
import { addressOf } from '../http/address.ts';
import { answerJson } from '../http/answer.ts';
import type { Context, Exchange, Visit } from '../http/exchange.ts';
import type { Contents } from '../media/content.ts';
import type { Links, Thing } from '../media/links.ts';
import type { Wanted } from '../media/wanted.ts';
import { answerContent, readWanted } from './content.ts';

/** Gives a link to what the caller may read now: that is asked, so that nobody is sent to what he will not get. */
export async function link(
  context: Context,
  exchange: Exchange,
  contents: Contents,
  links: Links,
): Promise<void> {
  const { caller } = exchange;
  const wanted = await readWanted(context, exchange);
  await contents.find(caller, wanted);
  const { url, expires } = links.make(caller, thingOf(wanted));
  const parameter = [
    { name: 'url', valueUrl: url },
    { name: 'expires', valueInstant: expires },
  ];
  return answerJson(exchange, 200, [], JSON.stringify({ resourceType: 'Parameters', parameter }));
}

/** GET [base]/_link/[link]: for whoever has it. */
export async function followLink(
  context: Context,
  visit: Visit,
  contents: Contents,
  links: Links,
): Promise<void> {
  const { caller: of, thing } = await links.follow(visit.path.id);
  const { request, id } = visit;
  const caller = { ...of, origin: `${id} ${addressOf(request, context.config.trustProxy)}` };
  const wanted = wantedOf(thing);
  if (!wanted) throw refusal(404, 'not-found', 'This link leads to nothing that is known: ask for a new one');
  return answerContent(context, visit, await contents.find(caller, wanted));
}

const SORT = 'content';

/** What a link to bytes says. */
export const thingOf = ({ type, id, size = '', part = '' }: Wanted): Thing => [SORT, type, id, size, part];

function wantedOf([sort, type = '', id = '', size, part]: Thing): Wanted | undefined {
  return sort === SORT ? { type, id, size: size || undefined, part: part || undefined } : undefined;
}
