/**
 * Attachments whose data is large (R4 datatypes.html#Attachment): it is kept apart, and the kept text of the resource has
 * `"data":"blob:…"` in its place, which no base64 can be. Elsewhere than in a single read a url stands for it.
 */
import type {
  Attachment,
  Communication,
  DiagnosticReport,
  DocumentReference,
  Media,
  Patient,
  Person,
  Practitioner,
  RelatedPerson,
  Resource,
} from 'fhir/r4.js';

type Places = Readonly<
  Record<string, ((resource: never) => readonly (Attachment | undefined)[]) | undefined>
>;

/** Where attachments are, of the types whose large data is kept apart. */
const APART: Places = {
  Media: ({ content }: Media) => [content],
  DocumentReference: ({ content }: DocumentReference) => content.map(({ attachment }) => attachment),
  DiagnosticReport: ({ presentedForm = [] }: DiagnosticReport) => presentedForm,
  Communication: ({ payload = [] }: Communication) =>
    payload.map(({ contentAttachment }) => contentAttachment),
};

/** Where photos of people are: they are small, and stay where they are. */
const PORTRAITS: Places = {
  Patient: ({ photo = [] }: Patient) => photo,
  Person: ({ photo }: Person) => [photo],
  Practitioner: ({ photo = [] }: Practitioner) => photo,
  RelatedPerson: ({ photo = [] }: RelatedPerson) => photo,
};

/** Whether large data of attachments is kept apart from resources of a type. */
export const isApart = (type: string): boolean => Object.hasOwn(APART, type);

/** The attachments of a sound resource, to be changed in place. */
export function attachmentsOf(resource: Resource): Attachment[] {
  const { resourceType: type } = resource;
  const places = (isApart(type) ? APART : PORTRAITS) as Record<string, Places[string]>;
  const of = Object.hasOwn(places, type) ? places[type] : undefined;
  return of === undefined ? [] : of(resource as never).filter((one) => one !== undefined);
}

/** What stands for data that is kept apart. */
export const standIn = (blob: string): string => `blob:${blob}`;

/** The data that a stand-in is for; undefined where it is data itself. */
export const blobOf = (data: string): string | undefined =>
  data.startsWith('blob:') ? data.slice('blob:'.length) : undefined;

const STAND_IN = /"data":"blob:([0-9a-f-]{36})"/g;

/** Whether a text can be the name of data that is kept apart. */
export const isBlob = (text: string): boolean => /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);

/** The url of data that is kept apart, relative to the FHIR base. */
export const urlOf = (type: string, id: string, blob: string): string =>
  `${type}/${id}/$content?part=${blob}`;

/** Which data of a resource a url names; undefined where it is none of its. */
export function partOf(url: string, type: string, id: string): string | undefined {
  const start = url.lastIndexOf(`${type}/${id}/$content?part=`);
  const blob = url.slice(-36);
  return start >= 0 && url.slice(start) === urlOf(type, id, blob) && isBlob(blob) ? blob : undefined;
}

/** The JSON of a resource, with urls in place of what is kept apart. */
export function withUrls(json: string, { type, id }: { readonly type: string; readonly id: string }): string {
  if (!isApart(type) || !json.includes('"data":"blob:')) return json;
  return json.replace(STAND_IN, (_, blob: string) => `"url":"${urlOf(type, id, blob)}"`);
}

/** A piece of JSON, or the name of data that stands there as base64. */
export type Piece = { readonly text: string } | { readonly blob: string };

/** The JSON of a resource in pieces, by what is kept apart; undefined where nothing is. */
export function piecesOf(json: string, type: string): readonly Piece[] | undefined {
  if (!isApart(type) || !json.includes('"data":"blob:')) return undefined;
  const texts = json.split(STAND_IN);
  return texts.map((text, i) => {
    if (i % 2 === 1) return { blob: text };
    return { text: `${i > 0 ? '"' : ''}${text}${i < texts.length - 1 ? '"data":"' : ''}` };
  });
}
