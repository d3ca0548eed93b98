/** What a search asks of other resources than those it is for: whoever may not search these learns nothing of them. */
import { type Access, demand } from '../access/access.ts';
import type { Definitions, SearchParameter } from '../fhir/definitions.ts';
import { refusal } from '../fhir/outcome.ts';
import { withInner } from '../search/inner.ts';
import type { Filter, ReferenceValue } from '../search/request.ts';

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
      return asShown(access, withPermitted(setting, filter));
  }
}

/**
 * A filter that finds nothing by whom the caller is not shown: what is masked (masked.ts) would be told by looking for it.
 *
 * @throws Refusal 403 where it goes by identifiers of patients, which tell nobody whose they are
 */
export function asShown({ isShown }: Pick<Access, 'isShown'>, filter: Filter): Filter {
  if (!isShown) return filter;
  switch (filter.kind) {
    case 'compartment':
      return isShown(filter.id) ? filter : NOTHING;
    case 'reference': {
      const values = filter.values.flatMap((value) => shownIn(isShown, filter.parameter, value));
      return values.length === 0 ? NOTHING : { ...filter, values };
    }
    case 'reference-identifier':
      if (!mayLeadToPatients(filter.parameter)) return filter;
      throw refusal(
        403,
        'forbidden',
        `This access token does not allow to look for patients by ${filter.parameter.code}:identifier: write ${filter.parameter.code}:Patient.identifier`,
      );
    default:
      return withInner(filter, (one) => asShown({ isShown }, one));
  }
}

const NOTHING: Filter = { kind: 'any', filters: [] };

const mayLeadToPatients = ({ target = [] }: SearchParameter): boolean =>
  target.length === 0 || target.includes('Patient');

/** Of what a value of a reference stands for, all but patients who are not shown. */
function shownIn(
  isShown: NonNullable<Access['isShown']>,
  { target = [] }: SearchParameter,
  value: ReferenceValue,
): readonly ReferenceValue[] {
  if (value.kind === 'absolute') {
    const patient = /\/Patient\/([A-Za-z0-9.-]{1,64})(?:\/|$)/.exec(value.url)?.[1];
    return patient === undefined || isShown(patient) ? [value] : [];
  }
  if (isShown(value.id) || (value.type !== undefined && value.type !== 'Patient')) return [value];
  if (value.type === 'Patient') return [];
  // An id alone may be that of something else.
  if (!target.includes('Patient')) return [value];
  return target.filter((type) => type !== 'Patient').map((type) => ({ ...value, type }));
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
