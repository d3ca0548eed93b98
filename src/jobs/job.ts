/** A request that is done later, and what became of it. */
import type { Issue } from '../fhir/outcome.ts';

/** What is to be done. */
export interface JobRequest {
  readonly method: string;
  /** path and query */
  readonly url: string;
  /** those that matter, by names in lower case */
  readonly headers: Readonly<Record<string, string>>;
}

/** One attempt at a job: what is written under an earlier one than the last is refused. */
export interface Claim {
  readonly id: string;
  readonly attempt: number;
}

/**
 * What is known of a job's writes, should its process end: `done`, all of them are committed; `begun`, some may be;
 * undefined, none is.
 */
export type Mark = 'done' | 'begun';

/** A job that this process does. */
export interface Claimed extends Claim, JobRequest {
  /** number of the access token used */
  readonly agent: number;
  readonly mark?: Mark;
}

/** What came of it, beside the body. */
export interface JobAnswer {
  /** HTTP status */
  readonly status: number;
  readonly location?: string;
  readonly etag?: string;
  /** FHIR instant */
  readonly modified?: string;
  /** whether the body is an OperationOutcome about the request, and not what was asked for */
  readonly about: boolean;
}

/** How far a job is; `body` and `expires` where it is done. */
export type JobProgress =
  | {
      readonly state: 'waiting' | 'running';
      /** since it was asked for */
      readonly seconds: number;
      /** where it is known */
      readonly percent?: number;
    }
  | {
      readonly state: 'done';
      readonly answer: JobAnswer;
      readonly body: AsyncIterable<Buffer>;
      /** milliseconds */
      readonly expires: number;
    };

/** How a job is done: its answer's body is put piece by piece. */
export type Perform = (
  job: Claimed & {
    readonly body: AsyncIterable<Buffer>;
    /** aborted when it must end */
    readonly signal: AbortSignal;
  },
  put: (piece: Buffer) => Promise<void>,
) => Promise<JobAnswer>;

/** An answer that the server gives itself, as the one of the request cannot be had. */
export interface OwnAnswer {
  readonly status: number;
  readonly issue: Issue;
}

/** Thrown where an attempt may not go on: the job was cancelled, or another process does it. */
export class Lost extends Error {}
