/** Composes the rooms into a server. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type pg from 'pg';
import type { Logger } from 'pino';
import type { Config } from './config.ts';
import { type Definitions, loadDefinitions } from './fhir/definitions.ts';
import { loadValidator } from './fhir/validate.ts';
import { makeDoor } from './http/door.ts';
import { fhirBase } from './http/exchange.ts';
import { tracesOf } from './http/faults.ts';
import { makeSeal } from './http/sealed.ts';
import { createServer } from './http/server.ts';
import { makeStrangers } from './http/strangers.ts';
import { type Imaging, openImaging } from './imaging/open.ts';
import { openJobs } from './jobs/jobs.ts';
import { sweepJobs } from './jobs/queue.ts';
import { sweepReindexes } from './jobs/reindex-queue.ts';
import { openReindexing } from './jobs/reindexing.ts';
import { makeSyslog } from './jobs/syslog.ts';
import { type Chore, keepTimetable } from './jobs/timetable.ts';
import { openTranscodings } from './jobs/transcodings.ts';
import { openContents } from './media/content.ts';
import { openFilms } from './media/films.ts';
import { makeLinks } from './media/links.ts';
import { makeLook } from './media/look.ts';
import { openPictures } from './media/pictures.ts';
import { makeScan } from './media/scan.ts';
import { makeTranscode } from './media/transcode.ts';
import { makeUploads } from './media/uploads.ts';
import { makeOperations } from './operations/table.ts';
import { sendTrail } from './records/audit-output.ts';
import { audited } from './records/audited.ts';
import { openRecords } from './records/open.ts';
import type { Records } from './records/records.ts';
import { makeRoutes } from './rest/routes.ts';
import { openSmart, type Smart } from './smart/open.ts';
import { wellKnown } from './smart/well-known.ts';
import { makeAuditLog } from './store/audit/log.ts';
import { turnPartitions } from './store/audit/partitions.ts';
import { seal as sealTrail } from './store/audit/seals.ts';
import { openBlobs } from './store/blobs/open.ts';
import { sweepBlobs } from './store/bytes.ts';
import { keepWords } from './store/index/words.ts';
import { openPools } from './store/pool.ts';
import { openStore, type Store } from './store/store.ts';
import { issueToken } from './store/tokens.ts';

const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../package.json'), 'utf8')) as {
  version: string;
};

export interface App {
  /** the FHIR base URL */
  readonly base: string;
  readonly definitions: Definitions;
  readonly records: Records;
  readonly store: Store;
  readonly pool: pg.Pool;
  /** the authorization server */
  readonly smart: Smart;
  readonly imaging: Imaging;
  /** Listens; answers with the port, which PORT=0 leaves to the system. */
  listen(): Promise<{ readonly port: number }>;
  issueToken(grant: {
    readonly scope: string;
    readonly client: string;
    readonly minutes: number;
  }): Promise<string>;
  /** Whether nothing was ever written. */
  isEmpty(): Promise<boolean>;
  /** Stops listening, answers what is under way, and closes the database's connections. */
  close(): Promise<void>;
}

/**
 * Opens everything on a migrated database.
 *
 * @param config with `databaseUrl` set
 */
export async function openApp(config: Config, log: Logger): Promise<App> {
  const definitions = await loadDefinitions();
  const validator = await loadValidator(definitions);
  const pools = openPools(config.databaseUrl as string, config.searchTimeout);
  const pool = pools.fixed;
  try {
    const folder = join(config.dataDir, 'blobs');
    const blobs = await openBlobs({ url: config.blobsUrl, folder, keys: config.blobKeys });
    const store = await openStore(pools, definitions, blobs);
    const jobs = openJobs(pool);
    const base = fhirBase({ config });
    const reindexing = openReindexing(store, base);
    const auditLog = makeAuditLog(pool, store.catalog, config.secretKey ?? store.catalog.linkKey);
    const options = {
      baseUrl: base,
      checkReferences: config.references === 'check',
      mostDeleted: config.deleteMatches,
      maxContent: config.maxBody,
      maxBinary: config.maxBinary,
      bytesQuota: config.bytesQuota,
      readOnly: config.readOnly,
      policy: config.accessPolicy,
      trail: auditLog,
    };
    const pictures = openPictures();
    const transcodings = openTranscodings(pool);
    const films = await openFilms(config.ffmpeg);
    if (!films && config.ffmpeg !== 'none')
      log.info(
        'there is no ffmpeg: video and audio are kept as they come, have no pictures, and are not made to play',
      );
    const look = makeLook({
      pictures,
      films,
      scan: config.clamd === undefined ? undefined : makeScan(config.clamd),
    });
    const records = audited(
      openRecords(store, definitions, validator, { ...options, look }, jobs, reindexing),
      auditLog,
      config.audit,
      (fault) => log.error({ code: (fault as { code?: unknown }).code }, 'could not keep the audit trail'),
    );
    if (!config.readOnly) await turnPartitions(pool, config.auditMonths);
    const seal = makeSeal(store.catalog.linkKey);
    const context = { config, definitions, records, log, seal, version };
    const links = makeLinks(store.catalog.linkKey, base, records);
    const imaging = openImaging(context, links);
    const media = { contents: openContents(context, pictures, films), links, imaging };
    const strangers = makeStrangers(records.note, (fault) =>
      log.warn({ fault: tracesOf(fault) }, 'could not note who was not let in'),
    );
    const enter = makeDoor({ config, records, strangers });
    const smart = await openSmart({ config, definitions, records, pools, strangers, log });
    const routes = makeRoutes(context, makeOperations(context, media), wellKnown(smart.configuration));
    const ready = () => pool.query('select 1');
    const { server, perform, close } = createServer({
      ...context,
      ...{ routes, log, enter, ready, auth: smart.handle, uploads: makeUploads({ ...context, enter }) },
      dicomweb: imaging.handle,
    });
    const timetable: readonly Chore[] = [
      {
        at: '* * * * *',
        failed: 'could not seal the audit trail',
        work: async () => {
          await turnPartitions(pool, config.auditMonths);
          await sealTrail(pool, store.catalog);
        },
      },
      { at: '* * * * *', work: imaging.purge, failed: 'could not purge deleted studies' },
      { at: '*/10 * * * *', work: () => sweepJobs(pool), failed: 'could not sweep the jobs' },
      { at: '*/10 * * * *', work: () => sweepReindexes(pool), failed: 'could not sweep the reindexing' },
      { at: '7 * * * *', work: imaging.sweep, failed: 'could not sweep the pictures' },
      { at: '17 * * * *', work: () => sweepBlobs(pool, blobs), failed: 'could not sweep the blobs' },
      { at: '37 * * * *', work: smart.turnKeys, failed: 'could not turn the signing keys' },
      { at: '47 * * * *', work: smart.sweep, failed: 'could not sweep the authorization server' },
    ];
    const endTimetable = config.readOnly ? undefined : keepTimetable(timetable, log);
    const stopSending =
      config.auditSyslog && !config.readOnly
        ? sendTrail(store, base, auditLog, makeSyslog(config.auditSyslog, new URL(base).hostname), (fault) =>
            log.warn({ fault: tracesOf(fault) }, 'could not send the audit trail: it will be tried again'),
          )
        : undefined;
    const stopKeeping = config.readOnly
      ? undefined
      : keepWords(store.words, (fault) =>
          log.warn({ code: (fault as { code?: unknown }).code }, 'could not keep the index of words'),
        );
    return {
      base,
      definitions,
      records,
      store,
      pool,
      smart,
      imaging,
      async listen() {
        server.listen(config.port, config.host);
        await once(server, 'listening');
        // Another process, or this one later, does what is asked for meanwhile.
        if (!config.readOnly) {
          jobs.start(perform, log);
          reindexing.start(log);
          if (films?.playable) transcodings.start(makeTranscode(records, films.playable), log);
        }
        return { port: (server.address() as AddressInfo).port };
      },
      issueToken: ({ scope, client, minutes }) => issueToken(pool, { scope, client, seconds: minutes * 60 }),
      isEmpty: async () =>
        (await pool.query('select not exists (select from resource where version > 0) as empty')).rows[0]
          .empty,
      async close() {
        endTimetable?.();
        await Promise.all([
          close().then(smart.close),
          ...[jobs.close(), reindexing.close(), transcodings.close(), imaging.close()],
          ...[stopKeeping?.(), stopSending?.()],
        ]);
        await strangers.close();
        await pictures.close();
        await pools.end();
      },
    };
  } catch (fault) {
    await pools.end();
    throw fault;
  }
}
