/** Two server processes over one database, which are killed and started again while clients work. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { consilium, freePort, type Running, serve, stop } from '../../bench/processes.ts';

export interface Cluster {
  readonly ports: readonly number[];
  /** may do everything for a day */
  readonly token: string;
  /** Ends one server, by kill -9 or by SIGTERM by turns, and starts it again. */
  restart(): Promise<void>;
  /** Restarts one after the other, so many ms apart, until told to end. */
  restartEvery(ms: number, signal: AbortSignal): Promise<number>;
  /** what the servers' logs say of errors */
  complaints(): string;
  stop(): Promise<void>;
}

export async function startCluster(env: NodeJS.ProcessEnv): Promise<Cluster> {
  const settings = { LOG_LEVEL: 'error', BASE_URL: 'http://fhir.example.org', ...env };
  const ports = [await freePort(), await freePort()];
  const servers = await Promise.all(ports.map((port) => serve(settings, port)));
  const token = (await consilium(['token', '--minutes', '1440'], settings)).trim();
  const logs: string[] = [];
  let restarts = 0;
  async function restart(): Promise<void> {
    const at = restarts % 2;
    const server = servers[at] as Running;
    const signal = restarts % 4 < 2 ? 'SIGKILL' : 'SIGTERM';
    restarts++;
    const ended = once(server.process, 'exit');
    server.process.kill(signal);
    await ended;
    logs.push(server.complaints());
    servers[at] = await serve(settings, ports[at]!);
  }
  return {
    ports,
    token,
    restart,
    async restartEvery(ms, signal) {
      const before = restarts;
      while (!signal.aborted) {
        await sleep(ms * (0.5 + Math.random()), undefined, { signal }).catch(() => {});
        if (!signal.aborted) await restart();
      }
      return restarts - before;
    },
    complaints: () => [...logs, ...servers.map((server) => server.complaints())].join(''),
    async stop() {
      await Promise.all(servers.map(({ process }) => stop(process)));
    },
  };
}
