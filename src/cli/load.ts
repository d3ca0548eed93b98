/** `consilium load`: what it reads and where it writes; load/ does the work. */
import type { Config } from '../config.ts';
import { withDatabase } from './database.ts';
import { configuration, fail, Usage } from './fault.ts';
import { number, rate, type State, showProgress } from './load/progress.ts';
import { openRefused } from './load/refused.ts';
import { type Loaded, runLoad } from './load/run.ts';
import { type Send, toRecords, toServer } from './load/send.ts';
import { findSources, titleOf } from './load/sources.ts';
import { logger } from './log.ts';
import { withApp } from './with-app.ts';

interface Options {
  readonly parallel?: number;
  readonly url?: string;
  readonly token?: string;
  readonly refused?: string;
  readonly json?: boolean;
}

export async function load(paths: readonly string[], options: Options): Promise<void> {
  if (options.url !== undefined && !/^https?:\/\/[^/]/i.test(options.url))
    throw new Usage(`--url: ${options.url} is no FHIR base URL, such as http://localhost:8080/fhir`);
  if (options.token && !options.url) throw new Usage('--token goes with --url');
  const sources = findSources(paths);
  const file = options.refused ?? `${titleOf(paths)}.refused.ndjson`;
  const refused = openRefused(file);

  const sizes = sources.map(({ size }) => size);
  const state: State = {
    read: 0,
    total: sizes.includes(undefined) ? undefined : (sizes as number[]).reduce((sum, size) => sum + size, 0),
    done: 0,
    refused: 0,
  };
  const stopping = new AbortController();
  const interrupt = () => {
    // Commander's own commands end at once; this one first lets what is under way be written.
    if (stopping.signal.aborted) process.exit(1);
    stopping.abort();
  };
  const signals = ['SIGINT', 'SIGTERM'] as const;
  for (const signal of signals) process.on(signal, interrupt);
  const into = async (send: Send, parallel: number) => {
    const progress = options.json ? undefined : showProgress(state);
    const since = performance.now();
    try {
      const loaded = await runLoad(sources, {
        send,
        parallel,
        signal: stopping.signal,
        read: (bytes) => {
          state.read += bytes;
        },
        settled: (done, refused) => {
          state.done += done;
          state.refused += refused;
        },
        refused: refused.add,
      });
      return { loaded, seconds: (performance.now() - since) / 1000 };
    } finally {
      progress?.stop();
    }
  };
  try {
    const { loaded, seconds } = await destination(options, into);
    report(loaded, seconds, file, options.json);
  } finally {
    refused.close();
    for (const signal of signals) process.off(signal, interrupt);
  }
}

/** Opens what is loaded into, and loads. */
async function destination<T>(
  { url, token, parallel }: Options,
  into: (send: Send, parallel: number) => Promise<T>,
): Promise<T> {
  if (url) return into(toServer(url.replace(/\/+$/, ''), token), parallel ?? 4);
  const config = configuration();
  if (config.readOnly) throw new Error('READ_ONLY is set, for maintenance: unset it to load');
  // What the server tells its operator in passing would stand in the way of the progress bar.
  const log = await logger({ logLevel: 'error' });
  return withDatabase(config, (database) =>
    withApp(config, database, log, async (app) =>
      into(toRecords(app, await app.records.operator()), parallel ?? usualParallel(config)),
    ),
  );
}

/** Where references are checked, the file that is referred to must be written before the next is begun. */
export const usualParallel = (config: Config): number => (config.references === 'check' ? 1 : 4);

function report(loaded: Loaded, seconds: number, file: string, json = false): void {
  const { created, there, refused, complete } = loaded;
  const total = [...created.values()].reduce((sum, count) => sum + count, 0);
  const byType = [...created].sort(([a], [b]) => (a < b ? -1 : 1));
  if (refused > 0 || !complete) process.exitCode = 1;
  if (json)
    console.log(
      JSON.stringify({
        created: total,
        there,
        refused,
        complete,
        seconds: Number(seconds.toFixed(3)),
        types: Object.fromEntries(byType),
        ...(refused > 0 ? { file } : {}),
      }),
    );
  else {
    for (const [type, count] of byType) console.log(`${number(count).padStart(12)}  ${type}`);
    const known = there > 0 ? `, ${number(there)} were there already` : '';
    console.log(
      `${number(total)} resources loaded in ${seconds.toFixed(1)} s (${rate(total + there, seconds)})${known}`,
    );
  }
  const what = refused === 1 ? 'resource was' : 'resources were';
  if (refused > 0) fail(`${number(refused)} ${what} refused: ${file} says which and why`);
  if (!complete) fail('interrupted before the end: run it again to go on');
}
