/**
 * What of a type a scope gives: a filter, as a search would have it, that can be judged on each resource by itself. So it
 * holds in every query, and for what is about to be written.
 */
import type { SearchParameter } from '../fhir/definitions.ts';
import { Refusal } from '../fhir/outcome.ts';
import { about, membership } from '../search/compartment.ts';
import { parseCondition } from '../search/condition.ts';
import { UnknownParameter } from '../search/faults.ts';
import type { Filter, PatientSet } from '../search/request.ts';
import { denied, deniesSome, permitted, type Wanted } from './consent.ts';
import { askerOf, namesOf, ORGANIZATION, opens, type Person, type Whose } from './person.ts';
import { ADDRESSED, CONFIDENTIALITY, DIRECTORY, EQUIPMENT, IDENTITY, SENT, TREATED } from './policy.ts';
import { allOf, both, either, type Grammar, not, oneOf, type Rule } from './rule.ts';
import type { Letter, Level, Scope } from './scopes.ts';

/** What a scope gives of a type. */
export function ruleOf(grammar: Grammar, whose: Whose, scope: Scope, type: string, letter: Letter): Rule {
  const { level, query } = scope;
  const whole =
    level === 'system' && !whose.person ? 'all' : ofPerson(grammar, level, whose, { type, letter });
  if (whole === 'none' || query === undefined) return whole;
  return both(whole, granular(grammar, type, query));
}

/** Of a granular scope: its query as filters. One that says more than can be judged on a resource gives nothing. */
function granular({ definitions, baseUrl }: Grammar, type: string, query: string): Rule {
  try {
    return allOf(parseCondition(definitions, type, query, baseUrl).filters);
  } catch (fault) {
    if (fault instanceof Refusal || fault instanceof UnknownParameter) return 'none';
    throw fault;
  }
}

/**
 * What a person may do in the records of a patient, or in all that are theirs to see; so may a system in those of the
 * organizations that it is limited to.
 */
function ofPerson(grammar: Grammar, level: Level, { patient, person }: Whose, wanted: Wanted): Rule {
  const { type, letter } = wanted;
  if (DIRECTORY.has(type)) return isReading(letter) ? 'all' : 'none';
  if (IDENTITY.has(type) && !isReading(letter)) return 'none';
  const anyway = [
    ...(person && type === person.type && letter === 'r' ? [isThis(person.id)] : []),
    ...(EQUIPMENT.has(type) && isReading(letter) ? [equipment(grammar, person, type)] : []),
  ];
  if (level !== 'patient')
    return person
      ? seen(either([ofPatients(grammar, person, wanted), own(grammar, person, wanted), ...anyway]))
      : 'none';
  // A person who treats the patient no more, or stands for them no more, is out, whatever was granted.
  if (patient === undefined || (person && !opens(person, patient))) return 'none';
  const whose = person
    ? isAbout(grammar, person, oneOfTheirs(person, patient), type)
    : inCompartment(grammar, patient, type);
  const rule = person ? both(whose, ofPatient(grammar, person, patient, wanted)) : whose;
  return seen(either([rule, ...anyway]));
}

const isReading = (letter: Letter): boolean => letter === 'r' || letter === 's';

/** That nothing of a type may be seen is not said by refusing the type. */
const seen = (rule: Rule): Rule => (rule === 'none' ? oneOf([]) : rule);

/** Of all patients whose records are a person's to see. */
function ofPatients(grammar: Grammar, person: Person, wanted: Wanted): Rule {
  const { patients, sharing, emergency, consents } = person;
  // Most have no Consents, or none that says anything here, and are taken together; so are those whose Consents say the same.
  const plain = cleared(grammar, person, wanted.type);
  const others = new Map(patients);
  const groups = new Map<string, { readonly rule: Rule; readonly patients: Map<string, number> }>();
  for (const id of new Set([...consents.keys(), ...sharing.keys(), ...emergency.keys()])) {
    if (!opens(person, id)) continue;
    const rule = ofPatient(grammar, person, id, wanted, plain);
    if (patients.has(id) && rule === plain) continue;
    others.delete(id);
    if (rule === 'none') continue;
    const name = JSON.stringify(rule, (key, value) => (key === 'parameter' ? value.code : value));
    const group = groups.get(name) ?? { rule, patients: new Map() };
    for (const [one, number] of oneOfTheirs(person, id)) group.patients.set(one, number);
    groups.set(name, group);
  }
  if (others.size > 0) groups.set('', { rule: plain, patients: others });
  const each = either(
    [...groups.values()].map(({ rule, patients: group }) =>
      both(isAbout(grammar, person, group, wanted.type), rule),
    ),
  );
  if (groups.size < 2 || person.sees === 'compartments') return each;
  // What is about none of them all is passed by none: so a search walks their timelines, whatever each has consented to.
  const all = new Map([...groups.values()].flatMap((group) => [...group.patients]));
  return both(isAbout(grammar, person, all, wanted.type), each);
}

function oneOfTheirs({ patients, sharing, emergency }: Person, id: string): PatientSet {
  const number = patients.get(id) ?? sharing.get(id) ?? emergency.get(id);
  return new Map(number === undefined ? [] : [[id, number]]);
}

/** What a person may do this to, of what is about a patient. */
export const concerning = (grammar: Grammar, person: Person, id: string, wanted: Wanted): Rule =>
  opens(person, id) ? ofPatient(grammar, person, id, wanted) : 'none';

/**
 * Whether a person sees all of a patient's records, but for what is labelled and their clearance is not enough for: that alone
 * lets them give these records on. What they see by somebody's leave, or in an emergency, ends with it.
 */
export function seesAllOf(person: Person, id: string): boolean {
  const asker = askerOf(person);
  return person.patients.has(id) && !(person.consents.get(id) ?? []).some((one) => deniesSome(one, asker));
}

/** Whether a person may open a patient's records to somebody, who may be themselves; an organization is many. */
export const gives = (person: Person, id: string, to: string): boolean =>
  seesAllOf(person, id) ||
  (person.type !== ORGANIZATION && person.patients.has(id) && to === `${person.type}/${person.id}`);

/** What of one patient a person may see: what no Consent denies them, or one permits; in an emergency more. */
function ofPatient(
  grammar: Grammar,
  person: Person,
  id: string,
  wanted: Wanted,
  plain = cleared(grammar, person, wanted.type),
): Rule {
  const { patients, emergency, consents } = person;
  // Else who is denied something would give it to others, or take the denial away.
  if (wanted.type === 'Consent' && !isReading(wanted.letter) && !seesAllOf(person, id)) return 'none';
  if (emergency.has(id))
    return cleared(grammar, { ...person, clearance: person.clearance === 'V' ? 'V' : 'R' }, wanted.type);
  const given = consents.get(id) ?? [];
  const asker = askerOf(person);
  const denial = either(given.map((consent) => denied(grammar, consent, asker, wanted)));
  const permit = patients.has(id)
    ? 'all'
    : either(given.map((consent) => permitted(grammar, consent, asker, wanted)));
  return [permit, not(denial), plain].reduce(both);
}

function isAbout(grammar: Grammar, person: Person, patients: PatientSet, type: string): Rule {
  if (person.sees === 'compartments')
    return oneOf([...patients.keys()].map((id) => inCompartment(grammar, id, type)));
  const by = about(grammar.definitions, type);
  return type === 'Patient' || by.length > 0 ? { kind: 'patients', patients, by } : 'none';
}

const inCompartment = ({ definitions }: Grammar, id: string, type: string): Filter => ({
  kind: 'compartment',
  id,
  by: membership(definitions, type),
});

/** Practitioners see what is labelled restricted with a clearance for it; patients see all that is theirs. */
function cleared({ definitions }: Grammar, { sees, clearance }: Person, type: string): Rule {
  if (sees === 'compartments' || clearance === 'V') return 'all';
  const parameter = definitions.searchParameters(type).find(({ code }) => code === '_security');
  if (!parameter) return 'none';
  const codes = clearance === 'R' ? ['V'] : ['R', 'V'];
  return not({ kind: 'token', parameter, values: codes.map((code) => ({ system: CONFIDENTIALITY, code })) });
}

/** What is addressed to a practitioner, but for what a patient's Consent denies them. */
function own(grammar: Grammar, person: Person, wanted: Wanted): Rule {
  const { type, letter } = wanted;
  if (person.sees === 'compartments') return 'none';
  const codes = [
    ...(ADDRESSED[type] ?? []),
    ...(isReading(letter) ? (SENT[type] ?? []) : []),
    ...(type === 'Patient' && letter === 'c' ? TREATED : []),
  ];
  const addressed = codes.flatMap((code): Filter[] => {
    const parameter = grammar.definitions.searchParameters(type).find((one) => one.code === code);
    return parameter ? [refersTo(parameter, person)] : [];
  });
  if (addressed.length === 0) return 'none';
  const asker = askerOf(person);
  const denials = [...person.consents].map(([id, consents]): Rule => {
    const denial = either(consents.map((consent) => denied(grammar, consent, asker, wanted)));
    return denial === 'none' ? 'none' : both(inCompartment(grammar, id, type), denial);
  });
  return [oneOf(addressed), not(either(denials)), cleared(grammar, person, type)].reduce(both);
}

/** What is about no patient. */
function equipment(grammar: Grammar, person: Person | undefined, type: string): Rule {
  const isNobodys = about(grammar.definitions, type).map(
    (parameter): Filter => ({ kind: 'missing', parameter, missing: true }),
  );
  return both(allOf(isNobodys), person ? cleared(grammar, person, type) : 'all');
}

const isThis = (id: string): Filter => ({ kind: 'id', ids: [id] });

const refersTo = (parameter: SearchParameter, person: Person): Filter => ({
  kind: 'reference',
  parameter,
  values: namesOf(person).map((name) => ({ kind: 'local', ...name })),
});
