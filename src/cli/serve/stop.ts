/** Ctrl-C and its like. */
import type { Demo } from './demo.ts';

/** What listens, and how it is told to end. */
export interface Serving {
  /** of sample mode */
  readonly token?: string;
  readonly demo?: Demo;
  /** Answers what is under way, and says whether that was done in time. */
  close(): Promise<boolean>;
}

/** Ctrl-C in a terminal goes to npm and to us, and npm sends it on: what follows within this, in ms, is the same one. */
const SAME = 500;

/** How long requests under way may take after it, in ms. */
export const GRACE = 15_000;

/** Resolves at the first SIGINT, SIGTERM or SIGHUP; the next ends the process at once. */
export function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    let first: number | undefined;
    const heard = () => {
      if (first === undefined) {
        first = performance.now();
        resolve();
      } else if (performance.now() - first > SAME) process.exit(1);
    };
    // SIGHUP: the terminal was closed.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, heard);
  });
}
