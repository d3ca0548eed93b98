/**
 * All that belongs to a patient or an encounter, and what it refers to (R4 operation-patient-everything.html,
 * operation-encounter-everything.html): found by number first, then read in pieces as they are taken.
 */
import { demand } from '../access/access.ts';
import type { Definitions } from '../fhir/definitions.ts';
import { invalid } from '../fhir/outcome.ts';
import { referencePaths } from '../fhir/reference-paths.ts';
import { compartmentKey, localKey } from '../store/index/keys.ts';
import {
  type EverythingWanted,
  findEverything,
  type Place,
  type Placed,
  type Whose,
} from '../store/read/everything.ts';
import { checkEpoch } from './callers.ts';
import { contentsOf } from './gathered.ts';
import { refuseMade } from './makers.ts';
import { notFound } from './not-found.ts';
import { read } from './read.ts';
import type { Caller, Everything, EverythingRequest, Gathered } from './records.ts';
import type { Setting } from './setting.ts';

/** So many numbers are found at once: eight bytes each. */
const FOUND = 100_000;
/** So many are on a page, where pages are asked for. */
const MOST_ON_PAGE = 10_000;

/** Types whose clinical date is a birthday. */
const UNDATED = ['Patient', 'Person', 'RelatedPerson'];

/** @throws Refusal 403; 404 or 410 where it is of one that is not there; 400 for a damaged `after` */
export async function everything(
  setting: Setting,
  caller: Caller,
  request: EverythingRequest,
): Promise<Everything> {
  const { store, callers } = setting;
  const count =
    request.count === undefined ? Number.POSITIVE_INFINITY : Math.min(request.count, MOST_ON_PAGE);
  const wanted = await wantedOf(setting, caller, request);
  const find = (after: Place | undefined, most: number): Promise<Placed[]> =>
    findEverything(store.pool, { ...wanted, after, count: most });

  const after = request.after === undefined ? undefined : readPlace(request.after);
  const first = await find(after, Math.min(count + 1, FOUND));
  checkEpoch(caller, first[0]?.epoch ?? (await callers.epoch()));
  const page = first.slice(0, count);
  const last = page[page.length - 1];
  return {
    pieces: pieces(),
    next: first.length > page.length && last ? writePlace(last) : undefined,
  };

  async function* pieces(): AsyncGenerator<readonly Gathered[]> {
    for (let found = page; ; ) {
      yield* contentsOf(setting, caller, found);
      const end = found[found.length - 1];
      if (found.length < FOUND || !end || count !== Number.POSITIVE_INFINITY) return;
      found = await find(end, FOUND);
    }
  }
}

async function wantedOf(
  setting: Setting,
  caller: Caller,
  request: EverythingRequest,
): Promise<Omit<EverythingWanted, 'count'>> {
  const { store, definitions } = setting;
  const { access } = caller;
  const { catalog } = store;
  refuseMade(setting, request.types ?? [], 'are not here: search them, by patient or by target');
  for (const type of request.types ?? []) if (!access.allows(type, 's')) demand(access, type, 'r');
  const members = membersOf(definitions, request.type).filter((type) => access.allows(type, 's'));
  const supports = definitions.resourceTypes.filter((type) => access.allows(type, 'r'));
  const numbers = (types: readonly string[]): number[] => types.map(catalog.typeNumber);
  return {
    whose: await whoseOf(setting, caller, request, members),
    members: numbers(members),
    supports: numbers(supports),
    shown: numbers(request.types ?? definitions.resourceTypes),
    from: request.start ?? Number.NEGATIVE_INFINITY,
    to: request.end ?? Number.POSITIVE_INFINITY,
    undated: numbers(UNDATED),
    patient: catalog.typeNumber('Patient'),
    since: request.since,
  };
}

/** Types of which resources may belong to one of this type. */
function membersOf(definitions: Definitions, type: string): readonly string[] {
  if (type !== 'Patient') return definitions.resourceTypes;
  return definitions.resourceTypes.filter(
    (one) => one === 'Patient' || definitions.compartment('Patient', one).length > 0,
  );
}

/** Reference parameters of a type that may lead to a target. */
const referring = (definitions: Definitions, type: string, target: string) =>
  definitions
    .searchParameters(type)
    .filter((one) => one.type === 'reference' && (!one.target?.length || one.target.includes(target)));

async function whoseOf(
  setting: Setting,
  caller: Caller,
  { type, id }: EverythingRequest,
  members: readonly string[],
): Promise<Whose> {
  const { store, definitions } = setting;
  const { keys } = store;
  if (id === undefined) {
    demand(caller.access, type, 's');
    return { kind: 'patients', paths: compartmentPaths(definitions, members) };
  }
  const [[rid]] = await Promise.all([store.numbers.find([{ type, id }]), read(setting, caller, type, id)]);
  if (rid === undefined) throw notFound(type, id);
  if (type === 'Patient')
    return {
      kind: 'patient',
      rid,
      lines: members.flatMap((one) => halves(keys.type(one))),
      keys: members.flatMap((one) => halves(compartmentKey(keys.type(one), id))),
    };
  const found = members.flatMap((one) =>
    referring(definitions, one, type).flatMap((parameter) =>
      halves(localKey(keys.parameter(one, parameter), type, id)),
    ),
  );
  // What no parameter finds is found by its number.
  return { kind: 'referring', rid, keys: [...found, Math.floor(rid / 2 ** 32), rid | 0] };
}

/** The paths by which a resource is in a patient's compartment. */
function compartmentPaths(definitions: Definitions, types: readonly string[]): string[] {
  return types.flatMap((type) => {
    const codes = new Set(definitions.compartment('Patient', type));
    return definitions
      .searchParameters(type)
      .filter(({ code }) => codes.has(code))
      .flatMap((parameter) => referencePaths(definitions, type, parameter) ?? []);
  });
}

const halves = ({ high, low }: { readonly high: number; readonly low: number }): number[] => [high, low];

const writePlace = ({ support, rid }: Place): string => `${support ? 's' : 'm'}${rid}`;

function readPlace(text: string): Place {
  const found = /^([ms])(\d{1,16})$/.exec(text);
  if (!found) throw invalid('value', 'This page link is damaged: begin again with the first page');
  return { support: found[1] === 's', rid: Number(found[2]) };
}
