/** Reads a Part 10 file as its bytes stream by on their way elsewhere. */
import { constants, createInflateRaw, type InflateRaw } from 'node:zlib';
import type { Dictionary } from './dictionary.ts';
import { Malformed, type Part10, parsePart10, type Reading, type Want } from './parse.ts';

export interface Passing {
  /** the same bytes as they came; fails with Malformed as soon as they are no sound DICOM */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** once all have been taken */
  parsed(): Part10;
}

/** Bytes that a deflated dataset may hold. */
const MOST_INFLATED = 2 ** 32;

/** @param source of one file */
export function passing(source: AsyncIterable<Uint8Array>, dictionary: Dictionary): Passing {
  const feed = makeFeed(parsePart10(dictionary));
  let inflating: Inflating | undefined;
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      let bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
      if (!inflating) {
        feed.push(bytes);
        if (feed.wantsInflating()) {
          bytes = feed.rest();
          inflating = makeInflating((inflated) => feed.push(inflated));
        }
      }
      if (inflating) await inflating.write(bytes);
      yield chunk;
    }
    await inflating?.end();
    feed.end();
  }
  return {
    chunks: chunks(),
    parsed() {
      const result = feed.result();
      if (!result) throw new Malformed('it ends before its dataset does');
      return result;
    },
  };
}

/** Reads bytes that are all there. */
export function readWhole<T>(bytes: Buffer, reading: Reading<T>): T {
  const feed = makeFeed(reading);
  feed.push(bytes);
  feed.end();
  const result = feed.result();
  if (!result) throw new Malformed('it ends before its dataset does');
  return result;
}

interface Feed<T> {
  push(bytes: Buffer): void;
  end(): void;
  /** whether what follows is compressed */
  wantsInflating(): boolean;
  /** what was pushed and not read yet */
  rest(): Buffer;
  result(): T | undefined;
}

/** Hands a reading the bytes that it asks for, as they come. */
function makeFeed<T>(reading: Reading<T>): Feed<T> {
  let pending: Buffer[] = [];
  let size = 0;
  let skip = 0;
  let ended = false;
  let step = reading.next();

  /** The next bytes, which are there. */
  function taken(length: number): Buffer {
    const first = pending[0] as Buffer;
    if (first.length >= length) {
      const bytes = first.subarray(0, length);
      if (first.length === length) pending.shift();
      else pending[0] = first.subarray(length);
      size -= length;
      // A copy, so that a short value does not hold the chunk that it came in.
      return Buffer.from(bytes);
    }
    const all = Buffer.concat(pending);
    pending = all.length > length ? [all.subarray(length)] : [];
    size -= length;
    return Buffer.from(all.subarray(0, length));
  }

  function looked(length: number): Buffer {
    const first = pending[0] as Buffer;
    if (first.length < length) pending = [Buffer.concat(pending)];
    return (pending[0] as Buffer).subarray(0, length);
  }

  function run(): void {
    while (!step.done) {
      const want: Want = step.value;
      if ('skip' in want) {
        if (skip === 0) skip = want.skip;
        const passed = Math.min(skip, size);
        drop(passed);
        skip -= passed;
        if (skip > 0) {
          if (ended) throw new Malformed('it ends in the middle of a value');
          return;
        }
        step = reading.next();
      } else if ('inflate' in want) return;
      else {
        const length = 'take' in want ? want.take : want.peek;
        if (size >= length) step = reading.next('take' in want ? taken(length) : looked(length));
        else if (ended) step = reading.next('peek' in want && size > 0 ? looked(size) : undefined);
        else return;
      }
    }
  }

  function drop(length: number): void {
    let left = length;
    while (left > 0) {
      const first = pending[0] as Buffer;
      if (first.length > left) {
        pending[0] = first.subarray(left);
        break;
      }
      left -= first.length;
      pending.shift();
    }
    size -= length;
  }

  return {
    push(bytes) {
      if (step.done || bytes.length === 0) return;
      pending.push(bytes);
      size += bytes.length;
      run();
    },
    end() {
      ended = true;
      run();
    },
    wantsInflating: () => !step.done && 'inflate' in step.value,
    rest() {
      const all = Buffer.concat(pending);
      pending = [];
      size = 0;
      step = reading.next();
      return all;
    },
    result: () => (step.done ? step.value : undefined),
  };
}

interface Inflating {
  write(bytes: Buffer): Promise<void>;
  end(): Promise<void>;
}

/** @throws Malformed where it does not inflate, or to more than is taken; and what `take` throws */
function makeInflating(take: (bytes: Buffer) => void): Inflating {
  const inflater: InflateRaw = createInflateRaw({ finishFlush: constants.Z_SYNC_FLUSH });
  let fault: unknown;
  let inflated = 0;
  inflater.on('data', (bytes: Buffer) => {
    inflated += bytes.length;
    try {
      if (inflated > MOST_INFLATED) throw new Malformed('its dataset inflates to more than is taken');
      take(bytes);
    } catch (thrown) {
      fault ??= thrown;
      inflater.destroy();
    }
  });
  inflater.on('error', () => {
    fault ??= new Malformed('its deflated dataset does not inflate');
  });
  /** Waits for it, whether it works or fails. */
  const settled = (work: (done: () => void) => void): Promise<void> =>
    new Promise((resolve, reject) => {
      const finish = (): void => (fault ? reject(fault) : resolve());
      if (fault || inflater.destroyed) return finish();
      inflater.once('close', finish);
      work(() => {
        inflater.off('close', finish);
        finish();
      });
    });
  return {
    write: (bytes) =>
      bytes.length === 0 ? Promise.resolve() : settled((done) => inflater.write(bytes, done)),
    end: () => settled((done) => inflater.once('end', done).end()),
  };
}
