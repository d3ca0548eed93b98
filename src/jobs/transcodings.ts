/**
 * Films that are made to play in browsers: a durable queue, of which each process does one at a time. One that was
 * interrupted is done again, by whichever process sees it.
 */
import type pg from 'pg';
import type { Logger } from 'pino';
import { Refusal } from '../fhir/outcome.ts';
import { type Executor, run } from '../store/pool.ts';

/** How far one is. */
export interface Transcoding {
  /** percent */
  readonly progress: number;
  /** why it cannot be done */
  readonly failed?: string;
}

/**
 * Makes one, and keeps it.
 *
 * @param told how far it is, in percent
 * @throws     Refusal where it cannot be done; whatever else is thrown, it is tried again
 */
export type Transcode = (
  blob: string,
  doing: { readonly told: (percent: number) => void; readonly signal: AbortSignal },
) => Promise<void>;

export interface Transcodings {
  /** Does what there is, and what is asked for from now on. */
  start(transcode: Transcode, log: Logger): void;
  /** Ends what is under way: it is begun again by another process, or this one later. */
  close(): Promise<void>;
}

/** So often one is begun: one that ends its process each time must not go on doing so. */
const ATTEMPTS = 3;

/** How often it is told that one is under way, and looked for what others have left, in ms. */
const BEAT = 3000;

const ADD = {
  name: 'add_transcoding',
  text: `insert into transcoding (blob) select name from blob where name = $1
         on conflict (blob) do update set asked = now(), tries = 0, alive = null, progress = 0, failed = null
         where (transcoding.failed is not null or transcoding.tries >= ${ATTEMPTS})
           and transcoding.asked < now() - interval '1 day'`,
};
const LOOK = {
  name: 'look_at_transcoding',
  text: `select progress, coalesce(failed, case when tries >= ${ATTEMPTS} and alive < now() - interval '20 s'
                                               then 'it was begun several times, and interrupted each time' end)
         from transcoding where blob = $1`,
};
const CLAIM = {
  name: 'claim_transcoding',
  text: `update transcoding set tries = tries + 1, alive = now(), progress = 0
         where blob = (select blob from transcoding
                       where failed is null and tries < ${ATTEMPTS} and (alive is null or alive < now() - interval '20 s')
                       order by asked limit 1 for no key update skip locked)
         returning blob::text, tries`,
};
const BEATEN = {
  name: 'beat_transcoding',
  text: 'update transcoding set alive = now(), progress = $3 where blob = $1 and tries = $2 returning true',
};
const FAIL = {
  name: 'fail_transcoding',
  text: 'update transcoding set failed = $3 where blob = $1 and tries = $2',
};
const RELEASE = {
  name: 'release_transcoding',
  text: 'update transcoding set alive = null, tries = tries - 1 where blob = $1 and tries = $2',
};
const DONE = { name: 'end_transcoding', text: 'delete from transcoding where blob = $1 and tries = $2' };

/** Asks for one, which whichever process looks next does; where that was asked already nothing changes, unless it failed a day ago. */
export async function addTranscoding(executor: Executor, blob: string): Promise<void> {
  await run(executor, ADD, [blob]);
}

/** How far one is; undefined where it was not asked for, or is done. */
export async function lookAtTranscoding(executor: Executor, blob: string): Promise<Transcoding | undefined> {
  const [row] = await run(executor, LOOK, [blob]);
  if (!row) return undefined;
  const [progress, failed] = row as [number, string | null];
  return { progress, ...(failed !== null && { failed }) };
}

export function openTranscodings(pool: pg.Pool): Transcodings {
  let timer: NodeJS.Timeout | undefined;
  let working: Promise<void> = Promise.resolve();
  const closing = new AbortController();

  async function doNext(transcode: Transcode, log: Logger): Promise<boolean> {
    const [row] = await run(pool, CLAIM, []);
    if (!row) return false;
    const [blob, tries] = row as [string, number];
    let percent = 0;
    // another process has taken it over, as this one was not heard of; or its bytes have gone
    const lost = new AbortController();
    const beat = setInterval(() => {
      run(pool, BEATEN, [blob, tries, percent]).then(
        (rows) => rows.length === 0 && lost.abort(),
        (fault) => log.warn({ code: fault.code }, 'could not tell how far a film is'),
      );
    }, BEAT);
    const signal = AbortSignal.any([closing.signal, lost.signal]);
    const told = (now: number): void => {
      percent = now;
    };
    try {
      await transcode(blob, { told, signal });
      await run(pool, DONE, [blob, tries]);
    } catch (fault) {
      if (closing.signal.aborted) await run(pool, RELEASE, [blob, tries]);
      else if (fault instanceof Refusal && fault.status < 500)
        await run(pool, FAIL, [blob, tries, fault.message]);
      else if (!lost.signal.aborted) {
        log.warn(
          { code: (fault as { code?: unknown }).code },
          'could not make a film play: it is tried again',
        );
      }
    } finally {
      clearInterval(beat);
    }
    return true;
  }

  return {
    start(transcode, log) {
      let idle = true;
      const wake = (): void => {
        if (!idle || closing.signal.aborted) return;
        idle = false;
        working = (async () => {
          while (!closing.signal.aborted && (await doNext(transcode, log)));
        })()
          .catch((fault) => log.warn({ code: fault.code }, 'could not look for films'))
          .finally(() => {
            idle = true;
          });
      };
      timer = setInterval(wake, BEAT).unref();
      wake();
    },
    async close() {
      clearInterval(timer);
      closing.abort();
      await working;
    },
  };
}
