/** The operations that are routed, each by the places of its OperationDefinition (R4 operationslist.html). */
import type { Context, Exchange, Interaction, Methods, OperationRoutes } from '../http/exchange.ts';
import type { Imaging } from '../imaging/open.ts';
import type { Contents } from '../media/content.ts';
import type { Links } from '../media/links.ts';
import { content } from './content.ts';
import { docref } from './docref.ts';
import { document } from './document.ts';
import { everything } from './everything.ts';
import { gallery } from './gallery.ts';
import { held, reject, release } from './held.ts';
import { lastn } from './lastn.ts';
import { followLink, link } from './link.ts';
import { meta, metaAdd, metaDelete } from './meta.ts';
import { reindex } from './reindex.ts';
import { send } from './send.ts';
import { stats } from './stats.ts';

/** What operations on bytes and images lean on. */
export interface Media {
  readonly contents: Contents;
  readonly links: Links;
  readonly imaging: Pick<Imaging, 'studies' | 'review'>;
}

/** Makes the routes of the operations. What changes something is called by POST alone (R4 operations.html#request). */
export function makeOperations(context: Context, media: Media): OperationRoutes & LinkRoutes {
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
    ...mediaOperations(context, media),
    ...imagingOperations(context, media),
    ...linkRoutes(context, media),
    '/$reindex': { POST: { ...done('reindex', reindex), later: true } },
    '/SearchParameter/:id/$reindex': { POST: { ...done('reindex', reindex), later: true } },
  };
}

/** Bytes, and links to them: they are read only. */
function mediaOperations(context: Context, { contents, links }: Media): OperationRoutes {
  const contentOf: Methods = {
    GET: { name: 'content', run: (exchange) => content(context, exchange, contents), anyForm: true },
  };
  const linkOf: Methods = {
    GET: { name: 'link', run: (exchange) => link(context, exchange, contents, links) },
  };
  return {
    '/Binary/:id/$content': contentOf,
    '/Communication/:id/$content': contentOf,
    '/DiagnosticReport/:id/$content': contentOf,
    '/DocumentReference/:id/$content': contentOf,
    '/Media/:id/$content': contentOf,
    '/Binary/:id/$link': linkOf,
    '/Communication/:id/$link': linkOf,
    '/DiagnosticReport/:id/$link': linkOf,
    '/DocumentReference/:id/$link': linkOf,
    '/Media/:id/$link': linkOf,
    '/Patient/:id/$gallery': {
      GET: { name: 'gallery', run: (exchange) => gallery(context, exchange, contents, links) },
    },
  };
}

/** Studies of images; which are shown and sent is decided by the room of imaging. */
function imagingOperations(context: Context, { imaging }: Media): OperationRoutes {
  const { studies, review } = imaging;
  return {
    '/ImagingStudy/:id/$send': {
      POST: { name: 'send', run: (exchange) => send(context, exchange, studies) },
    },
    '/ImagingStudy/$held': { GET: { name: 'held', run: (exchange) => held(context, exchange, review) } },
    '/ImagingStudy/$release': {
      POST: { name: 'release', run: (exchange) => release(context, exchange, review) },
    },
    '/ImagingStudy/$reject': {
      POST: { name: 'reject', run: (exchange) => reject(context, exchange, review) },
    },
  };
}

type LinkRoutes = { readonly '/_link/:id': Methods };

/** What links lead to: for whoever has one. */
function linkRoutes(context: Context, { contents, links }: Media): LinkRoutes {
  return {
    '/_link/:id': {
      GET: {
        name: 'follow-link',
        open: (visit) => followLink(context, visit, contents, links),
        anyForm: true,
      },
    },
  };
}
