/** What a study's instances tell, as FHIR: ImagingStudy, Patient, and the Endpoint that its images are at. */
import type {
  Coding,
  Endpoint,
  HumanName,
  Identifier,
  ImagingStudy,
  ImagingStudySeries,
  Patient,
} from 'fhir/r4.js';
import {
  DICOM_UID,
  type SeriesContents,
  type StudyContents,
  type StudyRow,
} from '../records/imaging/imaging.ts';
import { firstOf, itemsIn, textIn, wholeIn } from './attributes.ts';
import type { Attributes, PersonName } from './dicom/json.ts';

const DCM = 'http://dicom.nema.org/resources/ontology/DCM';
const URI = 'urn:ietf:rfc:3986';
const IDENTIFIER_TYPE = 'http://terminology.hl7.org/CodeSystem/v2-0203';
const CONNECTION_TYPE = 'http://terminology.hl7.org/CodeSystem/endpoint-connection-type';
/** Argonaut SMART Imaging Access 0.1: the endpoint takes the token that the study was found with. */
const REQUIRES_TOKEN = 'http://fhir.org/argonaut/smart-imaging/StructureDefinition/requires-access-token';

/** Id of the Endpoint of this server's DICOMweb. */
export const ENDPOINT = 'dicom-wado-rs';

/** @param base where DICOMweb is, as clients write it */
export function endpointOf(base: string): Endpoint {
  return {
    resourceType: 'Endpoint',
    id: ENDPOINT,
    extension: [{ url: REQUIRES_TOKEN, valueBoolean: true }],
    status: 'active',
    connectionType: { system: CONNECTION_TYPE, code: 'dicom-wado-rs' },
    name: 'DICOMweb of this server',
    payloadType: [{ text: 'DICOM instances' }],
    payloadMimeType: ['application/dicom'],
    address: base,
  };
}

/** What others have written of it stays, but for what the instances tell. */
export function imagingStudyOf(
  { uid, attributes: text }: Pick<StudyRow, 'uid' | 'attributes'>,
  { existing, subject, series }: StudyContents,
): ImagingStudy {
  const attributes = JSON.parse(text) as Attributes;
  const all = series.map(seriesOf);
  const modalities = [...new Set(all.map(({ modality }) => modality.code as string))].sort();
  const endpoint = { reference: `Endpoint/${ENDPOINT}` };
  const others = (existing?.endpoint ?? []).filter(({ reference }) => reference !== endpoint.reference);
  const known = existing?.identifier ?? [];
  const own = identifiersOf(uid, attributes).filter(
    (one) => !known.some(({ system, value }) => system === one.system && value === one.value),
  );
  const description = textIn(attributes, '00081030');
  const started = startedOf(attributes);
  const referrer = displayOf(firstOf(attributes, '00080090') as PersonName | undefined);
  const told = {
    ...(started ? { started } : {}),
    ...(description ? { description } : {}),
    ...(referrer ? { referrer: { display: referrer } } : {}),
  };
  return {
    ...told,
    ...existing,
    resourceType: 'ImagingStudy',
    identifier: [...known, ...own],
    status: existing?.status === 'cancelled' ? 'cancelled' : 'available',
    modality: modalities.map(modality),
    subject: existing?.subject ?? { reference: subject },
    endpoint: [endpoint, ...others],
    numberOfSeries: all.length,
    numberOfInstances: all.reduce((sum, { numberOfInstances = 0 }) => sum + numberOfInstances, 0),
    series: all,
  };
}

function identifiersOf(uid: string, attributes: Attributes): Identifier[] {
  const accession = textIn(attributes, '00080050');
  return [
    { system: DICOM_UID, value: `urn:oid:${uid}` },
    ...(accession
      ? [{ type: { coding: [{ system: IDENTIFIER_TYPE, code: 'ACSN' }] }, value: accession }]
      : []),
  ];
}

function seriesOf({ uid, attributes: text, instances }: SeriesContents): ImagingStudySeries {
  const attributes = JSON.parse(text) as Attributes;
  const description = textIn(attributes, '0008103E');
  const bodySite = textIn(attributes, '00180015');
  const number = unsigned(wholeIn(attributes, '00200011'));
  const started = startedOf(attributes, '00080021', '00080031');
  return {
    uid,
    ...(number === undefined ? {} : { number }),
    modality: modality(textIn(attributes, '00080060') ?? 'OT'),
    ...(description ? { description } : {}),
    numberOfInstances: instances.length,
    ...(bodySite ? { bodySite: { display: bodySite } } : {}),
    ...(started ? { started } : {}),
    instance: instances.map((instance) => {
      const place = unsigned(instance.number ?? undefined);
      return {
        uid: instance.uid,
        sopClass: { system: URI, code: `urn:oid:${instance.class}` },
        ...(place === undefined ? {} : { number: place }),
      };
    }),
  };
}

const modality = (code: string): Coding => ({ system: DCM, code: code.replace(/\s+/g, ' ') });

const unsigned = (number: number | undefined): number | undefined =>
  number !== undefined && number >= 0 ? number : undefined;

const startedOf = (attributes: Attributes, day = '00080020', hour = '00080030'): string | undefined =>
  atOf(textIn(attributes, day), textIn(attributes, hour), textIn(attributes, '00080201'));

/**
 * A date; with a time only where the zone is said, as FHIR wants one.
 *
 * @param day  DA
 * @param hour TM
 * @param zone &ZZXX, as Timezone Offset From UTC has it
 */
export function atOf(
  day: string | undefined,
  hour: string | undefined,
  zone: string | undefined,
): string | undefined {
  const date = dateOf(day);
  if (!date) return undefined;
  const [, h, m, s] = /^(\d{2}):?(\d{2}):?(\d{2})/.exec(hour ?? '') ?? [];
  const [, sign, zh, zm] = /^([+-])(\d{2})(\d{2})$/.exec(zone ?? '') ?? [];
  if (!sign || Number(h ?? 24) > 23 || Number(m) > 59 || Number(s) > 59 || Number(zh) > 14 || Number(zm) > 59)
    return date;
  return `${date}T${h}:${m}:${s}${sign}${zh}:${zm}`;
}

/** YYYYMMDD as FHIR writes it; undefined where there is no such day. */
export function dateOf(text: string | undefined): string | undefined {
  const [, year, month, day] = /^(\d{4})[.-]?(\d{2})[.-]?(\d{2})$/.exec(text?.trim() ?? '') ?? [];
  const date = `${year}-${month}-${day}`;
  const time = Date.parse(`${date}T00:00:00Z`);
  return year && !Number.isNaN(time) && new Date(time).toISOString().startsWith(date) ? date : undefined;
}

const GENDERS: Readonly<Record<string, Patient['gender']>> = { M: 'male', F: 'female', O: 'other' };

/** Whom instances say to be about, as a Patient that is not known yet; without an identifier where they name nobody. */
export function patientOf(
  text: string,
  identifier: { readonly system: string; readonly value: string } | undefined,
): Patient {
  const attributes = JSON.parse(text) as Attributes;
  const birthDate = dateOf(textIn(attributes, '00100030'));
  const gender = GENDERS[textIn(attributes, '00100040') ?? ''];
  const name = humanName(firstOf(attributes, '00100010') as PersonName | undefined);
  return {
    resourceType: 'Patient',
    ...(identifier
      ? { identifier: [{ ...identifier, type: { coding: [{ system: IDENTIFIER_TYPE, code: 'MR' }] } }] }
      : {}),
    ...(name ? { name: [name] } : {}),
    ...(gender ? { gender } : {}),
    ...(birthDate ? { birthDate } : {}),
  };
}

/** PS3.5 §6.2.1.1: family^given^middle^prefix^suffix. */
function humanName(name: PersonName | undefined): HumanName | undefined {
  const [family, given, middle, prefix, suffix] = (name?.Alphabetic ?? '')
    .split('^')
    .map((one) => one.replace(/\s+/g, ' ').trim());
  const names = [given, middle].filter((one) => !!one) as string[];
  if (!family && names.length === 0) return undefined;
  return {
    ...(family ? { family } : {}),
    ...(names.length > 0 ? { given: names } : {}),
    ...(prefix ? { prefix: [prefix] } : {}),
    ...(suffix ? { suffix: [suffix] } : {}),
  };
}

function displayOf(name: PersonName | undefined): string | undefined {
  const [family, given, middle, prefix, suffix] = (name?.Alphabetic ?? '').split('^');
  const text = [prefix, given, middle, family, suffix]
    .map((one) => one?.trim())
    .filter(Boolean)
    .join(' ');
  return text === '' ? undefined : text;
}

/**
 * Which identifier a patient has by the ID of an instance (PS3.3 §C.7.1.1): its system is what the operator has said of the
 * issuer, or the issuer's own universal identifier; else it is this server's own name for that issuer, so that equal IDs of
 * different hospitals are not taken for one patient.
 *
 * @param issuers DICOM_ISSUERS
 * @param base    where DICOMweb is
 */
export function patientIdentifier(
  { patientId, issuer, attributes: text }: Pick<StudyRow, 'patientId' | 'issuer' | 'attributes'>,
  issuers: ReadonlyMap<string, string>,
  base: string,
): { readonly system: string; readonly value: string } | undefined {
  if (patientId === '') return undefined;
  const attributes = JSON.parse(text) as Attributes;
  const named = issuers.get(issuer === '' ? '*' : issuer);
  return { system: named ?? universal(attributes) ?? ownSystem(issuer, base), value: patientId };
}

function universal(attributes: Attributes): string | undefined {
  const [qualifiers = {}] = itemsIn(attributes, '00100024');
  const id = textIn(qualifiers, '00400032');
  if (!id) return undefined;
  switch (textIn(qualifiers, '00400033')) {
    case 'ISO':
      return /^[0-2](\.\d+)+$/.test(id) ? `urn:oid:${id}` : undefined;
    case 'UUID':
      return `urn:uuid:${id.toLowerCase()}`;
    case 'URI':
      return /^\w[\w+.-]*:\S+$/.test(id) ? id : undefined;
    default:
      return undefined;
  }
}

const ownSystem = (issuer: string, base: string): string =>
  issuer === '' ? `${base}/patient-ids` : `${base}/patient-ids/${encodeURIComponent(issuer)}`;
