/**
 * Uploads that can be resumed (tus 1.0.0, https://tus.io/protocols/resumable-upload): each is bound to the access token
 * that began it, and becomes a Binary, and a Media where one is given.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { DataStore, MemoryLocker, Server, Upload } from '@tus/server';
import type { Media } from 'fhir/r4.js';
import { invalid, Refusal, refusal } from '../fhir/outcome.ts';
import type { Enter } from '../http/door.ts';
import { type Context, fhirBase } from '../http/exchange.ts';
import { tracesOf } from '../http/faults.ts';
import type { Caller, Upload as Kept, Records } from '../records/records.ts';

/** Where they are. */
const UPLOADS = '/uploads';

const DAY = 86_400_000;

export type HandleUpload = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** Makes what answers at UPLOADS. */
export function makeUploads(
  context: Pick<Context, 'records' | 'config' | 'log'> & { readonly enter: Enter },
): HandleUpload {
  const { records, log, config } = context;
  // who goes on with an upload ends what a broken connection still holds of it
  const locker = new MemoryLocker();

  function serverFor(caller: Caller): Server {
    return new Server({
      path: UPLOADS,
      locker,
      maxSize: config.maxBinary,
      datastore: storeFor(records, caller),
      generateUrl: (_request, { id }) => `${config.baseUrl}${UPLOADS}/${id}`,
      async onUploadCreate(_request, { metadata }) {
        readWanted(metadata);
        return {};
      },
      async onUploadFinish(_request, { id }) {
        const answer = await become(context, caller, id);
        const headers: Record<string, string> = {
          'Content-Location': `${fhirBase(context)}/${answer.binary}`,
        };
        if (answer.media) headers.Link = `<${fhirBase(context)}/${answer.media}>; rel="describedby"`;
        return { headers };
      },
      onResponseError: (_request, fault) => {
        if (fault instanceof Refusal) return { status_code: fault.status, body: `${fault.message}\n` };
        if ('status_code' in fault) return undefined;
        log.error({ fault: tracesOf(fault) }, 'failed');
        return { status_code: 500, body: 'Something went wrong on the server\n' };
      },
    });
  }

  return async (request, response) => {
    const caller = request.method === 'OPTIONS' ? NOBODY : await context.enter(request);
    if (request.method === 'GET') return answerProgress(context, caller, request, response);
    await serverFor(caller).handle(request, response);
  };
}

/** Asks what the protocol can do, which everybody may. */
const NOTHING: Caller['access'] = {
  allows: () => false,
  within: () => [{ kind: 'any', filters: [] }],
  limited: true,
  get reach() {
    return NOTHING;
  },
  scope: '',
};
const NOBODY: Caller = { agent: -1, access: NOTHING, epoch: 0 };

/** GET of an upload: how far it is, or what it has become, where the answer to its last piece was lost. */
async function answerProgress(
  context: Pick<Context, 'records' | 'config'>,
  caller: Caller,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const id = (request.url as string).split('?')[0]?.slice(UPLOADS.length + 1) ?? '';
  const { size, offset, state, answer } = await context.records.uploads.find(caller, id);
  const body = JSON.stringify({ size, offset, done: state === 'd', ...answer });
  response.setHeader('Content-Type', 'application/json').setHeader('Cache-Control', 'no-store').end(body);
}

/** The DataStore that tus writes to: records, as one caller. */
function storeFor({ uploads }: Records, caller: Caller): DataStore {
  const store = new DataStore();
  const shown = ({ id, size, offset, metadata, created }: Kept): Upload =>
    new Upload({
      ...{ id, offset, metadata: { ...metadata }, size: size ?? undefined },
      creation_date: new Date(created).toISOString(),
    });
  return Object.assign(store, {
    extensions: ['creation', 'creation-with-upload', 'creation-defer-length', 'termination', 'expiration'],
    async create(upload: Upload) {
      const begun = shown(
        await uploads.begin(caller, { size: upload.size ?? null, metadata: upload.metadata ?? {} }),
      );
      return Object.assign(upload, { id: begun.id, creation_date: begun.creation_date });
    },
    getUpload: async (id: string) => shown(await uploads.find(caller, id)),
    write: (stream: Readable, id: string, offset: number) => uploads.append(caller, id, offset, stream),
    declareUploadLength: (id: string, size: number) => uploads.declare(caller, id, size),
    remove: (id: string) => uploads.remove(caller, id),
    getExpiration: () => DAY,
  });
}

interface Wanted {
  readonly contentType: string;
  readonly securityContext?: string;
  readonly keepOriginal: boolean;
  readonly media?: Media;
}

/**
 * What the client wants of its bytes, by Upload-Metadata: `filetype`, `filename`, `securityContext`, `keepOriginal`, and
 * `media`, a Media in JSON without its content.
 *
 * @throws Refusal 400
 */
function readWanted(metadata: Readonly<Record<string, string | null>> = {}): Wanted {
  const { filetype, securityContext, keepOriginal, media } = metadata;
  if (keepOriginal && keepOriginal !== 'true' && keepOriginal !== 'false')
    throw invalid('value', 'keepOriginal in Upload-Metadata is true or false');
  return {
    contentType: filetype || 'application/octet-stream',
    securityContext: securityContext || undefined,
    keepOriginal: keepOriginal === 'true',
    media: media ? readMedia(media) : undefined,
  };
}

function readMedia(text: string): Media {
  try {
    const media = JSON.parse(text);
    if (media?.resourceType === 'Media') return media;
  } catch {
    // no JSON
  }
  throw invalid('structure', 'media in Upload-Metadata is a Media in FHIR JSON, without its content');
}

/** Makes the Binary, and the Media: both, or none. */
function become(
  { records }: Pick<Context, 'records'>,
  caller: Caller,
  id: string,
): Promise<Readonly<Record<string, string>>> {
  return records.uploads.close(caller, id, async (stream) => {
    const { metadata } = await records.uploads.find(caller, id);
    const { media, ...bytes } = readWanted(metadata);
    if (media && !caller.access.allows('Media', 'c'))
      throw refusal(403, 'forbidden', 'This access token does not allow to create Media');
    const securityContext = bytes.securityContext ?? media?.subject?.reference;
    const binary = await records.writeBinary(caller, undefined, { ...bytes, securityContext, stream });
    const answer: Record<string, string> = { binary: `Binary/${binary.id}` };
    if (binary.original !== undefined) answer.original = `Binary/${binary.original}`;
    if (!media) return answer;
    const { contentType } = JSON.parse(binary.content) as { contentType: string };
    const title = metadata.filename || undefined;
    const content = { ...(title && { title }), ...media.content, contentType, url: answer.binary };
    try {
      const written = await records.create(caller, 'Media', JSON.stringify({ ...media, content }));
      return { ...answer, media: `Media/${written.id}` };
    } catch (fault) {
      for (const one of [binary.id, binary.original])
        if (one) await records.remove(caller, { type: 'Binary', id: one }).catch(() => {});
      throw fault;
    }
  });
}
