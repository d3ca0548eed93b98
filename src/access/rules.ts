/**
 * What of a type a scope gives: a filter, as a search would have it, that can be judged on each resource by itself. So it
 * holds in every query, and for what is about to be written.
 */
import type { Definitions, SearchParameter } from '../fhir/definitions.ts';
import { Refusal } from '../fhir/outcome.ts';
import { about, membership } from '../search/compartment.ts';
import { parseCondition } from '../search/condition.ts';
import { UnknownParameter } from '../search/faults.ts';
import type { Filter } from '../search/request.ts';
import type { Person, Whose } from './person.ts';
import { ADDRESSED, DIRECTORY, TREATED } from './policy.ts';
import type { Letter, Scope } from './scopes.ts';

export interface Grammar {
  readonly definitions: Definitions;
  readonly baseUrl: string;
}

/** All of a type, none of it, or what passes a filter. */
export type Rule = 'all' | 'none' | Filter;

/** What a scope gives of a type. */
export function ruleOf(grammar: Grammar, whose: Whose, scope: Scope, type: string, letter: Letter): Rule {
  const { level, query } = scope;
  const whole = level === 'system' ? 'all' : ofPerson(grammar, level, whose, type, letter);
  if (whole === 'none' || query === undefined) return whole;
  return both(whole, granular(grammar, type, query));
}

/** Of a granular scope: its query as filters. One that says more than can be judged on a resource gives nothing. */
function granular({ definitions, baseUrl }: Grammar, type: string, query: string): Rule {
  try {
    return allOf(parseCondition(definitions, type, query, baseUrl).filters);
  } catch (fault) {
    if (fault instanceof Refusal || fault instanceof UnknownParameter) return 'none';
    throw fault;
  }
}

/** What a person may do in the records of a patient, or in all that are theirs to see. */
function ofPerson(
  grammar: Grammar,
  level: 'patient' | 'user',
  { patient, person }: Whose,
  type: string,
  letter: Letter,
): Rule {
  if (DIRECTORY.has(type)) return letter === 'r' || letter === 's' ? 'all' : 'none';
  if (level === 'user')
    return person
      ? oneOf([...ofPatients(grammar, person, type), ...own(grammar, person, type, letter)])
      : 'none';
  // A person who treats the patient no more, or stands for them no more, is out, whatever was granted.
  if (patient === undefined || (person && !person.patients.ids.has(patient))) return 'none';
  const self = person && type === person.type && letter === 'r' ? [isThis(person.id)] : [];
  return oneOf([inCompartment(grammar, patient, type), ...self]);
}

function ofPatients({ definitions }: Grammar, person: Person, type: string): readonly Filter[] {
  const { sees, patients } = person;
  if (sees === 'patients') {
    const by = about(definitions, type);
    return type === 'Patient' || by.length > 0 ? [{ kind: 'patients', patients, by }] : [];
  }
  return [...patients.ids].map((id) => inCompartment({ definitions }, id, type));
}

const inCompartment = ({ definitions }: Pick<Grammar, 'definitions'>, id: string, type: string): Filter => ({
  kind: 'compartment',
  id,
  by: membership(definitions, type),
});

/** What is a person's own: themselves, and what is addressed to them. */
function own({ definitions }: Grammar, person: Person, type: string, letter: Letter): readonly Filter[] {
  const filters: Filter[] = [];
  if (type === person.type && letter === 'r') filters.push(isThis(person.id));
  if (person.sees === 'compartments') return filters;
  const codes = [...(ADDRESSED[type] ?? []), ...(type === 'Patient' && letter === 'c' ? TREATED : [])];
  for (const code of codes) {
    const parameter = definitions.searchParameters(type).find((one) => one.code === code);
    if (parameter) filters.push(refersTo(parameter, person));
  }
  return filters;
}

const isThis = (id: string): Filter => ({ kind: 'id', ids: [id] });

const refersTo = (parameter: SearchParameter, { type, id, organizations }: Person): Filter => ({
  kind: 'reference',
  parameter,
  values: [
    { kind: 'local', type, id },
    ...organizations.map((one) => ({ kind: 'local', type: 'Organization', id: one }) as const),
  ],
});

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

const allOf = (filters: readonly Filter[]): Filter =>
  filters.length === 1 ? (filters[0] as Filter) : { kind: 'all', filters };

/** Nothing passes where there are none. */
const oneOf = (filters: readonly Filter[]): Filter =>
  filters.length === 1 ? (filters[0] as Filter) : { kind: 'any', filters };
