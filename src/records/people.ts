/**
 * Who a person is in the records, and whose records are theirs to see: what changes there holds on the next request
 * (README, "Who sees what"). What was found out is kept as long as nothing is written that it depends on.
 */
import type {
  Consent,
  Period,
  Person as PersonResource,
  PractitionerRole,
  RelatedPerson,
  Resource,
} from 'fhir/r4.js';
import { isInForce, shares } from '../access/consent.ts';
import { askerOf, type Person, stranger } from '../access/person.ts';
import { parseReference } from '../fhir/reference.ts';
import { readFilter } from '../search/filter.ts';
import type { Filter, PatientSet } from '../search/request.ts';
import { cache } from '../store/cache.ts';
import { openEmergencies } from '../store/emergencies.ts';
import { readConsents } from '../store/read/consents.ts';
import { cutPage } from '../store/read/page.ts';
import { type Touched, touchedSince } from '../store/read/touched.ts';
import { NEWEST_FIRST } from '../store/search/search.ts';
import { snapshotNow } from '../store/search/snapshot.ts';
import type { Setting } from './setting.ts';

type Looking = Pick<Setting, 'store' | 'definitions' | 'baseUrl'> & {
  /** ACCESS_POLICY */
  readonly policy: 'treatment' | 'all';
};

/** So many roles of one practitioner are looked at. */
const MOST_ROLES = 100;

/** What is kept is looked up anew after so many milliseconds: periods begin and end without a word. */
const LONGEST = 5000;

/** Types of which a write may change whose records are a person's to see, wherever it is; and if it is about their patients. */
const ROLES = ['Person', 'PractitionerRole', 'RelatedPerson'];
const RELATIONS = ['CareTeam', 'Consent', 'Encounter', 'EpisodeOfCare', 'Patient', 'Task'];

interface Kept {
  readonly person: Person;
  /** of the person and their organizations */
  readonly names: ReadonlySet<number>;
  readonly patients: ReadonlySet<number>;
  readonly snapshot: string;
  readonly epoch: number | undefined;
  readonly until: number;
}

/** Gives people by `Type/id`; somebody who sees nobody, where there is no such resource. */
export function makePeople(looking: Looking): (fhirUser: string, epoch?: number) => Promise<Person> {
  const { store } = looking;
  const known = cache<string, Kept>(1000);
  const types = [...ROLES, ...RELATIONS].map(store.catalog.typeNumber);
  const roles = new Set(ROLES.map(store.catalog.typeNumber));

  function concerns(
    { names, patients }: Kept,
    { type, deleted, rid, patients: about, targets }: Touched,
  ): boolean {
    if (roles.has(type) || looking.policy === 'all') return true;
    return (
      names.has(rid) ||
      about.some((one) => patients.has(one)) ||
      targets.some((one) => names.has(one)) ||
      // It is not told what it referred to.
      (deleted && about.length === 0)
    );
  }

  return async (fhirUser, epoch) => {
    const kept = known.get(fhirUser);
    // Glass that is broken raises the epoch.
    if (kept && kept.epoch === epoch && kept.until > Date.now()) {
      const { snapshot, touched } = await touchedSince(store.pool, store.catalog, kept.snapshot, types);
      if (touched && !touched.some((one) => concerns(kept, one))) {
        known.set(fhirUser, { ...kept, snapshot });
        return kept.person;
      }
    }
    const snapshot = await snapshotNow(store.pool);
    const [type = '', id = ''] = fhirUser.split('/');
    const person = await personOf(looking, type, id);
    const named = [{ type, id }, ...person.organizations.map((one) => ({ type: 'Organization', id: one }))];
    const names = (await store.numbers.find(named)).filter((rid) => rid !== undefined);
    if (snapshot !== null)
      known.set(fhirUser, {
        person,
        snapshot,
        epoch,
        names: new Set(names),
        patients: new Set([...person.patients.values(), ...person.sharing.values()]),
        until: Date.now() + LONGEST,
      });
    return person;
  };
}

async function personOf(looking: Looking, type: string, id: string): Promise<Person> {
  const nobody = stranger(type, id);
  if (type === 'Patient') return { ...nobody, patients: await numbered(looking, [id]) };
  if (type === 'Practitioner') return withConsents(looking, await practitioner(looking, nobody));
  return withConsents(looking, {
    ...nobody,
    patients: await numbered(looking, await standsFor(looking, type, id, 0)),
  });
}

/** With what patients have consented to, or not, and those who share their records by that. */
async function withConsents(looking: Looking, person: Person): Promise<Person> {
  const { store, definitions, baseUrl, policy } = looking;
  const { type, id, organizations, patients } = person;
  const named = [{ type, id }, ...organizations.map((one) => ({ type: 'Organization', id: one }))];
  const rids = await store.numbers.find(named);
  const names = named.flatMap((one, i) => (rids[i] === undefined ? [] : [{ ...one, rid: rids[i] }]));
  const references = definitions
    .searchParameters('Consent')
    .filter((one) => one.type === 'reference' && one.posted === undefined);
  const everybody = person.sees === 'patients' && policy === 'all';
  const contents = await readConsents(
    store.pool,
    store,
    everybody ? undefined : [...patients.values()],
    names,
    references,
  );
  const consents = new Map<string, Consent[]>();
  for (const content of contents) {
    const consent = JSON.parse(content) as Consent;
    const parsed = parseReference(consent.patient?.reference ?? '', baseUrl, definitions.isResourceType);
    if (parsed.kind !== 'local' || parsed.type !== 'Patient' || !isInForce(consent, Date.now())) continue;
    consents.set(parsed.id, [...(consents.get(parsed.id) ?? []), consent]);
  }
  const others = [...consents]
    .filter(([patient, given]) => !patients.has(patient) && given.some((one) => shares(one, askerOf(person))))
    .map(([patient]) => patient);
  const own = names.find((one) => one.type === 'Practitioner');
  const emergency = own ? await openEmergencies(store.pool, own.rid) : person.emergency;
  return { ...person, consents, emergency, sharing: await numbered(looking, others) };
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
async function practitioner(looking: Looking, nobody: Person): Promise<Person> {
  const { store, policy } = looking;
  const { id } = nobody;
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
  const patients = new Map(found.flat().map(({ rid, id: patient }) => [patient, rid]));
  return { ...nobody, sees: 'patients', patients, organizations };
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
  return new Map(ids.flatMap((id, i) => (rids[i] === undefined ? [] : [[id, rids[i]]])));
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
