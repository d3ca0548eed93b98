/** What all of the door's rooms are handed. */

import type { CoreTerminology } from '../fhir/core-terminology.ts';
import type { Definitions } from '../fhir/definitions.ts';
import type { compileConditions, compileRewrite } from '../fhir/rewrite.ts';
import type { Validator } from '../fhir/validate.ts';
import type { Reindexing } from '../jobs/reindexing.ts';
import type { AuditLog } from '../store/audit/log.ts';
import type { Reading, Store } from '../store/store.ts';
import type { Look } from './arrival.ts';
import type { Callers } from './callers.ts';

export interface Setting {
  readonly store: Store;
  readonly definitions: Definitions;
  readonly validator: Validator;
  readonly callers: Callers;
  readonly reindexing: Pick<Reindexing, 'wake'>;
  readonly rewrite: ReturnType<typeof compileRewrite>;
  readonly conditionalReferences: ReturnType<typeof compileConditions>;
  /** read when it is first asked for */
  readonly coreTerminology: () => Promise<CoreTerminology>;
  /** a new logical id */
  readonly nextId: () => string;
  /** this server's FHIR base: absolute references under it are local */
  readonly baseUrl: string;
  /** MAX_BODY: what a patch makes is bounded as what comes in is, in characters */
  readonly maxContent: number;
  /** DELETE_MATCHES: so many resources one conditional delete may delete */
  readonly mostDeleted: number;
  /** MAX_BINARY, BYTES_QUOTA: 0 for none */
  readonly maxBinary: number;
  readonly bytesQuota: number;
  /** looks at bytes that come in; without it they are kept as they are */
  readonly look?: Look;
  /** REFERENCES=check */
  readonly checkReferences: boolean;
  /** opens the queries of the audit trail, which is shown as AuditEvents */
  readonly trail?: Pick<AuditLog, 'open'> | undefined;
}

/** What reading needs of it: the store as it is, or as a transaction sees it. */
export interface ReadSetting extends Omit<Setting, 'store'> {
  readonly store: Reading & Pick<Store, 'catalog' | 'indexer' | 'keys'>;
}
