/**
 * The one door to the data. Whoever is above asks with a Caller; what the caller may not do or see is refused or
 * left out here, whatever the route.
 */
import type { Readable } from 'node:stream';
import type { Person } from '../access/person.ts';
import type { Range } from '../fhir/date.ts';
import type { Meta } from '../fhir/meta.ts';
import type { Patch } from '../fhir/patch/patch.ts';
import type { Claim, JobProgress, JobRequest } from '../jobs/job.ts';
import type { Condition } from '../search/condition.ts';
import type { SearchRequest } from '../search/request.ts';
import type { Explained } from '../store/search/explain.ts';
import type { BlobRecords, Uploads } from './blob-records.ts';
import type { Imaging } from './imaging/imaging.ts';
import type { Caller, Stored } from './stored.ts';

export type { JobAnswer, JobRequest, Perform } from '../jobs/job.ts';
export type { Facts, KnownBlob, Rendition } from '../store/bytes.ts';
export type { Upload, Uploads } from './blob-records.ts';
export type { BlobContent, Caller, Stored } from './stored.ts';

/** What is noted in the audit trail beside interactions: who signed in, what an app was let into, what was taken out. */
export interface Happened {
  /** signed in or out; was given an access token, or showed none that is one; took data out; followed a link that needs no token */
  readonly what: 'sign-in' | 'sign-out' | 'token' | 'token-shown' | 'export' | 'link';
  readonly refused?: boolean | undefined;
  /** as of HTTP, where `refused` does not say enough */
  readonly status?: number | undefined;
  /** how often, where it is noted once for several */
  readonly times?: number | undefined;
  /** number of the access token, where there is one */
  readonly agent?: number | undefined;
  readonly client?: string | undefined;
  /** `Type/id` */
  readonly person?: string | undefined;
  /** id */
  readonly patient?: string | undefined;
  /** where the request came from */
  readonly address?: string | undefined;
  /** what was asked for, such as scopes; kept sealed */
  readonly asked?: string | undefined;
}

export interface Written extends Stored {
  /** whether it was not there before, or was deleted */
  readonly created: boolean;
}

/** What came of a deletion; version and updated are those of the deletion, where there was something to delete. */
export interface Removed {
  readonly existed: boolean;
  readonly version?: number;
  readonly updated?: string;
}

export interface HistoryRequest {
  /** with `id` the history of an instance, alone of a type, without both of all */
  readonly type?: string;
  readonly id?: string;
  /** entries on a page, 1 to 1000 */
  readonly count: number;
  /** milliseconds: only versions made at or after it */
  readonly since?: number;
  /** only versions that were current at some time within it */
  readonly at?: Range;
  /** id of a List: only versions of the resources in it */
  readonly list?: string;
  /** where the page begins, from `next` of the one before */
  readonly after?: string;
}

export interface HistoryEntry extends Stored {
  readonly interaction: 'create' | 'update' | 'delete';
}

export interface HistoryPage {
  readonly entries: readonly HistoryEntry[];
  /** of an instance's history without _since and _at: how many versions there are */
  readonly total?: number;
  readonly next?: string;
}

export interface SearchPage {
  readonly entries: readonly Stored[];
  /** what the matches refer to, or are referred to by, as far as it was asked for */
  readonly included: readonly Stored[];
  /** whether there would have been more to include than one page takes */
  readonly cut: boolean;
  /** where it was asked for, or all are on the first page */
  readonly total?: number;
  /** the following page and the one before, where there are any, each as `after` of a request */
  readonly next?: string;
  readonly previous?: string;
}

/** All that belongs to a patient or an encounter; without `id` to all patients. */
export interface EverythingRequest {
  readonly type: 'Patient' | 'Encounter';
  readonly id?: string;
  /** milliseconds: only what is dated within [start, end), or has no date of care */
  readonly start?: number;
  readonly end?: number;
  /** milliseconds: only versions made at or after it */
  readonly since?: number;
  /** undefined: all */
  readonly types?: readonly string[];
  /** undefined: all */
  readonly count?: number;
  /** where it begins, from `next` of the one before */
  readonly after?: string;
}

/** Profiles, tags and security labels to be added or taken away. */
export interface MetaEdit {
  readonly kind: 'add' | 'delete';
  readonly meta: Meta;
}

export interface Everything {
  /** read as they are taken; none twice */
  readonly pieces: AsyncIterable<readonly Gathered[]>;
  readonly next?: string;
}

export interface Gathered extends Stored {
  /** whether it does not belong there by itself, but is referred to */
  readonly support: boolean;
}

export interface EmergencyRequest {
  /** ids */
  readonly practitioner: string;
  readonly patient: string;
  readonly reason: string;
  /** number of the access token */
  readonly agent: number;
}

/** Which resource an interaction is about: the one of an id, or the one that a condition finds. */
export type Target =
  | { readonly type: string; readonly id: string; readonly where?: undefined }
  | { readonly type: string; readonly id?: undefined; readonly where: Condition };

/** What a write depends on. */
export interface Provided {
  /** the version that the resource must have */
  readonly ifMatch?: number;
  /** only where nothing was ever written under its id (If-None-Match: *) */
  readonly ifNew?: boolean;
}

/** What is asked of one entry of a transaction; `fullUrl` is what other entries refer to it by. */
export type Entry =
  | {
      readonly method: 'POST';
      readonly type: string;
      readonly fullUrl?: string;
      /** text of the resource */
      readonly body: string;
      readonly ifNoneExist?: Condition;
    }
  | ({
      readonly method: 'PUT';
      readonly fullUrl?: string;
      readonly body: string;
    } & Target &
      Provided)
  | ({
      readonly method: 'PATCH';
      readonly fullUrl?: string;
      readonly patch: Patch;
    } & Target &
      Pick<Provided, 'ifMatch'>)
  | ({ readonly method: 'DELETE' } & Target & Pick<Provided, 'ifMatch'>)
  | { readonly method: 'GET'; readonly read: Read };

export type Read =
  | { readonly kind: 'read'; readonly type: string; readonly id: string }
  | { readonly kind: 'vread'; readonly type: string; readonly id: string; readonly version: string }
  | { readonly kind: 'history'; readonly request: HistoryRequest }
  | { readonly kind: 'search'; readonly request: SearchRequest };

/** What became of an entry. */
export type Outcome =
  /** `created` is false where a condition found something that stays as it is, or a resource was changed */
  | { readonly kind: 'written'; readonly resource: Written }
  | { readonly kind: 'unchanged'; readonly resource: Stored }
  | { readonly kind: 'removed'; readonly removed: Removed }
  | { readonly kind: 'read'; readonly resource: Stored }
  | { readonly kind: 'history'; readonly page: HistoryPage }
  | { readonly kind: 'search'; readonly page: SearchPage };

/** The bytes of a Binary on their way in. */
export interface Bytes {
  readonly contentType: string;
  /** Reference text of X-Security-Context */
  readonly securityContext?: string;
  /** whether a photo is kept as it came, too, where others take its place: under a restricted label */
  readonly keepOriginal?: boolean;
  readonly stream: Readable;
}

export interface Records extends BlobRecords {
  /** The caller behind an access token; undefined where it is none, or has expired. */
  authenticate(token: string): Promise<Caller | undefined>;
  /** The caller behind an access token that was shown before, with the rights that it has now; undefined where it has ended. */
  callerOf(agent: number): Promise<Caller | undefined>;
  /** The caller that the command line is: everything is allowed. */
  operator(): Promise<Caller>;
  /**
   * Who somebody is, and whose records are theirs to see.
   *
   * @param fhirUser `Type/id` of a Practitioner, Patient, RelatedPerson or Person
   */
  person(fhirUser: string): Promise<Person>;
  /**
   * Opens a patient's records to a practitioner for an hour, and asks for a review of it. Whether it is the practitioner who
   * asks, and now, is for the caller to know.
   *
   * @returns until when, in milliseconds
   * @throws  Refusal 400 without a reason; 404; 429
   */
  breakGlass(request: EmergencyRequest): Promise<number>;

  /**
   * Notes what is no interaction in the audit trail; with AUDIT=strict it is there when this resolves.
   *
   * @throws Refusal 503 where it could not be noted: then it must not be done
   */
  note(happened: Happened): Promise<void>;

  /** @throws Refusal 404, 410 */
  read(caller: Caller, type: string, id: string): Promise<Stored>;
  /** Of several of a type those that he may read, by their ids, in few statements. @throws Refusal 403 */
  readAll(caller: Caller, type: string, ids: readonly string[]): Promise<ReadonlyMap<string, Stored>>;
  /** @throws Refusal 404; 410 where that version is a deletion */
  vread(caller: Caller, type: string, id: string, version: string): Promise<Stored>;

  /**
   * @param body        the resource as it came in
   * @param ifNoneExist where one resource meets it, that is the answer, and nothing is written
   * @throws            Refusal 400, 422; 412 where several meet the condition
   */
  create(caller: Caller, type: string, body: string, ifNoneExist?: Condition): Promise<Written>;
  /**
   * Update, update as create, or revival; by a condition, update of the resource that meets it, or create.
   *
   * @throws Refusal 400; 412 naming the current version, or how many meet the condition; 409 where the body's id
   *         belongs to a resource that does not meet it
   */
  update(caller: Caller, target: Target, body: string, provided?: Provided): Promise<Written>;
  /** @throws Refusal as update; 404 where nothing meets the condition; 404, 410; 422 where the patch does not apply */
  patch(caller: Caller, target: Target, patch: Patch, provided?: Pick<Provided, 'ifMatch'>): Promise<Written>;
  /**
   * @returns the last deletion, where a condition met several that may go together (DELETE_MATCHES)
   * @throws  Refusal 412 naming the current version, or how many meet the condition
   */
  remove(caller: Caller, target: Target, provided?: Pick<Provided, 'ifMatch'>): Promise<Removed>;

  /**
   * The only way in which security labels go (R4 resource.html#Meta). Makes a new version, unless nothing changes.
   *
   * @returns the current version after it
   * @throws  Refusal 400; 404, 410; 412 naming the current version
   */
  changeMeta(
    caller: Caller,
    to: { readonly type: string; readonly id: string } & Pick<Provided, 'ifMatch'>,
    edit: MetaEdit,
  ): Promise<Stored>;

  history(caller: Caller, request: HistoryRequest): Promise<HistoryPage>;
  search(caller: Caller, request: SearchRequest): Promise<SearchPage>;
  /**
   * The statements by which a search is done, with their plans and without what they find.
   *
   * @throws Refusal 403 unless it is a system's access token; as search
   */
  explain(caller: Caller, request: SearchRequest): Promise<readonly Explained[]>;
  /** @throws Refusal 404, 410 */
  everything(caller: Caller, request: EverythingRequest): Promise<Everything>;
  /**
   * A Composition, then what it refers to, then what these refer to in turn; none twice, read as they are taken.
   *
   * @throws Refusal 403; 404, 410; 422 where something that it refers to is not here, or it is too much
   */
  document(caller: Caller, id: string): Promise<AsyncIterable<readonly Stored[]>>;

  /** One entry of a batch, by itself. */
  carryOut(caller: Caller, entry: Entry): Promise<Outcome>;
  /**
   * All entries or none, in one database transaction, whatever their order (R4 http.html#trules). References to a
   * fullUrl, and conditional references, become local ones.
   *
   * @returns what became of each, in order
   * @throws  Refusal whose expressions begin with Bundle.entry[n]
   */
  transaction(caller: Caller, entries: readonly Entry[]): Promise<Outcome[]>;

  /**
   * A Binary from raw bytes (R4 binary.html#rest); `id` undefined creates.
   *
   * @returns `original`: id of the Binary that has the bytes as they came, where it is another
   * @throws  Refusal 422 for a picture that cannot be read
   */
  writeBinary(
    caller: Caller,
    id: string | undefined,
    bytes: Bytes,
    provided?: Provided,
  ): Promise<Written & { readonly original?: string }>;
  /**
   * Has index rows made anew: of all, of a type, or of all that a posted SearchParameter is for.
   *
   * @returns id by which `deferred` tells how far it is
   * @throws  Refusal 403; 404, 410, 422; 429
   */
  reindex(caller: Caller, wanted: { readonly type?: string; readonly parameter?: string }): Promise<string>;
  /** Makes the definitions those of now: what is unknown to them may be known to another process. */
  refreshDefinitions(): Promise<void>;

  readonly deferred: Deferred;
  readonly uploads: Uploads;
  readonly imaging: Imaging;
}

/** Requests that are done later (Prefer: respond-async), each for whoever asked only. */
export interface Deferred {
  /**
   * Keeps a request; when this resolves, it will be done.
   *
   * @returns its id
   * @throws  Refusal 429 where the caller has too many
   */
  add(caller: Caller, request: JobRequest, body: Buffer): Promise<string>;
  /** How far it is; undefined where the caller has none of that id. */
  look(caller: Caller, id: string): Promise<JobProgress | undefined>;
  /** Cancels it, or forgets its answer; whether there was one. */
  forget(caller: Caller, id: string): Promise<boolean>;
  /** Who has it done: undefined where the access token has expired or was revoked since. */
  callerOf(job: Claim, agent: number): Promise<Caller | undefined>;
}
