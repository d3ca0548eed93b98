/** Bundles of many resources (R4 bundle.html), joined from the texts of their entries: nothing is parsed. */
import { answerJson, answerStream, LONG } from '../http/answer.ts';
import type { Visit } from '../http/exchange.ts';
import { type Parameter, writeParameters } from '../http/parameters.ts';
import { etagOf } from '../http/versions.ts';
import type { Stored } from '../records/records.ts';
import { withData } from './base64.ts';
import { type RestContext, type Selection, WHOLE } from './selection.ts';

export interface BundleEntry {
  readonly fullUrl?: string;
  readonly resource?: Stored;
  /** further members as JSON text, such as `"search":{"mode":"match"}` */
  readonly rest: string;
}

export interface Bundle {
  readonly type: 'searchset' | 'history' | 'transaction-response';
  readonly total?: number;
  readonly links: readonly Link[];
  readonly entries: readonly BundleEntry[];
}

export interface Link {
  readonly relation: 'self' | 'next';
  readonly url: string;
}

/**
 * Links to this page and the next.
 *
 * @param url         without a query
 * @param parameters  that were understood
 * @param after       where this page begins
 * @param next        where the next one begins, if there is one
 */
export function pageLinks(
  url: string,
  parameters: readonly Parameter[],
  after: string | undefined,
  next: string | undefined,
): Link[] {
  const link = (relation: Link['relation'], from: string | undefined): Link => {
    const query = writeParameters(from === undefined ? parameters : [...parameters, ['_after', from]]);
    return { relation, url: query === '' ? url : `${url}?${query}` };
  };
  return next === undefined ? [link('self', after)] : [link('self', after), link('next', next)];
}

/** Answers with a Bundle: short ones in one write, long ones, and those with bytes of Binaries, in pieces. */
export async function answerBundle(
  context: RestContext,
  visit: Visit,
  bundle: Bundle,
  selection: Selection = WHOLE,
): Promise<void> {
  const { entries } = bundle;
  const withBytes = selection.withData && entries.some(({ resource }) => resource?.blob);
  let size = 0;
  for (const { resource } of entries) size += resource?.content.length ?? 0;
  if (withBytes) return answerStream(visit, 200, [], piecesWithBytes(context, bundle, selection));
  if (size > LONG) return answerStream(visit, 200, [], pieces(bundle, selection));
  let text = '';
  for (const piece of pieces(bundle, selection)) text += piece;
  return answerJson(visit, 200, [], text);
}

function* pieces(bundle: Bundle, selection: Selection): Generator<string> {
  yield head(bundle);
  let between = ',"entry":[';
  for (const entry of bundle.entries) {
    const { resource } = entry;
    yield between + opening(entry) + (resource ? selection.show(resource) : '') + closing(entry);
    between = ',';
  }
  yield bundle.entries.length > 0 ? ']}' : '}';
}

async function* piecesWithBytes(
  context: RestContext,
  bundle: Bundle,
  selection: Selection,
): AsyncGenerator<string> {
  yield head(bundle);
  let between = ',"entry":[';
  for (const entry of bundle.entries) {
    yield between + opening(entry);
    const { resource } = entry;
    if (resource) {
      const json = selection.show(resource);
      if (resource.blob === null) yield json;
      else yield* withData(json, (await context.records.openBlob(resource.blob)).stream);
    }
    yield closing(entry);
    between = ',';
  }
  yield ']}';
}

function head({ type, total, links }: Bundle): string {
  const count = total === undefined ? '' : `,"total":${total}`;
  return `{"resourceType":"Bundle","type":"${type}"${count},"link":${JSON.stringify(links)}`;
}

function opening({ fullUrl, resource }: BundleEntry): string {
  const url = fullUrl === undefined ? '' : `"fullUrl":${JSON.stringify(fullUrl)}`;
  if (!resource) return `{${url}`;
  return url === '' ? '{"resource":' : `{${url},"resource":`;
}

function closing({ fullUrl, resource, rest }: BundleEntry): string {
  const alone = fullUrl === undefined && !resource;
  return rest === '' ? '}' : `${alone ? '' : ','}${rest}}`;
}

/** `response` of an entry (R4 bundle.html#response) as JSON text. */
export function responseOf(status: string, version?: number, updated?: string, location?: string): string {
  const response = {
    status,
    location,
    etag: version === undefined ? undefined : etagOf(version),
    lastModified: updated,
  };
  return `"response":${JSON.stringify(response)}`;
}
