/**
 * To whom a resource opens the records of a patient: by what is asked of the index when a person comes (records/people.ts).
 * Only a view that is one's own can be given on, so whoever writes such a resource has to have it.
 */
import type {
  CareTeam,
  Encounter,
  EpisodeOfCare,
  Patient,
  Period,
  Reference,
  RelatedPerson,
  Resource,
  Task,
} from 'fhir/r4.js';
import { parseReference } from '../fhir/reference.ts';
import type { Grammar } from './rule.ts';

/** Records of a patient, by their id, and to whom they are opened, as `Type/id`. */
export interface Opening {
  readonly patient: string;
  readonly to: string;
}

/** An open end of a resource: whose records, and those to whom they are open. */
interface Ends {
  readonly patient: Reference | undefined;
  readonly to: readonly (Reference | undefined)[];
  readonly period?: Period | undefined;
}

/** Of a Task that is over nobody is its owner any more; one that is not accepted yet its owner can accept. */
const OVER = new Set(['rejected', 'cancelled', 'failed', 'completed', 'entered-in-error']);
const NEVER_WAS = new Set(['cancelled', 'entered-in-error']);

/**
 * Consents are not among them: who may write these at all sees all of the patient's records (rules.ts).
 *
 * @param isOpen whether what has this period counts
 */
export function openingsOf(
  { definitions, baseUrl }: Grammar,
  resource: Resource & { readonly id?: string },
  isOpen: (period: Period | undefined) => boolean,
): readonly Opening[] {
  const { patient, to, period } = endsOf(resource);
  if (to.length === 0 || !isOpen(period)) return [];
  const local = (reference: Reference | undefined) => {
    const parsed = parseReference(reference?.reference ?? '', baseUrl, definitions.isResourceType);
    return parsed.kind === 'local' ? parsed : undefined;
  };
  const about = local(patient);
  if (about?.type !== 'Patient') return [];
  return to.flatMap((reference) => {
    const one = local(reference);
    return one ? [{ patient: about.id, to: `${one.type}/${one.id}` }] : [];
  });
}

const NOBODY: Ends = { patient: undefined, to: [] };

function endsOf(resource: Resource): Ends {
  const itself = { reference: `${resource.resourceType}/${resource.id}` };
  switch (resource.resourceType) {
    case 'Patient': {
      const { generalPractitioner = [], managingOrganization } = resource as Patient;
      return { patient: itself, to: [...generalPractitioner, managingOrganization] };
    }
    case 'RelatedPerson': {
      const { patient, active, period } = resource as RelatedPerson;
      return active === false ? NOBODY : { patient, to: [itself], period };
    }
    case 'CareTeam': {
      const { status, subject, participant = [], period } = resource as CareTeam;
      return status === 'active'
        ? { patient: subject, to: participant.map(({ member }) => member), period }
        : NOBODY;
    }
    case 'Encounter': {
      const { status, subject, participant = [], serviceProvider } = resource as Encounter;
      if (NEVER_WAS.has(status)) return NOBODY;
      return { patient: subject, to: [...participant.map(({ individual }) => individual), serviceProvider] };
    }
    case 'EpisodeOfCare': {
      const { status, patient, careManager, managingOrganization } = resource as EpisodeOfCare;
      return status === 'active' ? { patient, to: [careManager, managingOrganization] } : NOBODY;
    }
    case 'Task': {
      const { status, for: patient, owner } = resource as Task;
      return OVER.has(status) ? NOBODY : { patient, to: [owner] };
    }
    default:
      return NOBODY;
  }
}
