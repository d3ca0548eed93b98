/** What a client of the writer does next, and what it remembers of it. */
import type { Resource } from 'fhir/r4.js';
import { observation, patient, patientId } from '../../bench/dataset.ts';
import type { Answer } from '../../bench/wire.ts';

export const CLIENTS = 6;
const SIZE = { observations: 50_000, patients: 500, others: 0 };
/** Most resources that a client goes on changing. */
const OWN = 100;

/** A resource that one client only writes, so that it knows its version. */
export interface Owned {
  readonly type: string;
  readonly id: string;
  version: number;
  deleted: boolean;
}

/** A write that the server has answered with success. */
export interface Acknowledged {
  readonly type: string;
  readonly id: string;
  readonly version: number;
  /** of the content; undefined of a deletion */
  readonly digest?: string;
}

/** A transaction that was sent. What it creates and updates carries its mark, what it deletes is named. */
export interface Sent {
  readonly mark: string;
  readonly marked: number;
  readonly deletions: readonly { readonly type: string; readonly id: string; readonly version: number }[];
  acknowledged: boolean;
}

export interface Step {
  readonly method: string;
  readonly path: string;
  readonly body?: string;
  /** what it is done to: its state is unknown where no answer comes */
  readonly touched: readonly Owned[];
  readonly bundle?: Sent;
  /**
   * What an answer of success acknowledges.
   *
   * @returns undefined where it does not say what was done
   */
  readonly acknowledge: (answer: Answer) => Acknowledged[] | undefined;
}

export const whole = (below: number): number => Math.floor(Math.random() * below);

/** An Observation as any might be, without id. */
export function someObservation(): Resource {
  const { id: _id, ...body } = observation(whole(SIZE.observations), SIZE);
  return body;
}

/** The content of the next version of a resource: another code, date, value, subject, so that all index rows move. */
export function nextContent({ type, id }: Owned): Resource {
  const body =
    type === 'Patient' ? patient(whole(SIZE.patients)) : observation(whole(SIZE.observations), SIZE);
  return { ...body, id };
}

/** A Patient at an id that Observations refer to already: of a number of the client's own. */
export function ownPatient(own: readonly Owned[], client: number): Owned {
  const id = patientId(CLIENTS * whole(Math.floor(SIZE.patients / CLIENTS)) + client);
  return own.find((one) => one.id === id) ?? { type: 'Patient', id, version: 0, deleted: false };
}

/**
 * Notes a write of a resource.
 *
 * @returns false where its version is none that can be
 */
export function note(own: Owned[], resource: Owned, version: number, deleted: boolean): boolean {
  if (!(version > resource.version)) return false;
  if (!own.includes(resource)) {
    own.push(resource);
    if (own.length > OWN) own.splice(whole(OWN), 1);
  }
  resource.version = version;
  resource.deleted = deleted;
  return true;
}

/** Of a resource whose state is unknown nothing can be said any more. */
export function forget(own: Owned[], touched: readonly Owned[]): void {
  for (const one of touched) {
    const at = own.indexOf(one);
    if (at >= 0) own.splice(at, 1);
  }
}
