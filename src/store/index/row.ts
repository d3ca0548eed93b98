/** The index rows of one resource, made from its search values and edges. */
import type { Resource } from 'fhir/r4.js';
import { clinicalDate } from '../../fhir/clinical-date.ts';
import { amongOthers, type Contained, containedIn } from '../../fhir/contained.ts';
import { type Definitions, nameOf, type SearchParameter } from '../../fhir/definitions.ts';
import { compileEdges, type Edge } from '../../fhir/edges.ts';
import { compileExtractor, EXTRACTOR_VERSION, type Extracted, type SearchValue } from '../../fhir/extract.ts';
import { patientParameters } from '../../fhir/patient-parameters.ts';
import { parseReference, withoutVersion } from '../../fhir/reference.ts';
import { ownEdges } from '../../fhir/reference-paths.ts';
import { isWhole } from '../../search/composites.ts';
import type { Unit } from '../../search/units.ts';
import type { Catalog } from '../catalog.ts';
import type { Key } from '../hash.ts';
import { addContained } from './contained.ts';
import { compartmentKey, isWalked, type Keys, localKey, versionOf } from './keys.ts';
import { addValue, type IndexRow, type Making, push, walkedToken } from './values.ts';

/** What is known of a resource before the numbers of its targets are: the part that needs no database. */
export interface Analysis {
  readonly resource: Resource;
  readonly extracted: readonly Extracted[];
  readonly edges: readonly Edge[];
  /** by which it is indexed: definitions may change before its row is made */
  readonly plan: TypePlan;
  /** what it contains, with its search values */
  readonly contained: readonly Inner[];
}

export interface Inner extends Contained {
  readonly extracted: readonly Extracted[];
}

/** So many sets of posted parameters a database may have, one after the other. */
export const MOST_SETS = 2 ** 20;

/** What an index row says it was made by: the version of the extractors, then that of what was posted. */
export const madeBy = (parameters: number): number => EXTRACTOR_VERSION * MOST_SETS + parameters;

export interface Indexer {
  analyse(resource: Resource, baseUrl: string): Analysis;
  /**
   * @param rid      the resource's own number
   * @param targets  numbers of the analysis's edges' targets, in their order
   * @param paths    numbers of the edges' paths, in their order
   */
  row(
    analysis: Analysis,
    rid: number,
    targets: readonly number[],
    paths: readonly number[],
    baseUrl: string,
  ): IndexRow;
}

/** Makes the indexer under a database's keys. */
export function makeIndexer(
  definitions: Definitions,
  keys: Keys,
  catalog: Pick<Catalog, 'parameterBit'>,
): Indexer {
  const extractor = compileExtractor(definitions);
  const edges = compileEdges(definitions);
  const plans = new Map<string, TypePlan>();
  const planOf = (type: string): TypePlan => {
    let plan = plans.get(type);
    if (!plan || plan.version !== definitions.posted.version) {
      plan = planFor(definitions, catalog, type);
      plans.set(type, plan);
    }
    return plan;
  };
  return {
    analyse(resource, baseUrl) {
      const plan = planOf(resource.resourceType);
      const extracted = extractor.extract(resource);
      const found = edges(resource, baseUrl);
      if (plan.edges.size > 0) addEdges(found, plan, extracted, baseUrl, definitions);
      const contained = containedIn(resource, definitions.isResourceType).map((inner) => ({
        ...inner,
        extracted: extractor.extract(amongOthers(inner, resource)),
      }));
      return { resource, extracted, edges: found, plan, contained };
    },
    row(analysis, rid, targets, paths, baseUrl) {
      const { resourceType } = analysis.resource;
      const { plan } = analysis;
      const own = keys.type(resourceType);
      const made = {
        timeline: [own.high, own.low],
        codes: [] as number[],
        units: new Map<string, Unit>(),
        unitBase: keys.units,
        seen: new Set<string>(),
        others: [] as number[],
        patients: resourceType === 'Patient' ? [rid] : [],
        at: null as number | null,
        until: null as number | null,
        numbers: { keys: [], units: [], low: [], high: [] },
        strings: { keys: [], values: [], wholes: [] },
        dates: { keys: [], low: [], high: [] },
      } satisfies Making;
      const { extracted, edges, contained } = analysis;
      const present = new Uint8Array(plan.bytes);
      const concerned = new Map<number, string>();
      const edgeOf = makeEdgeOf(edges);
      const found = new Set<number>();
      const addLocal = (
        parameter: SearchParameter,
        key: Key,
        {
          reference = '',
          canonical,
        }: Pick<Extract<SearchValue, { kind: 'reference' }>, 'reference' | 'canonical'>,
      ): void => {
        const literal = canonical ? withoutVersion(reference) : reference;
        const parsed = parseReference(literal, baseUrl, definitions.isResourceType);
        if (parsed.kind !== 'local') return;
        const { type, id, version } = parsed;
        const target = targets[edgeOf(type, id)];
        // a canonical's version where a reference stands makes no edge
        if (target === undefined) return;
        found.add(target);
        if (version !== undefined) push(made.others, localKey(key, type, versionOf(id, version)));
        // Timelines are kept by these parameters: they find what a key would.
        if (type === 'Patient' && plan.patient.has(parameter.code)) {
          if (!made.patients.includes(target)) made.patients.push(target);
          return;
        }
        push(made.others, localKey(key, type, id));
        if (type === 'Patient' && plan.compartment.has(parameter.code)) concerned.set(target, id);
      };
      for (let i = 0; i < extracted.length; i++) {
        const { parameter, value } = extracted[i]!;
        const name = nameOf(parameter);
        const bit = plan.bits.get(name)!;
        present[bit >> 3]! |= 128 >> (bit & 7);
        if (plan.left.has(name)) continue;
        const key = keys.parameter(resourceType, parameter);
        if (value.kind === 'date' && parameter === plan.clinical && made.at === null) {
          made.at = value.low;
          made.until = value.high;
        } else if (value.kind === 'token' && plan.walked.has(name)) walkedToken(made, key, value);
        else addValue(made, key, value, parameter.code === '_profile');
        if (value.kind === 'reference') addLocal(parameter, key, value);
      }
      for (const [patient, id] of concerned)
        if (!made.patients.includes(patient)) push(made.others, compartmentKey(own, id));
      const parsed = (reference: string) => parseReference(reference, baseUrl, definitions.isResourceType);
      for (const inner of contained) addContained(made, keys, resourceType, inner, parsed);
      // What no parameter finds is found by its number.
      for (const target of targets) {
        if (found.has(target)) continue;
        found.add(target);
        made.others.push(Math.floor(target / 4294967296), target | 0);
      }
      return {
        parameters: plan.version,
        patients: made.patients,
        at: made.at,
        until: made.until,
        timeline: made.timeline.length / 2,
        keys: made.timeline.concat(made.others),
        codes: made.codes,
        units: [...made.units.values()],
        targets,
        paths,
        present: withoutEnd(present),
        numbers: made.numbers,
        strings: made.strings,
        dates: made.dates,
      };
    },
  };
}

/** How the parameters of a type are indexed. */
export interface TypePlan {
  /** of the posted parameters */
  readonly version: number;
  readonly clinical: SearchParameter | undefined;
  /** parameters whose tokens have timeline rows */
  readonly walked: ReadonlySet<string>;
  /** parameters that say whom it is about */
  readonly patient: ReadonlySet<string>;
  /** parameters that put the resource into a Patient's compartment */
  readonly compartment: ReadonlySet<string>;
  /** parameters without rows: a search for them is one for others (search/expand) */
  readonly left: ReadonlySet<string>;
  /** paths of parameters that have edges of their own */
  readonly edges: ReadonlyMap<SearchParameter, string>;
  /** of each parameter, its place in `present` */
  readonly bits: ReadonlyMap<string, number>;
  /** so many bytes hold these */
  readonly bytes: number;
}

function planFor(
  definitions: Definitions,
  { parameterBit }: Pick<Catalog, 'parameterBit'>,
  type: string,
): TypePlan {
  const parameters = definitions.indexedBy(type);
  const bits = new Map(parameters.map(nameOf).map((name) => [name, parameterBit(type, name)]));
  return {
    version: definitions.posted.version,
    clinical: clinicalDate(definitions, type),
    walked: new Set(parameters.filter(isWalked).map(nameOf)),
    patient: patientParameters(definitions, type),
    compartment: new Set(definitions.compartment('Patient', type)),
    // A btree row is what costs: combo-x is x or component-x, and a composite over the whole resource is both
    // of its parts, as each stands there once.
    left: new Set(
      parameters
        .filter(
          (parameter) =>
            (type === 'Observation' &&
              parameter.posted === undefined &&
              parameter.code.startsWith('combo-')) ||
            (parameter.type === 'composite' && isWhole(parameter)),
        )
        .map(({ code }) => code),
    ),
    edges: new Map(
      parameters.flatMap((parameter) => {
        const path = ownEdges(definitions, type, parameter);
        return path === undefined ? [] : [[parameter, path]];
      }),
    ),
    bits,
    bytes: 1 + (Math.max(0, ...bits.values()) >> 3),
  };
}

/** The edges of what posted parameters find among the references at a path. */
function addEdges(
  edges: Edge[],
  plan: TypePlan,
  extracted: readonly Extracted[],
  baseUrl: string,
  { isResourceType }: Definitions,
): void {
  for (const { parameter, value } of extracted) {
    const path = plan.edges.get(parameter);
    if (path === undefined || value.kind !== 'reference' || value.reference === undefined) continue;
    const parsed = parseReference(value.reference, baseUrl, isResourceType);
    if (parsed.kind === 'local') edges.push({ path, type: parsed.type, id: parsed.id });
  }
}

/** Without bytes of nothing at the end, so that rows do not change with the number of parameters. */
function withoutEnd(present: Uint8Array): Uint8Array {
  let end = present.length;
  while (end > 0 && present[end - 1] === 0) end--;
  return present.subarray(0, end);
}

/** The place of an edge; most resources have a handful, a Group may have 100,000. */
function makeEdgeOf(edges: readonly Edge[]): (type: string, id: string) => number {
  if (edges.length <= 16)
    return (type, id) => edges.findIndex((edge) => edge.type === type && edge.id === id);
  const places = new Map<string, number>();
  edges.forEach(({ type, id }, i) => {
    const name = `${type}/${id}`;
    if (!places.has(name)) places.set(name, i);
  });
  return (type, id) => places.get(`${type}/${id}`) ?? -1;
}
