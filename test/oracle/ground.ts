/** A server for worlds: they are loaded over HTTP, searched page by page, and taken away again. */
import type { Bundle } from 'fhir/r4.js';
import { startApp, type TestApp } from '../http/app.ts';
import type { Parameter, Search } from './arbitrary/searches.ts';
import { named, TERMINOLOGY, type World } from './arbitrary/worlds.ts';
import type { Present } from './oracle.ts';

/** What a search gives over all its pages. */
export interface Answer {
  readonly status: number;
  /** `Type/id` */
  readonly found: readonly string[];
  readonly total?: number;
  /** why it is refused */
  readonly diagnostics?: string;
}

export interface Ground {
  readonly app: TestApp;
  /** Loads a world under a new name; gives what is there then. */
  load(world: World): Promise<Loaded>;
  /** @param between is waited for after each page */
  search(search: Search, between?: () => Promise<void>): Promise<Answer>;
  send(method: string, path: string, body?: object | string, type?: string): Promise<Sent>;
  close(): Promise<void>;
}

export interface Loaded {
  readonly name: string;
  readonly present: readonly Present[];
  /** Deletes all of it, and what has come since, as `Type/id`. */
  clear(more?: Iterable<string>): Promise<void>;
}

export interface Sent {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: JSON as it comes
  readonly body: any;
}

interface Change {
  readonly method: 'PUT' | 'DELETE';
  readonly url: string;
  readonly resource?: object;
}

export async function openGround(settings: Record<string, string> = {}): Promise<Ground> {
  const app = await startApp(settings);
  let worlds = 0;

  async function send(
    method: string,
    path: string,
    body?: object | string,
    type = 'application/fhir+json',
  ): Promise<Sent> {
    const answer = await fetch(`${app.url}/fhir${path}`, {
      method,
      headers: { authorization: `Bearer ${app.token}`, ...(body && { 'content-type': type }) },
      body: typeof body === 'object' ? JSON.stringify(body) : body,
    });
    const text = await answer.text();
    return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) };
  }

  /** Changes all at once; gives the times of what was written. */
  async function change(changes: readonly Change[]): Promise<Map<string, number>> {
    if (changes.length === 0) return new Map();
    const entry = changes.map(({ method, url, resource }) => ({ request: { method, url }, resource }));
    const { status, body } = await send('POST', '', { resourceType: 'Bundle', type: 'transaction', entry });
    if (status !== 200) throw new Error(`a world is refused: ${JSON.stringify(body)}`);
    return new Map(
      (body as Bundle).entry?.map(({ response }, i) => [
        (changes[i] as Change).url,
        Date.parse(response?.lastModified ?? ''),
      ]),
    );
  }

  const put = (type: string, id: string, rest: object): Change => ({
    method: 'PUT',
    url: `${type}/${id}`,
    resource: { resourceType: type, id, ...rest },
  });

  await change(
    TERMINOLOGY.map((resource) => {
      const { resourceType, id } = resource as { resourceType: string; id: string };
      return { method: 'PUT', url: `${resourceType}/${id}`, resource };
    }),
  );

  return {
    app,
    send,
    close: app.close,
    async load(world) {
      const name = `w${++worlds}-`;
      const own = named(world, name);
      const live = own.filter(({ deleted }) => !deleted);
      const urls = new Set(own.map(({ type, id }) => `${type}/${id}`));
      const clear: Loaded['clear'] = async (more = []) => {
        const all = [...new Set([...urls, ...more])];
        await change(all.map((url) => ({ method: 'DELETE', url })));
      };
      const updated = new Map<string, number>();
      const past = own.filter(({ before, deleted }) => before !== undefined || deleted);
      try {
        await change(past.map(({ type, id, now, before }) => put(type, id, before ?? now)));
        const deleted = own.filter((one) => one.deleted);
        await change(deleted.map(({ type, id }) => ({ method: 'DELETE', url: `${type}/${id}` })));
        // In several steps, as not all are of one time: of those with one url one is the newest.
        const steps = Map.groupBy(live, ({ type, id, now }) =>
          'url' in now ? `${type}/${id}` : Number(id.at(-1)) % 2,
        );
        for (const step of steps.values())
          for (const [url, at] of await change(step.map(({ type, id, now }) => put(type, id, now))))
            updated.set(url, at);
      } catch (fault) {
        await clear();
        throw fault;
      }
      return {
        name,
        clear,
        present: live.map(({ type, id, now }) => ({
          type,
          id,
          resource: { resourceType: type, id, ...now },
          updated: updated.get(`${type}/${id}`) as number,
        })),
      };
    },
    async search(search, between = async () => {}) {
      const { path, query } = asRequest(search);
      let page = search.post
        ? await send('POST', `${path}/_search`, query, 'application/x-www-form-urlencoded')
        : await send('GET', `${path}?${query}`);
      const { status, body } = page;
      if (status !== 200) return { status, found: [], diagnostics: body?.issue?.[0]?.diagnostics };
      const found: string[] = [];
      for (;;) {
        const { entry = [], link = [] } = page.body as Bundle;
        for (const { resource } of entry) found.push(`${resource?.resourceType}/${resource?.id}`);
        const next = link.find(({ relation }) => relation === 'next')?.url;
        if (!next) return { status, found, total: body.total };
        await between();
        page = await send('GET', next.slice(app.base.length));
        if (page.status !== 200)
          return { status: page.status, found, diagnostics: JSON.stringify(page.body) };
      }
    },
  };
}

/** Where a search is sent, and its parameters as a form. */
export function asRequest({ types, within, parameters, sort, count, total }: Search): {
  readonly path: string;
  readonly query: string;
} {
  const [type = '', ...others] = types;
  const place = within ? `/${within.type}/${within.id}` : '';
  const all: Parameter[] = [...parameters, ['_count', String(count)]];
  if (others.length > 0) all.push(['_type', types.join(',')]);
  if (sort) all.push(['_sort', sort]);
  if (total) all.push(['_total', 'accurate']);
  const path = `${place}${others.length > 0 ? '' : `/${type}`}`;
  return { path, query: new URLSearchParams(all as [string, string][]).toString() };
}
