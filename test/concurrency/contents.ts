/** The server's own history of all that a run has written, read over HTTP. */
import type { Bundle, BundleEntry, Patient } from 'fhir/r4.js';
import { openWire, request, type Wire } from '../../bench/wire.ts';
import type { Version } from './history.ts';
import { contentOf } from './wording.ts';

/** Requests under way at once. */
const READERS = 4;

/**
 * Reads the history of the type, and of each resource that it shows.
 *
 * @param run begins the ids, or the marks, of the resources that are meant
 */
export async function readHistory(
  port: number,
  token: string,
  run: string,
): Promise<{ resources: Map<string, Version[]>; faults: string[] }> {
  const wires = await Promise.all(Array.from({ length: READERS }, () => openWire(port)));
  const [first] = wires as [Wire];
  const ofType = await readPages(first, token, '/fhir/Patient/_history?_count=1000');
  const names = [...ofType].filter(([name, versions]) => isOf(run, name, versions)).map(([name]) => name);
  const resources = new Map<string, Version[]>();
  const faults: string[] = [];
  const queue = names.values();
  const read = async (wire: Wire) => {
    for (const name of queue) {
      const versions = (await readPages(wire, token, `/fhir/${name}/_history?_count=1000`)).get(name) ?? [];
      resources.set(name, versions);
      if (JSON.stringify(versions) !== JSON.stringify(ofType.get(name)))
        faults.push(`${name} has another history than in that of its type`);
    }
  };
  await Promise.all(wires.map(read));
  for (const wire of wires) wire.close();
  return { resources, faults };
}

const isOf = (run: string, name: string, versions: readonly Version[]): boolean =>
  name.startsWith(`Patient/${run}-`) ||
  versions.some(({ content }) => content?.marks[0]?.startsWith(`${run}-`));

async function readPages(wire: Wire, token: string, first: string): Promise<Map<string, Version[]>> {
  const found = new Map<string, Version[]>();
  for (let path: string | undefined = first; path; ) {
    const page: Bundle = await readBundle(wire, token, path);
    for (const entry of page.entry ?? []) {
      const name = /Patient\/[^/]+$/.exec(entry.fullUrl ?? '')?.[0] ?? '';
      const versions = found.get(name) ?? [];
      versions.push(versionOf(entry));
      found.set(name, versions);
    }
    const next: string | undefined = page.link?.find(({ relation }) => relation === 'next')?.url;
    path = next?.slice(next.indexOf('/fhir/'));
  }
  for (const versions of found.values()) versions.sort((a, b) => a.version - b.version);
  return found;
}

function versionOf({ resource, response }: BundleEntry): Version {
  return {
    version: Number(/\d+/.exec(response?.etag ?? '')?.[0]),
    content: resource && contentOf(resource as Patient),
    updated: Date.parse(response?.lastModified ?? '') - performance.timeOrigin,
  };
}

function readBundle(wire: Wire, token: string, path: string): Promise<Bundle> {
  return new Promise((resolve, reject) =>
    wire.send(request('GET', path, { token }), (answer) => {
      if (answer instanceof Error) reject(answer);
      else if (answer.status !== 200) reject(new Error(`${path} is answered with ${answer.status}`));
      else resolve(JSON.parse(answer.body.toString()) as Bundle);
    }),
  );
}
