/**
 * Bytes on disk: `6b/2f/0198f2a0-….-6b2f`, two levels of folders by the last digits of the name, which are
 * random where the first ones are the time. Bytes on their way in are in `incoming`, on the same file system.
 */
import { type FileHandle, open, opendir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { v7 as uuid } from 'uuid';
import { type Refusal, refusal } from '../../fhir/outcome.ts';
import { own } from '../embedded/files.ts';
import {
  type Blob,
  type Blobs,
  type ByteRange,
  isName,
  type PutOptions,
  type Take,
  timeOf,
} from './blobs.ts';
import { foldersOf, makeFolder, openPlaces, type Place, syncFolder } from './folders.ts';
import { beyond, measure, missing } from './measure.ts';

/** Bytes read, and written, at once: each costs a turn of the thread pool. */
const AT_ONCE = 256 * 1024;
const WRITTEN_AT_ONCE = 512 * 1024;

/** Names asked about at once while sweeping. */
const BATCH = 1000;

/**
 * Opens the store in a folder, which is made where it is missing, for its owner alone.
 *
 * @throws Error of the file system where it cannot be written
 */
export async function openDiskBlobs(folder: string): Promise<Blobs> {
  const incoming = join(folder, 'incoming');
  await makeFolder(folder);
  await makeFolder(incoming);
  await syncFolder(dirname(folder));
  const nextPlace = openPlaces(folder);

  /** Writes a stream to a new file, down to the disk, and finds the place that it is to have. */
  async function write(draft: string, stream: Readable, options: PutOptions): Promise<Blob & Place> {
    const { chunks, measured } = measure(stream, options);
    const handle = await open(draft, 'wx', 0o600);
    try {
      own(draft);
      await writeAll(handle, chunks);
      // They wait for the same turn of the disk.
      const [place] = await Promise.all([nextPlace(), handle.sync()]);
      return { ...place, ...measured() };
    } finally {
      await handle.close();
    }
  }

  return {
    async put(stream, options = {}) {
      const draft = join(incoming, uuid());
      let file = draft;
      try {
        const { settle, ...blob } = await write(draft, stream, options);
        await rename(draft, pathOf(folder, blob.name));
        file = pathOf(folder, blob.name);
        await settle();
        return blob;
      } catch (fault) {
        await rm(file, { force: true });
        throw isFull(fault) ? full() : fault;
      }
    },

    async open(name, range) {
      const handle = await openNamed(folder, name);
      try {
        const { size } = await handle.stat();
        if (range && range.start >= size) throw beyond(range.start, size);
        return { size, stream: handle.createReadStream({ ...range, highWaterMark: AT_ONCE }) };
      } catch (fault) {
        await handle.close();
        throw fault;
      }
    },

    async pour(name, take, range) {
      const handle = await openNamed(folder, name);
      try {
        const { size } = await handle.stat();
        if (range && range.start >= size) throw beyond(range.start, size);
        await pourFile(handle, take, {
          start: range?.start ?? 0,
          end: Math.min(range?.end ?? size, size - 1),
        });
      } finally {
        await handle.close();
      }
    },

    async remove(name) {
      if (isName(name)) await rm(pathOf(folder, name), { force: true });
    },

    names: () => batches(namesBefore(folder, Number.POSITIVE_INFINITY)),

    async sweep(before, known) {
      let removed = 0;
      for await (const names of batches(namesBefore(folder, before))) {
        const kept = await known(names);
        const orphans = names.filter((name) => !kept.has(name));
        for (const name of orphans) await rm(pathOf(folder, name), { force: true });
        removed += orphans.length;
      }
      for await (const name of entriesOf(incoming)) {
        const draft = join(incoming, name);
        const written = await modified(draft);
        if (written === undefined || written >= before) continue;
        await rm(draft, { force: true });
        removed++;
      }
      return removed;
    },
  };
}

/** One piece is read while the one before is taken. */
async function pourFile(handle: FileHandle, take: Take, { start, end }: ByteRange): Promise<void> {
  const most = Math.min(AT_ONCE, end + 1 - start);
  const memory = [Buffer.allocUnsafeSlow(most), Buffer.allocUnsafeSlow(most)] as const;
  let taking = Promise.resolve();
  let at = start;
  try {
    for (let i: 0 | 1 = 0; at <= end; i = i === 0 ? 1 : 0) {
      const { bytesRead } = await handle.read(memory[i], 0, Math.min(most, end + 1 - at), at);
      if (bytesRead === 0) break;
      at += bytesRead;
      await taking;
      taking = take(memory[i].subarray(0, bytesRead));
      // whoever waits for it hears of what goes wrong
      taking.catch(() => {});
    }
  } finally {
    await taking;
  }
}

/** Writes what comes, in larger pieces: one is written while the next is hashed. */
async function writeAll(handle: FileHandle, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  let writing = Promise.resolve();
  let waiting: Uint8Array[] = [];
  let length = 0;
  const flush = async (): Promise<void> => {
    await writing;
    writing = writeTogether(handle, waiting);
    // whoever waits for it hears of what goes wrong
    writing.catch(() => {});
    waiting = [];
    length = 0;
  };
  try {
    for await (const bytes of chunks) {
      waiting.push(bytes);
      length += bytes.length;
      if (length >= WRITTEN_AT_ONCE) await flush();
    }
    await flush();
  } finally {
    // the file is not closed under it
    await writing;
  }
}

async function writeTogether(handle: FileHandle, pieces: readonly Uint8Array[]): Promise<void> {
  for (let left = pieces; left.length > 0; ) {
    let { bytesWritten } = await handle.writev(left as Uint8Array[]);
    const rest: Uint8Array[] = [];
    for (const piece of left) {
      if (bytesWritten < piece.length) rest.push(piece.subarray(bytesWritten));
      bytesWritten = Math.max(0, bytesWritten - piece.length);
    }
    left = rest;
  }
}

async function openNamed(folder: string, name: string): Promise<FileHandle> {
  if (!isName(name)) throw missing(name);
  try {
    return await open(pathOf(folder, name), 'r');
  } catch (fault) {
    throw isMissing(fault) ? missing(name) : fault;
  }
}

function pathOf(folder: string, name: string): string {
  return join(foldersOf(folder, name)[1], name);
}

/** Names of what a folder holds; of one that is not there, none. */
async function* entriesOf(folder: string): AsyncGenerator<string> {
  try {
    for await (const { name } of await opendir(folder)) yield name;
  } catch (fault) {
    if (!isMissing(fault)) throw fault;
  }
}

async function* namesBefore(folder: string, before: number): AsyncGenerator<string> {
  for await (const outer of entriesOf(folder)) {
    if (!/^[0-9a-f]{2}$/.test(outer)) continue;
    for await (const inner of entriesOf(join(folder, outer)))
      for await (const name of entriesOf(join(folder, outer, inner)))
        if (isName(name) && timeOf(name) < before) yield name;
  }
}

async function* batches(names: AsyncIterable<string>): AsyncGenerator<string[]> {
  let batch: string[] = [];
  for await (const name of names) {
    batch.push(name);
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** When a file was last written; undefined where its writer has just ended. */
async function modified(file: string): Promise<number | undefined> {
  try {
    return (await stat(file)).mtimeMs;
  } catch (fault) {
    if (isMissing(fault)) return undefined;
    throw fault;
  }
}

const codeOf = (fault: unknown) => (fault as NodeJS.ErrnoException | undefined)?.code ?? '';
const isMissing = (fault: unknown): boolean => codeOf(fault) === 'ENOENT';
const isFull = (fault: unknown): boolean => ['ENOSPC', 'EDQUOT'].includes(codeOf(fault));

const full = (): Refusal =>
  refusal(
    507,
    'no-store',
    'The disk of this server is full: nothing was kept. Try again when there is room.',
  );
