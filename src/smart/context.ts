/** What all routes of the authorization server lean on. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Provider } from 'oidc-provider';
import type pg from 'pg';
import type { Logger } from 'pino';
import type { Config } from '../config.ts';
import type { Endpoints } from '../http/issuer.ts';
import type { Strangers } from '../http/strangers.ts';
import type { Records } from '../records/records.ts';
import type { Grammar } from '../search/parameters.ts';
import type { Accounts } from './accounts.ts';
import type { Clients } from './clients.ts';
import type { Enrolment } from './enrolment.ts';
import type { Keys } from './keys.ts';
import type { Passkeys } from './passkeys.ts';
import type { Patients } from './patients.ts';

export interface SmartContext {
  readonly config: Config;
  readonly endpoints: Endpoints;
  /** path under which it is seen, `/auth` */
  readonly root: string;
  readonly pool: pg.Pool;
  readonly transacting: pg.Pool;
  readonly records: Records;
  readonly grammar: Grammar;
  readonly accounts: Accounts;
  readonly clients: Clients;
  readonly passkeys: Passkeys;
  readonly patients: Patients;
  readonly enrolment: Enrolment;
  readonly strangers: Pick<Strangers, 'count'>;
  /** Goes on with something after the answer; what goes wrong with it is logged. */
  readonly later: (what: string, work: Promise<unknown>) => void;
  readonly log: Logger;
  /** as of the keys in force: never kept */
  readonly provider: () => Provider;
  /** has it answer a request */
  readonly respond: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  readonly keys: () => Keys;
}

/** A request of a person or an app, with the address it came from. */
export interface Visit {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly address: string;
}
