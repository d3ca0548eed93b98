/**
 * Video and audio, by the ffmpeg of this machine where it has one: what it is, its place and other tags taken out without
 * touching its streams, its index put in front so that it plays while it comes, and a picture of it.
 */
import { execFile } from 'node:child_process';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { refusal } from '../fhir/outcome.ts';
import type { Facts } from '../records/records.ts';

export interface Films {
  /** @throws Refusal 422 where it is damaged, or takes too long */
  clean(open: () => Promise<Readable>, kind: string, asItIs: boolean): Promise<CleanedFilm>;
  /** A picture of it, as JPEG. @throws Refusal 422 where it has none */
  poster(open: () => Promise<Readable>, kind: string): Promise<Uint8Array>;
}

export interface CleanedFilm {
  readonly facts: Facts;
  /** undefined: it stays as it came */
  readonly instead?: Readable;
}

/** The demuxer and the muxer of a kind: none is guessed, so that no playlist leads to other files. */
const FORMS: Readonly<Record<string, readonly [from: string, to: string] | undefined>> = {
  'video/mp4': ['mov', 'mp4'],
  'video/quicktime': ['mov', 'mov'],
  'audio/x-m4a': ['mov', 'ipod'],
  'audio/mp4': ['mov', 'ipod'],
  'video/webm': ['matroska', 'webm'],
  'video/matroska': ['matroska', 'matroska'],
  'video/vnd.avi': ['avi', 'avi'],
  'audio/mpeg': ['mp3', 'mp3'],
  'audio/wav': ['wav', 'wav'],
  'audio/ogg': ['ogg', 'ogg'],
  'video/ogg': ['ogg', 'ogg'],
  'audio/flac': ['flac', 'flac'],
};

/** Whether a kind is read. */
export const isFilm = (kind: string): boolean => Object.hasOwn(FORMS, kind);

/** Tags that tell nothing of place, person and device. */
const HARMLESS = new Set(
  'major_brand minor_version compatible_brands encoder language handler_name vendor_id creation_time duration rotate'.split(
    ' ',
  ),
);

/** One run of ffmpeg, in ms, and what it may ask for at once, in bytes. */
const PATIENCE = 120_000;
const MOST_MEMORY = 256 * 1024 * 1024;

/** Undefined where this machine has no such program. */
export async function openFilms(program: string): Promise<Films | undefined> {
  if (program === 'none') return undefined;
  const prober = program.replace(/ffmpeg(?=[^/]*$)/, 'ffprobe');
  try {
    await run(program, ['-version']);
    await run(prober, ['-version']);
  } catch {
    return undefined;
  }
  let last: Promise<unknown> = Promise.resolve();

  /** Works on a file of its own, one after the other. */
  function inTurn<T>(
    open: () => Promise<Readable>,
    work: (folder: string, file: string) => Promise<T>,
  ): Promise<T> {
    const turn = last.then(async () => {
      const folder = await mkdtemp(join(tmpdir(), 'consilium-film-'));
      try {
        const file = join(folder, 'in');
        await pipeline(await open(), createWriteStream(file, { mode: 0o600 }));
        return await work(folder, file);
      } catch (fault) {
        await rm(folder, { recursive: true, force: true });
        if ((fault as NodeJS.ErrnoException).code === 'ENOSPC')
          throw refusal(507, 'no-store', 'The disk of this server is full: try again when there is room');
        throw fault;
      }
    });
    last = turn.catch(() => {});
    return turn;
  }

  return {
    clean: (open, kind, asItIs) =>
      inTurn(open, async (folder, file) => {
        const probed = await probe(prober, file, kind);
        const facts = factsOf(probed);
        const rewritten = !asItIs && (tells(probed) || (await isIndexLast(file, kind)));
        if (!rewritten) {
          await rm(folder, { recursive: true });
          return { facts };
        }
        const [from, to] = formOf(kind);
        const out = join(folder, 'out');
        await run(program, [
          ...inputOf(from, file),
          ...'-map 0:v? -map 0:a? -c copy -map_metadata -1 -map_chapters -1 -fflags +bitexact'.split(' '),
          ...(to === 'mp4' || to === 'mov' || to === 'ipod' ? ['-movflags', '+faststart'] : []),
          ...(to === 'mp3' ? ['-id3v2_version', '0', '-write_id3v1', '0'] : []),
          ...['-f', to, out],
        ]);
        const instead = createReadStream(out);
        instead.once('close', () => void rm(folder, { recursive: true, force: true }));
        return { facts, instead };
      }),
    poster: (open, kind) =>
      inTurn(open, async (folder, file) => {
        const { format, streams } = await probe(prober, file, kind);
        if (!streams.some(isPicture))
          throw refusal(422, 'not-supported', 'This has sound only: ask for size=full');
        // the first frames are often black
        const at = Math.min(1, Number(format.duration ?? 0) / 2);
        const seek = ['-ss', String(at)];
        const one = '-frames:v 1 -f image2pipe -c:v mjpeg -q:v 3 -'.split(' ');
        const picture = await run(program, [...seek, ...inputOf(formOf(kind)[0], file), ...one]);
        await rm(folder, { recursive: true });
        return picture;
      }),
  };
}

/** Nothing but that file is read: no network, no other file. */
const inputOf = (from: string, file: string): string[] => [
  ...'-v error -nostdin -y -threads 1 -protocol_whitelist file,pipe'.split(' '),
  ...['-max_alloc', String(MOST_MEMORY), '-f', from, '-i', file],
];

const formOf = (kind: string): readonly [from: string, to: string] => FORMS[kind] as [string, string];

interface Probed {
  readonly format: { readonly duration?: string; readonly tags?: Readonly<Record<string, string>> };
  readonly streams: readonly Stream[];
}

interface Stream {
  readonly codec_type?: string;
  readonly width?: number;
  readonly height?: number;
  readonly nb_frames?: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly side_data_list?: readonly { readonly rotation?: number }[];
  readonly disposition?: { readonly attached_pic?: number };
}

async function probe(program: string, file: string, kind: string): Promise<Probed> {
  const asked = '-v error -protocol_whitelist file -print_format json -show_format -show_streams'.split(' ');
  const text = await run(program, [...asked, '-f', formOf(kind)[0], file]);
  const { format = {}, streams = [] } = JSON.parse(text.toString()) as Partial<Probed>;
  return { format, streams };
}

const isPicture = ({ codec_type, disposition }: Stream): boolean =>
  codec_type === 'video' && !disposition?.attached_pic;

function factsOf({ format, streams }: Probed): Facts {
  const { width, height, nb_frames, side_data_list } = streams.find(isPicture) ?? {};
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

/** @throws Refusal 422, as it is the file that is wrong */
function run(program: string, args: readonly string[]): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // of the environment nothing is handed on but where programs are
    const options = { ...LIMITS, encoding: 'buffer', env: { PATH: PATHS } } as const;
    execFile(program, args, options, (fault, out) => {
      if (!fault) return resolve(out);
      if (fault.code === 'ENOENT') return reject(fault);
      const why = fault.killed
        ? 'it takes too long to be read'
        : 'it is damaged, or of a form that is not read';
      reject(refusal(422, 'processing', `This video or audio cannot be taken: ${why}`));
    });
  });
}

const LIMITS = { timeout: PATIENCE, killSignal: 'SIGKILL', maxBuffer: 32 * 1024 * 1024 } as const;

const PATHS = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/homebrew/bin';
