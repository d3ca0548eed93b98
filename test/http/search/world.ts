/** A world of resources, and rows of what searches of it find: a query as people write it, and the ids, or why it is refused. */
import type { Bundle, OperationOutcome } from 'fhir/r4.js';
import { startApp, type TestApp } from '../app.ts';

/** `Type/id`, and what the resource has besides. */
export type Resources = Readonly<Record<string, object>>;

/** A query whose parameters are apart by `&`, not percent-encoded; and the ids that it finds, apart by blanks. */
export type Found = readonly [query: string, ids: string];

/** A query that is refused with 400; the issue's code, and what it says. */
export type Refused = readonly [query: string, code: string, says: RegExp];

export interface World {
  app(): TestApp;
  /** What each query finds, in any order, and that the count says the same. */
  finds(rule: string, type: string, rows: readonly Found[]): void;
  /** That each query is refused. */
  refuses(rule: string, type: string, rows: readonly Refused[]): void;
  /** The ids over all pages, in their order. */
  ids(type: string, query: string): Promise<string[]>;
}

/**
 * Starts a server for the tests of a file and puts resources into it.
 *
 * @param steps are put one after the other, each as a whole
 */
export function world(...steps: Resources[]): World {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp();
    for (const resources of steps) await load(app, resources);
  });
  afterAll(() => app.close());

  async function ask(type: string, query: string): Promise<Bundle> {
    const { status, body } = await app.send('get', `/${type}?${encoded(query)}`);
    expect([status, body.issue?.[0]?.diagnostics]).toEqual([200, undefined]);
    return body;
  }

  async function ids(type: string, query: string): Promise<string[]> {
    const found: string[] = [];
    let page = await ask(type, query);
    for (;;) {
      found.push(...(page.entry ?? []).map(({ resource }) => resource?.id as string));
      const next = page.link?.find(({ relation }) => relation === 'next')?.url;
      if (!next) return found;
      page = (await app.send('get', next.slice(app.base.length)).expect(200)).body;
    }
  }

  return {
    app: () => app,
    ids,
    finds(rule, type, rows) {
      describe(rule, () => {
        test.each(rows)(`${type}?%s: %s`, async (query, expected) => {
          const wanted = expected.split(' ').filter(Boolean).sort();
          expect((await ids(type, query)).sort()).toEqual(wanted);
          expect((await ask(type, `${query}&_summary=count`)).total).toBe(wanted.length);
        });
      });
    },
    refuses(rule, type, rows) {
      describe(rule, () => {
        test.each(rows)(`${type}?%s is 400: %s`, async (query, code, says) => {
          const { status, body } = await app.send('get', `/${type}?${encoded(query)}`);
          const [issue] = (body as OperationOutcome).issue ?? [];
          expect([status, issue?.code]).toEqual([400, code]);
          expect(issue?.diagnostics).toMatch(says);
        });
      });
    },
  };
}

/** Puts resources in, all at once. */
export async function load(app: TestApp, resources: Resources): Promise<void> {
  const entry = Object.entries(resources).map(([url, more]) => {
    const [resourceType, id] = url.split('/');
    return { request: { method: 'PUT', url }, resource: { resourceType, id, ...more } };
  });
  const { status, body } = await app
    .send('post', '/')
    .type('application/fhir+json')
    .send({ resourceType: 'Bundle', type: 'transaction', entry });
  expect([status, body.issue]).toEqual([200, undefined]);
}

/** The query as it stands in a URL. */
export const encoded = (query: string): string =>
  query
    .split('&')
    .map((pair) => pair.split(/=(.*)/s, 2).map(encodeURIComponent).join('='))
    .join('&');

/** `system|code` as a CodeableConcept. */
export function concept(token: string, more: object = {}): object {
  const [system, code] = token.includes('|') ? token.split('|') : [undefined, token];
  return { coding: [{ system, code }], ...more };
}

export const UCUM = 'http://unitsofmeasure.org';

/** `5.4 mg`, in a unit of UCUM. */
export function quantity(text: string): object {
  const [value, unit] = text.split(' ');
  return { value: Number(value), unit, system: UCUM, code: unit };
}
