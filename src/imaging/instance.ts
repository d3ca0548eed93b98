/** A file that has come in, as the rows of its study, its series and itself. */
import { foldLetters } from '../fhir/fold.ts';
import type { InstanceRow, SeriesRow, StudyRow } from '../records/imaging/imaging.ts';
import { textIn, wholeIn } from './attributes.ts';
import { TAGS } from './dicom/element.ts';
import { type Attributes, describe } from './dicom/json.ts';
import type { Part10 } from './dicom/parse.ts';
import { textOf } from './dicom/parse.ts';
import { layoutOf } from './layout.ts';

export interface Instance {
  readonly study: StudyRow;
  readonly series: SeriesRow;
  readonly instance: InstanceRow;
  readonly attributes: Attributes;
}

/** Why an instance is not taken (PS3.18 table I.2-2, PS3.7 annex C). */
export class Unacceptable extends Error {
  readonly reason: number;

  constructor(reason: number, message: string) {
    super(message);
    this.reason = reason;
  }
}

export const REASONS = {
  processing: 0x0110,
  duplicate: 0x0111,
  missingAttribute: 0x0120,
  notAuthorized: 0x0124,
  outOfResources: 0xa700,
  mismatch: 0xa900,
  notUnderstood: 0xc000,
} as const;

/** Attributes of patient and study (PS3.18 table 10.6.3-3, PS3.3 §C.7.1 and §C.7.2). */
export const STUDY_TAGS: ReadonlySet<string> = new Set(
  `00080005 00080020 00080030 00080050 00080051 00080090 00080096 00080201 00081030 00081032 00081048 00081049 00081060
   00081080 00081084 00081110 00100010 00100020 00100021 00100022 00100024 00100030 00100032 00100040 00101000 00101001
   00101002 00101010 00101020 00101030 00101040 00102160 00102180 001021B0 00104000 0020000D 00200010 00321032 00321033
   00321060 00324000`.split(/\s+/),
);

/** Of series (PS3.18 table 10.6.3-4, PS3.3 §C.7.3). */
export const SERIES_TAGS: ReadonlySet<string> = new Set(
  `00080021 00080031 00080060 00080070 00080080 00081010 0008103E 0008103F 00081040 00081050 00081070 00081090 00081111
   00180015 00181030 00185100 0020000E 00200011 00200052 00200060 00400244 00400245 00400250 00400251 00400253 00400254
   00400260 00400275`.split(/\s+/),
);

const UID = /^[0-9.]{1,64}$/;

/**
 * Reads what it is of.
 *
 * @throws Unacceptable where it lacks what its place in a study is told by
 */
export function instanceOf(file: Part10, blob: InstanceRow['blob']): Instance {
  const described = describe(file);
  const { attributes } = described;
  const uidOf = (tag: string, name: string): string => {
    const uid = textIn(attributes, tag);
    if (uid === undefined) throw new Unacceptable(REASONS.missingAttribute, `it has no ${name}`);
    if (!UID.test(uid)) throw new Unacceptable(REASONS.mismatch, `its ${name} is no UID`);
    return uid;
  };
  const sopClass = uidOf('00080016', 'SOP Class UID (0008,0016)');
  const uid = uidOf('00080018', 'SOP Instance UID (0008,0018)');
  const study = uidOf('0020000D', 'Study Instance UID (0020,000D)');
  const series = uidOf('0020000E', 'Series Instance UID (0020,000E)');
  const named = textOf(file.meta, TAGS.mediaStorageSopInstance);
  if (named !== undefined && named !== uid)
    throw new Unacceptable(REASONS.mismatch, 'its file meta information names another SOP Instance UID');
  const patientId = textIn(attributes, '00100020') ?? '';
  const issuer = textIn(attributes, '00100021') ?? '';
  if (patientId.length > LONGEST_ID || issuer.length > LONGEST_ID)
    throw new Unacceptable(REASONS.mismatch, 'its Patient ID or the issuer of it is too long');
  const frames = Math.max(1, wholeIn(attributes, '00280008') ?? 1);
  if (frames > MOST_FRAMES) throw new Unacceptable(REASONS.mismatch, 'its Number of Frames is too large');
  const date = textIn(attributes, '00080020')?.replaceAll('.', '');
  const time = textIn(attributes, '00080030')?.replaceAll(':', '');
  const name = textIn(attributes, '00100010');
  const layout = layoutOf(file, described);
  return {
    attributes,
    study: {
      uid: study,
      patientId,
      issuer,
      date: date !== undefined && /^\d{8}$/.test(date) ? date : null,
      time: time !== undefined && /^[\d.]{2,16}$/.test(time) ? time : null,
      accession: cut(textIn(attributes, '00080050')),
      name: name === undefined ? null : cut(foldLetters(name)),
      attributes: JSON.stringify(only(attributes, STUDY_TAGS)),
    },
    series: {
      uid: series,
      modality: cut(textIn(attributes, '00080060')),
      number: numberIn(attributes, '00200011'),
      attributes: JSON.stringify(only(attributes, SERIES_TAGS)),
    },
    instance: {
      uid,
      series,
      class: sopClass,
      number: numberIn(attributes, '00200013'),
      syntax: file.syntax.uid,
      frames: layout.pixels ? frames : 0,
      blob,
      attributes: JSON.stringify(attributes),
      places: JSON.stringify(layout),
    },
  };
}

/** What is indexed is cut: longer than DICOM allows by far, and shorter than an index takes. */
const LONGEST_TEXT = 400;
const LONGEST_ID = 200;
const MOST_FRAMES = 10_000_000;

const cut = (text: string | undefined): string | null => text?.slice(0, LONGEST_TEXT) ?? null;

/** A whole number that PostgreSQL and FHIR hold. */
function numberIn(attributes: Attributes, tag: string): number | null {
  const value = wholeIn(attributes, tag);
  return value !== undefined && Math.abs(value) < 2 ** 31 ? value : null;
}

const only = (attributes: Attributes, tags: ReadonlySet<string>): Attributes =>
  Object.fromEntries(Object.entries(attributes).filter(([tag]) => tags.has(tag)));
