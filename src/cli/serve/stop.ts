/** Ctrl-C and its like. */

/** Ctrl-C in a terminal goes to npm and to us, and npm sends it on: what follows within this, in ms, is the same one. */
const SAME = 500;

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
