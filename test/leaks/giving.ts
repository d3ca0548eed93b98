/** "Only one's own view can be given on" (README), judged on the resources themselves: a part of the judge (model.ts). */
import type { Consent, ConsentProvision, Resource } from 'fhir/r4.js';

// biome-ignore lint/suspicious/noExplicitAny: resources of many types are looked at by their paths
type Any = any;

const references = (...given: Any[]): string[] => given.flatMap((one) => one?.reference ?? []);

/** Whose records a resource opens, and to whom. */
export function openings(one: Any): readonly string[] {
  const pairs = (of: string | undefined, to: readonly string[]): string[] =>
    of === undefined ? [] : to.map((each) => `${of} to ${each}`);
  switch (one.resourceType) {
    case 'Patient':
      return pairs(
        `Patient/${one.id}`,
        references(...(one.generalPractitioner ?? []), one.managingOrganization),
      );
    case 'RelatedPerson':
      return one.active === false ? [] : pairs(one.patient?.reference, [`RelatedPerson/${one.id}`]);
    case 'CareTeam':
      return one.status === 'active'
        ? pairs(
            one.subject?.reference,
            references(...(one.participant ?? []).map((each: Any) => each.member)),
          )
        : [];
    case 'Encounter':
      return one.status === 'cancelled'
        ? []
        : pairs(
            one.subject?.reference,
            references(...(one.participant ?? []).map((each: Any) => each.individual), one.serviceProvider),
          );
    case 'Task':
      return one.status === 'completed' ? [] : pairs(one.for?.reference, references(one.owner));
    default:
      return [];
  }
}

/** What a write opens that was not open by it before: patient and somebody. */
export const opened = (one: Resource, before?: Resource): readonly (readonly [string, string])[] =>
  openings(one)
    .filter((each) => !before || !openings(before).includes(each))
    .map((each) => each.split(' to ') as [string, string]);

/** Whether a Consent denies somebody anything whatever: an exception that is for them as a whole decides for them. */
export function deniesAnything({ policyRule, provision }: Consent, names: ReadonlySet<string>): boolean {
  const rule = policyRule?.coding?.[0]?.code;
  const base = rule === 'OPTOUT' ? 'deny' : rule === 'OPTIN' ? 'permit' : 'silent';
  return denies(base, provision ? [provision] : [], names);
}

function denies(verdict: string, all: readonly ConsentProvision[], names: ReadonlySet<string>): boolean {
  const fitting = all.filter(
    ({ actor }) => !actor || actor.some(({ reference }) => names.has(reference.reference ?? '')),
  );
  const of = (one: ConsentProvision) =>
    denies(one.type ?? (verdict === 'permit' ? 'deny' : 'permit'), one.provision ?? [], names);
  const isWhole = ({ action, securityLabel, class: classes, code }: ConsentProvision) =>
    !action && !securityLabel && !classes && !code;
  return fitting.some(of) || (verdict === 'deny' && !fitting.some(isWhole));
}
