/** `consilium serve`: the database, the schema, the sample, the server; and all of them down again in that order. */
import cluster from 'node:cluster';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { App } from '../app.ts';
import type { Config } from '../config.ts';
import { type Database, openDatabase } from './database.ts';
import { configuration, fail, Usage } from './fault.ts';
import { logger } from './log.ts';
import { type Demo, makeDemo } from './serve/demo.ts';
import { explained, portOf } from './serve/listen.ts';
import { GRACE, type Serving, stopSignal } from './serve/stop.ts';
import { welcome } from './serve/welcome.ts';
import { serveAsWorker, startWorkers } from './serve/workers.ts';
import { withApp } from './with-app.ts';

const SAMPLE_TOKEN = { scope: 'system/*.cruds', client: 'sample', minutes: 12 * 60 };

export async function serve({ sample = false }: { sample?: boolean }): Promise<void> {
  const asked = configuration();
  if (cluster.isWorker) return serveAsWorker(asked);
  if (sample && asked.databaseUrl)
    throw new Usage(
      '--sample is for trying out, never with DATABASE_URL set: unset it, or load files of your own',
    );

  // From here on: a signal during the start is answered when there is something to stop.
  const stop = stopSignal();
  const config = await portOf(asked);
  const log = await logger(config);
  const database = await openDatabase(config, (line) => log.warn(line));
  try {
    // Only the first of several processes prepares the store; the others come up on what it made.
    const ready =
      config.workers === 1
        ? await serveHere(config, database, log, sample)
        : await withApp(config, database, log, async (app) => {
            const prepared = sample ? await prepareSample(config, app) : {};
            return { ...prepared, ...(await startWorkers(config, database.url, log)) };
          });
    warnOfHost(config);
    process.stdout.write(welcome(config, database, ready));
    await stop;
    if (await ready.close()) return;
    fail('requests under way took too long and were cut off');
  } finally {
    await database.release();
  }
  // Their connections would keep us.
  process.exit(1);
}

/** One process: this one. */
function serveHere(config: Config, database: Database, log: Logger, sample: boolean): Promise<Serving> {
  return new Promise((resolve, reject) => {
    let close = () => {};
    const closed = new Promise<void>((done) => {
      close = done;
    });
    const serving = withApp(config, database, log, async (app) => {
      const prepared = sample ? await prepareSample(config, app) : {};
      await app.listen().catch((fault: NodeJS.ErrnoException) => {
        throw explained(fault, config);
      });
      resolve({
        ...prepared,
        close: () => {
          close();
          return Promise.race([serving.then(() => true), sleep(GRACE, false, { ref: false })]);
        },
      });
      await closed;
    });
    serving.catch(reject);
  });
}

/** Loads the sample patients into an empty store, and makes what the welcome shows: a token, people and apps. */
async function prepareSample(config: Config, app: App): Promise<{ token: string; demo?: Demo }> {
  if (!config.readOnly && (await app.isEmpty())) {
    const { usualParallel } = await import('./load.ts');
    const { runLoad } = await import('./load/run.ts');
    const { findSources } = await import('./load/sources.ts');
    const { toRecords } = await import('./load/send.ts');
    const folder = join(import.meta.dirname, '../../fixtures');
    const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
    process.stderr.write('loading the sample patients (once) …\n');
    const { refused } = await runLoad(findSources(files.map((name) => join(folder, name))), {
      send: toRecords(app, await app.records.operator()),
      parallel: usualParallel(config),
      refused: ({ origin, fault }) => fail(`${origin.file}: ${fault.message}`),
    });
    if (refused > 0) fail(`${refused} of the sample resources were refused`);
  }
  const demo = config.readOnly ? undefined : await makeDemo(config, app.smart);
  return { token: await app.issueToken(SAMPLE_TOKEN), ...(demo ? { demo } : {}) };
}

function warnOfHost({ host, baseUrl }: Config): void {
  if (/^(127\.|::1$|localhost$)/.test(host) || baseUrl.startsWith('https:')) return;
  fail(
    `warning: HOST ${host} can be reached from other machines, over HTTP without encryption: put a TLS proxy before it and set BASE_URL to its https URL`,
  );
}
