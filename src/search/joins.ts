/** Searches by other resources: those that a reference leads to, and those that refer (R4 search.html#chaining, #has). */
import type { SearchParameter } from '../fhir/definitions.ts';
import { canFollow } from '../fhir/reference-paths.ts';
import { parameterFault, short, UnknownParameter, unsupported } from './faults.ts';
import { targetsOf } from './include.ts';
import { findParameter, type Grammar } from './parameters.ts';
import type { ChainTarget, Filter } from './request.ts';

/** What is asked of the other end, a resource of this type. */
export type AtTheEnd = (type: string) => Filter;

/**
 * A chain: without a type, to each that the reference may lead to and has the parameter.
 *
 * @param name     as it is said back
 * @param modifier the type, where there is one
 * @throws         Refusal 400; UnknownParameter where no type has it
 */
export function chainFilter(
  { definitions }: Grammar,
  type: string,
  name: string,
  { parameter, modifier }: { readonly parameter: SearchParameter; readonly modifier: string | undefined },
  end: AtTheEnd,
): Filter {
  if (parameter.type !== 'reference')
    throw parameterFault(name, `is a chain, and ${parameter.code} is no reference but a ${parameter.type}`);
  if (!canFollow(definitions, type, parameter))
    throw unsupported(name, 'is a chain through a part of the references of an element: it is not supported');
  const next = /^[^.:]+/.exec(name.slice(name.indexOf('.') + 1))?.[0] ?? '';
  if (parameter.chains && !parameter.chains.includes(next))
    throw unsupported(
      name,
      `goes on by ${short(next)}, which its SearchParameter does not list: possible are ${parameter.chains.join(', ') || 'none'}`,
    );
  const possible = targetsOf(definitions, type, parameter);
  if (modifier !== undefined && !possible.includes(modifier))
    throw parameterFault(name, `cannot lead to ${short(modifier)}: possible are ${possible.join(', ')}`);
  const targets: ChainTarget[] = [];
  let unknown: UnknownParameter | undefined;
  for (const target of modifier === undefined ? possible : [modifier]) {
    try {
      targets.push({ type: target, filter: end(target) });
    } catch (fault) {
      if (!(fault instanceof UnknownParameter)) throw fault;
      unknown ??= fault;
    }
  }
  if (targets.length === 0 && unknown) throw unknown;
  return { kind: 'chain', parameter, targets };
}

/**
 * `_has`: who is referred to by such a resource.
 *
 * @param name as it is said back
 * @throws     Refusal 400; UnknownParameter
 */
export function hasFilter(
  grammar: Grammar,
  type: string,
  name: string,
  { source, code }: { readonly source: string; readonly code: string },
  end: AtTheEnd,
): Filter {
  const { definitions } = grammar;
  if (!definitions.isResourceType(source))
    throw parameterFault(
      name,
      'must be _has:Type:reference:parameter, such as _has:Observation:patient:code',
    );
  const parameter = findParameter(grammar, source, code);
  if (parameter.type !== 'reference')
    throw parameterFault(name, `needs a reference, and ${code} of ${source} is a ${parameter.type}`);
  const targets = targetsOf(definitions, source, parameter);
  if (!targets.includes(type))
    throw parameterFault(name, `cannot find a ${type}: ${code} of ${source} refers to ${targets.join(', ')}`);
  if (!canFollow(definitions, source, parameter))
    throw unsupported(name, 'goes by a part of the references of an element: it is not supported');
  return { kind: 'has', type: source, parameter, filter: end(source) };
}
