/** The operations that are routed, each by the places of its OperationDefinition (R4 operationslist.html). */
import type { Context, Exchange, Interaction, OperationRoutes } from '../http/exchange.ts';
import { docref } from './docref.ts';
import { document } from './document.ts';
import { everything } from './everything.ts';
import { lastn } from './lastn.ts';
import { meta, metaAdd, metaDelete } from './meta.ts';
import { reindex } from './reindex.ts';
import { stats } from './stats.ts';

/** Makes the routes of the operations. What changes something is called by POST alone (R4 operations.html#request). */
export function makeOperations(context: Context): OperationRoutes {
  const done = (
    name: string,
    run: (context: Context, exchange: Exchange) => void | Promise<void>,
  ): Interaction => ({ name, run: (exchange) => run(context, exchange) });
  const reading = (name: string, run: (context: Context, exchange: Exchange) => void | Promise<void>) => ({
    GET: done(name, run),
    POST: done(name, run),
  });
  return {
    '/Patient/$everything': reading('everything', everything),
    '/Patient/:id/$everything': reading('everything', everything),
    '/Encounter/:id/$everything': reading('everything', everything),
    '/Composition/$document': reading('document', document),
    '/Composition/:id/$document': reading('document', document),
    '/DocumentReference/$docref': reading('docref', docref),
    '/Observation/$lastn': reading('lastn', lastn),
    '/Observation/$stats': reading('stats', stats),
    '/:type/:id/$meta': reading('meta', meta),
    '/:type/:id/_history/:version/$meta': reading('meta', meta),
    '/:type/:id/$meta-add': { POST: done('meta-add', metaAdd) },
    '/:type/:id/$meta-delete': { POST: done('meta-delete', metaDelete) },
    '/$reindex': { POST: { ...done('reindex', reindex), later: true } },
    '/SearchParameter/:id/$reindex': { POST: { ...done('reindex', reindex), later: true } },
  };
}
