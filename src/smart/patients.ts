/**
 * Whose records a person may open in an app: a patient their own, a related person those of whom they stand for, a
 * practitioner those of the patients they or their organization treat.
 */
import type { AuditEvent, Encounter, HumanName, Patient, Practitioner, Resource } from 'fhir/r4.js';
import { Refusal } from '../fhir/outcome.ts';
import { isId } from '../fhir/reference.ts';
import type { Records } from '../records/records.ts';
import { about } from '../search/compartment.ts';
import type { Grammar } from '../search/parameters.ts';
import { parseSearch } from '../search/parse.ts';
import type { Filter } from '../search/request.ts';

/** What a page shows of a patient, so that they are not mistaken for another. */
export interface PatientView {
  readonly id: string;
  readonly name: string;
  readonly birthDate?: string;
  readonly gender?: string;
}

export interface EncounterView {
  readonly id: string;
  readonly says: string;
}

/** Somebody was shown something. */
export interface Look {
  /** FHIR instant */
  readonly at: string;
  readonly who: string;
  /** the app or system */
  readonly by: string;
  readonly did: string;
  readonly emergency: boolean;
}

export interface Patients {
  /** The one whom a person is or stands for, where it is just one. */
  only(fhirUser: string): Promise<PatientView | undefined>;
  /**
   * Those whose records a person may open, in the order of their names; 20 at most.
   *
   * @param name the beginning of a name; '' all
   */
  search(fhirUser: string, name: string): Promise<readonly PatientView[]>;
  /** A patient whose records the person may open. */
  find(fhirUser: string, id: string): Promise<PatientView | undefined>;
  /** The newest encounters of a patient. */
  encounters(patient: string): Promise<readonly EncounterView[]>;
  /** What a person is called in the records; undefined where there is no such resource. */
  nameOf(fhirUser: string): Promise<string | undefined>;
  /** Who was lately shown what of a person's own record, or of whom they stand for; newest first. */
  looks(fhirUser: string): Promise<readonly Look[]>;
}

/** So many patients are shown at once. */
export const PAGE = 20;
const LOOKS = 50;

export function makePatients(records: Records, grammar: Grammar): Patients {
  async function read<T extends Resource>(reference: string): Promise<T | undefined> {
    const [type = '', id = ''] = reference.split('/');
    try {
      const { content } = await records.read(await records.operator(), type, id);
      return { ...JSON.parse(content), id } as T;
    } catch (fault) {
      if (fault instanceof Refusal && (fault.status === 404 || fault.status === 410)) return undefined;
      throw fault;
    }
  }

  async function find<T extends Resource>(
    type: string,
    pairs: readonly (readonly [string, string])[],
    more: readonly Filter[] = [],
  ): Promise<T[]> {
    const request = parseSearch(grammar.definitions, type, pairs, grammar.baseUrl);
    const { entries } = await records.search(await records.operator(), {
      ...request,
      filters: [...request.filters, ...more],
    });
    return entries.map(({ id, content }) => ({ ...JSON.parse(content), id }) as T);
  }

  async function those(fhirUser: string): Promise<Filter> {
    const { patients, sharing, emergency } = await records.person(fhirUser);
    const opened = new Map([...patients, ...sharing, ...emergency]);
    return { kind: 'patients', patients: opened, by: about(grammar.definitions, 'Patient') };
  }

  /** Names of people by `Type/id`, of those who are there: one search for each type. */
  async function namesOf(references: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const ids = Map.groupBy(
      new Set(references).values().map((one) => one.split('/') as [string, string]),
      ([type]) => type,
    );
    const found = await Promise.all(
      [...ids].map(async ([type, pairs]) => {
        const _id = pairs.map(([, id]) => id).join(',');
        const people = await find<Practitioner>(type, [
          ['_id', _id],
          ['_count', String(pairs.length)],
        ]);
        return people.map(({ id, name }) => [`${type}/${id}`, nameIn(name)] as const);
      }),
    );
    return new Map(found.flat());
  }

  return {
    async only(fhirUser) {
      if (fhirUser.startsWith('Practitioner/')) return undefined;
      const [first, ...others] = (await records.person(fhirUser)).patients.keys();
      const patient = first && others.length === 0 ? await read<Patient>(`Patient/${first}`) : undefined;
      return patient && viewOf(patient);
    },
    async search(fhirUser, name) {
      const pairs = [
        ...(name.trim() === '' ? [] : [['name', name.trim().replace(/[\\,|$]/g, '\\$&')] as const]),
        ['_sort', 'family'] as const,
        ['_count', String(PAGE)] as const,
      ];
      try {
        return (await find<Patient>('Patient', pairs, [await those(fhirUser)])).map(viewOf);
      } catch (fault) {
        // Nobody has a name of punctuation alone, which is no search.
        if (fault instanceof Refusal && fault.status === 400) return [];
        throw fault;
      }
    },
    async find(fhirUser, id) {
      if (!isId(id)) return undefined;
      const [patient] = await find<Patient>('Patient', [['_id', id]], [await those(fhirUser)]);
      return patient && viewOf(patient);
    },
    async encounters(patient) {
      const found = await find<Encounter>('Encounter', [
        ['patient', patient],
        ['_sort', '-date'],
        ['_count', String(PAGE)],
      ]);
      return found.map(({ id, period, type, class: kind, status }) => ({
        id: id as string,
        says: [
          period?.start?.slice(0, 10),
          type?.[0]?.text ?? type?.[0]?.coding?.[0]?.display ?? kind?.display ?? kind?.code,
          status === 'in-progress' ? 'now' : undefined,
        ]
          .filter(Boolean)
          .join(', '),
      }));
    },
    async looks(fhirUser) {
      if (fhirUser.startsWith('Practitioner/')) return [];
      const own = [...(await records.person(fhirUser)).patients.keys()];
      if (own.length === 0) return [];
      const events = await find<AuditEvent>('AuditEvent', [
        ['patient', own.map((id) => `Patient/${id}`).join(',')],
        // what was shown, and not what was written
        ['action', 'R,E'],
        ['_count', String(LOOKS)],
      ]);
      const agents = events.flatMap(({ agent }) => agent.flatMap(({ who }) => who?.reference ?? []));
      const names = await namesOf(agents);
      return events.map((event) => lookOf(event, names, fhirUser));
    },
    async nameOf(fhirUser) {
      const person = await read<Patient>(fhirUser);
      return person && nameIn(person.name);
    },
  };
}

const DONE: Readonly<Record<string, string>> = {
  read: 'opened',
  vread: 'opened an older version of',
  search: 'searched',
  history: 'looked at the history of',
  operation: 'collected',
  create: 'wrote',
  update: 'changed',
  delete: 'deleted',
};

function lookOf(
  { recorded, agent, subtype, entity = [], purposeOfEvent }: AuditEvent,
  names: ReadonlyMap<string, string>,
  own: string,
): Look {
  const person = agent.find(({ who }) => who?.reference)?.who?.reference;
  const client = agent.find(({ who }) => who?.identifier)?.who?.identifier?.value ?? '';
  const what = entity.find(({ role }) => role?.code === '4')?.what?.reference?.split('/')[0];
  const did = DONE[subtype?.[0]?.code ?? ''] ?? 'used';
  return {
    at: recorded,
    who: person === own ? 'You' : person === undefined ? 'A system' : (names.get(person) ?? person),
    by: client,
    did: `${did} ${what === undefined || what === 'Patient' ? 'your record' : what}`,
    emergency: purposeOfEvent?.some(({ coding }) => coding?.some(({ code }) => code === 'BTG')) ?? false,
  };
}

function viewOf({ id, name, birthDate, gender }: Patient): PatientView {
  return {
    id: id as string,
    name: nameIn(name),
    ...(birthDate ? { birthDate } : {}),
    ...(gender ? { gender } : {}),
  };
}

function nameIn(names: readonly HumanName[] = []): string {
  const name = names.find(({ use }) => use === 'official') ?? names[0];
  const parts = [...(name?.prefix ?? []), ...(name?.given ?? []), name?.family].filter(Boolean);
  return name?.text ?? (parts.length > 0 ? parts.join(' ') : 'without a name');
}
