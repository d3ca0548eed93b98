/** What is to be loaded: the files behind the paths of a command line, and their bytes, unpacked. */
import { createReadStream, globSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';

export interface Source {
  /** the path, `-` for standard input */
  readonly name: string;
  /** in bytes as it lies there; undefined for standard input */
  readonly size?: number;
}

const LOADABLE = /\.(json|ndjson)(\.gz)?$/i;
const REFUSED = /\.refused\.ndjson$/;

/**
 * The files, each once, sorted by path: what refers to the files before it finds them.
 *
 * @param paths files, folders, globs, `-`
 * @throws      Error where a path leads to nothing
 */
export function findSources(paths: readonly string[]): Source[] {
  const files = new Map<string, Source>();
  for (const path of paths) for (const file of filesOf(path)) files.set(file.name, file);
  return [...files.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function filesOf(path: string): Source[] {
  if (path === '-') return [{ name: path }];
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isDirectory()) {
    const inside = below(path);
    if (inside.length === 0)
      throw new Error(`${path} holds no file whose name ends in .json or .ndjson, or these and .gz`);
    return inside;
  }
  if (found) return [{ name: path, size: found.size }];
  const matches = globSync(path).filter((match) => !REFUSED.test(match));
  if (matches.length === 0) throw new Error(`${path}: there is no such file or folder`);
  return matches.flatMap((match) => (statSync(match).isDirectory() ? below(match) : filesOf(match)));
}

/** The loadable files in a folder and below, without those that tell what an earlier load refused. */
function below(folder: string): Source[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => LOADABLE.test(entry.name) && !REFUSED.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .flatMap((name) => {
      // A link counts as what it leads to.
      const found = statSync(name, { throwIfNoEntry: false });
      return found?.isFile() ? [{ name, size: found.size }] : [];
    });
}

/** What the file of what is refused is named after. */
export function titleOf(paths: readonly string[]): string {
  const first = paths[0] === '-' ? 'stdin' : basename(paths[0] as string);
  return first.replace(LOADABLE, '').replace(/[^\p{L}\p{N}._-]+/gu, '_') || 'load';
}

/**
 * The bytes of a source, unpacked where they begin as gzip does (RFC 1952 2.3.1), whatever its name.
 *
 * @param read told of every piece as it is read, before it is unpacked
 */
export async function* bytesOf(source: Source, read: (bytes: number) => void): AsyncGenerator<Buffer> {
  const stream: AsyncIterable<Buffer> = source.name === '-' ? process.stdin : createReadStream(source.name);
  const pieces = stream[Symbol.asyncIterator]();
  // A pipe may hand over a single byte at first.
  let head = Buffer.alloc(0);
  while (head.length < 2) {
    const { value, done } = await pieces.next();
    if (done) break;
    read(value.length);
    head = Buffer.concat([head, value]);
  }
  const all = (async function* () {
    yield head;
    for await (const piece of { [Symbol.asyncIterator]: () => pieces }) {
      read(piece.length);
      yield piece;
    }
  })();
  if (head[0] !== 0x1f || head[1] !== 0x8b) return yield* all;
  const unpacked = createGunzip();
  // A fault of either end reaches whoever reads.
  pipeline(Readable.from(all), unpacked, () => {});
  yield* unpacked;
}
