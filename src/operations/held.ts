/**
 * ImagingStudy/$held, $release and $reject: the organization's review of DICOM instances that are kept apart. Operations of
 * our own (profiles/OperationDefinition-held.json and the others beside it).
 */
import type { Parameters, ParametersParameter, Reference } from 'fhir/r4.js';
import { invalid, refusal } from '../fhir/outcome.ts';
import { parseReference } from '../fhir/reference.ts';
import { answerJson } from '../http/answer.ts';
import { type Context, type Exchange, fhirBase } from '../http/exchange.ts';
import type { Chosen, HeldInstance, Review } from '../imaging/review.ts';
import { type Arguments, readArguments } from './arguments.ts';

const COUNT = 50;
const MOST = 500;

/** GET [base]/ImagingStudy/$held */
export async function held(context: Context, exchange: Exchange, review: Review): Promise<void> {
  const given = await readArguments(context, exchange);
  const count = Math.min(Number(given.text('_count') ?? COUNT), MOST);
  const after = given.text('_after');
  if (after !== undefined) demandId(after, '_after');
  const wanted = { study: given.text('study'), after, limit: count + 1 };
  const found = await review.find(exchange.caller, wanted);
  const page = found.slice(0, count);
  const last = found.length > count ? page.at(-1) : undefined;
  await answer(exchange, [...page.map(shown), ...(last ? [{ name: 'next', valueId: last.id }] : [])]);
}

const shown = ({ id, at, study, uid, blob, reason, patient }: HeldInstance): ParametersParameter => ({
  name: 'held',
  part: [
    { name: 'id', valueId: id },
    { name: 'at', valueInstant: new Date(at).toISOString() },
    { name: 'study', valueString: study },
    { name: 'instance', valueString: uid },
    { name: 'size', valueDecimal: blob.size },
    { name: 'reason', valueString: reason },
    { name: 'patient', resource: patient },
  ],
});

/** POST [base]/ImagingStudy/$release */
export async function release(context: Context, exchange: Exchange, review: Review): Promise<void> {
  const given = await readArguments(context, exchange);
  const [reference] = given.values('patient') as readonly Reference[];
  const named = parseReference(
    reference?.reference ?? '',
    fhirBase(context),
    context.definitions.isResourceType,
  );
  if (named?.kind !== 'local' || named.type !== 'Patient')
    throw invalid('value', 'patient refers to a Patient of this server, as Patient/maria-lopez');
  const results = await review.release(exchange.caller, chosenBy(given), named.id);
  if (results.length === 0) throw nothingHeld();
  await answer(
    exchange,
    results.map(({ uid = '', reason, comment = '' }) =>
      reason === undefined
        ? { name: 'released', valueString: uid }
        : {
            name: 'kept',
            part: [
              { name: 'instance', valueString: uid },
              { name: 'reason', valueString: comment },
            ],
          },
    ),
  );
}

/** POST [base]/ImagingStudy/$reject */
export async function reject(context: Context, exchange: Exchange, review: Review): Promise<void> {
  const rejected = await review.reject(exchange.caller, chosenBy(await readArguments(context, exchange)));
  if (rejected === 0) throw nothingHeld();
  await answer(exchange, [{ name: 'rejected', valueUnsignedInt: rejected }]);
}

/** @throws Refusal 400 where nothing is named: all there is would be too much */
function chosenBy(given: Arguments): Chosen {
  const study = given.text('study');
  const ids = given.texts('held');
  if (study === undefined && ids.length === 0)
    throw invalid('required', 'Say which ones: by study, or by held, as $held names them');
  for (const id of ids) demandId(id, 'held');
  return { study, ...(ids.length > 0 ? { ids } : {}) };
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

function demandId(text: string, parameter: string): void {
  if (!UUID.test(text)) throw invalid('value', `${parameter} is an id as $held has it`);
}

const nothingHeld = () => refusal(404, 'not-found', 'Nothing of that is kept apart here, or any more');

async function answer(exchange: Exchange, parameter: ParametersParameter[]): Promise<void> {
  const result: Parameters = { resourceType: 'Parameters', ...(parameter.length > 0 ? { parameter } : {}) };
  await answerJson(exchange, 200, [], JSON.stringify(result));
}
