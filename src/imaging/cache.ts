/** Pictures on disk, by the file that they are of: made once, gone with it, and the oldest go where there are too many. */

import { randomUUID } from 'node:crypto';
import { mkdir, opendir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface Cache {
  /**
   * What was made before, or is made now; of several who ask for the same at once, one makes it.
   *
   * @param blob name of the file
   */
  through(blob: string, key: string, make: () => Promise<Uint8Array>): Promise<Uint8Array>;
  /** Takes away all that was made of a file. */
  forget(blob: string): Promise<void>;
  /**
   * Takes away what was made of files that are gone: another process may have removed them, or a picture was still being made.
   *
   * @param known those of some names that are still there
   */
  sweep(known: (blobs: readonly string[]) => Promise<ReadonlySet<string>>): Promise<void>;
}

/** What is kept, in bytes; and how much is made before it is looked after. */
const LARGEST = 2 * 1024 ** 3;
const STRIDE = 64 * 1024 ** 2;
const SAFE = /^[0-9a-f-]{8,64}$/;

/** @param folder made where it is missing, for its owner alone */
export function openCache(folder: string): Cache {
  const placeOf = (blob: string): string => join(folder, blob.slice(-2), blob);
  const making = new Map<string, Promise<Uint8Array>>();
  let added = 0;

  async function make(place: string, path: string, work: () => Promise<Uint8Array>): Promise<Uint8Array> {
    const bytes = await work();
    const draft = join(place, randomUUID());
    await mkdir(place, { recursive: true, mode: 0o700 });
    await writeFile(draft, bytes, { mode: 0o600 });
    await rename(draft, path);
    added += bytes.length;
    if (added > STRIDE) {
      added = 0;
      await trim(folder);
    }
    return bytes;
  }

  return {
    async through(blob, key, work) {
      if (!SAFE.test(blob) || !SAFE.test(key)) return work();
      const place = placeOf(blob);
      const path = join(place, key);
      const known = await readFile(path).catch(() => undefined);
      if (known) {
        const now = new Date();
        void utimes(path, now, now).catch(() => {});
        return known;
      }
      const under = making.get(path) ?? make(place, path, work).finally(() => making.delete(path));
      making.set(path, under);
      return under;
    },
    async forget(blob) {
      if (SAFE.test(blob)) await rm(placeOf(blob), { recursive: true, force: true });
    },
    async sweep(known) {
      for (const outer of await readdir(folder).catch(() => [])) {
        const blobs = (await readdir(join(folder, outer)).catch(() => [])).filter((name) => SAFE.test(name));
        if (blobs.length === 0) continue;
        const there = await known(blobs);
        for (const blob of blobs)
          if (!there.has(blob)) await rm(placeOf(blob), { recursive: true, force: true });
      }
    },
  };
}

/** Takes the oldest away until three quarters of the room are used. */
async function trim(folder: string): Promise<void> {
  const files: { path: string; size: number; used: number }[] = [];
  const directory = await opendir(folder, { recursive: true }).catch(() => undefined);
  if (!directory) return;
  for await (const entry of directory) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const found = await stat(path).catch(() => undefined);
    if (found) files.push({ path, size: found.size, used: found.mtimeMs });
  }
  let total = files.reduce((sum, { size }) => sum + size, 0);
  if (total <= LARGEST) return;
  files.sort((a, b) => a.used - b.used);
  for (const { path, size } of files) {
    if (total <= LARGEST * 0.75) return;
    await rm(path, { force: true });
    total -= size;
  }
}
