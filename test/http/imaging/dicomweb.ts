/** A client of DICOMweb for tests. */
import request, { type Test } from 'supertest';
import type { TestApp } from '../app.ts';

export interface Dicomweb {
  readonly app: TestApp;
  /** A request to a path under /dicomweb, with the token; its answer as bytes. */
  send(method: 'get' | 'head' | 'post' | 'delete' | 'options', path: string, token?: string): Test;
  /** Stores files in one request. */
  stow(files: readonly Buffer[], path?: string, token?: string): Promise<Stowed>;
  /** What a search finds. */
  find(path: string, token?: string): Promise<readonly Json[]>;
  /** What a FHIR search finds. */
  fhir(path: string): Promise<readonly Json[]>;
}

// biome-ignore lint/suspicious/noExplicitAny: JSON of any shape
export type Json = any;

export interface Stowed {
  readonly status: number;
  readonly stored: readonly string[];
  /** reasons by UID */
  readonly failed: Readonly<Record<string, number>>;
  readonly body: Json;
}

export function multipart(files: readonly Buffer[], boundary: string): Buffer {
  const parts = files.flatMap((file) => [
    Buffer.from(`--${boundary}\r\nContent-Type: application/dicom\r\nContent-Length: ${file.length}\r\n\r\n`),
    file,
    Buffer.from('\r\n'),
  ]);
  return Buffer.concat([...parts, Buffer.from(`--${boundary}--\r\n`)]);
}

/** The answer as bytes. */
export const asBytes = (test: Test): Test =>
  test.buffer(true).parse((response, done) => {
    const pieces: Buffer[] = [];
    response.on('data', (piece: Buffer) => pieces.push(piece));
    response.on('end', () => done(null, Buffer.concat(pieces)));
  });

export const asSent = (test: Test, type: string, body: Buffer): Test =>
  test
    .set('Content-Type', type)
    .serialize((given) => given as unknown as string)
    .send(body);

export const jsonOf = ({ body }: { readonly body: Buffer }): Json => JSON.parse(body.toString());

export function dicomwebOf(opened: () => TestApp): Dicomweb {
  const send: Dicomweb['send'] = (method, path, token = opened().token) =>
    asBytes(request(opened().url)[method](`/dicomweb${path}`).set('Authorization', `Bearer ${token}`));
  return {
    get app() {
      return opened();
    },
    send,
    async stow(files, path = '/studies', token) {
      const type = 'multipart/related; type="application/dicom"; boundary=BOUND';
      const answer = await asSent(send('post', path, token), type, multipart(files, 'BOUND'));
      const body = jsonOf(answer);
      const items = (tag: string): Json[] => body[tag]?.Value ?? [];
      return {
        status: answer.status,
        body,
        stored: items('00081199').map((item) => item['00081155'].Value[0]),
        failed: Object.fromEntries(
          items('00081198').map((item) => [item['00081155'].Value?.[0] ?? '', item['00081197'].Value[0]]),
        ),
      };
    },
    async find(path, token) {
      const answer = await send('get', path, token).expect(200);
      return jsonOf(answer);
    },
    async fhir(path) {
      const { body } = await opened().send('get', path).expect(200);
      return (body.entry ?? []).map(({ resource }: Json) => resource);
    },
  };
}

/** The parts of a multipart answer. */
export function partsOf(answer: {
  readonly headers: Json;
  readonly body: Buffer;
}): { headers: string; body: Buffer }[] {
  const boundary = /boundary=(\S+)/.exec(answer.headers['content-type'])![1]!;
  const text = answer.body.toString('latin1');
  return text
    .split(`--${boundary}`)
    .slice(1, -1)
    .map((part) => {
      const end = part.indexOf('\r\n\r\n');
      return { headers: part.slice(2, end), body: Buffer.from(part.slice(end + 4, -2), 'latin1') };
    });
}

export const value = (attributes: Json, tag: string): Json => attributes[tag]?.Value?.[0];
