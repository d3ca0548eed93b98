/**
 * $reindex (profiles/OperationDefinition-reindex.json): the index rows of all resources made anew. It is always done
 * later, as with Prefer: respond-async, and its status URL says how far it is.
 */
import { invalid } from '../fhir/outcome.ts';
import { accepted } from '../http/async.ts';
import type { Context, Exchange } from '../http/exchange.ts';
import { readArguments } from './arguments.ts';

/** POST [base]/$reindex and [base]/SearchParameter/[id]/$reindex */
export async function reindex(context: Context, exchange: Exchange): Promise<void> {
  const { caller, path } = exchange;
  const type = (await readArguments(context, exchange)).text('type');
  if (type !== undefined && !context.definitions.isResourceType(type))
    throw invalid('value', `type names a resource type: "${type.slice(0, 80)}" is none of R4`);
  const job = await context.records.reindex(caller, { type, parameter: path.id || undefined });
  return accepted(context, exchange, job);
}
