/** Bundles of any length, written as their pieces come: stored texts are joined, nothing is parsed (R4 bundle.html). */
import { render } from '../fhir/content.ts';
import type { Records, Stored } from '../records/records.ts';
import { answerStream } from './answer.ts';
import { withData } from './base64.ts';
import { type Context, fhirBase, type Visit } from './exchange.ts';
import { type Inlining, inlining } from './inline.ts';

export interface Found {
  readonly resource: Stored;
  /** R4 valueset-search-entry-mode; undefined where the Bundle is none of a search */
  readonly mode?: 'match' | 'include';
}

/** A link of a Bundle. */
export interface BundleLink {
  readonly relation: string;
  readonly url: string;
}

type Pieces = Iterable<readonly Found[]> | AsyncIterable<readonly Found[]>;

/** What is needed to write them. */
type Writing = Pick<Context, 'config'> & { readonly records: Pick<Records, 'openBlob' | 'describeBlobs'> };

/** Answers with a searchset of all that comes. */
export function answerSearchset(
  context: Writing,
  visit: Visit,
  links: readonly BundleLink[],
  pieces: Pieces,
): Promise<void> {
  const inline = inlining(context.records, visit);
  const texts = bundleTexts(context, { type: 'searchset', link: links }, pieces, inline);
  return answerStream(visit, 200, inline?.headers ?? [], texts);
}

/**
 * The pieces of a Bundle's JSON.
 *
 * @param head   its members but for the entries
 * @param inline where large data of attachments is to be in its place
 */
export async function* bundleTexts(
  context: Writing,
  head: { readonly type: string; readonly [member: string]: unknown },
  pieces: Pieces,
  inline?: Inlining,
): AsyncGenerator<string> {
  const base = fhirBase(context);
  yield JSON.stringify({ resourceType: 'Bundle', ...head }).slice(0, -1);
  let between = ',"entry":[';
  for await (const piece of pieces) {
    let text = '';
    for (const { resource, mode } of piece) {
      const { type, id, blob } = resource;
      text += `${between}{"fullUrl":"${base}/${type}/${id}","resource":`;
      const whole = inline?.textOf(resource);
      if (whole) {
        yield text;
        yield* whole;
        text = '';
      } else if (blob === null) text += render(resource.content, resource);
      else {
        yield text;
        yield* withData(render(resource.content, resource), (await context.records.openBlob(blob)).stream);
        text = '';
      }
      text += mode === undefined ? '}' : `,"search":{"mode":"${mode}"}}`;
      between = ',';
    }
    yield text;
  }
  yield between === ',' ? ']}' : '}';
}
