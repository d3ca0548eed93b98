/**
 * Transactions that create, update and delete in one. All that one writes carries its mark, by which half a
 * transaction is recognised.
 */
import { randomUUID } from 'node:crypto';
import type { Bundle, BundleEntry, Patient, Resource } from 'fhir/r4.js';
import { patient } from '../../bench/dataset.ts';
import { digest } from './digest.ts';
import {
  type Acknowledged,
  nextContent,
  note,
  type Owned,
  ownPatient,
  type Sent,
  type Step,
  someObservation,
  whole,
} from './step.ts';

/** Of the identifiers that are the marks. */
export const MARKS = 'https://crash.example.org/transactions';

/** An entry, and what it is done to where that is there already. */
interface Part {
  readonly entry: BundleEntry;
  readonly of?: Owned;
}

/** The next transaction of a client with what it owns: most of a dozen entries, some of hundreds. */
export function bundle(own: Owned[], client: number): Step {
  const mark = randomUUID();
  const parts = shuffled(partsOf(own, client, mark));
  const deletions = parts.flatMap(({ entry, of }) =>
    entry.request!.method === 'DELETE' && of ? [{ type: of.type, id: of.id, version: of.version + 1 }] : [],
  );
  const sent: Sent = { mark, marked: parts.length - deletions.length, deletions, acknowledged: false };
  return {
    method: 'POST',
    path: '/fhir',
    body: JSON.stringify({
      resourceType: 'Bundle',
      type: 'transaction',
      entry: parts.map(({ entry }) => entry),
    }),
    touched: parts.flatMap(({ of }) => of ?? []),
    bundle: sent,
    acknowledge(answer) {
      sent.acknowledged = true;
      return acknowledgedOf(own, parts, JSON.parse(answer.body.toString()) as Bundle);
    },
  };
}

function partsOf(own: Owned[], client: number, mark: string): Part[] {
  const several = Math.random() < 0.1 ? 200 : 8;
  const name = `urn:uuid:${randomUUID()}`;
  const { id: _id, ...visitor } = patient(whole(500));
  const posts = [
    post(visitor, mark, name),
    ...Array.from({ length: 1 + whole(several) }, () =>
      post({ ...someObservation(), subject: { reference: name } } as Resource, mark),
    ),
  ];
  const chosen = shuffled([...new Set([...own, ownPatient(own, client)])]).slice(0, 2 + whole(several));
  return [
    ...posts,
    ...chosen.map((of) =>
      of.version > 0 && !of.deleted && Math.random() < 0.3 ? remove(of) : put(of, mark),
    ),
  ];
}

function post(resource: Resource, mark: string, fullUrl?: string): Part {
  const { resourceType } = resource;
  return {
    entry: { fullUrl, resource: marked(resource, mark), request: { method: 'POST', url: resourceType } },
  };
}

function put(of: Owned, mark: string): Part {
  const url = `${of.type}/${of.id}`;
  return { entry: { resource: marked(nextContent(of), mark), request: { method: 'PUT', url } }, of };
}

function remove(of: Owned): Part {
  return { entry: { request: { method: 'DELETE', url: `${of.type}/${of.id}` } }, of };
}

function marked(resource: Resource, mark: string): BundleEntry['resource'] {
  const { identifier = [], ...rest } = resource as Patient;
  return { ...rest, identifier: [...identifier, { system: MARKS, value: mark }] } as Patient;
}

/** All entries, each answered in its place. */
function acknowledgedOf(
  own: Owned[],
  parts: readonly Part[],
  { entry = [] }: Bundle,
): Acknowledged[] | undefined {
  if (entry.length !== parts.length) return undefined;
  const places = entry.map(({ response }) =>
    /([^/]+)\/([^/]+)\/_history\/\d+$/.exec(response?.location ?? ''),
  );
  const names = new Map(
    parts.flatMap(({ entry }, i) => {
      const [, type, id] = places[i] ?? [];
      return entry.fullUrl ? [[entry.fullUrl, `${type}/${id}`] as const] : [];
    }),
  );
  const all: Acknowledged[] = [];
  for (const [i, { entry: asked, of }] of parts.entries()) {
    const [, type, id] = places[i] ?? [];
    const resource = of ?? (type && id ? { type, id, version: 0, deleted: false } : undefined);
    const version = Number(/^W\/"(\d+)"$/.exec(entry[i]!.response?.etag ?? '')?.[1]);
    if (!resource || !note(own, resource, version, asked.resource === undefined)) return undefined;
    const content = asked.resource && digest(renamed(asked.resource, names));
    all.push({ type: resource.type, id: resource.id, version, digest: content });
  }
  return all;
}

/** The resource with references as the server rewrites them. */
function renamed(resource: Resource, names: ReadonlyMap<string, string>): Resource {
  let text = JSON.stringify(resource);
  for (const [name, to] of names) text = text.replaceAll(`"${name}"`, `"${to}"`);
  return JSON.parse(text) as Resource;
}

function shuffled<T>(all: readonly T[]): T[] {
  return all
    .map((one) => ({ one, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ one }) => one);
}
