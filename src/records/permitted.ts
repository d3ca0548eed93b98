/** What a search asks of other resources than those it is for: whoever may not search these learns nothing of them. */
import { type Access, demand } from '../access/access.ts';
import type { Definitions, SearchParameter } from '../fhir/definitions.ts';
import { refusal } from '../fhir/outcome.ts';
import { withInner } from '../search/inner.ts';
import type { Filter } from '../search/request.ts';

interface Permitting {
  readonly definitions: Definitions;
  readonly access: Access;
}

const itemOf = (definitions: Definitions): SearchParameter =>
  definitions.searchParameters('List').find(({ code }) => code === 'item') as SearchParameter;

/**
 * A filter, with chains only to types that the caller may search.
 *
 * @throws Refusal 403 where it looks at what he may not
 */
export function permitted(setting: Permitting, filter: Filter): Filter {
  const { access, definitions } = setting;
  switch (filter.kind) {
    case 'chain': {
      const targets = filter.targets.filter(({ type }) => access.allows(type, 's'));
      if (targets.length === 0) demand(access, filter.targets[0]?.type as string, 's');
      return withPermitted(setting, {
        ...filter,
        targets: targets.map(({ type, filter: one }) => ({ type, filter: within(access, type, one) })),
      });
    }
    case 'has':
      demand(access, filter.type, 's');
      return withPermitted(setting, { ...filter, filter: within(access, filter.type, filter.filter) });
    case 'list': {
      demand(access, 'List', 'r');
      const limits = access.within('List', 'r');
      if (limits.length === 0) return filter;
      const id: Filter = { kind: 'id', ids: [filter.id] };
      return {
        kind: 'has',
        type: 'List',
        parameter: itemOf(definitions),
        filter: { kind: 'all', filters: [id, ...limits] },
      };
    }
    default:
      return withPermitted(setting, filter);
  }
}

/** A filter at another end: what is there has to be what the caller may find there. */
function within(access: Access, type: string, filter: Filter): Filter {
  const limits = access.within(type, 's');
  return limits.length === 0 ? filter : { kind: 'all', filters: [filter, ...limits] };
}

const withPermitted = (setting: Permitting, filter: Filter): Filter =>
  withInner(filter, (one) => permitted(setting, one));

/**
 * A search in the records of one patient that asks for another's is refused, and not just answered with nothing.
 *
 * @throws Refusal 403, whether or not there is such a patient
 */
export function demandOwnPatient({ patient }: Access, filters: readonly Filter[]): void {
  if (patient === undefined) return;
  const isAnothers = (filter: Filter): boolean => {
    switch (filter.kind) {
      case 'compartment':
        return filter.id !== patient;
      case 'reference':
        return (
          filter.values.length > 0 &&
          filter.values.every(
            (value) =>
              value.kind === 'local' &&
              value.id !== patient &&
              (value.type === 'Patient' || (value.type === undefined && filter.parameter.code === 'patient')),
          )
        );
      default:
        return false;
    }
  };
  if (filters.some(isAnothers))
    throw refusal(
      403,
      'forbidden',
      `This access token is for the records of Patient/${patient} alone: search for these, or launch the app for the other patient`,
    );
}
