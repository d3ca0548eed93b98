/** What is asked of the worker thread of pictures, and what it answers. */
import type { Facts } from '../records/records.ts';

export type Task =
  | { readonly does: 'clean'; readonly kind: string; readonly asItIs: boolean }
  | { readonly does: 'shrink'; readonly edge: number };

export interface Cleaned {
  /** undefined: the picture stays as it came */
  readonly bytes?: Uint8Array;
  readonly contentType: string;
  readonly facts: Facts;
}

export interface Shrunk {
  readonly bytes: Uint8Array;
  readonly contentType: string;
  readonly width: number;
  readonly height: number;
}

export interface Asked {
  readonly task: Task;
  readonly bytes: Uint8Array;
}

export type Answered =
  | { readonly done: Cleaned | Shrunk }
  /** what is wrong with the picture, for whoever sent it */
  | { readonly refused: string };

/** A picture with more is not decoded: some KB can hold billions. */
export const MOST_PIXELS = 100_000_000;

/** Seconds that one picture may take. */
export const PATIENCE = 30;
