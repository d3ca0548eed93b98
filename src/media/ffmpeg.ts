/** ffmpeg and ffprobe: how they are run, what is asked of them, and what they may read. */
import { execFile, spawn } from 'node:child_process';
import { constants, setPriority } from 'node:os';
import { createInterface } from 'node:readline';
import { refusal } from '../fhir/outcome.ts';

/** The demuxer and the muxer of a kind: none is guessed, so that no playlist leads to other files. */
const FORMS: Readonly<Record<string, readonly [from: string, to: string] | undefined>> = {
  'video/mp4': ['mov', 'mp4'],
  'video/x-m4v': ['mov', 'mp4'],
  'video/quicktime': ['mov', 'mov'],
  'video/3gpp': ['mov', '3gp'],
  'video/3gpp2': ['mov', '3g2'],
  'audio/x-m4a': ['mov', 'ipod'],
  'audio/mp4': ['mov', 'ipod'],
  'video/webm': ['matroska', 'webm'],
  'video/matroska': ['matroska', 'matroska'],
  'video/vnd.avi': ['avi', 'avi'],
  'audio/mpeg': ['mp3', 'mp3'],
  'audio/wav': ['wav', 'wav'],
  'audio/ogg': ['ogg', 'ogg'],
  'audio/ogg; codecs=opus': ['ogg', 'ogg'],
  'video/ogg': ['ogg', 'ogg'],
  'audio/flac': ['flac', 'flac'],
  'audio/amr': ['amr', 'amr'],
};

/** Whether a kind is read. */
export const isFilm = (kind: string): boolean => Object.hasOwn(FORMS, kind);

/** Demuxer and muxer of a kind that is read. */
export const formOf = (kind: string): readonly [from: string, to: string] => FORMS[kind] as [string, string];

/** What ffmpeg may ask for at once in bytes, and the pixels that a frame may have. */
const MOST_MEMORY = 256 * 1024 * 1024;
const MOST_PIXELS = 8192 * 4320;

/** Nothing but that file is read: no network, no other file. */
export const inputOf = (kind: string, file: string): string[] => [
  ...'-v error -nostdin -y -threads 1 -protocol_whitelist file,pipe'.split(' '),
  ...['-max_alloc', String(MOST_MEMORY), '-max_pixels', String(MOST_PIXELS)],
  ...['-f', formOf(kind)[0], '-i', file],
];

export interface Probed {
  readonly format: { readonly duration?: string; readonly tags?: Readonly<Record<string, string>> };
  readonly streams: readonly Stream[];
}

export interface Stream {
  readonly index: number;
  readonly codec_type?: string;
  readonly codec_name?: string;
  readonly pix_fmt?: string;
  readonly width?: number;
  readonly height?: number;
  readonly nb_frames?: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly side_data_list?: readonly { readonly rotation?: number }[];
  readonly disposition?: { readonly attached_pic?: number };
}

/** @throws Refusal 422 where it is damaged */
export async function probe(program: string, file: string, kind: string): Promise<Probed> {
  const asked = '-v error -protocol_whitelist file -print_format json -show_format -show_streams'.split(' ');
  const text = await run(program, [...asked, '-f', formOf(kind)[0], file]);
  const { format = {}, streams = [] } = JSON.parse(text.toString()) as Partial<Probed>;
  return { format, streams };
}

/** Whether it is what moves: covers of songs are streams of pictures, too. */
export const isMoving = ({ codec_type, disposition }: Stream): boolean =>
  codec_type === 'video' && !disposition?.attached_pic;

const PATHS = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/homebrew/bin';
// Of the environment nothing is handed on but where programs are.
const ENVIRONMENT = { PATH: PATHS };

/** One run that somebody waits for, in ms. */
const PATIENCE = 120_000;
const LIMITS = { timeout: PATIENCE, killSignal: 'SIGKILL', maxBuffer: 32 * 1024 * 1024 } as const;

/** What a program writes. @throws Refusal 422, as it is the file that is wrong */
export function run(program: string, args: readonly string[]): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    execFile(program, args, { ...LIMITS, encoding: 'buffer', env: ENVIRONMENT }, (fault, out) => {
      if (!fault) return resolve(out);
      if (fault.code === 'ENOENT') return reject(fault);
      reject(untakable(fault.killed ? SLOW : DAMAGED));
    });
  });
}

/** Work that nobody waits for may take so long all in all, and be silent for so long, in ms. */
const LONGEST = 6 * 3_600_000;

/**
 * Runs ffmpeg behind whatever else is done on this machine.
 *
 * @param told   how far it is, in seconds of the film
 * @param signal ends it
 * @throws       Refusal 422 where the file is wrong; the signal's reason
 */
export async function runBehind(
  program: string,
  args: readonly string[],
  { told, signal }: { readonly told: (seconds: number) => void; readonly signal: AbortSignal },
): Promise<void> {
  const child = spawn(program, ['-progress', 'pipe:1', '-nostats', ...args], {
    ...{ env: ENVIRONMENT, stdio: ['ignore', 'pipe', 'ignore'], signal, killSignal: 'SIGKILL' },
    ...{ timeout: LONGEST },
  });
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, killed) => {
      if (code === 0) resolve();
      else reject(untakable(killed ? SLOW : DAMAGED));
    });
  });
  ended.catch(() => {});
  try {
    if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // it has ended already
  }
  const patience = setTimeout(() => child.kill('SIGKILL'), PATIENCE);
  for await (const line of createInterface({ input: child.stdout })) {
    patience.refresh();
    const [, microseconds] = /^out_time_us=(\d+)$/.exec(line) ?? [];
    if (microseconds) told(Number(microseconds) / 1e6);
  }
  clearTimeout(patience);
  await ended;
}

const SLOW = 'it takes too long to be read';
const DAMAGED = 'it is damaged, or of a form that is not read';

const untakable = (why: string) => refusal(422, 'processing', `This video or audio cannot be taken: ${why}`);
