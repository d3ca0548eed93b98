/** What looks at bytes that have come in: src/media does, and this is what it is asked and answers. */
import type { Readable } from 'node:stream';
import type { Facts } from '../store/bytes.ts';

/** Bytes that are put away, but nobody's yet. */
export interface Arrived {
  /** in bytes */
  readonly size: number;
  /** whether they must stay as they are: their Binary has a restricted label */
  readonly asItIs: boolean;
  open(range?: { readonly start: number; readonly end: number }): Promise<Readable>;
}

/** What they are seen to be. */
export interface Seen {
  /** the media type that they show; null where they show none */
  readonly kind: string | null;
  readonly facts: Facts | null;
  /** of a video a picture, as JPEG */
  readonly picture?: Uint8Array;
  /** what is kept in their place: a photo without the place where it was taken */
  readonly instead?: {
    readonly bytes: Uint8Array | Readable;
    /** undefined: as declared */
    readonly contentType?: string;
  };
}

/** @throws Refusal where they cannot be taken: nothing of them is kept */
export type Look = (arrived: Arrived) => Promise<Seen>;
