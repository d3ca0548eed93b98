/**
 * DICOM studies behind the door. A study is its ImagingStudy to whoever asks: who may read that sees the study, all
 * of it, and nobody else does. Instances, the ImagingStudy and whom it is about are written in one transaction.
 */
import type { Readable } from 'node:stream';
import type { ImagingStudy, Media, Observation, Patient } from 'fhir/r4.js';
import type { Blob } from '../../store/blobs/blobs.ts';
import type { Filter, FoundRow, InstancePlace, Level } from '../../store/imaging/find.ts';
import type { Held, HeldWanted } from '../../store/imaging/held.ts';
import type { InstanceRow, SeriesContents, SeriesRow, StudyRow } from '../../store/imaging/rows.ts';
import type { BlobContent, Caller, Stored } from '../stored.ts';

export type { Blob } from '../../store/blobs/blobs.ts';
export type { Filter, FoundRow, InstancePlace, Level, Test } from '../../store/imaging/find.ts';
export type { Held, HeldWanted } from '../../store/imaging/held.ts';
export type { InstanceRow, SeriesContents, SeriesRow, StudyRow } from '../../store/imaging/rows.ts';

/** Identifier system of a study (R4 imagingstudy.html, SMART Imaging Access). */
export const DICOM_UID = 'urn:dicom:uid';

/** Instances of one study, on their way in. */
export interface Arrival {
  readonly study: StudyRow;
  readonly series: readonly SeriesRow[];
  readonly instances: readonly InstanceRow[];
  /** whom the instances say to be about; undefined where they name nobody */
  readonly patient:
    | { readonly system: string; readonly value: string; readonly resource: Patient }
    | undefined;
  /** the study's ImagingStudy, with all that is in it then */
  readonly resourceOf: (contents: StudyContents) => ImagingStudy;
  /** what is made of its instances beside, by their UIDs */
  readonly derived: readonly (Derived & { readonly instance: string })[];
}

/** A resource that is made of an instance, and goes with its study. */
export interface Derived {
  readonly type: 'Observation' | 'Media';
  /** that nothing else has: where it is there already, it stays as it is */
  readonly identifier: { readonly system: string; readonly value: string };
  /** @param of references to patient and ImagingStudy */
  readonly make: (of: { readonly subject: string; readonly study: string }) => Promise<Observation | Media>;
}

/** What the organization has decided of instances that were kept apart. */
export interface Decided {
  /** reference to the patient whom they are of */
  readonly subject: string;
  /** ids by which they are kept apart, in the order of the instances */
  readonly held: readonly string[];
}

export interface StudyContents {
  /** as it is now */
  readonly existing?: ImagingStudy;
  /** reference to the patient */
  readonly subject: string;
  readonly series: readonly SeriesContents[];
}

/** What became of an instance. */
export type Arrived =
  | { readonly kind: 'stored' | 'unchanged' }
  /** it stays as it is: another of the same UID is there */
  | { readonly kind: 'duplicate' }
  /** kept apart until the organization has looked at it */
  | { readonly kind: 'held' }
  /** its sender may not bring it in */
  | { readonly kind: 'forbidden' };

export interface Found {
  readonly rows: readonly FoundRow[];
  /** of all pages; undefined where there are too many to tell for this caller */
  readonly total: number | undefined;
}

export interface Reading {
  /** the ImagingStudy */
  readonly study: Stored;
  /** transfer syntaxes that its instances are stored in */
  readonly syntaxes: readonly string[];
  /** in a fixed order, read as they are taken */
  readonly pages: AsyncIterable<readonly InstancePlace[]>;
}

export interface Imaging {
  /**
   * Puts the bytes of a file away; without a row that knows them they are swept away later.
   *
   * @throws Refusal 403 unless the caller may bring in studies; 413 past MAX_BINARY, 507 past BYTES_QUOTA, 422 where the
   *         scanner finds harm; what the stream fails with
   */
  putAway(caller: Caller, stream: Readable): Promise<Blob>;
  /** Bytes that were put away, also before a row knows them. */
  reopen(
    blob: InstanceRow['blob'],
    range?: { readonly start: number; readonly end: number },
  ): Promise<Pick<BlobContent, 'stream'>>;
  /**
   * Brings instances of a study in. What is derived of them is written with them, as far as the caller may create it. The same once more changes nothing.
   *
   * @returns what became of each, in order
   */
  store(caller: Caller, arrival: Arrival): Promise<readonly Arrived[]>;
  /** What is found among the studies that the caller may find. */
  find(
    caller: Caller,
    sought: {
      readonly level: Level;
      readonly filters: readonly Filter[];
      readonly limit: number;
      readonly offset: number;
      /** what was asked, for the audit trail */
      readonly asked: string;
    },
  ): Promise<Found>;
  /**
   * Instances of a study that the caller may read.
   *
   * @throws Refusal 404 where there is no such study to the caller, 403 where its access is for another patient alone
   */
  read(
    caller: Caller,
    of: { readonly study: string; readonly series?: string; readonly instance?: string },
  ): Promise<Reading>;
  /** @throws Refusal 404, 416 */
  open(
    place: Pick<InstancePlace, 'blob'>,
    range?: { readonly start: number; readonly end: number },
  ): Promise<BlobContent>;
  /**
   * Deletes a study's ImagingStudy, and its bytes with it.
   *
   * @returns names of the files that are gone
   * @throws  Refusal as read; 403 where the caller may not delete it
   */
  remove(caller: Caller, study: string): Promise<readonly string[]>;
  /** Which of some files instances still have. */
  known(blobs: readonly string[]): Promise<ReadonlySet<string>>;
  /** of what is kept apart */
  readonly review: Review;
  /** Takes away what belongs to ImagingStudys that were deleted otherwise; returns names of the files that are gone. */
  purge(): Promise<readonly string[]>;
}

/** What the organization does about instances that are kept apart. All throw Refusal 403 unless that is allowed of all patients. */
export interface Review {
  /** Those that are kept apart, as they came. */
  find(caller: Caller, wanted: HeldWanted): Promise<readonly Held[]>;
  /**
   * Brings instances of a study in, as those of a patient.
   *
   * @param to patient by id; ids by which the instances are kept apart, in their order
   * @throws   Refusal 404 where there is no such patient; 422 where their study is there, about another; 410 where somebody
   *           else has decided meanwhile
   */
  release(
    caller: Caller,
    arrival: Arrival,
    to: { readonly patient: string; readonly held: readonly string[] },
  ): Promise<readonly Arrived[]>;
  /**
   * Takes them away for good.
   *
   * @returns how many there were
   * @throws  Refusal 404 where there was none
   */
  reject(caller: Caller, held: readonly string[]): Promise<number>;
}
