/**
 * Reads, searches and writes of nine types, as they come from many clients at once. Visits are in the database
 * before: searches are about all but the last quarter of them and writes about the last, so that it is known how many
 * resources each search finds.
 */
import { createdId, type Exchange, type Maker, occurrences, whole, wrong } from './exchange.ts';
import { places, placesOf, VISIT_NUMBERS, visit, visitId } from './visit.ts';
import { type Answer, openWire, request, send } from './wire.ts';

const VISITS = 400;
const SEARCHED = 300;
const COUNT = 20;

const localName = (n: number) => (place: number) => `${places[place]}/${visitId(n, place)}`;

/** Writes the visits that are not there yet, each in a transaction. */
export async function seed(port: number, token: string): Promise<void> {
  const wire = await openWire(port);
  for (let n = 0; n < VISITS; n++) {
    const entry = visit(n, localName(n)).map((resource, place) => ({
      resource: { ...resource, id: visitId(n, place) },
      request: { method: 'PUT', url: localName(n)(place), ifNoneMatch: '*' },
    }));
    const body = JSON.stringify({ resourceType: 'Bundle', type: 'transaction', entry });
    const answer = await send(wire, request('POST', '/fhir', { token, body }));
    const fault = wrong(answer, 200);
    if (fault !== undefined) throw new Error(fault);
  }
  wire.close();
}

export interface BareRow {
  readonly id: string;
  readonly type: string;
  readonly patient: string;
  readonly content: string;
}

/** The same as the rows of one table. */
export const bareRows = (): BareRow[] =>
  Array.from({ length: VISITS }, (_, n) =>
    visit(n, localName(n)).map((resource, place): BareRow => {
      const id = visitId(n, place);
      const content = JSON.stringify({ ...resource, id });
      return { id, type: resource.resourceType, patient: visitId(n, 0), content };
    }),
  ).flat();

/** How a server is asked. */
interface Dialect {
  readonly authorized: boolean;
  readonly instance: (type: string, id: string) => string;
  /** the resources of a type about the patient of the nth visit, at most COUNT */
  readonly search: (type: string, n: number) => string;
  readonly create: (type: string, n: number) => string;
  /** stands in the answer to a search once for each resource */
  readonly mark: string;
}

const fhir: Dialect = {
  authorized: true,
  instance: (type, id) => `/fhir/${type}/${id}`,
  search: (type, n) =>
    type === 'Patient'
      ? `/fhir/Patient?identifier=${VISIT_NUMBERS}|P${n}&_count=${COUNT}`
      : `/fhir/${type}?patient=${visitId(n, 0)}&_count=${COUNT}`,
  create: (type) => `/fhir/${type}`,
  mark: '"fullUrl":',
};

const bare: Dialect = {
  authorized: false,
  instance: (_type, id) => `/mixed/${id}`,
  search: (type, n) => `/mixed?${visitId(n, 0)}&${type}`,
  create: (type, n) => `/mixed?${visitId(n, 0)}&${type}`,
  mark: '"resourceType":',
};

/** Half reads, 15 % searches, creates and updates each, 5 % deletions of what the client has created. */
const mix =
  (dialect: Dialect): Maker =>
  (_size, token) => {
    const options = dialect.authorized ? { token } : {};
    const written = Array.from({ length: VISITS - SEARCHED }, (_, i) => writesOf(SEARCHED + i));
    const created: { readonly type: string; readonly id: string }[][] = [];

    const read = (): Exchange => {
      const place = whole(places.length);
      const id = visitId(whole(VISITS), place);
      return {
        bytes: request('GET', dialect.instance(places[place]!, id), options),
        fault: (answer) => wrong(answer, 200, `"id":"${id}"`),
      };
    };
    const search = (): Exchange => {
      const type = places[whole(places.length)]!;
      const path = dialect.search(type, whole(SEARCHED));
      const expected = Math.min(COUNT, placesOf(type).count);
      return {
        bytes: request('GET', path, options),
        fault: (answer) => {
          const found = occurrences(answer.body, dialect.mark);
          return found === expected
            ? wrong(answer, 200)
            : `${path}: ${answer.status} with ${found} resources, not ${expected}`;
        },
      };
    };
    const create = (own: { type: string; id: string }[]): Exchange => {
      const { n, bodies } = written[whole(written.length)]!;
      const place = whole(places.length);
      const type = places[place]!;
      return {
        bytes: request('POST', dialect.create(type, n), { ...options, body: bodies[place]! }),
        fault: (answer: Answer) => {
          const id = createdId(answer);
          if (id !== undefined) own.push({ type, id });
          return id === undefined ? 'a created resource has no Location' : wrong(answer, 201);
        },
      };
    };
    const update = (client: number, clients: number): Exchange => {
      const { n, editions } = written[whole(Math.floor(written.length / clients)) * clients + client]!;
      const place = whole(places.length);
      const body = editions[whole(editions.length)]![place]!;
      return {
        bytes: request('PUT', dialect.instance(places[place]!, visitId(n, place)), { ...options, body }),
        fault: (answer) => wrong(answer, 200),
      };
    };
    const remove = ({ type, id }: { type: string; id: string }): Exchange => ({
      bytes: request('DELETE', dialect.instance(type, id), options),
      fault: (answer) => wrong(answer, 204),
    });

    return (client, clients) => {
      created[client] ??= [];
      const own = created[client];
      return () => {
        const chance = Math.random();
        if (chance < 0.5) return read();
        if (chance < 0.65) return search();
        if (chance < 0.8) return update(client, clients);
        const last = chance < 0.85 ? own.pop() : undefined;
        return last ? remove(last) : create(own);
      };
    };
  };

/** What is written about a visit: bodies of new resources, and two further editions of its own. */
function writesOf(n: number) {
  const bodies = visit(n, localName(n)).map((resource) => JSON.stringify(resource));
  const editions = [1, 2].map((edition) =>
    visit(n, localName(n), edition).map((resource, place) =>
      JSON.stringify({ ...resource, id: visitId(n, place) }),
    ),
  );
  return { n, bodies, editions };
}

export const mixed = mix(fhir);
export const bareMixed = mix(bare);
