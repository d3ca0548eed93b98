/** What of somebody's resources is asked for, and in which form. */

/** The sizes of pictures: pixels of the longer edge. */
export const SIZES = ['256', '1024'] as const;

/** Video and audio in the form that every browser plays. */
export const PLAY = 'play';

/** What the bytes of somebody's resources are asked for by. */
export interface Wanted {
  readonly type: string;
  readonly id: string;
  /** name of large data in an attachment, as its url has it */
  readonly part?: string;
  /** of SIZES, or PLAY; undefined: as they are */
  readonly size?: string;
}
