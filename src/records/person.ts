/** Who a person is in the records, and whose records are theirs to see (README, "Who sees what"). */
import { createHash } from 'node:crypto';
import type {
  Consent,
  Person as PersonResource,
  PractitionerRole,
  Reference,
  RelatedPerson,
  Resource,
} from 'fhir/r4.js';
import { isDuring, isInForce, shares } from '../access/consent.ts';
import { askerOf, namesOf, ORGANIZATION, type Person, stranger } from '../access/person.ts';
import { parseReference } from '../fhir/reference.ts';
import { readFilter } from '../search/filter.ts';
import type { Filter, PatientSet } from '../search/request.ts';
import { openEmergencies } from '../store/emergencies.ts';
import { readConsents } from '../store/read/consents.ts';
import { cutPage } from '../store/read/page.ts';
import { NEWEST_FIRST } from '../store/search/search.ts';
import type { Setting } from './setting.ts';

export type Looking = Pick<Setting, 'store' | 'definitions' | 'baseUrl'> & {
  /** ACCESS_POLICY */
  readonly policy: 'treatment' | 'all';
};

/** So many roles of one practitioner are looked at. */
const MOST_ROLES = 100;

/** A person, as they were found. */
export interface Found {
  readonly person: Person;
  /** a hash of all that this came of; undefined where more than that may change it, as time */
  readonly cameOf?: string | undefined;
}

/**
 * @param holder `Type/id`, or organizations by commas apart
 * @param before what was found last: the same person where nothing is otherwise, so that what was made of it is kept
 */
export async function personOf(looking: Looking, holder: string, before?: Found): Promise<Found> {
  const [{ type, id }, ...others] = holder.split(',').map(nameIn) as [Name, ...Name[]];
  const nobody = stranger(type, id);
  if (type === ORGANIZATION)
    return withConsents(
      looking,
      await ofOrganizations(looking, nobody, [id, ...others.map((one) => one.id)]),
      before,
    );
  if (type === 'Patient') return { person: { ...nobody, patients: await numbered(looking, [id]) } };
  if (type === 'Practitioner') return withConsents(looking, await practitioner(looking, nobody), before);
  const patients = await numbered(looking, await standsFor(looking, type, id, 0));
  return withConsents(looking, { ...nobody, patients }, before);
}

interface Name {
  readonly type: string;
  readonly id: string;
}

function nameIn(text: string): Name {
  const [type = '', id = ''] = text.split('/');
  return { type, id };
}

/** With what patients have consented to, or not, and those who share their records by that. */
async function withConsents(looking: Looking, person: Person, before?: Found): Promise<Found> {
  const { store, definitions, policy } = looking;
  const { patients } = person;
  const named = namesOf(person);
  const rids = await store.numbers.find(named);
  const names = named.flatMap((one, i) => (rids[i] === undefined ? [] : [{ ...one, rid: rids[i] }]));
  const references = definitions
    .searchParameters('Consent')
    .filter((one) => one.type === 'reference' && one.posted === undefined);
  const everybody = person.type === 'Practitioner' && policy === 'all';
  const contents = await readConsents(
    store.pool,
    store,
    everybody ? undefined : [...patients.values()],
    names,
    references,
  );
  const own = names.find((one) => one.type === 'Practitioner');
  const emergency = own ? await openEmergencies(store.pool, own.rid) : person.emergency;
  const cameOf = contents.some((one) => one.includes('"period"'))
    ? undefined
    : hashOf(person.organizations, [...patients, ...emergency].flat(), [...contents].sort());
  if (before && cameOf !== undefined && before.cameOf === cameOf) return before;
  const consents = new Map<string, Consent[]>();
  for (const content of contents) {
    const consent = JSON.parse(content) as Consent;
    if (!isInForce(consent, Date.now())) continue;
    for (const patient of idsOf(looking, 'Patient', consent.patient))
      consents.set(patient, [...(consents.get(patient) ?? []), consent]);
  }
  const others = [...consents]
    .filter(([patient, given]) => !patients.has(patient) && given.some((one) => shares(one, askerOf(person))))
    .map(([patient]) => patient);
  // A deletion ends what was shared, too.
  const there =
    others.length === 0 ? [] : await store.searcher.patientsOf('Patient', { kind: 'id', ids: others });
  const sharing = new Map(there.map((one) => [one.id, one.rid]));
  // What is shared is looked up each time, as its patient may be gone.
  const isLasting = others.length === 0;
  return { person: { ...person, consents, emergency, sharing }, cameOf: isLasting ? cameOf : undefined };
}

function hashOf(...lists: readonly (readonly (string | number)[])[]): string {
  const hash = createHash('sha256');
  for (const list of lists) {
    hash.update(`${list.length}:`);
    for (const one of list) hash.update(`${one}\n`);
  }
  return hash.digest('base64');
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
  if (resource.resourceType === 'RelatedPerson')
    return isDuring(resource.period, Date.now()) ? idsOf(looking, 'Patient', resource.patient) : [];
  if (resource.resourceType !== 'Person' || depth > 0) return [];
  const sure = (resource.link ?? []).filter(
    ({ assurance }) => assurance === 'level3' || assurance === 'level4',
  );
  const each = sure
    .flatMap(({ target }) => localOf(looking, target) ?? [])
    .filter((one) => one.type === 'Patient' || one.type === 'RelatedPerson')
    .map((one) => standsFor(looking, one.type, one.id, depth + 1));
  return (await Promise.all(each)).flat();
}

/** A practitioner, with the patients whom they or an organization that they work for treat. */
async function practitioner(looking: Looking, nobody: Person): Promise<Person> {
  const roles = await rolesOf(looking, nobody.id);
  const organizations = roles.flatMap(({ organization }) => idsOf(looking, ORGANIZATION, organization));
  const treatments = organizations.length > 0 ? [...PERSONAL, ...BY_ORGANIZATION] : PERSONAL;
  return treating(looking, { ...nobody, organizations }, looking.policy === 'all' ? EVERYBODY : treatments);
}

/** Organizations see what a practitioner of theirs would who treats nobody themselves. */
const ofOrganizations = (looking: Looking, nobody: Person, organizations: readonly string[]) =>
  treating(looking, { ...nobody, organizations }, [...NAMED, ...BY_ORGANIZATION]);

async function treating(looking: Looking, person: Person, treatments: readonly Treatment[]): Promise<Person> {
  const found = await Promise.all(
    treatments.map(({ type, conditions }) =>
      looking.store.searcher.patientsOf(type, relation(looking, type, conditions(person))),
    ),
  );
  const patients = new Map(found.flat().map(({ rid, id }) => [id, rid]));
  return { ...person, sees: 'patients', patients };
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
    .filter(({ active, period }) => active !== false && isDuring(period, Date.now()));
}

type Conditions = readonly (readonly [name: string, value: string])[];

/** By what somebody treats a patient: one of the resources of these types says so. */
interface Treatment {
  readonly type: string;
  conditions(person: Person): Conditions;
}

const names = (person: Person): string =>
  namesOf(person)
    .map(({ type, id }) => `${type}/${id}`)
    .join(',');
const self = ({ type, id }: Person): string => `${type}/${id}`;
const employers = ({ organizations }: Person): string =>
  organizations.map((id) => `${ORGANIZATION}/${id}`).join(',');

/** By themselves or an organization. */
const NAMED: readonly Treatment[] = [
  { type: 'Patient', conditions: (person) => [['general-practitioner', names(person)]] },
  {
    type: 'CareTeam',
    conditions: (person) => [
      ['participant', names(person)],
      ['status', 'active'],
      ['date', 'now'],
    ],
  },
  {
    type: 'Task',
    conditions: (person) => [
      ['owner', names(person)],
      ['status', 'accepted,in-progress,on-hold'],
    ],
  },
];

const PERSONAL: readonly Treatment[] = [
  ...NAMED,
  {
    type: 'Encounter',
    conditions: (person) => [
      ['participant', self(person)],
      ['status:not', 'cancelled,entered-in-error'],
    ],
  },
  {
    type: 'EpisodeOfCare',
    conditions: (person) => [
      ['care-manager', self(person)],
      ['status', 'active'],
    ],
  },
];

const BY_ORGANIZATION: readonly Treatment[] = [
  { type: 'Patient', conditions: (person) => [['organization', employers(person)]] },
  {
    type: 'Encounter',
    conditions: (person) => [
      ['service-provider', employers(person)],
      ['status:not', 'cancelled,entered-in-error'],
    ],
  },
  {
    type: 'EpisodeOfCare',
    conditions: (person) => [
      ['organization', employers(person)],
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

/** The resource here that a reference names. */
function localOf({ baseUrl, definitions }: Looking, reference: Reference | undefined) {
  const parsed = parseReference(reference?.reference ?? '', baseUrl, definitions.isResourceType);
  return parsed.kind === 'local' ? parsed : undefined;
}

/** Its id, if it is of a type; none otherwise. */
function idsOf(looking: Looking, type: string, reference: Reference | undefined): readonly string[] {
  const local = localOf(looking, reference);
  return local?.type === type ? [local.id] : [];
}
