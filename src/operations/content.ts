/**
 * `$content` on Binary, Media and what has attachments: the bytes themselves, whatever Accept says, or the picture in them
 * made smaller. An operation of our own (profiles/OperationDefinition-content.json).
 */
import { invalid } from '../fhir/outcome.ts';
import { answerBlob } from '../http/blob.ts';
import type { Context, Exchange } from '../http/exchange.ts';
import { httpDate } from '../http/versions.ts';
import type { Contents } from '../media/content.ts';
import { PLAY, SIZES, type Wanted } from '../media/wanted.ts';
import { type Arguments, readArguments } from './arguments.ts';

export async function content(context: Context, exchange: Exchange, contents: Contents): Promise<void> {
  const wanted = await readWanted(context, exchange);
  return answerContent(context, exchange, await contents.find(exchange.caller, wanted));
}

/** What `$content` and `$link` are called with. */
export async function readWanted(context: Context, exchange: Exchange): Promise<Wanted> {
  const { type, id } = exchange.path;
  const given = await readArguments(context, exchange);
  return { type, id, size: readSize(given), part: given.text('part') };
}

/** Answers with bytes that were found. */
export async function answerContent(
  context: Context,
  visit: Pick<Exchange, 'request' | 'response' | 'id' | 'format'>,
  served: Awaited<ReturnType<Contents['find']>>,
): Promise<void> {
  return answerBlob(context, visit, served, ['Last-Modified', httpDate(served.updated)]);
}

/** @returns undefined for the bytes as they are */
function readSize(given: Arguments): string | undefined {
  const size = given.text('size');
  if (size === undefined || size === 'full') return undefined;
  if (size === PLAY || (SIZES as readonly string[]).includes(size)) return size;
  throw invalid('value', `size is ${SIZES.join(', ')}, ${PLAY} or full, not "${size.slice(0, 80)}"`);
}
