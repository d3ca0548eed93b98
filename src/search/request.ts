/** What a search asks for, as data: made by parse.ts from a query, run by the store, judged in memory by match.ts. */
import type { Range } from '../fhir/date.ts';
import type { SearchParameter } from '../fhir/definitions.ts';

/** One parameter of a query, as a condition on a resource; the values of one are alternatives. */
export type Filter =
  | { readonly kind: 'id'; readonly ids: readonly string[] }
  | { readonly kind: 'updated'; readonly values: readonly DateValue[] }
  | { readonly kind: 'date'; readonly parameter: SearchParameter; readonly values: readonly DateValue[] }
  | { readonly kind: 'number'; readonly parameter: SearchParameter; readonly values: readonly NumberValue[] }
  | {
      readonly kind: 'quantity';
      readonly parameter: SearchParameter;
      readonly values: readonly QuantityValue[];
    }
  | { readonly kind: 'token'; readonly parameter: SearchParameter; readonly values: readonly TokenValue[] }
  /** `ne` of `_filter`: a token that is not this one, of several one that is not one of them */
  | {
      readonly kind: 'token-other';
      readonly parameter: SearchParameter;
      readonly values: readonly TokenValue[];
    }
  /** `:in` of a token: its code is in one of these value sets, by url or `ValueSet/id` */
  | { readonly kind: 'value-set'; readonly parameter: SearchParameter; readonly valueSets: readonly string[] }
  /** `:above` and `:below` of a token: the code itself, or one above or below it */
  | {
      readonly kind: 'hierarchy';
      readonly parameter: SearchParameter;
      readonly direction: 'above' | 'below';
      readonly values: readonly Required<TokenValue>[];
    }
  /** `:of-type`: an identifier with a coding of its type */
  | { readonly kind: 'of-type'; readonly parameter: SearchParameter; readonly values: readonly TypedValue[] }
  /** `:text` of a token: the beginning of its display, text or type's text */
  | { readonly kind: 'token-text'; readonly parameter: SearchParameter; readonly values: readonly string[] }
  | {
      readonly kind: 'reference';
      readonly parameter: SearchParameter;
      readonly values: readonly ReferenceValue[];
    }
  /** `:above` and `:below` of a reference: to one of these, or to what they are part of, or what is part of them */
  | {
      readonly kind: 'kin';
      readonly parameter: SearchParameter;
      readonly direction: 'above' | 'below';
      /** of the hierarchy */
      readonly type: string;
      /** by which one of these says what it is part of */
      readonly part: SearchParameter;
      readonly ids: readonly string[];
    }
  /** `:identifier`: a logical reference */
  | {
      readonly kind: 'reference-identifier';
      readonly parameter: SearchParameter;
      readonly values: readonly TokenValue[];
    }
  | {
      readonly kind: 'string';
      readonly parameter: SearchParameter;
      readonly modifier?: StringModifier;
      readonly values: readonly string[];
    }
  | {
      readonly kind: 'uri';
      readonly parameter: SearchParameter;
      /** `ne`: one that is not this one */
      readonly modifier?: 'above' | 'below' | 'ne';
      readonly values: readonly string[];
    }
  | {
      readonly kind: 'composite';
      readonly parameter: SearchParameter;
      readonly values: readonly CompositeValue[];
    }
  /** `near` of a Location: within a distance */
  | { readonly kind: 'near'; readonly parameter: SearchParameter; readonly values: readonly NearValue[] }
  /** `_text` and `_content`: words of the narrative, or of all texts */
  | { readonly kind: 'words'; readonly within: 'narrative' | 'content'; readonly values: readonly Words[] }
  /** `:missing` */
  | { readonly kind: 'missing'; readonly parameter: SearchParameter; readonly missing: boolean }
  /** a chain: the parameter refers to a resource of one of these types, which passes that type's filter */
  | { readonly kind: 'chain'; readonly parameter: SearchParameter; readonly targets: readonly ChainTarget[] }
  /** `_has`: a resource of a type refers to it by a parameter and passes the filter */
  | {
      readonly kind: 'has';
      readonly type: string;
      readonly parameter: SearchParameter;
      readonly filter: Filter;
    }
  /** `_list`: in the List of this id */
  | { readonly kind: 'list'; readonly id: string }
  /** contains a resource of one of these types that may pass that type's filter */
  | { readonly kind: 'contains'; readonly targets: readonly ChainTarget[] }
  /** in the compartment of a patient: refers to them by one of these parameters, or is themselves */
  | { readonly kind: 'compartment'; readonly id: string; readonly by: readonly SearchParameter[] }
  /** about one of some patients, by one of these parameters, or one of them */
  | {
      readonly kind: 'patients';
      readonly patients: PatientSet;
      readonly by: readonly SearchParameter[];
    }
  | { readonly kind: 'not'; readonly filter: Filter }
  | { readonly kind: 'all'; readonly filters: readonly Filter[] }
  | { readonly kind: 'any'; readonly filters: readonly Filter[] };

/** Patients: their ids, and their numbers in this database. */
export type PatientSet = ReadonlyMap<string, number>;

/**
 * Of a string not its beginning. All but `exact` are without case and accents; the operators of `_filter` compare by
 * code points (R4 search_filter.html#ops).
 */
export type StringModifier = 'exact' | 'contains' | 'ends' | 'eq' | 'ne' | 'gt' | 'lt' | 'ge' | 'le';

export type Prefix = 'eq' | 'ne' | 'gt' | 'lt' | 'ge' | 'le' | 'sa' | 'eb' | 'ap';

export interface DateValue {
  /** and of `_filter`: the resource's date contains the one searched for, or overlaps it */
  readonly prefix: Prefix | 'co' | 'po';
  readonly range: Range;
}

export interface NumberValue {
  readonly prefix: Prefix;
  /** as it is written */
  readonly exact: number;
  /** what its precision stands for: 100 is [99.5, 100.5); `eq` and `ne` mean all of it */
  readonly range: Range;
}

export interface QuantityValue extends NumberValue {
  /** undefined: any; '': none */
  readonly system?: string;
  /** code with a system, code or unit without; undefined: any */
  readonly code?: string;
}

export interface TokenValue {
  /** undefined: any; '': none (`|code`) */
  readonly system?: string;
  /** undefined: any (`system|`) */
  readonly code?: string;
}

/** `system|code|value` */
export interface TypedValue {
  readonly system: string;
  readonly code: string;
  readonly value: string;
}

export type ReferenceValue =
  | { readonly kind: 'local'; readonly type?: string; readonly id: string; readonly version?: string }
  | {
      readonly kind: 'absolute';
      readonly url: string;
      /** of a canonical what its version begins with */
      readonly below?: string;
      /** of a canonical only as it is, without a version */
      readonly bare?: true;
    };

/** One value for each component, in the parameter's order. */
export type CompositeValue = readonly ComponentValue[];

export type ComponentValue =
  | { readonly kind: 'token'; readonly value: TokenValue }
  | { readonly kind: 'date'; readonly value: DateValue }
  | { readonly kind: 'number'; readonly value: NumberValue }
  | { readonly kind: 'quantity'; readonly value: QuantityValue }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'uri'; readonly value: string }
  | { readonly kind: 'reference'; readonly value: ReferenceValue };

export interface NearValue {
  readonly latitude: number;
  readonly longitude: number;
  readonly meters: number;
}

/** Words that follow each other, folded, and what is said of several. */
export type Words =
  | { readonly kind: 'phrase'; readonly words: readonly string[] }
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Words[] }
  | { readonly kind: 'not'; readonly part: Words };

export interface ChainTarget {
  readonly type: string;
  readonly filter: Filter;
}

/** `_include` and `_revinclude`: references to follow from matches, or, by `iterate`, from what was included too. */
export interface Include {
  readonly reverse: boolean;
  /** the type that refers; '*' any */
  readonly source: string;
  /** undefined: all references (`*`) */
  readonly parameter?: SearchParameter;
  /** only targets of this type */
  readonly target?: string;
  readonly iterate: boolean;
}

export type SortKey =
  /** `date` is the type's clinical date, whatever its parameter is called */
  | { readonly by: 'date' | '_lastUpdated' | '_id'; readonly descending: boolean }
  | { readonly by: 'parameter'; readonly parameter: SearchParameter; readonly descending: boolean };

export interface SearchRequest {
  /** one, or several in a search of the system or a compartment */
  readonly types: readonly string[];
  /** all of them must hold */
  readonly filters: readonly Filter[];
  readonly sort: readonly SortKey[];
  readonly includes: readonly Include[];
  /** entries on a page, 0 to 1000 */
  readonly count: number;
  readonly total: 'none' | 'estimate' | 'accurate';
  readonly summary?: Summary;
  readonly elements?: readonly string[];
  /** of a search over several types: what is asked of each, as parameters of one name differ */
  readonly each?: readonly Pick<SearchRequest, 'types' | 'filters' | 'sort'>[];
  /** whether contained resources are searched for, alone or with the others, and what is shown of them */
  readonly contained?: 'true' | 'both';
  readonly containedType?: 'container' | 'contained';
  /** no type was named: those that the caller may not search are left out */
  readonly ofAllTypes?: boolean;
  /** which page it is, from `next` or `previous` of another */
  readonly after?: string;
  /** the parameters that were understood, as given, for links */
  readonly parameters: readonly (readonly [name: string, value: string])[];
}

export type Summary = 'true' | 'text' | 'data' | 'count' | 'false';
