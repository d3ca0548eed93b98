/** One request and its answer, as the interactions see it, and the table that routes lead through. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import type { Config } from '../config.ts';
import type { Definitions } from '../fhir/definitions.ts';
import type { Caller, Records } from '../records/records.ts';
import type { Parameter } from '../search/query-string.ts';
import type { Format } from './negotiation.ts';
import type { FhirPath, OperationPattern, Pattern } from './path.ts';
import type { Seal } from './sealed.ts';

/** What all interactions lean on. */
export interface Context {
  readonly config: Config;
  readonly definitions: Definitions;
  readonly records: Records;
  readonly log: Logger;
  /** of links to pages */
  readonly seal: Seal;
  /** of this software */
  readonly version: string;
}

/** Header names and values by turns, as writeHead takes them without copying. */
export type Headers = (string | number)[];

/** What is needed to answer at all. */
export interface Reply {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** of the request, told to the client and the log */
  readonly id: string;
  readonly format: Format;
}

/** A request that was understood, of anybody. */
export interface Visit extends Reply {
  readonly path: FhirPath;
  /** of the query, without `_format` and `_pretty` */
  readonly parameters: readonly Parameter[];
}

/** A request of somebody who has shown an access token. */
export interface Exchange extends Visit {
  readonly caller: Caller;
}

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** What is done at a route; its name is that of R4 valueset-system-restful-interaction or type-restful-interaction. */
export type Interaction =
  | {
      readonly name: string;
      readonly run: (exchange: Exchange) => void | Promise<void>;
      /** it answers 202 by itself, whatever is preferred */
      readonly later?: boolean;
      /** it answers in the form that there is, whatever is accepted */
      readonly anyForm?: boolean;
    }
  /** done for anybody */
  | {
      readonly name: string;
      readonly open: (visit: Visit) => void | Promise<void>;
      readonly anyForm?: boolean;
    };

export type Methods = Readonly<Partial<Record<Method, Interaction>>>;

/** What is routed; HEAD goes with GET, OPTIONS with all. */
export type Routes = Readonly<Record<Pattern, Methods>>;

/** The operations among it. */
export type OperationRoutes = Readonly<Record<OperationPattern, Methods>>;

/** The FHIR base, as clients write it. */
export function fhirBase({ config }: Pick<Context, 'config'>): string {
  return `${config.baseUrl}/fhir`;
}
