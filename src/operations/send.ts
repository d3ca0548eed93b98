/**
 * ImagingStudy/[id]/$send: a study is pushed to another DICOMweb server. An operation of our own
 * (profiles/OperationDefinition-send.json); with Prefer: respond-async it is done later, and its status URL tells.
 */
import type { Endpoint, ImagingStudy, Parameters, Reference } from 'fhir/r4.js';
import { invalid, refusal } from '../fhir/outcome.ts';
import { parseReference } from '../fhir/reference.ts';
import { answerJson } from '../http/answer.ts';
import { type Context, type Exchange, fhirBase } from '../http/exchange.ts';
import type { Destination, Studies } from '../imaging/send.ts';
import { readArguments } from './arguments.ts';

const STOW = 'dicom-stow-rs';

export async function send(context: Context, exchange: Exchange, studies: Studies): Promise<void> {
  const { caller, path } = exchange;
  const given = await readArguments(context, exchange);
  const { content } = await context.records.read(caller, 'ImagingStudy', path.id);
  const study = uidOf(JSON.parse(content) as ImagingStudy);
  const [endpoint] = given.values('endpoint') as readonly Reference[];
  const to = await destinationOf(context, exchange, endpoint?.reference);
  const { sent, failed } = await studies.send(caller, study, to);
  const result: Parameters = {
    resourceType: 'Parameters',
    parameter: [
      { name: 'sent', valueUnsignedInt: sent },
      ...failed.map(({ uid, reason }) => ({
        name: 'failed',
        part: [
          { name: 'instance', valueString: uid },
          { name: 'reason', valueUnsignedInt: reason },
        ],
      })),
    ],
  };
  await answerJson(exchange, 200, [], JSON.stringify(result));
}

function uidOf({ identifier = [] }: ImagingStudy): string {
  const found = identifier.find(({ system }) => system === 'urn:dicom:uid')?.value;
  const uid = found?.replace(/^urn:oid:/, '');
  if (!uid)
    throw refusal(422, 'business-rule', 'This ImagingStudy has no Study Instance UID, and so no files here');
  return uid;
}

/** An Endpoint that the caller may read, below an address that the operator allows. */
async function destinationOf(
  context: Context,
  { caller }: Exchange,
  reference: string | undefined,
): Promise<Destination> {
  const named = parseReference(reference ?? '', fhirBase(context), context.definitions.isResourceType);
  if (named?.kind !== 'local' || named.type !== 'Endpoint')
    throw invalid('value', 'endpoint refers to an Endpoint of this server, as Endpoint/pacs');
  const { content } = await context.records.read(caller, 'Endpoint', named.id);
  const { status, connectionType, address = '' } = JSON.parse(content) as Endpoint;
  if (status !== 'active' || connectionType.code !== STOW)
    throw refusal(422, 'business-rule', `The Endpoint has to be active, and of the connection type ${STOW}`);
  const url = address.replace(/\/+$/, '');
  const allowed = context.config.dicomSend.find(
    ({ prefix }) => url === prefix || url.startsWith(`${prefix}/`),
  );
  if (!allowed)
    throw refusal(
      403,
      'forbidden',
      'Studies are not sent to that address: its operator allows addresses by DICOM_SEND',
    );
  return { url, ...(allowed.authorization ? { authorization: allowed.authorization } : {}) };
}
