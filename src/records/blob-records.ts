/** The part of the door for bytes: of whoever may read what has them, as the rest of the door tells. */
import type { Readable } from 'node:stream';
import type { Transcoding } from '../jobs/transcodings.ts';
import type { KnownBlob, Rendition } from '../store/bytes.ts';
import type { UploadRow } from '../store/uploads.ts';
import type { Made } from './renditions.ts';
import type { BlobContent, Caller, Stored } from './stored.ts';

export interface BlobRecords {
  /**
   * The bytes behind `blob` of a version of a Binary.
   *
   * @param range first and last byte, inclusive
   */
  openBlob(blob: string, range?: { readonly start: number; readonly end: number }): Promise<BlobContent>;
  /** The same, given to whoever takes them: what is given is only there until it is taken. */
  pourBlob(
    blob: string,
    take: (piece: Uint8Array) => Promise<void>,
    range?: { readonly start: number; readonly end: number },
  ): Promise<void>;
  /**
   * Large data of that name in an attachment of a resource: in which version, and its contentType.
   *
   * @param current as the caller has read it: what older versions had is for whoever may read these
   * @throws        Refusal 404 where no version that the caller may read has it
   */
  attachment(
    caller: Caller,
    current: Stored,
    blob: string,
  ): Promise<{ readonly version: Stored; readonly media: string | null }>;
  /** What is known of such bytes. @throws Refusal 404 */
  describeBlob(blob: string): Promise<KnownBlob>;
  /** The same of several, by their names; those that are not here are left out. */
  describeBlobs(blobs: readonly string[]): Promise<ReadonlyMap<string, KnownBlob>>;
  /** The picture that was made of such bytes, of that size, where there is one. */
  rendition(blob: string, size: string): Promise<Rendition | undefined>;
  /** Keeps one, as long as there are the bytes that it was made of. */
  keepRendition(blob: string, size: string, made: Made): Promise<Rendition>;

  readonly transcoding: {
    /** How far a film is being made to play in browsers; undefined where that was not asked for, or is done. */
    look(blob: string): Promise<Transcoding | undefined>;
    /** Asks for it; once is enough. */
    ask(blob: string): Promise<void>;
  };
}

/** An upload that can be resumed. */
export type Upload = UploadRow;

/** Uploads that can be resumed, each for the access token that began it. All throw Refusal 404 for another's. */
export interface Uploads {
  /** @throws Refusal 403 where he may not create a Binary */
  begin(caller: Caller, wanted: Pick<Upload, 'size' | 'metadata'>): Promise<Upload>;
  find(caller: Caller, id: string): Promise<Upload>;
  /** Says how large it is, where that was left open. */
  declare(caller: Caller, id: string, size: number): Promise<void>;
  /**
   * Keeps bytes as they come: also those of a stream that breaks off.
   *
   * @returns how many there are then
   * @throws  Refusal 409 where others came in their place
   */
  append(caller: Caller, id: string, offset: number, stream: Readable): Promise<number>;
  /**
   * Ends it: whatever comes of it, its pieces go.
   *
   * @param become makes of all bytes what they are to be, and says what that is
   */
  close(
    caller: Caller,
    id: string,
    become: (bytes: Readable) => Promise<Readonly<Record<string, string>>>,
  ): Promise<Readonly<Record<string, string>>>;
  remove(caller: Caller, id: string): Promise<void>;
}
