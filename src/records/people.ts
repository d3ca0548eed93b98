/**
 * Who a person is in the records, and whose records are theirs to see: looked up anew for each request, so that what
 * changes there holds on the next one (README, "Who sees what").
 */
import type { Period, Person as PersonResource, PractitionerRole, RelatedPerson, Resource } from 'fhir/r4.js';
import type { Person } from '../access/person.ts';
import { parseReference } from '../fhir/reference.ts';
import { readFilter } from '../search/filter.ts';
import type { Filter, PatientSet } from '../search/request.ts';
import { cutPage } from '../store/read/page.ts';
import { NEWEST_FIRST } from '../store/search/search.ts';
import type { Setting } from './setting.ts';

type Looking = Pick<Setting, 'store' | 'definitions' | 'baseUrl'> & {
  /** ACCESS_POLICY */
  readonly policy: 'treatment' | 'all';
};

/** So many roles of one practitioner are looked at. */
const MOST_ROLES = 100;

/**
 * @param fhirUser `Type/id` of a Practitioner, Patient, RelatedPerson or Person
 * @returns        somebody who sees nobody, where there is no such resource
 */
export async function personOf(looking: Looking, fhirUser: string): Promise<Person> {
  const [type = '', id = ''] = fhirUser.split('/');
  const nobody: Person = {
    type,
    id,
    sees: 'compartments',
    patients: await numbered(looking, []),
    organizations: [],
  };
  if (type === 'Practitioner') return practitioner(looking, id);
  const patients = await standsFor(looking, type, id, 0);
  return { ...nobody, patients: await numbered(looking, patients) };
}

/** Ids of the patients whom somebody is or stands for now. A Person is who its links surely are. */
async function standsFor(
  looking: Looking,
  type: string,
  id: string,
  depth: number,
): Promise<readonly string[]> {
  if (type === 'Patient') return [id];
  const resource = await current<RelatedPerson | PersonResource>(looking, type, id);
  if (!resource || resource.active === false) return [];
  const { baseUrl, definitions } = looking;
  const local = (reference: string | undefined) => {
    const parsed = parseReference(reference ?? '', baseUrl, definitions.isResourceType);
    return parsed.kind === 'local' ? [parsed] : [];
  };
  if (resource.resourceType === 'RelatedPerson')
    return isNow(resource.period)
      ? local(resource.patient.reference).flatMap((one) => (one.type === 'Patient' ? one.id : []))
      : [];
  if (resource.resourceType !== 'Person' || depth > 0) return [];
  const sure = (resource.link ?? []).filter(
    ({ assurance }) => assurance === 'level3' || assurance === 'level4',
  );
  const each = sure
    .flatMap(({ target }) => local(target.reference))
    .filter((one) => one.type === 'Patient' || one.type === 'RelatedPerson')
    .map((one) => standsFor(looking, one.type, one.id, depth + 1));
  return (await Promise.all(each)).flat();
}

/** A practitioner, with the patients whom they or an organization that they work for treat. */
async function practitioner(looking: Looking, id: string): Promise<Person> {
  const { store, policy } = looking;
  const organizations = (await rolesOf(looking, id)).flatMap(({ organization }) => {
    const parsed = parseReference(
      organization?.reference ?? '',
      looking.baseUrl,
      looking.definitions.isResourceType,
    );
    return parsed.kind === 'local' && parsed.type === 'Organization' ? [parsed.id] : [];
  });
  const treatments = policy === 'all' ? EVERYBODY : organizations.length > 0 ? TREATMENTS : PERSONAL;
  const found = await Promise.all(
    treatments.map(({ type, conditions }) =>
      store.searcher.patientsOf(type, relation(looking, type, conditions(id, organizations))),
    ),
  );
  const patients = new Map(found.flat().map(({ rid, id: patient }) => [rid, patient]));
  return {
    type: 'Practitioner',
    id,
    sees: 'patients',
    patients: { ids: new Set(patients.values()), rids: [...patients.keys()] },
    organizations,
  };
}

async function rolesOf(looking: Looking, id: string): Promise<readonly PractitionerRole[]> {
  const { store } = looking;
  const found = await store.searcher.find({
    type: 'PractitionerRole',
    filters: [relation(looking, 'PractitionerRole', [['practitioner', `Practitioner/${id}`]])],
    sort: NEWEST_FIRST,
    count: MOST_ROLES,
  });
  const page = await cutPage(store.pool, found, MOST_ROLES);
  return page
    .map(({ content }) => JSON.parse(content) as PractitionerRole)
    .filter(({ active, period }) => active !== false && isNow(period));
}

type Conditions = readonly (readonly [name: string, value: string])[];

/** By what a practitioner treats a patient: one of the resources of these types says so. */
interface Treatment {
  readonly type: string;
  /** @param organizations that they work for */
  conditions(practitioner: string, organizations: readonly string[]): Conditions;
}

const team = (practitioner: string, organizations: readonly string[]): string =>
  [`Practitioner/${practitioner}`, ...organizations.map((id) => `Organization/${id}`)].join(',');
const all = (organizations: readonly string[]): string =>
  organizations.map((id) => `Organization/${id}`).join(',');

/** Their own, and by an organization. */
const PERSONAL: readonly Treatment[] = [
  { type: 'Patient', conditions: (one, others) => [['general-practitioner', team(one, others)]] },
  {
    type: 'CareTeam',
    conditions: (one, others) => [
      ['participant', team(one, others)],
      ['status', 'active'],
      ['date', 'now'],
    ],
  },
  {
    type: 'Encounter',
    conditions: (one) => [
      ['participant', `Practitioner/${one}`],
      ['status:not', 'cancelled,entered-in-error'],
    ],
  },
  {
    type: 'EpisodeOfCare',
    conditions: (one) => [
      ['care-manager', `Practitioner/${one}`],
      ['status', 'active'],
    ],
  },
  {
    type: 'Task',
    conditions: (one, others) => [
      ['owner', team(one, others)],
      ['status', 'accepted,in-progress,on-hold'],
    ],
  },
];

const TREATMENTS: readonly Treatment[] = [
  ...PERSONAL,
  { type: 'Patient', conditions: (_, others) => [['organization', all(others)]] },
  {
    type: 'Encounter',
    conditions: (_, others) => [
      ['service-provider', all(others)],
      ['status:not', 'cancelled,entered-in-error'],
    ],
  },
  {
    type: 'EpisodeOfCare',
    conditions: (_, others) => [
      ['organization', all(others)],
      ['status', 'active'],
    ],
  },
];

const EVERYBODY: readonly Treatment[] = [{ type: 'Patient', conditions: () => [] }];

/** A search for what says so; `date=now` is of what is going on, or has no end, or says nothing of when. */
function relation({ definitions, baseUrl }: Looking, type: string, conditions: Conditions): Filter {
  const grammar = { definitions, baseUrl };
  const read = (name: string, value: string): Filter => readFilter(grammar, type, name, value);
  const now = new Date().toISOString().slice(0, 19);
  const filters = conditions.map(([name, value]): Filter => {
    if (value !== 'now') return read(name, value);
    const during: Filter = { kind: 'all', filters: [read(name, `le${now}Z`), read(name, `ge${now}Z`)] };
    return { kind: 'any', filters: [read(`${name}:missing`, 'true'), during] };
  });
  return { kind: 'all', filters };
}

async function numbered({ store }: Looking, ids: readonly string[]): Promise<PatientSet> {
  const rids = await store.numbers.find(ids.map((id) => ({ type: 'Patient', id })));
  return { ids: new Set(ids), rids: rids.filter((rid) => rid !== undefined) };
}

async function current<T extends Resource>(
  { store }: Looking,
  type: string,
  id: string,
): Promise<T | undefined> {
  const { content } = await store.read({ type: store.catalog.typeNumber(type), id });
  return content === null ? undefined : (JSON.parse(content) as T);
}

/** Whether a period includes today, as far as it says. */
function isNow({ start, end }: Period = {}): boolean {
  const now = new Date().toISOString();
  return (
    (start === undefined || start.slice(0, 10) <= now.slice(0, 10)) &&
    (end === undefined || end >= now.slice(0, end.length))
  );
}
