/** What is routed under /fhir: the table that requests, the CapabilityStatement and openapi.yaml's test read. */

import { compileSubset } from '../fhir/subset.ts';
import { cancel, progress } from '../http/async.ts';
import type { Context, Exchange, Interaction, OperationRoutes, Routes } from '../http/exchange.ts';
import { makeCapabilities } from './capabilities.ts';
import { history } from './history.ts';
import { makePatchReaders } from './patch.ts';
import { read, vread } from './read.ts';
import { search, searchByPost } from './search.ts';
import type { RestContext } from './selection.ts';
import { transaction } from './transaction.ts';
import { create, patch, remove, update } from './write.ts';

/**
 * Makes the routes of the FHIR interactions.
 *
 * @param operations what is routed beside them
 * @param discovery  of the authorization server
 */
export function makeRoutes(
  options: Context,
  operations: OperationRoutes & Pick<Routes, '/_link/:id'>,
  discovery: Interaction,
): Routes {
  const context: RestContext = {
    ...options,
    subset: compileSubset(options.definitions),
    patches: makePatchReaders(options.definitions),
  };
  const done = (
    name: string,
    run: (context: RestContext, exchange: Exchange) => void | Promise<void>,
  ): Interaction => ({ name, run: (exchange) => run(context, exchange) });

  const routes: Routes = {
    '/': { GET: done('search-system', search), POST: done('transaction', transaction) },
    '/metadata': { GET: { name: 'capabilities', open: (visit) => capabilities(visit) } },
    '/.well-known/smart-configuration': { GET: discovery },
    '/_search': { POST: done('search-system', searchByPost) },
    '/_history': { GET: done('history-system', history) },
    '/_async/:id': { GET: done('async-status', progress), DELETE: done('async-cancel', cancel) },
    '/:type': {
      GET: done('search-type', search),
      POST: done('create', create),
      PUT: done('update', update),
      PATCH: done('patch', patch),
      DELETE: done('delete', remove),
    },
    '/:type/_search': { POST: done('search-type', searchByPost) },
    '/:type/_history': { GET: done('history-type', history) },
    '/:type/:id': {
      GET: done('read', read),
      PUT: done('update', update),
      PATCH: done('patch', patch),
      DELETE: done('delete', remove),
    },
    '/:type/:id/_history': { GET: done('history-instance', history) },
    '/:type/:id/:member': { GET: done('search-compartment', search) },
    '/:type/:id/:member/_search': { POST: done('search-compartment', searchByPost) },
    '/:type/:id/_history/:version': { GET: done('vread', vread) },
    ...operations,
  };
  const capabilities = makeCapabilities(context, routes);
  return routes;
}
