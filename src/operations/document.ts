/** Composition/$document (R4 composition-operation-document.html): the document that a composition is the beginning of. */
import { randomUUID } from 'node:crypto';
import { render } from '../fhir/content.ts';
import { error, invalid, Refusal } from '../fhir/outcome.ts';
import { parseReference } from '../fhir/reference.ts';
import { answerJson, answerStream } from '../http/answer.ts';
import { type Context, type Exchange, fhirBase } from '../http/exchange.ts';
import { bundleTexts, type Found } from '../http/gathered.ts';
import { etagOf, httpDate } from '../http/versions.ts';
import type { Stored } from '../records/records.ts';
import { type Arguments, readArguments } from './arguments.ts';

/** GET or POST [base]/Composition/[id]/$document, or [base]/Composition/$document?id=…; `persist=true` stores it as well. */
export async function document(context: Context, exchange: Exchange): Promise<void> {
  const { caller } = exchange;
  const given = await readArguments(context, exchange);
  if (given.text('graph') !== undefined)
    throw invalid(
      'not-supported',
      'graph is not supported: a document has all that its composition refers to',
    );
  const found = await context.records.document(caller, compositionOf(context, exchange, given));
  const head = {
    type: 'document',
    identifier: { system: 'urn:ietf:rfc:3986', value: `urn:uuid:${randomUUID()}` },
    timestamp: new Date().toISOString(),
  };
  const texts = bundleTexts(context, head, entriesOf(found));
  if (given.text('persist') !== 'true') return answerStream(exchange, 200, [], texts);
  const written = await context.records.create(caller, 'Bundle', await wholeOf(context, texts));
  const location = `${fhirBase(context)}/Bundle/${written.id}/_history/${written.version}`;
  const headers = [
    ...['Location', location, 'ETag', etagOf(written.version)],
    ...['Last-Modified', httpDate(written.updated)],
  ];
  return answerJson(exchange, 201, headers, render(written.content, written));
}

async function* entriesOf(found: AsyncIterable<readonly Stored[]>): AsyncGenerator<Found[]> {
  for await (const piece of found) yield piece.map((resource) => ({ resource }));
}

/** The text of a document that is to be stored. */
async function wholeOf({ config }: Context, texts: AsyncIterable<string>): Promise<string> {
  let whole = '';
  for await (const text of texts) {
    whole += text;
    if (whole.length > config.maxBody) {
      const why = `This document is larger than the ${config.maxBody} bytes that a resource may have here: ask for it without persist`;
      throw new Refusal(422, [error('too-costly', why)]);
    }
  }
  return whole;
}

/** On the type, the parameter `id` names the composition: by its id, or by a URL. */
function compositionOf(context: Context, { path }: Exchange, given: Arguments): string {
  const text = given.text('id');
  if (path.id !== '') {
    if (text === undefined) return path.id;
    throw invalid('invalid', `The URL names Composition/${path.id}: leave the parameter id out`);
  }
  if (text === undefined)
    throw invalid(
      'required',
      '$document needs to know of which composition: call it on one, or give the parameter id',
    );
  if (!text.includes('/')) return text;
  const parsed = parseReference(text, fhirBase(context), context.definitions.isResourceType);
  if (parsed.kind === 'local' && parsed.type === 'Composition') return parsed.id;
  throw invalid('value', 'id is that of a Composition of this server');
}
