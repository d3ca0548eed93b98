/** How far a load has come, on stderr: a bar on a terminal, a line every few seconds elsewhere. */

export interface State {
  /** bytes read, and of how many, where that is known */
  read: number;
  readonly total: number | undefined;
  /** resources loaded or found there, and refused */
  done: number;
  refused: number;
}

const BAR = 24;
/** How often it is shown, in ms. */
const EVERY = { terminal: 100, lines: 5000 };

/** Shows it until `stop` is called. */
export function showProgress(state: State, out: NodeJS.WriteStream = process.stderr): { stop(): void } {
  const since = performance.now();
  const text = () => {
    const seconds = (performance.now() - since) / 1000;
    const share = state.total ? Math.min(1, state.read / state.total) : undefined;
    const percent = share === undefined ? '' : `${Math.floor(share * 100)} %  `;
    const refused = state.refused > 0 ? `, ${number(state.refused)} refused` : '';
    return {
      share,
      line: `${percent}${number(state.done)} resources${refused}, ${rate(state.done, seconds)}`,
    };
  };
  if (!out.isTTY) {
    const timer = setInterval(() => out.write(`${text().line}\n`), EVERY.lines);
    timer.unref();
    return { stop: () => clearInterval(timer) };
  }
  const draw = () => {
    const { share, line } = text();
    const filled = Math.round((share ?? 0) * BAR);
    const bar = share === undefined ? '' : `[${'#'.repeat(filled)}${'-'.repeat(BAR - filled)}] `;
    // Back to the first column, and what was longer is wiped out.
    out.write(`\r${`${bar}${line}`.slice(0, (out.columns || 80) - 1)}\x1b[K`);
  };
  const timer = setInterval(draw, EVERY.terminal);
  timer.unref();
  return {
    stop: () => {
      clearInterval(timer);
      out.write('\r\x1b[K');
    },
  };
}

export const number = (value: number): string => value.toLocaleString('en-US');

/** Resources in a second. */
export const rate = (count: number, seconds: number): string =>
  `${number(Math.round(count / Math.max(seconds, 0.001)))}/s`;
