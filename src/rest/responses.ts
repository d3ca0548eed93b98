/** What became of an entry of a batch or transaction, as an entry of the answer (R4 http.html#transaction-response). */
import { STATUS_CODES } from 'node:http';
import { error, type Issue, operationOutcome } from '../fhir/outcome.ts';
import { fhirBase } from '../http/exchange.ts';
import type { Return } from '../http/prefer.ts';
import type { Outcome, Stored } from '../records/records.ts';
import { type BundleEntry, responseOf, type Told } from './bundle.ts';
import type { Asked } from './entries.ts';
import { historyBundle } from './history.ts';
import { searchBundle } from './search.ts';
import type { RestContext } from './selection.ts';

const statusText = (status: number): string => `${status} ${STATUS_CODES[status]}`;

/** The entry that tells of a refusal. */
export function refusedEntry(status: number, issues: readonly Issue[]): BundleEntry {
  return { rest: responseOf(statusText(status), { outcome: operationOutcome(issues) }) };
}

/**
 * The entry that tells of a success.
 *
 * @param agent number of the access token that may follow links to further pages
 */
export function entryOf(
  context: RestContext,
  agent: number,
  asked: Asked,
  outcome: Outcome,
  wanted: Return,
): BundleEntry {
  switch (outcome.kind) {
    case 'removed': {
      const { existed, version, updated } = outcome.removed;
      const told =
        wanted === 'OperationOutcome' ? informed(existed ? 'deleted' : 'nothing to delete') : undefined;
      return { rest: responseOf(statusText(told ? 200 : 204), { version, updated, outcome: told }) };
    }
    case 'read':
      return readEntryOf(context, asked, outcome.resource);
    case 'history': {
      if (asked.head || asked.entry.method !== 'GET' || asked.entry.read.kind !== 'history') break;
      const { place, parameters } = asked;
      const looked = { place, parameters, request: asked.entry.read.request };
      const bundle = historyBundle(context, agent, looked, [], outcome.page);
      return { inner: { bundle, selection: asked.selection }, rest: responseOf(statusText(200)) };
    }
    case 'search': {
      if (asked.head || asked.entry.method !== 'GET' || asked.entry.read.kind !== 'search') break;
      const { request } = asked.entry.read;
      const bundle = searchBundle(context, agent, asked.place, request, [], outcome.page);
      return { inner: { bundle, selection: asked.selection }, rest: responseOf(statusText(200)) };
    }
    case 'unchanged': {
      const status = asked.entry.method === 'PUT' ? 304 : 200;
      return writtenEntry(context, outcome.resource, status, 'unchanged', wanted);
    }
    case 'written': {
      const { created } = outcome.resource;
      return writtenEntry(
        context,
        outcome.resource,
        created ? 201 : 200,
        created ? 'created' : 'updated',
        wanted,
      );
    }
  }
  return { rest: responseOf(statusText(200)) };
}

function writtenEntry(
  context: RestContext,
  stored: Stored,
  status: number,
  what: string,
  wanted: Return,
): BundleEntry {
  const { type, id, version, updated, content } = stored;
  // What may not be read, or was not looked at, is not shown.
  const shown = wanted === 'representation' && content !== '';
  const told: Told = {
    version,
    updated,
    location: `${type}/${id}/_history/${version}`,
    outcome: wanted === 'OperationOutcome' ? informed(what) : undefined,
  };
  return {
    fullUrl: urlOf(context, stored),
    resource: shown ? stored : undefined,
    rest: responseOf(statusText(status), told),
  };
}

function readEntryOf(context: RestContext, { head, selection, unless }: Asked, stored: Stored): BundleEntry {
  const { version, updated } = stored;
  const { match, since } = unless;
  // ifNoneMatch decides, ifModifiedSince only without it (RFC 9110 §13.1.3)
  const known =
    match !== undefined
      ? match === '*' || match.includes(version)
      : since !== undefined && Date.parse(updated) <= since;
  if (known) return { rest: responseOf(statusText(304), { version, updated }) };
  return {
    fullUrl: urlOf(context, stored),
    resource: head ? undefined : stored,
    selection,
    rest: responseOf(statusText(200), { version, updated }),
  };
}

const urlOf = (context: RestContext, { type, id }: Stored): string => `${fhirBase(context)}/${type}/${id}`;

function informed(what: string) {
  return operationOutcome([{ ...error('informational', what), severity: 'information' }]);
}
