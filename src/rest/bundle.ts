/** Bundles of many resources (R4 bundle.html), joined from the texts of their entries: nothing is parsed. */
import type { OperationOutcome } from 'fhir/r4.js';
import { answerJson, answerStream, LONG } from '../http/answer.ts';
import { withData } from '../http/base64.ts';
import type { Visit } from '../http/exchange.ts';
import { type Inlining, inlining } from '../http/inline.ts';
import type { Link } from '../http/page-links.ts';
import { etagOf } from '../http/versions.ts';
import type { Stored } from '../records/records.ts';
import { type RestContext, type Selection, WHOLE } from './selection.ts';

export interface BundleEntry {
  readonly fullUrl?: string;
  readonly resource?: Stored;
  /** which part of the resource, where not that of all entries */
  readonly selection?: Selection;
  /** a Bundle as the resource of this entry */
  readonly inner?: { readonly bundle: Bundle; readonly selection: Selection };
  /** further members as JSON text, such as `"search":{"mode":"match"}` */
  readonly rest: string;
}

export interface Bundle {
  readonly type: 'searchset' | 'history' | 'transaction-response' | 'batch-response';
  readonly total?: number;
  readonly links: readonly Link[];
  readonly entries: readonly BundleEntry[];
}

/** Answers with a Bundle: short ones in one write, long ones, and those with bytes of Binaries, in pieces. */
export async function answerBundle(
  context: RestContext,
  visit: Visit,
  bundle: Bundle,
  selection: Selection = WHOLE,
): Promise<void> {
  const inline = inlining(context.records, visit);
  if (inline || hasBytes(bundle, selection))
    return answerStream(
      visit,
      200,
      inline?.headers ?? [],
      piecesWithBytes(context, bundle, selection, inline),
    );
  if (lengthOf(bundle) > LONG) return answerStream(visit, 200, [], pieces(bundle, selection));
  let text = '';
  for (const piece of pieces(bundle, selection)) text += piece;
  return answerJson(visit, 200, [], text);
}

function hasBytes({ entries }: Bundle, selection: Selection): boolean {
  return entries.some(
    ({ resource, inner, selection: own = selection }) =>
      (resource?.blob && own.withData) || (inner && hasBytes(inner.bundle, inner.selection)),
  );
}

/** What an entry has beside its resource, roughly. */
const ENTRY = 256;

function lengthOf({ entries }: Bundle): number {
  let length = entries.length * ENTRY;
  for (const { resource, inner } of entries)
    length += (resource?.content.length ?? 0) + (inner ? lengthOf(inner.bundle) : 0);
  return length;
}

function* pieces(bundle: Bundle, selection: Selection): Generator<string> {
  yield head(bundle);
  let between = ',"entry":[';
  for (const entry of bundle.entries) {
    const { resource, inner, selection: own = selection } = entry;
    yield between + opening(entry) + (resource ? own.show(resource) : '');
    if (inner) yield* pieces(inner.bundle, inner.selection);
    yield closing(entry);
    between = ',';
  }
  yield bundle.entries.length > 0 ? ']}' : '}';
}

async function* piecesWithBytes(
  context: RestContext,
  bundle: Bundle,
  selection: Selection,
  inline: Inlining | undefined,
): AsyncGenerator<string> {
  yield head(bundle);
  let between = ',"entry":[';
  for (const entry of bundle.entries) {
    yield between + opening(entry);
    const { resource, inner, selection: own = selection } = entry;
    if (resource) {
      const whole = own.isWhole ? inline?.textOf(resource) : undefined;
      if (whole) yield* whole;
      else if (resource.blob === null || !own.withData) yield own.show(resource);
      else yield* withData(own.show(resource), (await context.records.openBlob(resource.blob)).stream);
    }
    if (inner) yield* piecesWithBytes(context, inner.bundle, inner.selection, inline);
    yield closing(entry);
    between = ',';
  }
  yield bundle.entries.length > 0 ? ']}' : '}';
}

function head({ type, total, links }: Bundle): string {
  const count = total === undefined ? '' : `,"total":${total}`;
  return `{"resourceType":"Bundle","type":"${type}"${count},"link":${JSON.stringify(links)}`;
}

function opening({ fullUrl, resource, inner }: BundleEntry): string {
  const url = fullUrl === undefined ? '' : `"fullUrl":${JSON.stringify(fullUrl)}`;
  if (!resource && !inner) return `{${url}`;
  return url === '' ? '{"resource":' : `{${url},"resource":`;
}

function closing({ fullUrl, resource, inner, rest }: BundleEntry): string {
  const alone = fullUrl === undefined && !resource && !inner;
  return rest === '' ? '}' : `${alone ? '' : ','}${rest}}`;
}

/** What `response` of an entry tells beside its status (R4 bundle.html#response). */
export interface Told {
  readonly version?: number;
  /** FHIR instant */
  readonly updated?: string;
  readonly location?: string;
  readonly outcome?: OperationOutcome;
}

/** `response` of an entry as JSON text. */
export function responseOf(status: string, { version, updated, location, outcome }: Told = {}): string {
  const response = {
    status,
    location,
    etag: version === undefined ? undefined : etagOf(version),
    lastModified: updated,
    outcome,
  };
  return `"response":${JSON.stringify(response)}`;
}
