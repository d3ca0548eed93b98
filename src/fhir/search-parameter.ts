/** What a search is made by. */

/** A SearchParameter, of the standard or posted (R4 searchparameter.html). */
export interface SearchParameter {
  /** of a posted one: its number, under which resources are indexed by it; another definition has another */
  readonly posted?: number;
  readonly code: string;
  readonly type:
    | 'number'
    | 'date'
    | 'string'
    | 'token'
    | 'reference'
    | 'composite'
    | 'quantity'
    | 'uri'
    | 'special';
  readonly base: readonly string[];
  /** FHIRPath; `_text`, `_content` and `_query` have none */
  readonly expression?: string;
  readonly target?: readonly string[];
  readonly url: string;
  /** Of a composite: urls of its parts and their paths from the composite's expression */
  readonly component?: readonly { readonly definition: string; readonly expression: string }[];
  readonly multipleOr?: boolean;
  /** Of a token of codes, which do not say their system: those that their value sets are of */
  readonly systems?: readonly string[];
  /** Of a token of strings, whose case is of no matter */
  readonly caseless?: boolean;
  readonly multipleAnd?: boolean;
  /** of a posted one: where given, only these are taken, as the query has them (`of-type`) */
  readonly modifiers?: readonly string[];
  readonly comparators?: readonly string[];
  /** of a posted one: where given, a chain goes on by these parameters only */
  readonly chains?: readonly string[];
}

/** What tells a parameter's values from those of others of its type: what was posted anew has the code of the one before. */
export const nameOf = ({ code, posted }: Pick<SearchParameter, 'code' | 'posted'>): string =>
  posted === undefined ? code : `${code}#${posted}`;
