/**
 * Who may see what, judged a second time: from README's "Who sees what" and R4's consent.html alone, on the resources
 * themselves, without anything of src/access, src/search or src/store.
 */
import type { CodeableConcept, Coding, Consent, ConsentProvision, Reference, Resource } from 'fhir/r4.js';

import { deniesAnything, opened } from './giving.ts';

// biome-ignore lint/suspicious/noExplicitAny: resources of many types are looked at by their paths
type Any = any;

export type Letter = 'c' | 'r' | 'u' | 'd' | 's';

export interface ScopeModel {
  readonly level: 'patient' | 'user' | 'system';
  readonly type: string;
  readonly letters: string;
  /** code=x of a granular one */
  readonly code?: string;
}

export interface TokenModel {
  readonly scopes: readonly ScopeModel[];
  readonly patient?: string;
  /** Type/id */
  readonly fhirUser?: string;
  /** ids of organizations that a system is limited to */
  readonly organizations?: readonly string[];
}

export type World = ReadonlyMap<string, Resource>;

const refs = (...references: (Reference | undefined)[]): string[] =>
  references.flatMap((one) => one?.reference ?? []);
const codings = (concept: CodeableConcept | undefined): readonly Coding[] => concept?.coding ?? [];

/** Whom a resource is about (its parameter `patient`). */
const ABOUT: Readonly<Record<string, (one: Any) => string[]>> = {
  Patient: ({ id }) => [`Patient/${id}`],
  CareTeam: ({ subject }) => refs(subject),
  Encounter: ({ subject }) => refs(subject),
  Observation: ({ subject }) => refs(subject),
  Condition: ({ subject }) => refs(subject),
  Device: ({ patient }) => refs(patient),
  Task: (task) => refs(task.for),
  Communication: ({ subject }) => refs(subject),
  RelatedPerson: ({ patient }) => refs(patient),
  Consent: ({ patient }) => refs(patient),
  List: ({ subject }) => refs(subject),
  Appointment: ({ participant = [] }) => refs(...participant.map(({ actor }: Any) => actor)),
  Media: ({ subject }) => refs(subject),
  ImagingStudy: ({ subject }) => refs(subject),
  // of what it tells, which is about them
  Provenance: ({ about }) => about,
  AuditEvent: ({ about }) => about,
};

/** By what else it is in a patient's compartment (R4 compartmentdefinition-patient.html). */
const MEMBER: Readonly<Record<string, (one: Any) => string[]>> = {
  CareTeam: ({ participant = [] }) => refs(...participant.map(({ member }: Any) => member)),
  Observation: ({ performer = [] }) => refs(...performer),
  Condition: ({ asserter }) => refs(asserter),
  Communication: ({ sender, recipient = [] }) => refs(sender, ...recipient),
  List: ({ source }) => refs(source),
};

const DIRECTORY = new Set(['Practitioner', 'PractitionerRole', 'Organization']);

export const isPatient = (reference: string): boolean => reference.startsWith('Patient/');
export const aboutOf = (one: Resource): string[] => (ABOUT[one.resourceType]?.(one) ?? []).filter(isPatient);
const compartmentsOf = (one: Resource): string[] => [
  ...aboutOf(one),
  ...(MEMBER[one.resourceType]?.(one) ?? []).filter(isPatient),
];

interface PersonModel {
  readonly reference: string;
  readonly names: ReadonlySet<string>;
  readonly isPractitioner: boolean;
  /** treated, or represented */
  readonly patients: ReadonlySet<string>;
}

/** As whom a token sees: a person, or a system's organizations; undefined of a system that sees all. */
function holderOf(world: World, { fhirUser, organizations }: TokenModel): PersonModel | undefined {
  if (organizations) {
    const names = organizations.map((id) => `Organization/${id}`);
    return { ...treating(world, names, undefined, names), reference: '' };
  }
  return fhirUser === undefined ? undefined : personOf(world, fhirUser);
}

function personOf(world: World, fhirUser: string): PersonModel {
  const all = [...world.values()] as Any[];
  const of = (type: string): Any[] => all.filter(({ resourceType }) => resourceType === type);
  const self = { reference: fhirUser, names: new Set([fhirUser]), isPractitioner: false };
  if (fhirUser.startsWith('Patient/')) return { ...self, patients: new Set([fhirUser]) };
  if (fhirUser.startsWith('RelatedPerson/')) {
    const related = world.get(fhirUser) as Any;
    return { ...self, patients: new Set(related && related.active !== false ? refs(related.patient) : []) };
  }
  const roles = of('PractitionerRole').filter(
    (role) => role.practitioner?.reference === fhirUser && role.active !== false,
  );
  const organizations = roles.flatMap(({ organization }) => refs(organization));
  return treating(world, [fhirUser, ...organizations], fhirUser, organizations);
}

/** Who treats patients by these names; by encounters a practitioner themselves, or an organization. */
function treating(
  world: World,
  all: readonly string[],
  self: string | undefined,
  organizations: readonly string[],
): PersonModel {
  const of = (type: string): Any[] =>
    [...world.values()].filter(({ resourceType }) => resourceType === type) as Any[];
  const team = new Set(all);
  const names = (references: readonly string[]) => references.some((one) => team.has(one));
  const patients = new Set<string>();
  for (const one of of('Patient'))
    if (
      names(refs(...(one.generalPractitioner ?? []))) ||
      organizations.includes(one.managingOrganization?.reference)
    )
      patients.add(`Patient/${one.id}`);
  for (const one of of('CareTeam'))
    if (one.status === 'active' && names(MEMBER.CareTeam?.(one) ?? []))
      for (const p of aboutOf(one)) patients.add(p);
  for (const one of of('Encounter')) {
    const isOn = one.status !== 'cancelled' && one.status !== 'entered-in-error';
    const participants = refs(...(one.participant ?? []).map(({ individual }: Any) => individual));
    const isTheirs = self !== undefined && participants.includes(self);
    if (isOn && (isTheirs || organizations.includes(one.serviceProvider?.reference)))
      for (const p of aboutOf(one)) patients.add(p);
  }
  for (const one of of('Task'))
    if (['accepted', 'in-progress', 'on-hold'].includes(one.status) && names(refs(one.owner)))
      for (const p of aboutOf(one)) patients.add(p);
  const known = [...patients].filter((one) => world.has(one));
  return { reference: self ?? '', names: team, isPractitioner: true, patients: new Set(known) };
}

const consentsOf = (world: World, patient: string): readonly Consent[] =>
  [...world.values()].filter(
    (one): one is Consent =>
      one.resourceType === 'Consent' &&
      (one as Consent).status === 'active' &&
      (one as Consent).patient?.reference === patient &&
      codings((one as Consent).scope).some(({ code }) => code === 'patient-privacy'),
  );

type Verdict = 'permit' | 'deny' | 'silent';
interface Said {
  readonly verdict: Verdict;
  /** whether who asks was named by the provision that permits */
  readonly named: boolean;
}

const ACTION: Readonly<Record<Letter, readonly string[]>> = {
  c: ['collect'],
  u: ['correct', 'collect'],
  d: ['correct'],
  r: ['access', 'use', 'disclose'],
  s: ['access', 'use', 'disclose'],
};

function fits(provision: ConsentProvision, person: PersonModel, letter: Letter, one: Any): boolean {
  const { actor, action, securityLabel, class: classes, code } = provision;
  if (actor && !actor.some(({ reference }) => person.names.has(reference.reference ?? ''))) return false;
  if (
    action &&
    !action.flatMap((each) => codings(each)).some((each) => ACTION[letter].includes(each.code ?? ''))
  )
    return false;
  const labels: Coding[] = one.meta?.security ?? [];
  if (
    securityLabel &&
    !securityLabel.some((each) => labels.some((own) => own.code === each.code && own.system === each.system))
  )
    return false;
  if (classes && !classes.some((each) => each.code === one.resourceType)) return false;
  if (code) {
    const own =
      one.resourceType === 'Observation' ||
      one.resourceType === 'Condition' ||
      one.resourceType === 'Task' ||
      one.resourceType === 'List'
        ? codings(one.code)
        : [];
    if (
      !code
        .flatMap((each) => codings(each))
        .some((each) => own.some((mine) => mine.code === each.code && mine.system === each.system))
    )
      return false;
  }
  return true;
}

/** All that is said at a level: of several that fit beside each other, each with what is within it. */
function said(
  base: Verdict,
  provisions: readonly ConsentProvision[],
  person: PersonModel,
  letter: Letter,
  one: Any,
): readonly Said[] {
  const fitting = provisions.filter((provision) => fits(provision, person, letter, one));
  if (fitting.length === 0) return [{ verdict: base, named: false }];
  return fitting.flatMap((provision) => {
    const verdict = provision.type ?? (base === 'permit' ? 'deny' : 'permit');
    const named =
      provision.actor?.some(({ reference }) => person.names.has(reference.reference ?? '')) ?? false;
    const inner = said(verdict, provision.provision ?? [], person, letter, one);
    return inner.map((each) =>
      each.verdict === verdict && (provision.provision ?? []).every((p) => !fits(p, person, letter, one))
        ? { verdict, named }
        : each,
    );
  });
}

function saidBy(consent: Consent, person: PersonModel, letter: Letter, one: Any): readonly Said[] {
  const rule = codings(consent.policyRule)[0]?.code;
  const base: Verdict = rule === 'OPTOUT' ? 'deny' : rule === 'OPTIN' ? 'permit' : 'silent';
  return said(base, consent.provision ? [consent.provision] : [], person, letter, one);
}

/** What Consents of a patient leave of a resource for somebody. */
function isConsented(world: World, person: PersonModel, patient: string, letter: Letter, one: Any): boolean {
  if (person.reference === patient) return true;
  const consents = consentsOf(world, patient);
  const each = consents.map((consent) => saidBy(consent, person, letter, one));
  if (each.flat().some(({ verdict }) => verdict === 'deny')) return false;
  return (
    person.patients.has(patient) || each.flat().some(({ verdict, named }) => verdict === 'permit' && named)
  );
}

/** Whether a patient's records are somebody's to see in part at least: treated, represented, or shared by name. */
function opens(world: World, person: PersonModel, patient: string): boolean {
  if (person.patients.has(patient)) return true;
  if (person.reference.startsWith('Patient/') || !world.has(patient)) return false;
  const permits = (provision: ConsentProvision, around: Verdict): boolean => {
    const verdict = provision.type ?? (around === 'permit' ? 'deny' : 'permit');
    const named =
      provision.actor?.some(({ reference }) => person.names.has(reference.reference ?? '')) ?? false;
    return (
      (verdict === 'permit' && named) || (provision.provision ?? []).some((one) => permits(one, verdict))
    );
  };
  return consentsOf(world, patient).some(({ provision, policyRule }) => {
    const rule = codings(policyRule)[0]?.code;
    return (
      provision !== undefined &&
      permits(provision, rule === 'OPTOUT' ? 'deny' : rule === 'OPTIN' ? 'permit' : 'silent')
    );
  });
}

const isCleared = (person: PersonModel, one: Any): boolean =>
  !person.isPractitioner ||
  !(one.meta?.security ?? []).some(
    ({ system, code }: Coding) => system?.endsWith('v3-Confidentiality') && (code === 'R' || code === 'V'),
  );

/** What is addressed to a practitioner, or what they have sent. */
function isAddressed(person: PersonModel, letter: Letter, one: Any): boolean {
  if (!person.isPractitioner) return false;
  const reads = letter === 'r' || letter === 's';
  const names = (references: string[]) => references.some((each) => person.names.has(each));
  switch (one.resourceType) {
    case 'Communication':
      return names(refs(...(one.recipient ?? []))) || (reads && names(refs(one.sender)));
    case 'Task':
      return names(refs(one.owner)) || (reads && names(refs(one.requester)));
    case 'Appointment':
      return refs(...one.participant.map(({ actor }: Any) => actor)).includes(person.reference);
    case 'Patient':
      return (
        letter === 'c' &&
        (names(refs(...(one.generalPractitioner ?? []))) || names(refs(one.managingOrganization)))
      );
    default:
      return false;
  }
}

function isOfLevel(
  world: World,
  token: TokenModel,
  level: ScopeModel['level'],
  letter: Letter,
  one: Any,
): boolean {
  const person = holderOf(world, token);
  if (!person) return level === 'system';
  const { resourceType: type } = one;
  const reads = letter === 'r' || letter === 's';
  if (DIRECTORY.has(type)) return reads;
  // Equipment that is nobody's is for everybody to look up.
  const isEquipment = reads && type === 'Device' && aboutOf(one).length === 0 && isCleared(person, one);
  const isSelf = isEquipment || (letter === 'r' && `${type}/${one.id}` === person.reference);
  const inside = (patient: string): boolean =>
    (person.isPractitioner ? aboutOf(one) : compartmentsOf(one)).includes(patient) &&
    isConsented(world, person, patient, letter, one) &&
    (type !== 'Consent' || reads || seesAllOf(world, person, patient)) &&
    isCleared(person, one);
  if (level === 'patient') {
    const patient = `Patient/${token.patient}`;
    return opens(world, person, patient) && (isSelf || inside(patient));
  }
  if (isSelf) return true;
  const patients = [...world.keys(), ...person.patients].filter(
    (key) => isPatient(key) && opens(world, person, key),
  );
  if (patients.some(inside)) return true;
  if (!isAddressed(person, letter, one) || !isCleared(person, one)) return false;
  // Whatever is addressed: not against a patient's Consent that is known to who asks.
  const known = [...world.keys()].filter(
    (key) =>
      isPatient(key) &&
      (opens(world, person, key) || consentsOf(world, key).some((consent) => namesIn(consent, person))),
  );
  return !known.some(
    (patient) =>
      compartmentsOf(one).includes(patient) &&
      consentsOf(world, patient).some((consent) =>
        saidBy(consent, person, letter, one).some(({ verdict }) => verdict === 'deny'),
      ),
  );
}

/** Whether a Consent refers to somebody at all. */
const namesIn = (consent: Consent, person: PersonModel): boolean =>
  [...person.names].some((name) => JSON.stringify(consent).includes(`"${name}"`));

const covers = (scope: ScopeModel, type: string, letter: Letter): boolean =>
  (scope.type === '*' || scope.type === type) && scope.letters.includes(letter);

/** Whether any scope is for a type at all; where none is, it is refused as a whole. */
export function isCovered(world: World, token: TokenModel, type: string, letter: Letter): boolean {
  return token.scopes.some((scope) => {
    if (!covers(scope, type, letter)) return false;
    const person = holderOf(world, token);
    if (!person) return scope.level === 'system';
    const reads = letter === 'r' || letter === 's';
    if (DIRECTORY.has(type)) return reads;
    if (scope.level !== 'patient') return true;
    return token.patient !== undefined && opens(world, person, `Patient/${token.patient}`);
  });
}

/** Whether a token may do this to a resource. */
export function isAllowed(world: World, token: TokenModel, letter: Letter, one: Resource): boolean {
  return token.scopes.some((scope) => {
    if (!covers(scope, one.resourceType, letter)) return false;
    if (scope.code !== undefined && !codings((one as Any).code).some(({ code }) => code === scope.code))
      return false;
    return isOfLevel(world, token, scope.level, letter, one);
  });
}

/** Whether a token may read the bytes of a Binary, which belongs to its securityContext, or to what referred to it first. */
export function mayReadBytes(
  world: World,
  token: TokenModel,
  binary: Resource,
  owner: Resource | undefined,
): boolean {
  const { securityContext } = binary as Any;
  const context = refs(securityContext)[0];
  const of = context === undefined ? owner : world.get(context);
  const covered = token.scopes.some((scope) => covers(scope, 'Binary', 'r'));
  if (!covered) return false;
  const seesEverything =
    holderOf(world, token) === undefined &&
    token.scopes.some((scope) => covers(scope, 'Binary', 'r') && scope.level === 'system');
  return seesEverything || (of !== undefined && isAllowed(world, token, 'r', of));
}

/** Whether what is written concerns only patients whose records are the writer's, or whom it was about before. */
export function concernsOwn(
  world: World,
  token: TokenModel,
  letter: Letter,
  one: Resource,
  before?: Resource,
): boolean {
  const person = holderOf(world, token);
  if (!person || one.resourceType === 'Patient') return true;
  const known = new Set(before ? aboutOf(before) : []);
  return aboutOf(one).every(
    (patient) =>
      known.has(patient) ||
      token.scopes.some(
        ({ level }) =>
          (level !== 'patient' || patient === `Patient/${token.patient}`) &&
          opens(world, person, patient) &&
          isConsented(world, person, patient, letter, one) &&
          isCleared(person, one),
      ),
  );
}

const seesAllOf = (world: World, person: PersonModel, patient: string): boolean =>
  person.patients.has(patient) &&
  (person.reference === patient ||
    !consentsOf(world, patient).some((one) => deniesAnything(one, person.names)));

/** Whether what is written opens records to nobody but by whom sees all of them; or to who treats the patient themselves. */
export function givesOwn(world: World, token: TokenModel, one: Resource, before?: Resource): boolean {
  const person = holderOf(world, token);
  if (!person || (one.resourceType === 'Patient' && !before)) return true;
  return opened(one, before).every(
    ([patient, to]) =>
      seesAllOf(world, person, patient) || (person.patients.has(patient) && to === person.reference),
  );
}

/** Patients whom a text names although they are not to be shown: neither of the launch, nor theirs to see. */
export function namedOthers(world: World, token: TokenModel, text: string): readonly string[] {
  const person = holderOf(world, token);
  if (!person) return [];
  const named = [...text.matchAll(/"reference":"(Patient\/[^"/]+)/g)].map(
    ([, reference]) => reference as string,
  );
  return named.filter((patient) => patient !== `Patient/${token.patient}` && !opens(world, person, patient));
}
