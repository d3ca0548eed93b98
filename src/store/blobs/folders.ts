/**
 * The folders of a disk store. A file is safe when its folder's entry for it is on the disk, and the folder's own entry, too
 * (fsync(2)): so a process fills one folder after the other, and files that come at once share a flush.
 */
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { v7 as uuid } from 'uuid';
import { own } from '../embedded/files.ts';

/** Where bytes go. */
export interface Place {
  /** theirs alone */
  readonly name: string;
  /** Brings the entry of a file that was put there to the disk. */
  settle(): Promise<void>;
}

interface Folder {
  /** the end of the names of all that is in it */
  readonly end: string;
  readonly settle: () => Promise<void>;
  left: number;
}

/** Names that a process gives in a folder, before it takes another. */
const STRETCH = 256;

/** Gives places, each in a folder that is on the disk. */
export function openPlaces(root: string): () => Promise<Place> {
  let current: Promise<Folder> | undefined;

  async function make(end: string): Promise<Folder> {
    const [outer, inner] = foldersOf(root, end);
    await makeFolder(outer);
    await makeFolder(inner);
    // what is there may be another process's, and not on the disk yet
    await syncFolder(outer);
    await syncFolder(root);
    return { end, settle: shared(() => syncFolder(inner)), left: STRETCH };
  }

  return async () => {
    const fresh = uuid();
    current ??= make(fresh.slice(-END));
    const making = current;
    try {
      const folder = await making;
      if (--folder.left === 0 && current === making) current = undefined;
      return { name: fresh.slice(0, -END) + folder.end, settle: folder.settle };
    } catch (fault) {
      if (current === making) current = undefined;
      throw fault;
    }
  };
}

/** Digits of a name that say its folders. */
const END = 4;

/** Outer and inner folder of a name. */
export function foldersOf(root: string, name: string): [outer: string, inner: string] {
  const outer = join(root, name.slice(-4, -2));
  return [outer, join(outer, name.slice(-2))];
}

/** Makes a folder for its owner alone; one that is there stays as it is. */
export async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true, mode: 0o700 });
  if (first !== undefined) own(folder);
}

/** Brings a folder's entries to the disk: what a file's own sync does not do. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Whoever asks while it is being done waits for it to be done once more: it may have begun before what he is about. */
function shared(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const begin = (): Promise<void> => {
    running = work().finally(() => {
      running = undefined;
    });
    return running;
  };
  return () => {
    if (!running) return begin();
    next ??= running
      .catch(() => {})
      .then(() => {
        next = undefined;
        return begin();
      });
    return next;
  };
}
