/** A searchset of any length, written as its pieces come: stored texts are joined, nothing is parsed (R4 bundle.html). */
import { render } from '../fhir/content.ts';
import type { Records, Stored } from '../records/records.ts';
import { answerStream } from './answer.ts';
import { withData } from './base64.ts';
import { type Context, fhirBase, type Visit } from './exchange.ts';

export interface Found {
  readonly resource: Stored;
  /** R4 valueset-search-entry-mode */
  readonly mode: 'match' | 'include';
}

/** A link of a Bundle. */
export interface BundleLink {
  readonly relation: string;
  readonly url: string;
}

/** Answers with a Bundle of all that comes. */
export function answerSearchset(
  context: Pick<Context, 'config' | 'records'>,
  visit: Visit,
  links: readonly BundleLink[],
  pieces: Iterable<readonly Found[]> | AsyncIterable<readonly Found[]>,
): Promise<void> {
  return answerStream(visit, 200, [], textsOf(context.records, fhirBase(context), links, pieces));
}

async function* textsOf(
  records: Pick<Records, 'openBlob'>,
  base: string,
  links: readonly BundleLink[],
  pieces: Iterable<readonly Found[]> | AsyncIterable<readonly Found[]>,
): AsyncGenerator<string> {
  yield `{"resourceType":"Bundle","type":"searchset","link":${JSON.stringify(links)}`;
  let between = ',"entry":[';
  for await (const piece of pieces) {
    let text = '';
    for (const { resource, mode } of piece) {
      const { type, id, blob } = resource;
      const json = render(resource.content, resource);
      text += `${between}{"fullUrl":"${base}/${type}/${id}","resource":`;
      if (blob === null) text += json;
      else {
        yield text;
        yield* withData(json, (await records.openBlob(blob)).stream);
        text = '';
      }
      text += `,"search":{"mode":"${mode}"}}`;
      between = ',';
    }
    yield text;
  }
  yield between === ',' ? ']}' : '}';
}
