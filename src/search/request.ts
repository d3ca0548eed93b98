/** What a search asks for, as data: made by parse.ts from a query, run by the store. */
import type { Range } from '../fhir/date.ts';
import type { SearchParameter } from '../fhir/definitions.ts';

/** One parameter of a query: the values are alternatives. */
export type Filter =
  | { readonly kind: 'id'; readonly ids: readonly string[] }
  | { readonly kind: 'updated'; readonly values: readonly DateValue[] }
  | { readonly kind: 'date'; readonly parameter: SearchParameter; readonly values: readonly DateValue[] }
  | { readonly kind: 'token'; readonly parameter: SearchParameter; readonly values: readonly TokenValue[] }
  | {
      readonly kind: 'reference';
      readonly parameter: SearchParameter;
      readonly values: readonly ReferenceValue[];
    }
  | { readonly kind: 'string'; readonly parameter: SearchParameter; readonly values: readonly string[] }
  | { readonly kind: 'uri'; readonly parameter: SearchParameter; readonly values: readonly string[] };

export type Prefix = 'eq' | 'ne' | 'gt' | 'lt' | 'ge' | 'le' | 'sa' | 'eb' | 'ap';

export interface DateValue {
  readonly prefix: Prefix;
  readonly range: Range;
}

export interface TokenValue {
  /** undefined: any; '': none (`|code`) */
  readonly system?: string;
  /** undefined: any (`system|`) */
  readonly code?: string;
}

export type ReferenceValue =
  | { readonly kind: 'local'; readonly type?: string; readonly id: string }
  | { readonly kind: 'absolute'; readonly url: string };

export interface SearchRequest {
  readonly type: string;
  /** all of them must hold */
  readonly filters: readonly Filter[];
  /** `date` is the type's clinical date, whatever its parameter is called */
  readonly sort: { readonly by: 'date' | '_lastUpdated'; readonly descending: boolean };
  /** entries on a page, 0 to 1000 */
  readonly count: number;
  /** whether the number of all matches is wanted */
  readonly total: boolean;
  readonly summary?: Summary;
  readonly elements?: readonly string[];
  /** where the page begins, from `next` of the one before */
  readonly after?: string;
  /** the parameters that were understood, as given, for links; without `after` */
  readonly parameters: readonly (readonly [name: string, value: string])[];
}

export type Summary = 'true' | 'text' | 'data' | 'count' | 'false';
