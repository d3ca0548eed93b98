/** What is done at set times, asked for or not: by node-cron, in UTC, and never beside itself. */
import { schedule } from 'node-cron';
import type { Logger } from 'pino';

export interface Chore {
  /** cron expression */
  readonly at: string;
  readonly work: () => Promise<unknown>;
  /** what the log says where it fails: it is tried again at its next time */
  readonly failed: string;
}

const nothing = (): void => {};
/** That one is late, or not over when its next time comes, is worth no line in the log. */
const QUIET = { info: nothing, warn: nothing, error: nothing, debug: nothing };

/**
 * Keeps to a timetable.
 *
 * @returns ends it; what is under way goes on to its end
 */
export function keepTimetable(chores: readonly Chore[], log: Pick<Logger, 'warn'>): () => void {
  const tasks = chores.map(({ at, work, failed }) => {
    const done = async (): Promise<void> => {
      await work().catch((fault) => log.warn({ code: fault.code }, failed));
    };
    return schedule(at, done, { timezone: 'UTC', noOverlap: true, unref: true, logger: QUIET });
  });
  return () => {
    for (const task of tasks) task.destroy();
  };
}
