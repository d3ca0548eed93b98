/** `consilium doctor`: what the server needs, looked at one by one, with what to do about what is wrong. */
import { accessSync, constants, existsSync, statfsSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import type pg from 'pg';
import type { Config } from '../config.ts';
import { EXTRACTOR_VERSION } from '../fhir/extract.ts';
import { openBlobs } from '../store/blobs/open.ts';
import { compareBlobs, damagedBlobs } from '../store/bytes.ts';
import { connect, nameOf } from '../store/connect.ts';
import { MOST_SETS } from '../store/index/row.ts';
import { pending } from '../store/migrate.ts';
import { type Database, openDatabase } from './database.ts';
import { configuration, oneLine } from './fault.ts';
import { explained } from './serve/listen.ts';

interface Finding {
  readonly check: string;
  readonly ok: boolean;
  /** what was found, or what is wrong and what to do */
  readonly found: string;
}

const GiB = 1024 ** 3;

/** @param deep whether all bytes are read */
export async function doctor({
  json = false,
  deep = false,
}: {
  json?: boolean;
  deep?: boolean;
}): Promise<void> {
  const findings: Finding[] = [];
  const look = async <T>(
    check: string,
    find: () => Promise<{ found: string; value?: T }> | { found: string },
  ) => {
    try {
      const { found, value } = (await find()) as { found: string; value?: T };
      findings.push({ check, ok: true, found });
      return value;
    } catch (fault) {
      findings.push({ check, ok: false, found: oneLine(fault) });
      return undefined;
    }
  };

  await look('node', () => ({ found: `Node ${process.versions.node}` }));
  const config = await look('settings', async () => ({ found: 'all understood', value: configuration() }));
  await look('definitions', definitions);
  if (config) {
    await look('data folder', () => dataFolder(config));
    await look('disk space', () => diskSpace(config));
    await look('port', () => port(config));
    await database(config, look, deep);
  }

  if (findings.some(({ ok }) => !ok)) process.exitCode = 1;
  if (json) return console.log(JSON.stringify({ ok: findings.every(({ ok }) => ok), findings }));
  const width = Math.max(...findings.map(({ check }) => check.length));
  for (const { check, ok, found } of findings)
    console.log(`${ok ? 'ok   ' : 'WRONG'}  ${check.padEnd(width)}  ${found}`);
}

async function definitions() {
  const { loadDefinitions } = await import('../fhir/definitions.ts');
  const { resourceTypes } = await loadDefinitions();
  return { found: `R4, ${resourceTypes.length} resource types` };
}

/** The folder itself, or the nearest above it that is there. */
function nearest(folder: string): string {
  return existsSync(folder) ? folder : nearest(dirname(folder));
}

function dataFolder({ dataDir }: Config) {
  const folder = nearest(resolve(dataDir));
  try {
    if (!statSync(folder).isDirectory()) throw new Error();
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch {
    throw new Error(
      `DATA_DIR ${resolve(dataDir)} cannot be written by this user: change its owner or choose another DATA_DIR`,
    );
  }
  return { found: `${resolve(dataDir)}${folder === resolve(dataDir) ? '' : ' (will be made)'}` };
}

function diskSpace({ dataDir }: Config) {
  const { bavail, bsize } = statfsSync(nearest(resolve(dataDir)));
  const free = (bavail * bsize) / GiB;
  if (free < 1)
    throw new Error(`only ${free.toFixed(2)} GiB are free under DATA_DIR: make room on that disk`);
  return { found: `${free.toFixed(1)} GiB free under DATA_DIR` };
}

function port(config: Config): Promise<{ found: string }> {
  const { port, host } = config;
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', async (fault: NodeJS.ErrnoException) => {
      const ours = fault.code === 'EADDRINUSE' && (await answersAsConsilium(config));
      if (ours) resolve({ found: `a Consilium listens on ${port}` });
      else reject(explained(fault, config));
    });
    server.listen({ port, host, exclusive: true }, () =>
      server.close(() => resolve({ found: `${port} is free` })),
    );
  });
}

async function answersAsConsilium({ port, host }: Config): Promise<boolean> {
  const address = host === '0.0.0.0' || host === '::' ? 'localhost' : host.includes(':') ? `[${host}]` : host;
  try {
    const answer = await fetch(`http://${address}:${port}/fhir/metadata`, {
      signal: AbortSignal.timeout(3000),
    });
    const { software } = (await answer.json()) as { software?: { name?: string } };
    return software?.name === 'Consilium';
  } catch {
    return false;
  }
}

/** Bytes that are lost or damaged have to be told; those of nobody are swept away by serve. */
async function blobsAgree(config: Config, connection: pg.Client, deep: boolean): Promise<{ found: string }> {
  const folder = join(config.dataDir, 'blobs');
  if (config.blobsUrl === undefined && !existsSync(folder)) return { found: 'none yet' };
  const store = await openBlobs({ url: config.blobsUrl, folder, keys: config.blobKeys });
  const { blobs, orphans, lost } = await compareBlobs(connection, store);
  if (lost.length > 0)
    throw new Error(
      `the bytes of ${lost.length} of ${blobs} blobs are not there: bring them back from a backup, beginning with ${lost.slice(0, 3).join(', ')}`,
    );
  const left = orphans > 0 ? `; ${orphans} more that nobody has, which serve removes` : '';
  if (!deep) return { found: `${blobs}, all there${left}` };
  const { read, damaged } = await damagedBlobs(connection, store);
  if (damaged.length > 0)
    throw new Error(
      `the bytes of ${damaged.length} of ${read} blobs are damaged: bring them back from a backup, beginning with ${damaged.slice(0, 3).join(', ')}`,
    );
  return { found: `${blobs}, all there, and as they came${left}` };
}

type Look = (check: string, find: () => Promise<{ found: string }>) => Promise<unknown>;

async function database(config: Config, look: Look, deep: boolean): Promise<void> {
  if (!config.databaseUrl && !existsSync(join(config.dataDir, 'postgres'))) {
    await look('database', async () => ({ found: 'none yet: serve makes an embedded one under DATA_DIR' }));
    return;
  }
  let opened: Database | undefined;
  let client: pg.Client | undefined;
  try {
    await look('database', async () => {
      opened = await openDatabase(config, () => {});
      client = await connect(opened.url);
      const { rows } = await client.query(
        `select current_setting('server_version') as version, pg_database_size(current_database())::float8 as size`,
      );
      const { version, size } = rows[0] as { version: string; size: number };
      return {
        found: `PostgreSQL ${version} at ${nameOf(opened.url)}, ${(size / 1024 ** 2).toFixed(0)} MiB`,
      };
    });
    if (!client) return;
    const connection = client;
    await look('schema', async () => {
      const names = await pending(connection);
      if (names.length > 0) throw new Error(`not up to date: consilium migrate applies ${names.join(', ')}`);
      return { found: 'up to date' };
    });
    await look('index', async () => {
      const { rows } = await connection.query(
        `select count(*)::int as old from resource_index where extractor / ${MOST_SETS} <> $1`,
        [EXTRACTOR_VERSION],
      );
      const { old } = rows[0] as { old: number };
      if (old > 0)
        throw new Error(`${old} resources are indexed by an older version: serve indexes them anew`);
      return { found: `all resources are indexed by extractors of version ${EXTRACTOR_VERSION}` };
    });
    await look('blobs', () => blobsAgree(config, connection, deep));
  } finally {
    await client?.end();
    await opened?.release();
  }
}
