/**
 * Video and audio, by the ffmpeg of this machine where it has one: what it is, its place and other tags taken out without
 * touching its streams, its index put in front so that it plays while it comes, a picture of it, and the same in a form
 * that every browser plays.
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { refusal } from '../fhir/outcome.ts';
import type { Facts } from '../records/records.ts';
import { formOf, inputOf, isMoving, type Probed, probe, run, runBehind, type Stream } from './ffmpeg.ts';

export interface Films {
  /** @throws Refusal 422 where it is damaged, or takes too long */
  clean(open: Open, kind: string, asItIs: boolean): Promise<CleanedFilm>;
  /** A picture of it, as JPEG. @throws Refusal 422 where it has none */
  poster(open: Open, kind: string): Promise<Uint8Array>;
  /**
   * The same as H.264 and AAC in MP4, its index first: streams that are so already are copied. Undefined where this ffmpeg
   * was built without them.
   *
   * @param told   how far it is, in percent
   * @param signal ends it
   * @throws       Refusal 422 where it is damaged, or takes too long
   */
  readonly playable?: Playable | undefined;
}

export type Playable = (
  open: Open,
  kind: string,
  doing: { readonly told: (percent: number) => void; readonly signal: AbortSignal },
) => Promise<PlayableFilm>;

type Open = () => Promise<Readable>;

export interface CleanedFilm {
  readonly facts: Facts;
  /** as JPEG, where it is a video */
  readonly picture?: Uint8Array;
  /** undefined: it stays as it came */
  readonly instead?: Readable;
}

export interface PlayableFilm {
  readonly bytes: Readable;
  readonly contentType: string;
  /** null of sound */
  readonly width: number | null;
  readonly height: number | null;
}

/** Tags that tell nothing of place, person and device. */
const HARMLESS = new Set(
  'major_brand minor_version compatible_brands encoder language handler_name vendor_id creation_time duration rotate'.split(
    ' ',
  ),
);

const PREFIX = 'consilium-film-';
const DAY = 86_400_000;

/** Undefined where this machine has no such program. */
export async function openFilms(program: string): Promise<Films | undefined> {
  if (program === 'none') return undefined;
  const prober = program.replace(/ffmpeg(?=[^/]*$)/, 'ffprobe');
  let encoders: string;
  try {
    encoders = String(await run(program, ['-v', 'error', '-encoders']));
    await run(prober, ['-version']);
  } catch {
    return undefined;
  }
  await sweepLeft();
  let last: Promise<unknown> = Promise.resolve();

  /** One after the other, of those that somebody waits for. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = last.then(work);
    last = turn.catch(() => {});
    return turn;
  }

  return {
    clean: (open, kind, asItIs) =>
      inTurn(() =>
        onDisk(open, async ({ file, out, made }): Promise<CleanedFilm> => {
          const probed = await probe(prober, file, kind);
          const picture = await pictureOf(program, file, kind, probed);
          const seen = { facts: factsOf(probed, kind), ...(picture && { picture }) };
          if (asItIs || !(tells(probed) || (await isIndexLast(file, kind)))) return seen;
          const [from, to] = formOf(kind);
          await run(program, [
            ...inputOf(kind, file),
            ...'-map 0:v? -map 0:a? -c copy'.split(' '),
            ...BARE,
            ...(from === 'mov' ? FAST_START : []),
            ...(to === 'mp3' ? ['-id3v2_version', '0', '-write_id3v1', '0'] : []),
            ...['-f', to, out],
          ]);
          return { ...seen, instead: made() };
        }),
      ),
    poster: (open, kind) =>
      inTurn(() =>
        onDisk(open, async ({ file }) => {
          const picture = await pictureOf(program, file, kind, await probe(prober, file, kind));
          if (picture) return picture;
          throw refusal(422, 'not-supported', 'There is no picture in this: ask for size=full');
        }),
      ),
    playable: ENCODERS.every((name) => encoders.includes(` ${name} `)) ? playable : undefined,
  };

  function playable(...[open, kind, { told, signal }]: Parameters<Playable>): Promise<PlayableFilm> {
    return onDisk(open, async ({ file, out, made }) => {
      const probed = await probe(prober, file, kind);
      const { width = null, height = null } = factsOf(probed, kind);
      const seconds = Number(probed.format.duration);
      const output = [...forBrowsers(probed), ...BARE, ...FAST_START, '-f', 'mp4', out];
      await runBehind(program, [...inputOf(kind, file), ...output], {
        signal,
        told: (done) => told(seconds > 0 ? Math.min(99, Math.floor((100 * done) / seconds)) : 0),
      });
      return { bytes: made(), contentType: width === null ? 'audio/mp4' : 'video/mp4', width, height };
    });
  }
}

/** Files to work on. */
interface Files {
  /** the film */
  readonly file: string;
  /** where what is made of it is to be */
  readonly out: string;
  /** opens that for reading */
  made(): Readable;
}

/** Works on a film in a folder of its own, which goes when all of what was made has been read. */
async function onDisk<T>(open: Open, work: (files: Files) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), PREFIX));
  const [file, out] = [join(folder, 'in'), join(folder, 'out')];
  const forget = () => rm(folder, { recursive: true, force: true });
  let reading: Readable | undefined;
  const made = (): Readable => {
    reading = createReadStream(out).once('close', () => void forget());
    return reading;
  };
  try {
    await pipeline(await open(), createWriteStream(file, { mode: 0o600 }));
    return await work({ file, out, made });
  } catch (fault) {
    if ((fault as NodeJS.ErrnoException).code === 'ENOSPC')
      throw refusal(507, 'no-store', 'The disk of this server is full: try again when there is room');
    throw fault;
  } finally {
    if (!reading) await forget();
  }
}

/** What a killed process left. */
async function sweepLeft(): Promise<void> {
  for (const name of await readdir(tmpdir()).catch(() => [])) {
    if (!name.startsWith(PREFIX)) continue;
    const folder = join(tmpdir(), name);
    const made = await stat(folder).catch(() => undefined);
    if (made && made.mtimeMs < Date.now() - DAY)
      await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
}

/** Without tags and chapters. */
const BARE = '-map_metadata -1 -map_chapters -1 -fflags +bitexact'.split(' ');
/** The index of an MP4 before its pictures. */
const FAST_START = ['-movflags', '+faststart'];

/** Of its beginning, but not the first frames, as these are often black; undefined where none can be read. */
async function pictureOf(
  program: string,
  file: string,
  kind: string,
  { format, streams }: Probed,
): Promise<Buffer | undefined> {
  const video = streams.find(isMoving);
  if (!video) return undefined;
  const at = Math.min(1, Number(format.duration ?? 0) / 2);
  const one = `-map 0:${video.index} -frames:v 1 -f image2pipe -c:v mjpeg -q:v 3 -`.split(' ');
  const picture = await run(program, ['-ss', String(at), ...inputOf(kind, file), ...one]).catch(
    () => undefined,
  );
  return picture?.length ? picture : undefined;
}

/** What is needed for that. */
const ENCODERS = ['libx264', 'aac'];

/** The longer edge of what browsers get, in pixels. */
const EDGE = 1920;
const SCALE = `scale=w='min(${EDGE},iw)':h='min(${EDGE},ih)':force_original_aspect_ratio=decrease:force_divisible_by=2`;
const H264 = `-c:v libx264 -profile:v high -pix_fmt yuv420p -preset veryfast -crf 23 -vf ${SCALE}`.split(' ');
const AAC = '-c:a aac -b:a 128k -ac 2'.split(' ');

/** How a film becomes H.264 and AAC: what is so already is copied. */
function forBrowsers({ streams }: Probed): string[] {
  const video = streams.find(isMoving);
  const audio = streams.find(({ codec_type }) => codec_type === 'audio');
  return [
    ...(video ? ['-map', `0:${video.index}`, ...(isPlain(video) ? ['-c:v', 'copy'] : H264)] : []),
    ...(audio ? ['-map', `0:${audio.index}`, ...(audio.codec_name === 'aac' ? ['-c:a', 'copy'] : AAC)] : []),
  ];
}

/** H.264 in eight bits, of a size that all decoders take. */
const isPlain = ({ codec_name, pix_fmt = '', width = 0, height = 0 }: Stream): boolean =>
  codec_name === 'h264' && /^yuvj?420p$/.test(pix_fmt) && Math.max(width, height) <= EDGE;

/** What all browsers play as it is, by kind: its video and its audio codecs. */
const PLAYED: Readonly<Record<string, readonly [video: RegExp, audio: RegExp] | undefined>> = {
  'video/mp4': [/^h264$/, /^(?:aac|mp3)$/],
  'video/x-m4v': [/^h264$/, /^aac$/],
  'audio/x-m4a': [/^$/, /^aac$/],
  'audio/mp4': [/^$/, /^aac$/],
  'audio/mpeg': [/^$/, /^mp3$/],
  'audio/wav': [/^$/, /^pcm_(?:s16le|u8)$/],
};

function isPlayed({ streams }: Probed, kind: string): boolean {
  const [video, audio] = PLAYED[kind] ?? [];
  if (!video || !audio) return false;
  return streams.every((one) => {
    if (isMoving(one)) return video.test(one.codec_name ?? '') && isPlain(one);
    return one.codec_type !== 'audio' || audio.test(one.codec_name ?? '');
  });
}

function factsOf(probed: Probed, kind: string): Facts {
  const { format, streams } = probed;
  const { width, height, nb_frames, side_data_list } = streams.find(isMoving) ?? {};
  const rotation = side_data_list?.find((one) => one.rotation !== undefined)?.rotation ?? 0;
  const [across, down] = rotation % 180 === 0 ? [width, height] : [height, width];
  const seconds = Number(format.duration);
  const tags = format.tags ?? {};
  const device = [tags['com.apple.quicktime.make'], tags['com.apple.quicktime.model']]
    .filter(Boolean)
    .join(' ');
  return {
    ...(across && down && { width: across, height: down }),
    ...(Number(nb_frames) > 0 && { frames: Number(nb_frames) }),
    ...(seconds > 0 && { duration: Math.round(seconds * 1000) / 1000 }),
    ...(device && { device: device.slice(0, 100) }),
    plays: isPlayed(probed, kind),
  };
}

/** Whether it has tags that others should not see, or streams of data: phones and cameras write places there. */
function tells({ format, streams }: Probed): boolean {
  const tags = [format, ...streams].flatMap((one) => Object.keys(one.tags ?? {}));
  return (
    tags.some((tag) => !HARMLESS.has(tag.toLowerCase())) ||
    streams.some((one) => one.disposition?.attached_pic || !/^(?:video|audio)$/.test(one.codec_type ?? ''))
  );
}

/** Whether the index of an MP4 stands behind its pictures (ISO/IEC 14496-12 §4.2): all would have to come first. */
async function isIndexLast(file: string, kind: string): Promise<boolean> {
  if (formOf(kind)[0] !== 'mov') return false;
  const { size } = await stat(file);
  for (let at = 0; at + 16 <= size; ) {
    const head = Buffer.concat(await createReadStream(file, { start: at, end: at + 15 }).toArray());
    const type = head.toString('latin1', 4, 8);
    if (type === 'moov') return false;
    if (type === 'mdat') return true;
    const length = head.readUInt32BE(0);
    const box = length === 1 ? Number(head.readBigUInt64BE(8)) : length;
    if (box < 8) return false;
    at += box;
  }
  return false;
}
