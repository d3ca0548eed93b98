/** The bytes behind a Binary or a Media, and the smaller pictures that are made of them. */
import { buffer } from 'node:stream/consumers';
import type { Media } from 'fhir/r4.js';
import { blobOf } from '../fhir/attachments.ts';
import { error, invalid, Refusal, refusal } from '../fhir/outcome.ts';
import { parseReference } from '../fhir/reference.ts';
import type { Served } from '../http/blob.ts';
import { type Context, fhirBase } from '../http/exchange.ts';
import { POSTER } from '../records/intake.ts';
import type { Caller, KnownBlob, Rendition, Stored } from '../records/records.ts';
import { isFilm } from './ffmpeg.ts';
import type { Films } from './films.ts';
import { LARGEST, LARGEST_FILM, READ } from './look.ts';
import type { Pictures } from './pictures.ts';
import { type Shown, shownIn } from './shown.ts';
import { PLAY, type Wanted } from './wanted.ts';

export interface Contents {
  /**
   * Finds bytes as a caller may read them: through the Media, and the Binary that it names, each asked for by itself.
   *
   * @throws Refusal 403; 404, 410; 422 where there is no picture in them, or they do not play; 202 where they are being
   *         made to play
   */
  find(caller: Caller, wanted: Wanted): Promise<Served>;
  /** What there is to see and hear in resources that the caller has found, by resource. */
  shownIn(caller: Caller, found: readonly Stored[]): Promise<readonly (readonly Shown[])[]>;
}

export function openContents(
  { records, config, definitions }: Pick<Context, 'records' | 'config' | 'definitions'>,
  pictures: Pictures,
  films: Films | undefined,
): Contents {
  const base = fhirBase({ config });
  /** those that are being made, by blob and size: who asks meanwhile waits for the same */
  const making = new Map<string, Promise<Rendition>>();

  async function whole(caller: Caller, { type, id, part }: Wanted): Promise<Served> {
    const stored = await records.read(caller, type, id);
    const resource = JSON.parse(stored.content);
    if (part !== undefined) return partOf(caller, stored, part);
    if (type === 'Binary') return { ...stored, contentType: resource.contentType };
    if (type !== 'Media')
      throw invalid('required', `${type}/${id} has several contents: name one by part, as its url does`);
    const { content } = resource as Media;
    const apart = content.data && blobOf(content.data);
    if (apart) return partOf(caller, stored, apart);
    const target =
      content.url === undefined ? undefined : parseReference(content.url, base, definitions.isResourceType);
    if (target?.kind === 'local' && target.type === 'Binary')
      return whole(caller, { type: 'Binary', id: target.id });
    const where = content.url === undefined ? 'in Media.content.data' : 'elsewhere';
    throw refusal(404, 'not-found', `Media/${id} names no Binary of this server: its content is ${where}`);
  }

  /** Large data of a resource that may be read. */
  async function partOf(caller: Caller, stored: Stored, part: string): Promise<Served> {
    const { version, media } = await records.attachment(caller, stored, part);
    return { ...version, blob: part, contentType: media ?? 'application/octet-stream' };
  }

  async function made(blob: string, size: string): Promise<Rendition> {
    const known = await records.rendition(blob, size);
    if (known) return known;
    const key = `${blob} ${size}`;
    const made = making.get(key) ?? make(blob, size).finally(() => making.delete(key));
    making.set(key, made);
    return made;
  }

  /** Whether there is a picture in bytes. */
  function isPicture({ kind, size, facts }: KnownBlob): boolean {
    if (kind === null) return false;
    if (films && isFilm(kind)) return size <= LARGEST_FILM && facts?.width !== undefined;
    return READ.test(kind) && size <= LARGEST;
  }

  async function make(blob: string, size: string): Promise<Rendition> {
    const known = await records.describeBlob(blob);
    if (!isPicture(known)) {
      const read = `JPEG, PNG, WebP, GIF, TIFF, HEIC${films ? ', video' : ''}`;
      throw refusal(
        422,
        'not-supported',
        `These bytes are no picture that can be shown smaller (${read}): ask for size=full`,
      );
    }
    const open = async () => (await records.openBlob(blob)).stream;
    const kind = known.kind as string;
    const load = async () => (films && isFilm(kind) ? posterOf(films, blob, kind) : buffer(await open()));
    const { contentType, ...picture } = await pictures.shrink(load, Number(size));
    return records.keepRendition(blob, size, { ...picture, type: contentType });
  }

  /** Of a film the picture that was made as it came in, or is made now. */
  async function posterOf(films: Films, blob: string, kind: string): Promise<Uint8Array> {
    const poster = await records.rendition(blob, POSTER);
    if (poster) return buffer((await records.openBlob(poster.made)).stream);
    return films.poster(async () => (await records.openBlob(blob)).stream, kind);
  }

  /** The same film as every browser plays it. */
  async function playable(served: Served, blob: string): Promise<Served> {
    const { kind, size, facts } = await records.describeBlob(blob);
    if (facts?.plays) return served;
    const known = await records.rendition(blob, PLAY);
    if (known) return { ...served, blob: known.made, contentType: known.type };
    if (kind === null || !isFilm(kind) || size > LARGEST_FILM)
      throw refusal(
        422,
        'not-supported',
        'This is no video or audio that can be made to play: ask for size=full',
      );
    let doing = await records.transcoding.look(blob);
    if (!doing?.failed && !films?.playable)
      throw refusal(
        422,
        'not-supported',
        'This server has no ffmpeg by which it could be made to play: ask for size=full',
      );
    if (!doing || doing.failed !== undefined) await records.transcoding.ask(blob);
    doing = await records.transcoding.look(blob);
    if (doing?.failed !== undefined)
      throw refusal(422, 'processing', `This cannot be made to play: ${doing.failed}`);
    throw notYet(doing?.progress ?? 0);
  }

  return {
    async find(caller, wanted) {
      const served = await whole(caller, wanted);
      const { size } = wanted;
      if (size === undefined || served.blob === null) return served;
      if (size === PLAY) return playable(served, served.blob);
      const { made: blob, type } = await made(served.blob, size);
      return { ...served, blob, contentType: type };
    },
    shownIn: (caller, found) => shownIn({ records, config, definitions }, caller, found, isPicture),
  };
}

/** 202, as of what is done later (R4 async.html): nothing is wrong, but there is nothing to show yet. */
function notYet(percent: number): Refusal {
  const issue = error(
    'informational',
    `This is being made to play in browsers, ${percent} % is done: ask again`,
  );
  return new Refusal(202, [{ ...issue, severity: 'information' }], {
    'X-Progress': `${percent} %`,
    'Retry-After': '5',
  });
}
