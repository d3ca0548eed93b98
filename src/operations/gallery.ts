/** `Patient/[id]/$gallery` (profiles/OperationDefinition-gallery.json): what there is to see and hear, with what it is about. */
import type { DiagnosticReport, DocumentReference, Media, Reference, Resource } from 'fhir/r4.js';
import { invalid } from '../fhir/outcome.ts';
import { answerJson } from '../http/answer.ts';
import { type Context, type Exchange, fhirBase } from '../http/exchange.ts';
import { pageLinks, readPage } from '../http/page-links.ts';
import type { Contents } from '../media/content.ts';
import type { Links } from '../media/links.ts';
import type { Shown } from '../media/shown.ts';
import { PLAY } from '../media/wanted.ts';
import type { SearchPage, Stored } from '../records/records.ts';
import { parseSearch } from '../search/parse.ts';
import type { Parameter } from '../search/query-string.ts';
import type { SearchRequest } from '../search/request.ts';
import { readArguments } from './arguments.ts';
import { thingOf } from './link.ts';

const PAGE = '24';
const MOST = 100;

/** Most reports and documents have nothing to see: so many pages of them are passed over for one answer. */
const MOST_EMPTY = 20;

/** So many reports that show pictures of a page are told. */
const REPORTS = '500';

/** What has pictures. */
const TYPES = ['Media', 'DiagnosticReport', 'DocumentReference'] as const;

export async function gallery(
  context: Context,
  exchange: Exchange,
  contents: Contents,
  links: Links,
): Promise<void> {
  const { path, caller, format } = exchange;
  const { id } = path;
  const place = `Patient/${id}/$gallery`;
  const asked = readPage(context, caller.agent, place, exchange.parameters);
  const given = await readArguments(context, { ...exchange, parameters: asked.parameters });
  const count = given.text('_count') ?? PAGE;
  if (Number(count) > MOST) throw invalid('value', `_count is 1 to ${MOST}`);
  await context.records.read(caller, 'Patient', id);
  const request = sought(context, id, count);
  let found: SearchPage;
  let shown: readonly (readonly Shown[])[];
  let after = asked.after;
  let passed = 0;
  do {
    found = await context.records.search(caller, { ...request, after });
    shown = await contents.shownIn(caller, found.entries);
    after = found.next;
  } while (shown.every(({ length }) => length === 0) && after !== undefined && ++passed < MOST_EMPTY);
  const reports = await reportsOf(context, exchange, found.entries);
  const urlOf = (wanted: NonNullable<Shown['wanted']>, size?: string): string =>
    links.make(caller, thingOf({ ...wanted, size })).url;
  const pictures = found.entries.flatMap((stored, i) =>
    (shown[i] ?? []).map((one) => pictureOf(stored, one, reports, urlOf)),
  );
  const first = { ...asked, parameters: given.parameters };
  const around = pageLinks(context, caller.agent, place, first, format.asked, { next: found.next });
  const next = around.find(({ relation }) => relation === 'next');
  const parameter = [...pictures, ...(next ? [{ name: 'next', valueUrl: next.url }] : [])];
  const answer = { resourceType: 'Parameters', ...(parameter.length > 0 && { parameter }) };
  return answerJson(exchange, 200, [], JSON.stringify(answer));
}

/** A search of all types that the caller may search, newest first by clinical dates: each type says when it was made. */
function sought(context: Context, patient: string, count: string): SearchRequest {
  const query: readonly Parameter[] = [
    ['patient', patient],
    ['status:not', 'entered-in-error'],
    ['_count', count],
  ];
  const each = TYPES.map((type) => parseSearch(context.definitions, type, query, fhirBase(context)));
  return { ...(each[0] as SearchRequest), types: TYPES, each, ofAllTypes: true };
}

/** Reports that show these, by `Media/id`; none where the caller may not search them. */
async function reportsOf(
  context: Context,
  { caller }: Exchange,
  found: readonly Stored[],
): Promise<ReadonlyMap<string, readonly Reference[]>> {
  const showing = new Map<string, Reference[]>();
  const names = found.filter(({ type }) => type === 'Media').map(({ id }) => `Media/${id}`);
  if (names.length === 0 || !caller.access.allows('DiagnosticReport', 's')) return showing;
  const query: readonly Parameter[] = [
    ['media', names.join(',')],
    ['_count', REPORTS],
  ];
  const request = parseSearch(context.definitions, 'DiagnosticReport', query, fhirBase(context));
  for (const { id, content } of (await context.records.search(caller, request)).entries) {
    const report = JSON.parse(content) as DiagnosticReport;
    for (const { link } of report.media ?? []) {
      const name = link.reference?.split('/').slice(-2).join('/') ?? '';
      const about = { reference: `DiagnosticReport/${id}`, ...displayed(nameOf(report)) };
      showing.set(name, [...(showing.get(name) ?? []), about]);
    }
  }
  return showing;
}

/** What is told of a resource: when it was made, and what it is about. */
interface Told {
  readonly type?: Media['type'];
  readonly date?: string | undefined;
  readonly bodySite?: Media['bodySite'];
  readonly about: readonly Reference[];
}

const among = (...references: readonly (Reference | undefined)[]): readonly Reference[] =>
  references.filter((one) => one !== undefined);

function toldOf(resource: Resource): Told {
  switch (resource.resourceType as (typeof TYPES)[number]) {
    case 'Media': {
      const { type, bodySite, basedOn = [], partOf = [], encounter, ...media } = resource as Media;
      const date = media.createdDateTime ?? media.createdPeriod?.start ?? media.issued;
      return { type, bodySite, date, about: among(...basedOn, ...partOf, encounter) };
    }
    case 'DiagnosticReport': {
      const { code, basedOn = [], encounter, ...report } = resource as DiagnosticReport;
      const date = report.effectiveDateTime ?? report.effectivePeriod?.start ?? report.issued;
      return { type: code, date, about: among(...basedOn, encounter) };
    }
    case 'DocumentReference': {
      const { type, date, context } = resource as DocumentReference;
      return { type, date, about: among(...(context?.encounter ?? []), ...(context?.related ?? [])) };
    }
  }
}

const nameOf = ({ code }: DiagnosticReport): string | undefined => code.text ?? code.coding?.[0]?.display;

const displayed = (display: string | undefined): { readonly display?: string } =>
  display ? { display } : {};

function pictureOf(
  { type: source, id, content }: Stored,
  { attachment, contentType, wanted, sizes }: Shown,
  reports: ReadonlyMap<string, readonly Reference[]>,
  urlOf: (wanted: NonNullable<Shown['wanted']>, size?: string) => string,
): object {
  const { type, date, bodySite, about } = toldOf(JSON.parse(content) as Resource);
  const name = `${source}/${id}`;
  return {
    name: 'picture',
    part: [
      { name: 'source', valueReference: { reference: name, ...displayed(attachment.title) } },
      ...(type ? [{ name: 'type', valueCodeableConcept: type }] : []),
      ...(date ? [{ name: 'date', valueDateTime: date }] : []),
      ...(bodySite ? [{ name: 'bodySite', valueCodeableConcept: bodySite }] : []),
      ...(contentType ? [{ name: 'contentType', valueCode: contentType }] : []),
      ...(wanted ? [{ name: 'content', valueUrl: urlOf(wanted) }] : []),
      ...(wanted && sizes.includes('256') ? [{ name: 'thumbnail', valueUrl: urlOf(wanted, '256') }] : []),
      ...(wanted && sizes.includes(PLAY) ? [{ name: 'play', valueUrl: urlOf(wanted, PLAY) }] : []),
      ...[...about, ...(reports.get(name) ?? [])].map((reference) => ({
        ...{ name: 'about', valueReference: reference },
      })),
    ],
  };
}
