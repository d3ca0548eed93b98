/** Which of the scopes that an app asks for it may be granted (SMART App Launch 2.2, scopes-and-launch-context.html). */
import { readScope, type Scope } from '../access/scopes.ts';
import { Refusal } from '../fhir/outcome.ts';
import { UnknownParameter } from '../search/faults.ts';
import { readFilter } from '../search/filter.ts';
import { innerOf } from '../search/inner.ts';
import type { Grammar } from '../search/parameters.ts';
import { readParameters } from '../search/query-string.ts';
import type { Filter } from '../search/request.ts';
import { type Client, PLAIN } from './clients.ts';

/**
 * Those that a client may have of the ones that it asks for, as it wrote them. Others are left out, as RFC 6749 §3.3
 * allows: the token response says which scopes were granted.
 */
export function permitted(
  grammar: Grammar,
  asked: Iterable<string>,
  client: Pick<Client, 'type' | 'scope'>,
): string[] {
  const isType = grammar.definitions.isResourceType;
  const registered = client.scope.split(' ').filter(Boolean);
  const limits = registered.flatMap((text) => readScope(text, isType) ?? []);
  const plain = registered.filter((text) => PLAIN.has(text));
  return [...new Set(asked)].filter((text) => {
    const scope = readScope(text, isType);
    // An app that was registered without any may ask for what a person can grant.
    if (!scope)
      return PLAIN.has(text) && client.type !== 'backend' && (plain.length === 0 || plain.includes(text));
    if ((scope.level === 'system') !== (client.type === 'backend')) return false;
    if (limits.length > 0 && !limits.some((limit) => covers(limit, scope))) return false;
    if (limits.length === 0 && client.type === 'backend') return false;
    return scope.query === undefined || faultOfQuery(grammar, scope.type, scope.query) === undefined;
  });
}

/** Whether one scope allows all that another does. */
export function covers(wide: Scope, narrow: Scope): boolean {
  return (
    wide.level === narrow.level &&
    (wide.type === '*' || wide.type === narrow.type) &&
    [...narrow.letters].every((letter) => wide.letters.has(letter)) &&
    (wide.query === undefined || wide.query === narrow.query)
  );
}

/**
 * Says why a query cannot be that of a granular scope; undefined where it can. It has to be judged on each resource alone,
 * also when that is written, or comes as an event: so nothing that looks at others.
 */
function faultOfQuery(grammar: Grammar, type: string, query: string): string | undefined {
  if (type === '*') return 'a scope for all types has no query';
  try {
    const parameters = readParameters(query);
    if (parameters.length === 0) return 'its query is empty';
    const outside = parameters.find(([name, value]) => !isOfItself(readFilter(grammar, type, name, value)));
    return outside && `${outside[0]} looks at more than the resource itself`;
  } catch (fault) {
    if (fault instanceof Refusal || fault instanceof UnknownParameter) return fault.message;
    throw fault;
  }
}

const isOfItself = (filter: Filter): boolean =>
  OF_ITSELF.has(filter.kind) && innerOf(filter).every(isOfItself);

const OF_ITSELF: ReadonlySet<Filter['kind']> = new Set<Filter['kind']>([
  'id',
  'updated',
  'date',
  'number',
  'quantity',
  'token',
  'token-other',
  'of-type',
  'token-text',
  'reference',
  'reference-identifier',
  'string',
  'uri',
  'composite',
  'missing',
  // as far as what they are made of is
  'not',
  'all',
  'any',
]);
