/** Parameters that have no rows of their own: each is one of the resource or of its components (index/row.ts). */
import type { SearchParameter } from '../../fhir/definitions.ts';
import type { Filter } from '../../search/request.ts';

const COMBINED: Readonly<Record<string, readonly SearchParameter[]>> = Object.fromEntries(
  (
    [
      ['code', 'token'],
      ['data-absent-reason', 'token'],
      ['value-concept', 'token'],
      ['value-quantity', 'quantity'],
    ] as const
  ).map(([code, type]) => [
    `combo-${code}`,
    [code, `component-${code}`].map((part) => ({ code: part, type, base: ['Observation'], url: '' })),
  ]),
);

/** A filter by such a parameter of Observation, as filters by those that it combines. */
export function combined(type: string, filter: Filter): readonly Filter[] | undefined {
  if (type !== 'Observation' || (filter.kind !== 'token' && filter.kind !== 'quantity')) return undefined;
  return COMBINED[filter.parameter.code]?.map((parameter) => ({ ...filter, parameter }));
}
