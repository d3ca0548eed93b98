/** What of a type something is said of: all of it, none, or what passes a filter. */
import type { Definitions } from '../fhir/definitions.ts';
import type { Filter } from '../search/request.ts';

export interface Grammar {
  readonly definitions: Definitions;
  readonly baseUrl: string;
}

export type Rule = 'all' | 'none' | Filter;

/** Both hold. */
export function both(one: Rule, other: Rule): Rule {
  if (one === 'none' || other === 'none') return 'none';
  if (one === 'all') return other;
  return other === 'all' ? one : allOf([one, other]);
}

/** One of them is enough. */
export function either(rules: readonly Rule[]): Rule {
  if (rules.includes('all')) return 'all';
  const filters = rules.filter((rule) => rule !== 'none') as Filter[];
  return filters.length === 0 ? 'none' : oneOf(filters);
}

export function not(rule: Rule): Rule {
  if (rule === 'all') return 'none';
  return rule === 'none' ? 'all' : { kind: 'not', filter: rule };
}

export const allOf = (filters: readonly Filter[]): Filter =>
  filters.length === 1 ? (filters[0] as Filter) : { kind: 'all', filters };

/** Nothing passes where there are none. */
export const oneOf = (filters: readonly Filter[]): Filter =>
  filters.length === 1 ? (filters[0] as Filter) : { kind: 'any', filters };
