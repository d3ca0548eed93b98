/** How a search is done: its statements as they come, each with the plan that PostgreSQL makes for it. */
import type { Executor } from '../pool.ts';

/** A statement, and its plan. */
export interface Explained {
  /** with numbered parameters, and without their values */
  readonly sql: string;
  /** of EXPLAIN (FORMAT JSON), without values */
  readonly plan: unknown;
}

/**
 * An executor that tells what it runs. What one statement finds decides what the next one is, so they are run as well.
 *
 * @param told is added to
 */
export function watching(executor: Executor, told: Explained[]): Executor {
  // One connection: what is asked side by side is done in turn.
  let before: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = before.then(work);
    before = done.catch(() => {});
    return done;
  };
  return {
    query: (config) =>
      inTurn(async () => {
        const { text, values } = config;
        const explain = { text: `explain (format json) ${text}`, values, rowMode: 'array' };
        const { rows } = await executor.query(explain);
        told.push({ sql: text.replace(/\s+/g, ' ').trim(), plan: withoutValues(rows[0]?.[0]) });
        // Without its name: prepared for one statement, it would stay.
        return executor.query({ ...config, name: undefined });
      }),
  };
}

/** Plans hold values, some of which come from what was found before: keys, and numbers of resources. */
function withoutValues(plan: unknown): unknown {
  if (typeof plan === 'string') return plan.replace(/'(?:[^']|'')*'/g, "'…'");
  if (Array.isArray(plan)) return plan.map(withoutValues);
  if (typeof plan !== 'object' || plan === null) return plan;
  return Object.fromEntries(Object.entries(plan).map(([name, value]) => [name, withoutValues(value)]));
}
