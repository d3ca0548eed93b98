/** A running server, its door to records, and searches of it over HTTP. */
import { startApp, type TestApp } from '../http/app.ts';
import type { TestRecords } from './records.ts';
import type { Searching } from './searching.ts';

export type TestServer = TestRecords & Pick<TestApp, 'send' | 'base'>;

export async function openTestServer(settings: Record<string, string> = {}): Promise<TestServer> {
  const { app, databaseUrl, send, base, close } = await startApp(settings);
  const { records, store, definitions } = app;
  return {
    url: databaseUrl,
    records,
    store,
    definitions,
    operator: await records.operator(),
    send,
    base,
    close,
  };
}

interface Bundle {
  readonly total?: number;
  readonly link: readonly { readonly relation: string; readonly url: string }[];
  readonly entry?: readonly {
    readonly resource: { readonly id: string };
    readonly search: { readonly mode: string };
  }[];
}

/** @param opened gives the server, once it runs */
export function searchingByHttp(opened: () => TestServer): Omit<Searching, 'pages'> {
  async function get(path: string): Promise<Bundle> {
    const { status, body } = await opened().send('get', path);
    if (status !== 200) throw Object.assign(new Error(body.issue?.[0]?.diagnostics), { status });
    return body;
  }
  async function ids(type: string, query: string): Promise<string[]> {
    const found: string[] = [];
    const { base } = opened();
    for (let path: string | undefined = `/${type}?${new URLSearchParams(query)}`; path; ) {
      const { entry = [], link }: Bundle = await get(path);
      for (const { resource, search } of entry) if (search.mode === 'match') found.push(resource.id);
      path = link.find(({ relation }) => relation === 'next')?.url.slice(base.length);
    }
    return found;
  }
  return {
    ids,
    set: async (type, query) => (await ids(type, query)).sort(),
    async put(type, id, rest) {
      const { status, body } = await opened()
        .send('put', `/${type}/${id}`)
        .type('application/fhir+json')
        .send(JSON.stringify({ resourceType: type, id, ...rest }));
      if (status >= 300) throw new Error(`${type}/${id}: ${status} ${body.issue?.[0]?.diagnostics}`);
    },
    count: async (type, query) =>
      (await get(`/${type}?${new URLSearchParams(`${query}&_summary=count`)}`)).total as number,
  };
}
