/** `_include` and `_revinclude` (R4 search.html#include). */
import type { Definitions, SearchParameter } from '../fhir/definitions.ts';
import { canFollow, leadsByUrl, typesSaid, urlParameter } from '../fhir/reference-paths.ts';
import { parameterFault, short, unsupported } from './faults.ts';
import type { Include } from './request.ts';

const NAME = /^_(rev)?include(?::(iterate|recurse))?$/;

/** The references of a type that can be followed: not a part of the references of an element. */
export const followed = (definitions: Definitions, type: string): readonly SearchParameter[] =>
  definitions
    .searchParameters(type)
    .filter((one) => one.type === 'reference' && canFollow(definitions, type, one));

/** What a reference may lead to; canonicals only to what has a url. */
export function targetsOf(
  definitions: Definitions,
  type: string,
  parameter: SearchParameter,
): readonly string[] {
  const known = parameter.target?.length ? parameter.target : [...definitions.resourceTypes];
  const possible = typesSaid(type, parameter) ?? known;
  if (!leadsByUrl(definitions, type, parameter)) return possible;
  return possible.filter((target) => urlParameter(definitions, target));
}

/** Whether a parameter of a query asks for resources to be included. */
export const isInclude = (name: string): boolean => NAME.test(name);

/**
 * Reads `Source:parameter`, `Source:parameter:Target`, or `*`.
 *
 * @param types of what is searched for
 * @throws      Refusal 400
 */
export function readInclude(
  definitions: Definitions,
  types: readonly string[],
  name: string,
  value: string,
): Include {
  const [, reverse, iterate] = NAME.exec(name) ?? [];
  const base = { reverse: reverse !== undefined, iterate: iterate !== undefined };
  if (value === '*') return { ...base, source: '*' };
  const [source = '', code = '', target, ...more] = value.split(':');
  if (
    more.length > 0 ||
    !definitions.isResourceType(source) ||
    (target && !definitions.isResourceType(target))
  )
    throw parameterFault(
      name,
      'must be Type:parameter or Type:parameter:TargetType, such as Observation:patient',
    );
  if (code === '*') return { ...base, source, target };
  const parameter = definitions.searchParameters(source).find((one) => one.code === code);
  const references = followed(definitions, source).map((one) => one.code);
  if (parameter?.type !== 'reference')
    throw parameterFault(
      name,
      `names ${short(code)}, which is no reference of ${source}: possible are ${references.join(', ')}`,
    );
  if (!references.includes(code))
    throw unsupported(name, `goes by a part of the references of an element: it is not supported`);
  const targets = targetsOf(definitions, source, parameter);
  if (base.reverse && !base.iterate && !types.some((type) => targets.includes(type)))
    throw parameterFault(
      name,
      `finds nothing for ${types.join(', ')}: ${code} of ${source} refers to ${targets.join(', ')}`,
    );
  const [said, ...others] = typesSaid(source, parameter) ?? [];
  return { ...base, source, parameter, target: target ?? (others.length > 0 ? undefined : said) };
}
