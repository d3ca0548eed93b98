/** Users who post transactions of PUTs to the same resources, each in an order of its own, as fast as they can. */
import { openWire, request, send } from '../../bench/wire.ts';
import type { Cluster } from './cluster.ts';
import { readHistory } from './contents.ts';

/** Resources that all write, and how many of them a Bundle has. */
const RESOURCES = 40;
const ENTRIES = 10;

export interface UsersReport {
  readonly users: number;
  /** Bundles a second, of all users */
  readonly throughput: number;
  /** ms of a Bundle: of all, and of the user who waited longest */
  readonly p50: number;
  readonly p99: number;
  readonly worstP50: number;
  readonly worstP99: number;
  /** Bundles of the slowest user ÷ those of the fastest */
  readonly fairness: number;
  /** answers by status */
  readonly statuses: ReadonlyMap<number, number>;
  /** versions more or fewer than were acknowledged */
  readonly astray: number;
}

export async function letUsersPost(
  { ports, token }: Cluster,
  users: number,
  seconds: number,
): Promise<UsersReport> {
  const run = `u${users}x${Date.now().toString(36)}`;
  const statuses = new Map<number, number>();
  const until = performance.now() + seconds * 1000;
  const work = async (user: number): Promise<number[]> => {
    const wire = await openWire(ports[user % ports.length]!);
    const took: number[] = [];
    while (performance.now() < until) {
      const bytes = request('POST', '/fhir', { token, body: bundleOf(run) });
      const since = performance.now();
      const { status } = await send(wire, bytes);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      if (status === 200) took.push(performance.now() - since);
    }
    wire.close();
    return took;
  };
  const started = performance.now();
  const perUser = await Promise.all(Array.from({ length: users }, (_, user) => work(user)));
  const elapsed = (performance.now() - started) / 1000;
  const { resources } = await readHistory(ports[0]!, token, run);
  const versions = resources.values().reduce((sum, list) => sum + list.length, 0);
  const all = perUser.flat();
  const counts = perUser.map(({ length }) => length);
  return {
    users,
    throughput: all.length / elapsed,
    p50: quantile(all, 0.5),
    p99: quantile(all, 0.99),
    worstP50: Math.max(...perUser.map((took) => quantile(took, 0.5))),
    worstP99: Math.max(...perUser.map((took) => quantile(took, 0.99))),
    fairness: Math.min(...counts) / Math.max(...counts),
    statuses,
    astray: versions - all.length * ENTRIES,
  };
}

export function describeUsers(report: UsersReport): string {
  const { users, throughput, p50, p99, worstP50, worstP99, fairness, statuses, astray } = report;
  const ms = (value: number) => value.toFixed(0);
  return (
    `${users} users: ${throughput.toFixed(0)} Bundles/s (${(throughput * ENTRIES).toFixed(0)} resources/s), ` +
    `p50 ${ms(p50)} ms, p99 ${ms(p99)} ms; worst user p50 ${ms(worstP50)}, p99 ${ms(worstP99)} ms; ` +
    `slowest ÷ fastest ${fairness.toFixed(2)}; ` +
    `answers ${[...statuses].map(([status, count]) => `${status}: ${count}`).join(', ')}; ${astray} versions astray`
  );
}

function bundleOf(run: string): string {
  const numbers = Array.from({ length: RESOURCES }, (_, i) => i);
  const entry = Array.from({ length: ENTRIES }, () => {
    const [number] = numbers.splice(Math.floor(Math.random() * numbers.length), 1);
    const id = `${run}-${number}`;
    const resource = { resourceType: 'Patient', id, name: [{ text: `${Math.random()}` }] };
    return { resource, request: { method: 'PUT', url: `Patient/${id}` } };
  });
  return JSON.stringify({ resourceType: 'Bundle', type: 'transaction', entry });
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
