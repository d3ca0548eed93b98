/** A job, done as the request that it was: by the same dispatch, with the rights that its caller has now. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable, Writable } from 'node:stream';
import type { JobAnswer, JobRequest, Perform, Records } from '../records/records.ts';
import { denied } from './door.ts';
import type { Handle } from './fhir.ts';
import { readReturn } from './prefer.ts';

/** So many bytes of an answer are kept together. */
const PIECE = 1024 * 1024;

/** Makes what does jobs. */
export function makePerform(handle: Handle, { deferred }: Pick<Records, 'deferred'>): Perform {
  return async (job, put) => {
    const told = recorder(put);
    const stop = () => told.response.destroy();
    job.signal.addEventListener('abort', stop);
    const enter = async () => {
      const caller = await deferred.callerOf({ id: job.id, attempt: job.attempt }, job.agent);
      if (caller) return caller;
      throw denied('The access token has expired, or was revoked, before this was done', 'invalid_token');
    };
    await handle(asRequest(job), told.response, { enter });
    const { status, headers, start } = await told.ended;
    const modified = headers['last-modified'];
    return {
      status,
      location: headers.location,
      etag: headers.etag,
      modified: modified && new Date(modified).toISOString(),
      about: isAbout(job, status, start),
    } satisfies JobAnswer;
  };
}

/** Whether the answer tells about the request: an OperationOutcome may also be what was asked for. */
function isAbout({ method, headers }: JobRequest, status: number, start: string): boolean {
  if (status >= 400) return true;
  if (method === 'GET' || readReturn(headers.prefer) !== 'OperationOutcome') return false;
  return /^\s*\{\s*"resourceType"\s*:\s*"OperationOutcome"/.test(start);
}

/** What of IncomingMessage is used under /fhir. A Bundle holds resources, so that FHIR JSON is asked for. */
function asRequest(job: Parameters<Perform>[0]): IncomingMessage {
  const { method, url, headers, body } = job;
  const request = Object.assign(Readable.from(body, { objectMode: false }), {
    method,
    url,
    headers: { ...headers, accept: 'application/fhir+json' },
    complete: true,
    socket: { destroyed: false },
  });
  return request as unknown as IncomingMessage;
}

interface Told {
  readonly status: number;
  /** by names in lower case */
  readonly headers: Readonly<Record<string, string>>;
  /** of the body */
  readonly start: string;
}

/** What of ServerResponse is used under /fhir, putting the body away as it comes. */
function recorder(put: (piece: Buffer) => Promise<void>): {
  readonly response: ServerResponse;
  /** rejects with the fault of `put` */
  readonly ended: Promise<Told>;
} {
  const headers: Record<string, string> = {};
  let held: Buffer[] = [];
  let size = 0;
  let start = '';
  const flush = async (): Promise<void> => {
    const piece = Buffer.concat(held);
    held = [];
    size = 0;
    if (start === '') start = piece.toString('latin1', 0, 100);
    if (piece.length > 0) await put(piece);
  };
  const after = (work: Promise<void>, done: (fault?: Error | null) => void): void => {
    work.then(() => done(), done);
  };
  const writable = new Writable({
    highWaterMark: PIECE,
    write(chunk: Buffer, _encoding, done) {
      held.push(chunk);
      size += chunk.length;
      if (size < PIECE) done();
      else after(flush(), done);
    },
    final: (done) => after(flush(), done),
  });
  const response = Object.assign(writable, {
    statusCode: 200,
    headersSent: false,
    writeHead(status: number, given: readonly (string | number)[]) {
      for (let i = 0; i < given.length; i += 2)
        headers[String(given[i]).toLowerCase()] = String(given[i + 1]);
      return Object.assign(response, { statusCode: status, headersSent: true });
    },
  });
  const ended = new Promise<Told>((resolve, reject) => {
    response.on('finish', () => resolve({ status: response.statusCode, headers, start }));
    response.on('error', reject);
    response.on('close', () => reject(new Error('the answer was broken off')));
  });
  // looked at when the request is handled
  ended.catch(() => {});
  return { response: response as unknown as ServerResponse, ended };
}
