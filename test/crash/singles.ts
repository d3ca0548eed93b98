/** Creates, updates and deletions, each a request of its own. */
import type { Resource } from 'fhir/r4.js';
import { fieldOf } from '../../bench/wire.ts';
import { digest } from './digest.ts';
import { nextContent, note, type Owned, ownPatient, type Step, someObservation, whole } from './step.ts';

/** The next step of a client with what it owns. */
export function single(own: Owned[], client: number): Step {
  const chance = Math.random();
  const of = own[whole(own.length)];
  if (chance < 0.1) return put(own, ownPatient(own, client));
  if (of && chance > 0.85) return remove(own, of);
  if (of && chance > 0.5) return put(own, of);
  return create(own);
}

function create(own: Owned[]): Step {
  const resource = someObservation();
  return {
    method: 'POST',
    path: '/fhir/Observation',
    body: JSON.stringify(resource),
    touched: [],
    acknowledge(answer) {
      const id = /\/([^/]+)\/_history\/\d+$/.exec(fieldOf(answer, 'location') ?? '')?.[1];
      const made = id && { type: 'Observation', id, version: 0, deleted: false };
      return made ? written(own, made, fieldOf(answer, 'etag'), resource) : undefined;
    },
  };
}

function put(own: Owned[], of: Owned): Step {
  const resource = nextContent(of);
  return {
    method: 'PUT',
    path: `/fhir/${of.type}/${of.id}`,
    body: JSON.stringify(resource),
    touched: [of],
    acknowledge: (answer) => written(own, of, fieldOf(answer, 'etag'), resource),
  };
}

/** A DELETE of what is deleted makes no version. */
function remove(own: Owned[], of: Owned): Step {
  return {
    method: 'DELETE',
    path: `/fhir/${of.type}/${of.id}`,
    touched: [of],
    acknowledge(answer) {
      const etag = fieldOf(answer, 'etag');
      return etag === undefined && of.deleted ? [] : written(own, of, etag, undefined);
    },
  };
}

/**
 * @param etag     of the version that was made
 * @param resource undefined of a deletion
 */
function written(
  own: Owned[],
  of: Owned,
  etag: string | undefined,
  resource: Resource | undefined,
): ReturnType<Step['acknowledge']> {
  const version = Number(/^W\/"(\d+)"$/.exec(etag ?? '')?.[1]);
  if (!note(own, of, version, resource === undefined)) return undefined;
  const { type, id } = of;
  return [{ type, id, version, digest: resource && digest(resource) }];
}
