/** Reduces the value sets and code systems to what src/fhir/core-terminology.ts asks of them: codes, and what is below what. */
import type { CodeSystemConcept, ValueSetComposeInclude } from 'fhir/r4.js';
import type { WrittenTerminology } from '../../src/fhir/core-terminology.ts';
import type { Include } from '../../src/fhir/terminology.ts';
import type { Source } from './source.ts';

export function reduceTerminology({ valueSets, codeSystems }: Source): WrittenTerminology {
  return {
    valueSets: Object.fromEntries(
      [...valueSets].map(([url, { compose, version }]) => [
        url,
        {
          version,
          include: compose?.include.map(reduceInclude) ?? [],
          exclude: compose?.exclude?.map(reduceInclude),
        },
      ]),
    ),
    codeSystems: Object.fromEntries(
      [...codeSystems].map(([url, { concept = [], content }]) => [
        url,
        { complete: content === 'complete', concepts: reduceConcepts(concept) },
      ]),
    ),
  };
}

const reduceInclude = ({ system, concept, filter, valueSet }: ValueSetComposeInclude): Include => ({
  system,
  concept: concept?.map(({ code }) => ({ code })),
  filter: filter?.map(({ property, op, value }) => ({ property, op, value })),
  valueSet,
});

/** Codes with those directly above; v3 says by a property what stands below several. */
function reduceConcepts(concepts: readonly CodeSystemConcept[]): string[][] {
  const above = new Map<string, string[]>();
  const visit = (all: readonly CodeSystemConcept[], parent?: string): void => {
    for (const { code, concept = [], property = [] } of all) {
      above.set(code, [...(above.get(code) ?? []), ...(parent === undefined ? [] : [parent])]);
      for (const { code: name, valueCode } of property)
        if (name === 'child' && valueCode !== undefined)
          above.set(valueCode, [...(above.get(valueCode) ?? []), code]);
      visit(concept, code);
    }
  };
  visit(concepts);
  return [...above].map(([code, parents]) => [code, ...parents]);
}
