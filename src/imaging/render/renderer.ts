/** Decodes and renders frames in worker threads, which are started when they are first needed. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { error, Refusal, refusal } from '../../fhir/outcome.ts';
import type { Attributes } from '../dicom/json.ts';

/** One frame, with what is needed to understand it. */
export interface Frame {
  readonly syntax: string;
  /** of its image; of functional groups only its own */
  readonly attributes: Attributes;
  readonly pixels: Uint8Array;
}

export interface Look {
  readonly format: 'png' | 'jpeg';
  /** of JPEG, 1 to 100 */
  readonly quality?: number;
  readonly window?: { readonly center: number; readonly width: number };
  /** columns and rows that the picture has to fit into; in the same proportions */
  readonly within?: { readonly width: number; readonly height: number };
  /** the part of the image that is shown */
  readonly region?: {
    readonly x: number;
    readonly y: number;
    readonly width: number;
    readonly height: number;
  };
  /** of each side, also where the picture is smaller: it has rims then */
  readonly square?: number;
}

/** A frame without its compression, or in another, and what is said of it then. */
export interface Coded {
  readonly pixels: Uint8Array;
  readonly photometric: string;
  readonly planar: number;
  readonly bitsAllocated: number;
}

export type Task =
  | { readonly kind: 'render'; readonly frame: Frame; readonly look: Look }
  | { readonly kind: 'decode'; readonly frame: Frame }
  | { readonly kind: 'encode'; readonly frame: Frame; readonly syntax: string };

/** Without a result it could not be done: why not could quote what is in a patient's images. */
export type Done = { readonly result?: Uint8Array | Coded };

export interface Renderer {
  /** @throws Refusal 406 where it cannot be shown; 503 where too many wait */
  render(frame: Frame, look: Look): Promise<Uint8Array>;
  /** @throws Refusal 406 where it cannot be decoded; 503 where too many wait */
  decode(frame: Frame): Promise<Coded>;
  /**
   * Compresses a frame, without loss: what does not come out of it again bit by bit is refused.
   *
   * @throws Refusal as decode
   */
  encode(frame: Frame, syntax: string): Promise<Coded>;
  close(): Promise<void>;
}

/** So many wait, then others are told to come again. */
const MOST_WAITING = 200;
/** A frame that takes longer is given up, and its worker with it. */
const LONGEST = 20_000;
const IDLE = 60_000;

interface Waiting {
  readonly task: Task;
  readonly resolve: (result: never) => void;
  readonly reject: (fault: unknown) => void;
}

/** @param most threads */
export function openRenderer(most = Math.max(1, Math.min(4, availableParallelism() - 1))): Renderer {
  const waiting: Waiting[] = [];
  const workers = new Set<Worker>();
  const idle: Worker[] = [];
  let closed = false;

  function start(): Worker {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), {
      // What a library prints could hold what is in a patient's images.
      stdout: true,
      stderr: true,
      resourceLimits: { maxOldGenerationSizeMb: 1024 },
    });
    worker.stdout.resume();
    worker.stderr.resume();
    worker.unref();
    workers.add(worker);
    worker.once('exit', () => {
      workers.delete(worker);
      const at = idle.indexOf(worker);
      if (at >= 0) idle.splice(at, 1);
    });
    worker.on('error', () => {});
    return worker;
  }

  function next(): void {
    while (waiting.length > 0) {
      const worker = idle.pop() ?? (workers.size < most ? start() : undefined);
      if (!worker) return;
      give(worker, waiting.shift() as Waiting);
    }
  }

  function give(worker: Worker, { task, resolve, reject }: Waiting): void {
    let timer: NodeJS.Timeout;
    const settle = (alive: boolean): void => {
      clearTimeout(timer);
      worker.off('message', answered);
      worker.off('exit', died);
      if (alive) {
        idle.push(worker);
        rest(worker);
      } else void worker.terminate();
      next();
    };
    const answered = (done: Done): void => {
      if (done.result) resolve(done.result as never);
      else reject(unshowable(task));
      settle(true);
    };
    const died = (): void => {
      reject(unshowable(task));
      settle(false);
    };
    timer = setTimeout(died, LONGEST);
    worker.on('message', answered);
    worker.on('exit', died);
    worker.postMessage(task);
  }

  /** Ends a worker that has had nothing to do for a while. */
  function rest(worker: Worker): void {
    setTimeout(() => {
      const at = idle.indexOf(worker);
      if (at < 0 || idle.length <= 1) return;
      idle.splice(at, 1);
      void worker.terminate();
    }, IDLE).unref();
  }

  function ask<T>(task: Task): Promise<T> {
    if (closed || waiting.length >= MOST_WAITING) return Promise.reject(busy());
    return new Promise((resolve, reject) => {
      waiting.push({ task, resolve, reject });
      next();
    });
  }

  return {
    render: (frame, look) => ask({ kind: 'render', frame, look }),
    decode: (frame) => ask({ kind: 'decode', frame }),
    encode: (frame, syntax) => ask({ kind: 'encode', frame, syntax }),
    async close() {
      closed = true;
      for (const { reject } of waiting.splice(0)) reject(busy());
      await Promise.all([...workers].map((worker) => worker.terminate()));
    },
  };
}

const unshowable = ({ kind }: Task): Refusal =>
  refusal(
    406,
    'not-supported',
    kind === 'render'
      ? 'This instance cannot be rendered: it has no picture, or one that is not understood'
      : 'This instance cannot be given in another transfer syntax: ask for transfer-syntax=* to have it as it is stored',
  );

const busy = (): Refusal =>
  new Refusal(503, [error('transient', 'Too many pictures are being made: ask again shortly')], {
    'Retry-After': '2',
  });
