/** A run: clients work while servers are restarted, and the history is judged. */
import { randomBytes } from 'node:crypto';
import { type Fault, judge, told } from './checker.ts';
import { letClientsWork } from './clients.ts';
import type { Cluster } from './cluster.ts';
import { readHistory } from './contents.ts';
import { type History, type Operation, outcomeOf } from './history.ts';

export interface RunOptions {
  readonly seconds: number;
  readonly clients: number;
  /** seconds between two restarts; without it there are none */
  readonly restartEvery?: number;
  readonly pause?: number;
  /** what clients connect to in place of the servers */
  readonly ports?: readonly number[];
}

export interface Report {
  readonly operations: readonly Operation[];
  readonly versions: number;
  readonly resources: number;
  readonly restarts: number;
  readonly faults: readonly Fault[];
  readonly history: History;
  /** ms that judging took */
  readonly judged: number;
}

export async function concurrency(cluster: Cluster, options: RunOptions): Promise<Report> {
  const { seconds, clients, restartEvery, pause = 20, ports = cluster.ports } = options;
  const run = `c${randomBytes(4).toString('hex')}`;
  const over = new AbortController();
  const restarting = restartEvery ? cluster.restartEvery(restartEvery * 1000, over.signal) : 0;
  const { token } = cluster;
  const operations = await letClientsWork({ clients, ms: seconds * 1000, ports, token, run, pause }).finally(
    () => over.abort(),
  );
  const restarts = await restarting;
  const { resources, faults } = await readHistory(cluster.ports[0]!, cluster.token, run);
  const since = performance.now();
  const found: Fault[] = faults.map((text) => ({ kind: 'ghost', text, operations: [] }));
  found.push(...judge({ operations, resources }));
  const judged = performance.now() - since;
  const versions = resources.values().reduce((sum, list) => sum + list.length, 0);
  const history = { operations, resources };
  return { operations, versions, resources: resources.size, restarts, faults: found, judged, history };
}

/** The figures of a run, and its faults with what shows them. */
export function describe({ operations, versions, resources, restarts, faults, judged }: Report): string[] {
  const steps = operations.flatMap((operation) => operation.steps.map((step) => ({ operation, step })));
  const counts = new Map<string, number>();
  for (const { operation, step } of steps) {
    const name = step.condition ? `conditional ${step.action}` : step.action;
    const key = `${name.padEnd(20)} ${outcomeOf(operation, step)}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const statuses = Map.groupBy(operations, ({ status }) => status ?? 'unanswered');
  return [
    `${operations.length} requests with ${steps.length} steps, ${restarts} restarts; ${versions} versions of ${resources} resources`,
    [...statuses].map(([status, list]) => `${status}: ${list.length}`).join(', '),
    ...[...counts].sort().map(([name, count]) => `  ${name.padEnd(29)} ${count}`),
    `judged in ${Math.round(judged)} ms: ${faults.length} faults`,
    ...faults.map((fault) => `FAULT ${told(fault)}`),
  ];
}
