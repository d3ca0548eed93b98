/** WADO-URI (PS3.18 §9), for old viewers: one instance by the query. */
import { invalid, refusal } from '../fhir/outcome.ts';
import { takes } from './accept.ts';
import { acceptOf } from './answers.ts';
import type { ImagingContext, Visit } from './context.ts';
import { EXPLICIT_LE } from './dicom/syntaxes.ts';
import { rendered } from './rendered.ts';
import { isDecodable } from './transcode.ts';
import { answerFile, oneInstance } from './wado.ts';

const DICOM = 'application/dicom';

/** @throws Refusal 400 where it is not said which instance; 406 */
export async function wadoUri(context: ImagingContext, visit: Visit): Promise<void> {
  const { query } = visit;
  if (query.get('requestType') !== 'WADO') throw invalid('value', 'requestType has to be WADO');
  for (const name of ['anonymize', 'annotation', 'region', 'presentationUID'])
    if (query.has(name)) throw invalid('not-supported', `${name} is not supported: leave it out`);
  const names = {
    study: uidIn(query, 'studyUID'),
    series: uidIn(query, 'seriesUID'),
    instance: uidIn(query, 'objectUID'),
  };
  const type = query.get('contentType') ?? preferred(visit);
  if (type !== DICOM) return rendered(context, pictured({ ...visit, names }, type));
  const opened = await oneInstance(context, { ...visit, names });
  const syntax = query.get('transferSyntax') ?? EXPLICIT_LE;
  const asStored = syntax === '*' || syntax === opened.place.syntax;
  // PS3.18 §9.1.2.2.2: where the one that is asked for cannot be had, as it is stored
  const wanted = asStored || !isDecodable(opened.place.syntax) ? undefined : EXPLICIT_LE;
  return answerFile(context, { ...visit, names }, opened, { syntax: wanted });
}

function uidIn(query: URLSearchParams, name: string): string {
  const uid = query.get(name) ?? '';
  if (!/^[0-9.]{1,64}$/.test(uid)) throw invalid('required', `${name} names what is wanted: a UID`);
  return uid;
}

/** Without contentType: a picture to who takes pictures, and no files. */
function preferred(visit: Visit): string {
  const types = acceptOf(visit).map(({ type }) => type);
  if (types.some((type) => takes(type, DICOM)))
    return types.some((type) => type === DICOM) ? DICOM : 'image/jpeg';
  return 'image/jpeg';
}

/** Its parameters by the names of WADO-RS. */
function pictured(visit: Visit, type: string): Visit {
  if (type !== 'image/jpeg' && type !== 'image/png' && !takes(type, 'image/jpeg'))
    throw refusal(406, 'not-supported', 'contentType is application/dicom, image/jpeg or image/png');
  const query = new URLSearchParams({ accept: type });
  const { query: given, names } = visit;
  const [center, width] = [given.get('windowCenter'), given.get('windowWidth')];
  if (center !== null && width !== null) query.set('window', `${center},${width}`);
  const [columns, rows] = [given.get('columns'), given.get('rows')];
  if (columns !== null || rows !== null) query.set('viewport', `${columns ?? rows},${rows ?? columns}`);
  const quality = given.get('imageQuality');
  if (quality !== null) query.set('quality', quality);
  return { ...visit, query, names: { ...names, frames: given.get('frameNumber') ?? '1' } };
}
