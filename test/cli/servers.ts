/** Processes that serve one database, and may be killed. */
import { cloneDatabase } from '../support/database.ts';
import { folder, listening, type Run, run, start } from './consilium.ts';

export interface Server {
  readonly server: Run;
  readonly base: string;
}

export interface Servers {
  readonly databaseUrl: string;
  /** of a client that may do everything, and sends JSON */
  readonly headers: Readonly<Record<string, string>>;
  /** Starts one more. */
  serve(): Promise<Server>;
  /** Kills those that still run, and takes the database away. */
  close(): Promise<void>;
}

export async function openServers(): Promise<Servers> {
  const database = await cloneDatabase();
  const env = { DATABASE_URL: database.url, DATA_DIR: folder() };
  const token = (await run(['token'], { env })).out.trim();
  const servers: Run[] = [];
  return {
    databaseUrl: database.url,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/fhir+json' },
    async serve() {
      const server = start(['serve'], { env });
      servers.push(server);
      return { server, base: await listening(server) };
    },
    async close() {
      for (const { child } of servers) child.kill('SIGKILL');
      await Promise.all(servers.map(({ ended }) => ended));
      await database.drop();
    },
  };
}
