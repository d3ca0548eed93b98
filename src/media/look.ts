/** Bytes that come in: what they are, and what of a photo nobody else should see (GPS, device, hidden pictures). */
import { buffer } from 'node:stream/consumers';
import type { Arrived, Seen } from '../records/arrival.ts';
import { isFilm } from './ffmpeg.ts';
import type { Films } from './films.ts';
import type { Pictures } from './pictures.ts';
import type { Scan } from './scan.ts';
import { HEAD, kindOf } from './sniff.ts';

/** Larger ones are no photos: they are kept as they come, and not shown smaller. */
export const LARGEST = 128 * 1024 * 1024;

/** Larger films are kept as they come, too: they would have to be written twice. */
export const LARGEST_FILM = 4 * 1024 ** 3;

/** What the worker reads; the rest of images is left alone. */
export const READ = /^image\/(?:jpeg|png|apng|webp|gif|tiff|hei[cf]|avif)$/;

/** What it is done by, as far as it is there. */
interface Looking {
  readonly pictures: Pictures;
  readonly films: Films | undefined;
  readonly scan: Scan | undefined;
}

/** Makes what looks at bytes. */
export function makeLook({ pictures, films, scan }: Looking): (arrived: Arrived) => Promise<Seen> {
  return async ({ size, asItIs, open }) => {
    if (size === 0) return { kind: null, facts: null };
    await scan?.(await open());
    const load = async (range?: { start: number; end: number }) => buffer(await open(range));
    const kind = await kindOf(await load({ start: 0, end: HEAD - 1 }));
    if (kind !== null && films && isFilm(kind) && size <= LARGEST_FILM) {
      const { instead, ...seen } = await films.clean(() => open(), kind, asItIs);
      return { kind, ...seen, ...(instead && { instead: { bytes: instead } }) };
    }
    if (kind === null || !READ.test(kind) || size > LARGEST) return { kind, facts: null };
    const { bytes, contentType, facts } = await pictures.clean(load, kind, asItIs);
    return { kind: contentType, facts, instead: bytes && { bytes, contentType } };
  };
}
