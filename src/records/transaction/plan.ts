/** What is known of a transaction before it is tried. */
import type { Condition } from '../../search/condition.ts';
import type { Entry } from '../records.ts';
import type { Link } from './names.ts';
import type { Postings } from './postings.ts';
import type { Step } from './steps.ts';

export interface Plan {
  readonly entries: readonly Entry[];
  readonly steps: readonly Step[];
  readonly links: readonly Link[];
  readonly conditions: readonly Condition[];
  /** what it changes of the search parameters */
  readonly postings?: Postings;
}
