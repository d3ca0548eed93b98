/** read and vread (R4 http.html#read, #vread, #cread). */
import type { Exchange } from '../http/exchange.ts';
import type { Stored } from '../records/records.ts';
import { readBinary } from './binary.ts';
import { answerFound, versionHeaders } from './resource.ts';
import { type RestContext, readSelection } from './selection.ts';

/** GET [base]/[type]/[id] */
export async function read(context: RestContext, exchange: Exchange): Promise<void> {
  const { type, id } = exchange.path;
  return answerRead(context, exchange, await context.records.read(exchange.caller, type, id));
}

/** GET [base]/[type]/[id]/_history/[version] */
export async function vread(context: RestContext, exchange: Exchange): Promise<void> {
  const { type, id, version } = exchange.path;
  return answerRead(context, exchange, await context.records.vread(exchange.caller, type, id, version));
}

function answerRead(context: RestContext, exchange: Exchange, stored: Stored): Promise<void> | void {
  const selection = readSelection(context, stored.type, exchange.parameters);
  if (stored.type === 'Binary') return readBinary(context, exchange, stored, selection);
  return answerFound(context, exchange, versionHeaders(stored), stored, selection);
}
