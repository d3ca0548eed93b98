/** Uploads that can be resumed: pieces are put away as they come, and become one Binary in the end. */
import { Readable } from 'node:stream';
import { v7 as uuid } from 'uuid';
import { demand } from '../access/access.ts';
import { refusal } from '../fhir/outcome.ts';
import { isName } from '../store/blobs/blobs.ts';
import { addBlob } from '../store/bytes.ts';
import {
  addUpload,
  addUploadPart,
  declareUpload,
  dropUpload,
  dropUploadParts,
  findUpload,
  moveUpload,
  uploadParts,
} from '../store/uploads.ts';
import { limitFor } from './intake.ts';
import type { Caller, Uploads } from './records.ts';
import type { Setting } from './setting.ts';

/** Bytes of a piece: what has come of one is lost when the process ends, and sent again. */
const PART = 32 * 1024 * 1024;

export function openUploads(setting: Setting): Uploads {
  const { store, callers } = setting;
  const { pool, blobs } = store;

  async function find(caller: Caller, id: string) {
    const found = isName(id) ? await findUpload(pool, caller.agent, id) : undefined;
    if (found) return found;
    throw refusal(
      404,
      'not-found',
      'There is no such upload of this access token, or it has taken more than a day',
    );
  }

  async function forget(id: string): Promise<void> {
    for (const name of await dropUploadParts(pool, id)) await blobs.remove(name);
  }

  return {
    find,
    begin: (caller, { size, metadata }) =>
      callers.asOf(caller, async (current) => {
        demand(current.access, 'Binary', 'c');
        const id = uuid();
        await addUpload(pool, current.agent, { id, size, metadata });
        return find(current, id);
      }),
    async declare(caller, id, size) {
      await find(caller, id);
      await declareUpload(pool, id, size);
    },
    async append(caller, id, offset, stream) {
      await find(caller, id);
      let at = offset;
      for await (const part of parts(stream, PART)) {
        const limit = await limitFor(setting, caller.agent);
        const kept = await blobs.put(Readable.from(part, { objectMode: false }), { limit });
        if (kept.size === 0) {
          await blobs.remove(kept.name);
          continue;
        }
        await addBlob(pool, kept, { agent: caller.agent });
        if (!(await addUploadPart(pool, id, { start: at, size: kept.size, blob: kept.name })))
          throw refusal(
            409,
            'conflict',
            'Another has sent these bytes at the same time: ask how far the upload is',
          );
        at += kept.size;
      }
      return at;
    },
    async close(caller, id, become) {
      await find(caller, id);
      if (!(await moveUpload(pool, id, ['o', 'c'])))
        throw refusal(409, 'conflict', 'This upload is closed already');
      const pieces = await uploadParts(pool, id);
      async function* whole(): AsyncGenerator<Buffer> {
        for (const { blob } of pieces) yield* (await blobs.open(blob)).stream;
      }
      try {
        const answer = await become(Readable.from(whole(), { objectMode: false }));
        await moveUpload(pool, id, ['c', 'd'], answer);
        return answer;
      } catch (fault) {
        // what was refused once is refused again: it is begun anew
        await dropUpload(pool, id);
        throw fault;
      } finally {
        await forget(id);
      }
    },
    async remove(caller, id) {
      await find(caller, id);
      await forget(id);
      await dropUpload(pool, id);
    },
  };
}

/** A stream in parts of so many bytes, each of them a stream, to be read to its end before the next. */
async function* parts(stream: Readable, size: number): AsyncGenerator<AsyncGenerator<Buffer>> {
  const chunks = stream.iterator({ destroyOnReturn: false });
  let rest: Buffer | undefined;
  let ended = false;
  async function* part(): AsyncGenerator<Buffer> {
    for (let left = size; left > 0; ) {
      const chunk: Buffer | undefined = rest ?? (await chunks.next()).value;
      rest = undefined;
      if (chunk === undefined) {
        ended = true;
        return;
      }
      if (chunk.length > left) rest = chunk.subarray(left);
      const cut = chunk.subarray(0, left);
      left -= cut.length;
      yield cut;
    }
  }
  while (!ended) yield part();
}
