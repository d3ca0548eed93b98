/** The units of all sources, in order, each read when it is asked for and there is room for it in memory. */
import { invalid } from '../../fhir/outcome.ts';
import { oneLine } from '../fault.ts';
import { documentsOf } from './documents.ts';
import { type Part, plan, type Refused, type Resource, type Unit } from './plan.ts';
import { bytesOf, type Source } from './sources.ts';

/** Single resources are written so many at once: a transaction costs more than the resource in it. */
const MOST = 100;
const LARGEST = 1024 * 1024;

/**
 * Reads and plans. Single resources that follow each other, of whatever files, make one unit.
 *
 * @param read told of every piece as it is read
 */
export async function* unitsOf(
  sources: readonly Source[],
  read: (bytes: number) => void,
): AsyncGenerator<Unit | Refused> {
  let group: Resource[] = [];
  let keys = new Set<string>();
  let size = 0;
  const take = (): Unit => {
    const unit = { resources: group, whole: false };
    group = [];
    keys = new Set();
    size = 0;
    return unit;
  };
  for await (const part of partsOf(sources, read)) {
    if ('fault' in part || part.whole) {
      if (group.length > 0) yield take();
      yield part;
      continue;
    }
    for (const resource of part.resources) {
      const key = `${resource.type}/${resource.id}`;
      // A transaction must not have the same resource twice (R4 http.html#trules).
      if (keys.has(key)) yield take();
      group.push(resource);
      keys.add(key);
      size += resource.body.length;
      if (group.length === MOST || size > LARGEST) yield take();
    }
  }
  if (group.length > 0) yield take();
}

async function* partsOf(sources: readonly Source[], read: (bytes: number) => void): AsyncGenerator<Part> {
  for (const source of sources)
    try {
      const ndjson = /\.ndjson(\.gz)?$/i.test(source.name);
      for await (const document of documentsOf(bytesOf(source, read), ndjson)) {
        const origin = { file: source.name, line: document.line };
        if ('fault' in document) yield { origin, fault: document.fault, count: 1 };
        else yield* plan(document.text, origin);
      }
    } catch (fault) {
      // Not allowed to read it, or its gzip is broken: the other files go on.
      yield {
        origin: { file: source.name },
        fault: invalid('incomplete', `The file cannot be read to its end: ${oneLine(fault)}`),
        count: 1,
      };
    }
}
