/** What tokens that are no Coding leave unsaid (R4 search.html#token): the system of a code, and that strings have no case. */
import type { SearchParameter } from '../../src/fhir/definitions.ts';
import type { Reduced } from './definitions.ts';
import type { Source } from './source.ts';

type Said = Pick<SearchParameter, 'systems' | 'caseless'>;

/** @returns nothing where a parameter is about other elements as well */
export function tokensOf(
  elements: Reduced['elements'],
  { valueSets }: Source,
  { type, expression = '' }: { readonly type: string; readonly expression?: string },
): Said {
  if (type !== 'token') return {};
  const found = expression.split('|').map((path) => {
    const [, parent = '', name = ''] = /^([A-Za-z.]+)\.([A-Za-z]+)$/.exec(path.trim()) ?? [];
    return elements[parent]?.[name];
  });
  const isAll = (wanted: string): boolean =>
    found.every((element) => element?.types.length === 1 && element.types[0] === wanted);
  if (isAll('string')) return { caseless: true };
  if (!isAll('code')) return {};
  const systems = found.flatMap((element) => systemsOf(valueSets, element?.binding?.valueSet));
  return systems.length > 0 ? { systems: [...new Set(systems)] } : {};
}

/** The systems that the codes of a value set are of. */
function systemsOf(valueSets: Source['valueSets'], url = ''): string[] {
  return (valueSets.get(url)?.compose?.include ?? []).flatMap(({ system, valueSet = [] }) => [
    ...(system === undefined ? [] : [system]),
    ...valueSet.flatMap((other) => systemsOf(valueSets, other.split('|')[0])),
  ]);
}
