/** Short ways to write Bundles of requests, to send them, and to look at what came of them. */
import { randomUUID } from 'node:crypto';
import type { Test } from 'supertest';
import type { TestApp } from '../app.ts';

export const FHIR = 'application/fhir+json';
export const JSON_PATCH = 'application/json-patch+json';
export const SYSTEM = 'http://example.org/mrn';

export interface Body {
  readonly resourceType: string;
  readonly id?: string;
  readonly [element: string]: unknown;
}

export interface Entry {
  readonly fullUrl?: string;
  readonly resource?: Body;
  readonly request: Readonly<Record<string, unknown>>;
}

/** One entry of an answer. */
export interface Answered {
  readonly fullUrl?: string;
  // biome-ignore lint/suspicious/noExplicitAny: whatever resource the server gives
  readonly resource?: any;
  readonly response: {
    readonly status: string;
    readonly location?: string;
    readonly etag?: string;
    readonly lastModified?: string;
    readonly outcome?: { readonly resourceType: string; readonly issue: Issue[] };
  };
}

export interface Issue {
  readonly severity: string;
  readonly code: string;
  readonly diagnostics: string;
  readonly expression?: string[];
}

export const urn = (): string => `urn:uuid:${randomUUID()}`;
/** A value that no resource has yet. */
export const fresh = (): string => randomUUID();
/** The condition that finds what `patient` makes. */
export const identified = (value: string): string => `identifier=${SYSTEM}|${value}`;

export const patient = (value: string, more: object = {}): Body => ({
  resourceType: 'Patient',
  identifier: [{ system: SYSTEM, value }],
  ...more,
});
export const observation = (subject: string, more: object = {}): Body => ({
  resourceType: 'Observation',
  status: 'final',
  code: { text: 'x' },
  subject: { reference: subject },
  ...more,
});

export const posting = (
  resource: Body,
  { fullUrl, ...more }: Readonly<Record<string, string>> = {},
): Entry => ({
  fullUrl,
  resource,
  request: { method: 'POST', url: resource.resourceType, ...more },
});
/** @param url without it, that of the resource's id */
export const putting = (
  resource: Body,
  { fullUrl, url, ...more }: Readonly<Record<string, string>> = {},
): Entry => ({
  fullUrl,
  resource,
  request: { method: 'PUT', url: url ?? `${resource.resourceType}/${resource.id}`, ...more },
});
export const deleting = (url: string, more: object = {}): Entry => ({
  request: { method: 'DELETE', url, ...more },
});
export const getting = (url: string, more: object = {}): Entry => ({
  request: { method: 'GET', url, ...more },
});
export const heading = (url: string): Entry => ({ request: { method: 'HEAD', url } });
/** A JSON Patch, carried by a Binary. */
export const patching = (url: string, operations: unknown, more: object = {}): Entry => ({
  resource: {
    resourceType: 'Binary',
    contentType: JSON_PATCH,
    data: Buffer.from(JSON.stringify(operations)).toString('base64'),
  },
  request: { method: 'PATCH', url, ...more },
});
/** A FHIRPath Patch of one operation; values are given by their element's name (valueCode …). */
export const fhirPathPatch = (parts: Readonly<Record<string, string | object>>): Body => ({
  resourceType: 'Parameters',
  parameter: [
    {
      name: 'operation',
      part: Object.entries(parts).map(([name, value]) =>
        typeof value === 'object' ? { name, ...value } : { name, [NAMED[name] ?? 'valueString']: value },
      ),
    },
  ],
});
const NAMED: Readonly<Record<string, string>> = { type: 'valueCode' };

/** The place of the resource an entry is about: its location without the version. */
export const placeOf = ({ response }: Answered): string =>
  (response.location ?? '').replace(/\/_history\/[^/]+$/, '');
export const statusesOf = (entries: readonly Answered[]): string[] =>
  entries.map(({ response }) => response.status.slice(0, 3));

const JUNK = [undefined, null, -1, true, '', '?', 'Patient/a', 'Patient?', '\u0000', [], [[]], {}, { a: 1 }];

/** Copies of a JSON value, each with one thing in it left out or exchanged for something else. */
export function spoiled<T extends object>(value: T): T[] {
  const copy = (): T => JSON.parse(JSON.stringify(value));
  return placesOf(copy()).flatMap((_, at) =>
    JUNK.map((junk) => {
      const spoilt = copy();
      const [holder, name] = placesOf(spoilt)[at] as Place;
      holder[name] = junk;
      return spoilt;
    }),
  );
}

type Place = readonly [holder: Record<string, unknown>, name: string];

function placesOf(value: unknown): Place[] {
  if (typeof value !== 'object' || value === null) return [];
  const holder = value as Record<string, unknown>;
  return Object.keys(holder).flatMap((name): Place[] => [[holder, name], ...placesOf(holder[name])]);
}

export interface Exchanging {
  /** POST [base]/[type] */
  post(resource: Body, headers?: Readonly<Record<string, string>>): Test;
  /** Creates; its id. */
  created(resource: Body): Promise<string>;
  put(path: string, resource: Body, headers?: Readonly<Record<string, string>>): Test;
  patch(path: string, operations: unknown, headers?: Readonly<Record<string, string>>): Test;
  transaction(entries: readonly Entry[], prefer?: string): Test;
  batch(entries: readonly Entry[], prefer?: string): Test;
  /** A transaction that goes through; what became of each entry. */
  done(entries: readonly Entry[], prefer?: string): Promise<Answered[]>;
  /** A batch; what became of each entry. */
  each(entries: readonly Entry[], prefer?: string): Promise<Answered[]>;
  /** A transaction that fails; the issue it fails by. */
  failed(entries: readonly Entry[], status: number | readonly number[]): Promise<Issue>;
  // biome-ignore lint/suspicious/noExplicitAny: whatever resource the server gives
  read(place: string): Promise<any>;
  /** How many resources a search of a type finds. */
  count(query: string): Promise<number>;
  /** The version that is the newest, a deletion too. */
  versions(place: string): Promise<number>;
}

/** @param opened gives the server, once it runs */
export function exchanging(opened: () => TestApp): Exchanging {
  const send = (method: 'post' | 'put', path: string, body: object, headers = {}): Test =>
    opened().send(method, path).type(FHIR).set(headers).send(body);
  const bundle = (type: string, entries: readonly Entry[], prefer?: string): Test =>
    send(
      'post',
      '/',
      { resourceType: 'Bundle', type, entry: entries },
      prefer ? { Prefer: `return=${prefer}` } : {},
    );

  const it: Exchanging = {
    post: (resource, headers) => send('post', `/${resource.resourceType}`, resource, headers),
    put: (path, resource, headers) => send('put', `/${path}`, resource, headers),
    patch: (path, operations, headers = {}) =>
      opened().send('patch', `/${path}`).type(JSON_PATCH).set(headers).send(JSON.stringify(operations)),
    transaction: (entries, prefer) => bundle('transaction', entries, prefer),
    batch: (entries, prefer) => bundle('batch', entries, prefer),
    async created(resource) {
      return (await it.post(resource).expect(201)).body.id;
    },
    async done(entries, prefer) {
      const { body, status } = await it.transaction(entries, prefer);
      expect({ status, issue: body.issue }).toEqual({ status: 200 });
      expect(body.type).toBe('transaction-response');
      expect(body.entry).toHaveLength(entries.length);
      return body.entry;
    },
    async each(entries, prefer) {
      const { body, status } = await it.batch(entries, prefer);
      expect({ status, issue: body.issue }).toEqual({ status: 200 });
      expect(body.type).toBe('batch-response');
      expect(body.entry).toHaveLength(entries.length);
      return body.entry;
    },
    async failed(entries, wanted) {
      const { body, status } = await it.transaction(entries);
      if (![wanted].flat().includes(status)) expect({ status, body }).toEqual({ status: wanted });
      expect(body.resourceType).toBe('OperationOutcome');
      return body.issue[0];
    },
    async read(place) {
      return (await opened().send('get', `/${place}`).expect(200)).body;
    },
    async count(query) {
      const [type, parameters = ''] = query.split('?');
      const path = `/${type}?${parameters ? `${parameters}&` : ''}_summary=count`;
      return (await opened().send('get', path).expect(200)).body.total;
    },
    async versions(place) {
      return (await opened().send('get', `/${place}/_history`).expect(200)).body.total;
    },
  };
  return it;
}
