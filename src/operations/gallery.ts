/** `Patient/[id]/$gallery` (profiles/OperationDefinition-gallery.json): pictures with what they are about. */
import type { DiagnosticReport, Media, Reference } from 'fhir/r4.js';
import { invalid, Refusal } from '../fhir/outcome.ts';
import { answerJson } from '../http/answer.ts';
import { type Context, type Exchange, fhirBase } from '../http/exchange.ts';
import { pageLinks, readPage } from '../http/page-links.ts';
import type { Contents } from '../media/content.ts';
import type { Links } from '../media/links.ts';
import type { Stored } from '../records/records.ts';
import { parseSearch } from '../search/parse.ts';
import type { Parameter } from '../search/query-string.ts';
import { readArguments } from './arguments.ts';
import { thingOf } from './link.ts';

const PAGE = '24';
const MOST = 100;

/** So many reports that show pictures of a page are told. */
const REPORTS = '500';

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
  const found = await search(
    context,
    exchange,
    'Media',
    [
      ['patient', id],
      ['status:not', 'entered-in-error'],
      ['_count', count],
    ],
    asked.after,
  );
  const reports = await reportsOf(context, exchange, found.entries);
  const pictures = await Promise.all(
    found.entries.map((stored) => pictureOf(stored, reports, exchange, contents, links)),
  );
  const first = { ...asked, parameters: given.parameters };
  const around = pageLinks(context, caller.agent, place, first, format.asked, { next: found.next });
  const next = around.find(({ relation }) => relation === 'next');
  const parameter = [...pictures, ...(next ? [{ name: 'next', valueUrl: next.url }] : [])];
  const answer = { resourceType: 'Parameters', ...(parameter.length > 0 && { parameter }) };
  return answerJson(exchange, 200, [], JSON.stringify(answer));
}

function search(
  context: Context,
  { caller }: Exchange,
  type: string,
  query: readonly Parameter[],
  after?: string,
) {
  const request = parseSearch(context.definitions, type, query, fhirBase(context));
  return context.records.search(caller, { ...request, after });
}

/** Reports that show these, by `Media/id`; none where the caller may not search them. */
async function reportsOf(
  context: Context,
  exchange: Exchange,
  media: readonly Stored[],
): Promise<ReadonlyMap<string, readonly Reference[]>> {
  const showing = new Map<string, Reference[]>();
  if (media.length === 0 || !exchange.caller.access.allows('DiagnosticReport', 's')) return showing;
  const names = media.map(({ id }) => `Media/${id}`).join(',');
  const { entries } = await search(context, exchange, 'DiagnosticReport', [
    ['media', names],
    ['_count', REPORTS],
  ]);
  for (const { id, content } of entries) {
    const report = JSON.parse(content) as DiagnosticReport;
    for (const { link } of report.media ?? []) {
      const name = link.reference?.split('/').slice(-2).join('/') ?? '';
      const display = report.code.text ?? report.code.coding?.[0]?.display;
      const about = { reference: `DiagnosticReport/${id}`, ...(display && { display }) };
      showing.set(name, [...(showing.get(name) ?? []), about]);
    }
  }
  return showing;
}

async function pictureOf(
  stored: Stored,
  reports: ReadonlyMap<string, readonly Reference[]>,
  { caller }: Exchange,
  contents: Contents,
  links: Links,
): Promise<object> {
  const { id } = stored;
  const media = JSON.parse(stored.content) as Media;
  const { type, bodySite, content, encounter, basedOn = [], partOf = [] } = media;
  const shown = await contents.look(caller, { type: 'Media', id }).catch((fault) => {
    // the Media may be read, but not its bytes, or they are elsewhere
    if (fault instanceof Refusal && fault.status < 500) return undefined;
    throw fault;
  });
  const date = media.createdDateTime ?? media.createdPeriod?.start ?? media.issued;
  const about = [
    ...basedOn,
    ...partOf,
    ...(encounter ? [encounter] : []),
    ...(reports.get(`Media/${id}`) ?? []),
  ];
  const urlOf = (size?: string): string => links.make(caller, thingOf({ type: 'Media', id, size })).url;
  const contentType = shown?.contentType ?? content.contentType;
  return {
    name: 'picture',
    part: [
      {
        name: 'media',
        valueReference: { reference: `Media/${id}`, ...(content.title && { display: content.title }) },
      },
      ...(type ? [{ name: 'type', valueCodeableConcept: type }] : []),
      ...(date ? [{ name: 'date', valueDateTime: date }] : []),
      ...(bodySite ? [{ name: 'bodySite', valueCodeableConcept: bodySite }] : []),
      ...(contentType ? [{ name: 'contentType', valueCode: contentType }] : []),
      ...(shown ? [{ name: 'content', valueUrl: urlOf() }] : []),
      ...(shown?.isPicture ? [{ name: 'thumbnail', valueUrl: urlOf('256') }] : []),
      ...about.map((reference) => ({ name: 'about', valueReference: reference })),
    ],
  };
}
