/** batch and transaction (R4 http.html#transaction): both are posted to the base. */
import { readBundle, type SplitEntry } from '../fhir/entries.ts';
import { parseJson } from '../fhir/json.ts';
import { invalid, Refusal, refusal } from '../fhir/outcome.ts';
import { readText } from '../http/body.ts';
import { type Exchange, fhirBase } from '../http/exchange.ts';
import { demandFhirJson } from '../http/negotiation.ts';
import { once } from '../http/parameters.ts';
import { readReturn } from '../http/prefer.ts';
import { batch } from './batch.ts';
import { answerBundle, type BundleEntry } from './bundle.ts';
import { type Asked, makeEntryReader } from './entries.ts';
import { entryOf } from './responses.ts';
import type { RestContext } from './selection.ts';

/** POST [base] */
export async function transaction(context: RestContext, exchange: Exchange): Promise<void> {
  const { request, parameters } = exchange;
  once(parameters, []);
  demandFhirJson(request.headers['content-type']);
  const text = await readText(request, context.config.maxBody);
  const { bundle, entries } = readBundle(text);
  if (bundle.resourceType !== 'Bundle')
    throw invalid('structure', 'Only a Bundle is posted here; other resources are posted to [base]/[type]');
  if (bundle.type !== 'transaction' && bundle.type !== 'batch')
    throw invalid(
      'value',
      'Bundle.type must be transaction or batch for what is posted here; others are posted to [base]/Bundle, to be stored',
      'Bundle.type',
    );
  if (entries.length > context.config.maxEntries)
    throw refusal(
      413,
      'too-costly',
      `The Bundle has ${entries.length} entries, more than the ${context.config.maxEntries} that this server takes (MAX_ENTRIES): split it`,
      'Bundle.entry',
    );
  const wanted = readReturn(request.headers.prefer as string | undefined, 'minimal');
  const answered: readonly BundleEntry[] =
    bundle.type === 'batch'
      ? await batch(context, exchange, entries, wanted)
      : await together(context, exchange, entries, wanted).catch((thrown) => refuseWithPlace(thrown, text));
  return answerBundle(context, exchange, {
    type: `${bundle.type}-response`,
    links: [{ relation: 'self', url: fhirBase(context) }],
    entries: answered,
  });
}

async function together(
  context: RestContext,
  { caller }: Exchange,
  entries: readonly SplitEntry[],
  wanted: ReturnType<typeof readReturn>,
): Promise<BundleEntry[]> {
  const read = makeEntryReader(context, caller.agent);
  const asked: Asked[] = [];
  for (const [i, entry] of entries.entries()) asked.push(await read(entry, i));
  const outcomes = await context.records.transaction(
    caller,
    asked.map(({ entry }) => entry),
  );
  return outcomes.map((outcome, i) => entryOf(context, caller.agent, asked[i] as Asked, outcome, wanted));
}

/** JSON faults in the text of an entry's resource are told with line and column in the whole. */
function refuseWithPlace(thrown: unknown, text: string): never {
  if (thrown instanceof Refusal && thrown.status === 400 && thrown.issues[0]?.code === 'structure')
    parseJson(text);
  throw thrown;
}
