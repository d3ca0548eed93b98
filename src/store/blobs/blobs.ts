/** Where the bytes of Binaries are. The row that knows them is written apart, in the transaction of the Binary. */
import type { Readable } from 'node:stream';

const NAME = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Whether bytes may have that name: no other text becomes part of a path. */
export const isName = (text: string): boolean => NAME.test(text);

/** Milliseconds since the epoch, which a UUID v7 begins with (RFC 9562 §5.7). */
export function timeOf(name: string): number {
  return Number.parseInt(name.slice(0, 8) + name.slice(9, 13), 16);
}

/** What has been put away. */
export interface Blob {
  /** UUID v7, of the time when its last byte was put away */
  readonly name: string;
  /** in bytes */
  readonly size: number;
  /** of all bytes, in hexadecimal digits */
  readonly sha256: string;
  /** of all bytes, in base64 */
  readonly sha1: string;
}

export interface PutOptions {
  /** most bytes that are taken */
  readonly limit?: number;
  /** where it aborts, the put fails */
  readonly signal?: AbortSignal;
}

/** First and last byte, inclusive, counted from 0 (RFC 9110 §14.1.2). */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

export interface OpenBlob {
  /** of the whole, in bytes */
  readonly size: number;
  /** the bytes asked for: to be read to their end, or destroyed */
  readonly stream: Readable;
}

/** Takes bytes, which are only there until it resolves. */
export type Take = (piece: Uint8Array) => Promise<void>;

/** The names among these that a row knows. */
export type KnownNames = (names: readonly string[]) => Promise<ReadonlySet<string>>;

/** A store of bytes that never change. */
export interface Blobs {
  /**
   * Puts bytes away under a new name. Once it resolves they outlast a power cut; where it fails nothing is left.
   * A stream that is past the limit is not destroyed, so that an HTTP request can still be answered.
   *
   * @throws Refusal 413 past the limit, 507 where there is no room; what the stream or the signal fails with
   */
  put(stream: Readable, options?: PutOptions): Promise<Blob>;
  /**
   * Opens bytes for reading.
   *
   * @param range is cut to the size
   * @throws      Refusal 404 where there are none of that name, 416 where the range begins after their end
   */
  open(name: string, range?: ByteRange): Promise<OpenBlob>;
  /**
   * Gives bytes to whoever takes them, piece by piece: as `open`, but the same memory is used again and again, where a
   * stream's would have to be collected.
   *
   * @throws Refusal as open; what taking them fails with
   */
  pour(name: string, take: Take, range?: ByteRange): Promise<void>;
  /** Removes bytes; those that are not there, too. Who is reading them reads on. */
  remove(name: string): Promise<void>;
  /** The names of all bytes that were put away, in batches. */
  names(): AsyncIterable<readonly string[]>;
  /**
   * Removes what failed or killed writers left: bytes put away before a time that no row knows, and unfinished
   * ones that were last written before it.
   *
   * @param before milliseconds since the epoch; long enough ago for every transaction of then to have ended
   * @returns      how many were removed
   */
  sweep(before: number, known: KnownNames): Promise<number>;
}
