/** Resources that were found by number, read in pieces as they are taken: what $everything and $document answer with. */
import { instantOf } from '../store/pool.ts';
import { type Placed, readContents } from '../store/read/everything.ts';
import { cutPage } from '../store/read/page.ts';
import { checkEpoch } from './callers.ts';
import type { Caller, Gathered } from './records.ts';
import { seenAmong } from './seen.ts';
import type { Setting } from './setting.ts';

/** Of so many the contents are read at once. */
const PIECE = 1000;

/**
 * What is shown, in pieces: while one is taken, the next is read. Leave is asked for each, as it may end while a
 * client is still reading.
 */
export async function* contentsOf(
  setting: Setting,
  caller: Caller,
  found: readonly Placed[],
): AsyncGenerator<readonly Gathered[]> {
  const { store, callers } = setting;
  const { typeName } = store.catalog;
  const piece = (from: number) =>
    callers.asOf(caller, async (current) => {
      const places = found.slice(from, from + PIECE);
      const rows = await readContents(
        store.pool,
        places.map(({ rid }) => rid),
      );
      checkEpoch(current, rows[0]?.epoch ?? (await callers.epoch()));
      const page = await cutPage(store.pool, rows, PIECE);
      const support = new Map(places.map((place) => [place.rid, place.support]));
      // A page that is full of bytes ends earlier: there it goes on.
      const end = page.length < rows.length ? (page[page.length - 1]?.rid as number) : undefined;
      const taken = end === undefined ? places.length : places.findIndex(({ rid }) => rid === end) + 1;
      const whole = page
        .map(({ rid, type, id, version, updated, content, blob }) => ({
          rid,
          type: typeName(type),
          id,
          version,
          updated: instantOf(updated),
          deleted: false,
          content,
          blob,
          support: support.get(rid) as boolean,
        }))
        .filter((one) => current.access.allows(one.type, one.support ? 'r' : 's'));
      const letters = ['r', 's'] as const;
      const seen = await Promise.all(
        letters.map((letter) =>
          seenAmong(
            setting,
            current,
            letter,
            whole.filter(({ support }) => support === (letter === 'r')),
          ),
        ),
      );
      const shown = new Set(seen.flat());
      const resources = whole.filter((one) => shown.has(one));
      return { resources, next: from + taken };
    });
  let coming = piece(0);
  for (;;) {
    const { resources, next } = await coming;
    const more = next < found.length;
    if (more) {
      coming = piece(next);
      // looked at when its turn comes, if it does
      coming.catch(() => {});
    }
    if (resources.length > 0) yield resources;
    if (!more) return;
  }
}
