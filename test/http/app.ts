/** A running server on a database of its own, and a client of it that may do everything. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import request, { type Test } from 'supertest';
import { type App, openApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';

export interface TestApp {
  readonly app: App;
  readonly database: TestDatabase;
  /** where it listens */
  readonly url: string;
  /** an access token for everything */
  readonly token: string;
  /** of its database */
  readonly databaseUrl: string;
  /** where its bytes are */
  readonly dataDir: string;
  /** what the server's log holds */
  readonly log: string[];
  /** the FHIR base as links are made from it */
  readonly base: string;
  /** A request to a path under the FHIR base, with the token. */
  send(method: 'get' | 'head' | 'post' | 'put' | 'patch' | 'delete' | 'options', path: string): Test;
  /** Creates a resource under its id, with the rest of its elements. */
  create(type: string, id: string, rest: object): Test;
  close(): Promise<void>;
  /** Takes its database away. */
  drop(): Promise<void>;
}

/** @param database of another server, beside which this one runs */
export async function startApp(
  settings: Record<string, string> = {},
  database?: TestDatabase,
): Promise<TestApp> {
  database ??= await cloneDatabase();
  const dataDir = await mkdtemp(join(tmpdir(), 'consilium-http-'));
  const config = readConfig({
    PORT: '0',
    BASE_URL: 'https://fhir.example.org/',
    DATABASE_URL: database.url,
    DATA_DIR: dataDir,
    ...settings,
  });
  const log: string[] = [];
  const app = await openApp(config, pino({ level: 'info' }, { write: (line: string) => log.push(line) }));
  const { port } = await app.listen();
  const token = await app.issueToken({ scope: 'system/*.cruds', client: 'test', minutes: 60 });
  const url = `http://127.0.0.1:${port}`;
  const send: TestApp['send'] = (method, path) =>
    request(url)[method](`/fhir${path}`).set('Authorization', `Bearer ${token}`).buffer(true);
  return {
    app,
    database,
    url,
    token,
    databaseUrl: database.url,
    dataDir,
    log,
    base: 'https://fhir.example.org/fhir',
    send,
    create: (type, id, rest) =>
      send('put', `/${type}/${id}`)
        .type('application/fhir+json')
        .send({ resourceType: type, id, ...rest })
        .expect(201),
    drop: database.drop,
    async close() {
      await app.close();
      await database.drop();
      await rm(dataDir, { recursive: true });
    },
  };
}
