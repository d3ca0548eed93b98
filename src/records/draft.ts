/** A resource on its way in: read, judged, and made into what the store writes. */
import type { Resource } from 'fhir/r4.js';
import type { Incoming } from '../fhir/content.ts';
import type { Edge } from '../fhir/edges.ts';
import { error, invalid, Refusal, refusal } from '../fhir/outcome.ts';
import { isOfTrail } from '../store/audit/trail.ts';
import type { Analysis } from '../store/index/row.ts';
import { stripesOf } from '../store/locks.ts';
import type { Write } from '../store/write/batch.ts';
import type { Caller } from './records.ts';
import type { Setting } from './setting.ts';

/** A sound resource, taken apart for the index. */
export interface Draft extends Incoming {
  readonly analysis: Analysis;
  readonly blob: string | null;
}

/** Judges a resource that is written alone. @throws Refusal 400 */
export function judgeAlone(setting: Setting, incoming: Incoming, type: string): void {
  judge(setting, incoming.resource, type);
  refuseConditionalReferences(setting, incoming);
}

/** Outside of a transaction nothing puts in what they mean (R4 http.html#trules): they would be kept, and lead nowhere. */
function refuseConditionalReferences(
  { conditionalReferences }: Setting,
  { resource, content }: Incoming,
): void {
  if (!content.includes('?')) return;
  const [found] = conditionalReferences(resource);
  if (!found) return;
  throw invalid(
    'not-supported',
    `The conditional reference ${found.text.slice(0, 100)} is resolved in a transaction only: send it in one, or refer to an id`,
    found.path,
  );
}

/** Takes out what the index needs of a resource that was judged. */
export function analysed({ store, baseUrl }: Setting, incoming: Incoming, blob: string | null): Draft {
  return { ...incoming, blob, analysis: store.indexer.analyse(incoming.resource, baseUrl) };
}

/** @throws Refusal 400 with all that is wrong with a resource's structure */
export function judge({ validator }: Setting, resource: Resource, type: string): void {
  const issues = validator.validate(resource, type);
  if (issues.length > 0) throw new Refusal(400, issues);
}

/** @throws Refusal 400 unless the body has the id that the address names (R4 http.html#update) */
export function checkId(resource: Resource, id: string): void {
  const { resourceType, id: own } = resource;
  const where = `${resourceType}.id`;
  if (own === undefined)
    throw invalid('required', `The body has no id: it must be "${id}", as in the address`, where);
  if (own !== id) throw invalid('value', `The body's id differs from the address: it must be "${id}"`, where);
}

/**
 * The write of a draft under a number, once the numbers of its targets are known.
 *
 * @param targets of the draft's edges, in their order
 * @param paths   of the draft's edges, in their order
 */
export function writeOf(
  { store, baseUrl, checkReferences }: Setting,
  caller: Caller,
  to: { readonly rid: number; readonly type: string; readonly id: string },
  made: Draft,
  targets: readonly number[],
  paths: readonly number[],
): Write {
  const { rid, type, id } = to;
  refuseOfTrail(type, id);
  return {
    rid,
    type: store.catalog.typeNumber(type),
    id,
    content: made.content,
    security: made.security,
    blob: made.blob,
    agent: caller.agent,
    origin: caller.origin ?? null,
    row: store.indexer.row(made.analysis, rid, targets, paths, baseUrl),
    epoch: caller.epoch,
    check: checkReferences,
    owns: ownersOf(made, rid, targets),
    locks: stripesOf(store.keys, type, made.analysis.extracted),
  };
}

/** @throws Refusal 405 for what is this server's own: its audit trail is never changed or deleted */
export function refuseOfTrail(type: string, id: string): void {
  if (isOfTrail(type, id))
    throw refusal(
      405,
      'not-supported',
      `${type}/${id} is of this server's own trail: it is never changed or deleted`,
    );
}

/**
 * A Binary belongs to its securityContext, or else to the first resource that refers to it: later ones share it no
 * further (decision 10).
 */
function ownersOf({ analysis }: Draft, rid: number, targets: readonly number[]): Write['owns'] {
  if (analysis.edges.length === 0) return NONE;
  const { resourceType } = analysis.resource;
  if (resourceType === 'Binary') {
    const at = analysis.edges.findIndex(({ path }) => path === 'Binary.securityContext');
    const owner = targets[at];
    return owner === undefined ? NONE : [{ binary: rid, owner }];
  }
  const owned = targets.filter((_, i) => analysis.edges[i]?.type === 'Binary');
  return owned.length === 0 ? NONE : owned.map((binary) => ({ binary, owner: rid }));
}

const NONE: Write['owns'] = [];

/** The numbers of a draft's targets and paths. */
export async function placed(
  { store }: Setting,
  { analysis }: Draft,
): Promise<{ readonly targets: readonly number[]; readonly paths: readonly number[] }> {
  const { edges } = analysis;
  if (edges.length === 0) return { targets: [], paths: [] };
  const targets = await store.numbers.resolve(edges);
  const paths = await store.catalog.pathNumbers(edges.map(({ path }) => path));
  return { targets, paths };
}

/** What is said of a local reference that leads nowhere (REFERENCES=check). */
export function dangling({ analysis }: Draft, targets: readonly number[], rid: number): Refusal {
  return absent(analysis.edges[targets.indexOf(rid)]);
}

export function absent(edge: Edge | undefined): Refusal {
  const what = edge ? `${edge.type}/${edge.id}` : 'A resource that is referred to';
  return new Refusal(422, [
    error('not-found', `${what} is not here: write it first, or leave the reference out`, edge?.path),
  ]);
}
