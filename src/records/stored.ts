/** Who asks the records, and what comes of it: what all of their parts have in common. */
import type { Readable } from 'node:stream';
import type { Access } from '../access/access.ts';
import type { Claim } from '../jobs/job.ts';
import type { KnownBlob } from '../store/bytes.ts';

/** Who is asking. */
export interface Caller {
  /** number of the access token; 0: the command line */
  readonly agent: number;
  readonly access: Access;
  /** epoch of the decisions behind `access`; records asks anew where it has passed */
  readonly epoch: number;
  /** of a request that is done later: what it writes is noted there */
  readonly job?: Claim;
  /** the request, for the audit trail: its id and the address that it came from, apart by a space */
  readonly origin?: string;
}

/** One version of a resource as it is kept: fhir/content.ts renders it. */
export interface Stored {
  /** its number in this database, for the audit trail; undefined of what has just been written */
  readonly rid?: number;
  readonly type: string;
  readonly id: string;
  readonly version: number;
  /** FHIR instant with milliseconds */
  readonly updated: string;
  readonly deleted: boolean;
  /** JSON without id, versionId and lastUpdated; '' where deleted */
  readonly content: string;
  /** name of the bytes of a Binary */
  readonly blob: string | null;
  /** of a contained resource what contains it, whose version it has: its content is whole, with its id */
  readonly container?: { readonly type: string; readonly id: string };
}

export interface BlobContent extends KnownBlob {
  readonly stream: Readable;
}
