/**
 * Drives a server over HTTP for a while, from a process of its own: each client sends its next request when the
 * answer to its last one has come and been checked. Told what to do over IPC.
 */
import type { Size } from './dataset.ts';
import type { Maker, Workload } from './exchange.ts';
import { addTime, type Histogram } from './statistics.ts';
import { openWire, type Wire } from './wire.ts';
import { type WorkloadName, workloads } from './workloads.ts';

export interface Slice {
  readonly port: number;
  readonly workload: WorkloadName;
  readonly clients: number;
  readonly milliseconds: number;
  readonly size: Size;
  readonly token: string;
}

export interface Result {
  readonly requests: number;
  /** that the rightly answered requests were about */
  readonly resources: number;
  /** wrong answers among them */
  readonly errors: number;
  /** what was wrong with the first of them */
  readonly fault?: string;
  readonly seconds: number;
  readonly times: Histogram;
}

const made = new Map<WorkloadName, Workload>();
process.on('message', async (slice: Slice) => {
  let workload = made.get(slice.workload);
  if (!workload) {
    workload = (workloads[slice.workload] as Maker)(slice.size, slice.token);
    made.set(slice.workload, workload);
  }
  process.send!(await drive(slice, workload));
});

async function drive({ port, clients, milliseconds }: Slice, workload: Workload): Promise<Result> {
  const wires = await Promise.all(Array.from({ length: clients }, () => openWire(port)));
  const tally = {
    requests: 0,
    resources: 0,
    errors: 0,
    fault: undefined as string | undefined,
    times: [] as Histogram,
  };
  const begin = performance.now();
  const end = begin + milliseconds;

  const client = (wire: Wire, n: number) =>
    new Promise<void>((resolve) => {
      const next = workload(n, clients);
      const turn = () => {
        const { bytes, fault, resources = 1 } = next();
        const sent = performance.now();
        wire.send(bytes, (answer) => {
          const now = performance.now();
          addTime(tally.times, (now - sent) * 1000);
          tally.requests++;
          const wrong = answer instanceof Error ? answer.message : fault(answer);
          if (wrong === undefined) tally.resources += resources;
          else {
            tally.errors++;
            tally.fault ??= wrong;
          }
          if (now < end && !(answer instanceof Error)) turn();
          else resolve();
        });
      };
      turn();
    });
  await Promise.all(wires.map(client));
  const seconds = (performance.now() - begin) / 1000;
  for (const wire of wires) wire.close();
  return { ...tally, seconds };
}
