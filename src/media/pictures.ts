/** Pictures are read in a worker thread, one after the other: what is asked waits, up to a bound, and none takes long. */
import { Worker } from 'node:worker_threads';
import { error, Refusal, refusal } from '../fhir/outcome.ts';
import {
  type Answered,
  type Asked,
  type Cleaned,
  PATIENCE,
  type Shrunk,
  type Task,
} from './picture-tasks.ts';

export interface Pictures {
  /** @throws Refusal as `shrink` */
  clean(load: Load, kind: string, asItIs: boolean): Promise<Cleaned>;
  /**
   * @param edge most pixels of width and height
   * @throws     Refusal 422 where it is no picture that is read, or too large; 503 where too many wait
   */
  shrink(load: Load, edge: number): Promise<Shrunk>;
  close(): Promise<void>;
}

/** Loads a picture's file when its turn comes, so that those that wait hold no memory. */
export type Load = () => Promise<Uint8Array>;

/** So many wait in a process, beyond which the answer is 503. */
const MOST_WAITING = 200;

/** The thread ends when nothing was asked for so long, in ms: its memory is that of the largest picture so far. */
const IDLE = 20_000;

export function openPictures(): Pictures {
  let worker: Worker | undefined;
  let idle: NodeJS.Timeout | undefined;
  let last: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  let closed = false;

  async function end(): Promise<void> {
    clearTimeout(idle);
    const ended = worker;
    worker = undefined;
    await ended?.terminate();
  }

  async function run(task: Task, load: Load): Promise<Cleaned | Shrunk> {
    const bytes = await load();
    if (closed) throw busy('The server is being stopped');
    clearTimeout(idle);
    worker ??= new Worker(new URL('./picture-worker.ts', import.meta.url));
    // nothing but what is asked for keeps the process alive
    worker.ref();
    try {
      const answer = await asked(worker, { task, bytes });
      if ('done' in answer) return answer.done;
      throw refusal(422, 'processing', `This picture cannot be taken: ${answer.refused}`);
    } catch (fault) {
      // a decoder that hangs or has crashed takes its thread along
      if (!(fault instanceof Refusal) || fault.status !== 422 || fault instanceof Broken) await end();
      throw fault;
    } finally {
      worker?.unref();
      idle = setTimeout(() => void end(), IDLE).unref();
    }
  }

  async function inTurn<T>(task: Task, load: Load): Promise<T> {
    if (waiting >= MOST_WAITING) throw busy('Too many pictures wait to be read');
    waiting++;
    const turn = last.then(() => run(task, load));
    last = turn.catch(() => {});
    try {
      return (await turn) as T;
    } finally {
      waiting--;
    }
  }

  return {
    clean: (load, kind, asItIs) => inTurn({ does: 'clean', kind, asItIs }, load),
    shrink: (load, edge) => inTurn({ does: 'shrink', edge }, load),
    async close() {
      closed = true;
      await last;
      await end();
    },
  };
}

/** The picture is what is wrong, and the thread is lost with it. */
class Broken extends Refusal {
  constructor(reason: string) {
    super(422, [error('processing', `This picture cannot be taken: ${reason}`)]);
  }
}

function asked(worker: Worker, { task, bytes }: Asked): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const done = (settle: () => void): void => {
      clearTimeout(patience);
      worker.off('message', answered);
      worker.off('error', failed);
      worker.off('exit', failed);
      settle();
    };
    const answered = (answer: Answered): void => done(() => resolve(answer));
    const failed = (): void =>
      done(() => reject(new Broken('its decoder failed: save it anew, as JPEG or PNG')));
    const late = (): void =>
      done(() => reject(new Broken(`it takes more than ${PATIENCE} s to be read: make it smaller`)));
    const patience = setTimeout(late, (PATIENCE + 5) * 1000);
    worker.on('message', answered);
    worker.on('error', failed);
    worker.on('exit', failed);
    // Its bytes go over to the thread, where they are alone in their buffer.
    const alone = bytes.byteLength === bytes.buffer.byteLength;
    worker.postMessage({ task, bytes }, alone ? [bytes.buffer as ArrayBuffer] : []);
  });
}

function busy(diagnostics: string): Refusal {
  return new Refusal(503, [error('throttled', `${diagnostics}: try again shortly`)], { 'Retry-After': '5' });
}
