/** What all of the door's rooms are handed. */

import type { Definitions } from '../fhir/definitions.ts';
import type { compileRewrite } from '../fhir/rewrite.ts';
import type { Validator } from '../fhir/validate.ts';
import type { Store } from '../store/store.ts';
import type { Callers } from './callers.ts';

export interface Setting {
  readonly store: Store;
  readonly definitions: Definitions;
  readonly validator: Validator;
  readonly callers: Callers;
  readonly rewrite: ReturnType<typeof compileRewrite>;
  /** a new logical id */
  readonly nextId: () => string;
  /** this server's FHIR base: absolute references under it are local */
  readonly baseUrl: string;
  /** REFERENCES=check */
  readonly checkReferences: boolean;
}
