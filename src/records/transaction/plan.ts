/** What is known of a transaction before it is tried. */
import type { Condition } from '../../search/condition.ts';
import type { Executor } from '../../store/pool.ts';
import type { Entry } from '../records.ts';
import type { Link } from './names.ts';
import type { Postings } from './postings.ts';
import type { Step } from './steps.ts';

/** What is done beside the entries, in the same transaction of the database: to throw is to give all of it up. */
export interface Beside {
  /** when all locks are held, before anything is written */
  readonly before: (executor: Executor) => Promise<void>;
  /**
   * when all is written and not yet committed
   *
   * @param created numbers of what is new, by `Type/id`
   */
  readonly after: (executor: Executor, created: ReadonlyMap<string, number>) => Promise<void>;
}

export interface Plan {
  readonly entries: readonly Entry[];
  readonly steps: readonly Step[];
  readonly links: readonly Link[];
  readonly conditions: readonly Condition[];
  /** what it changes of the search parameters */
  readonly postings?: Postings;
  readonly beside?: Beside | undefined;
}
