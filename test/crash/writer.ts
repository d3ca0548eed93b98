/**
 * Writes from several clients at once, from a process of its own that survives what it writes to. It remembers
 * what was acknowledged: `{ port, token, load }` over IPC makes it write, `{ stop: true }` makes it stop and answer.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, openWire, request, send } from '../../bench/wire.ts';
import { bundle } from './bundles.ts';
import { single } from './singles.ts';
import { type Acknowledged, CLIENTS, forget, type Owned, type Sent } from './step.ts';

export type Load = 'singles' | 'bundles' | 'both';

export interface Order {
  readonly port: number;
  readonly token: string;
  readonly load: Load;
}

export interface Report {
  readonly acknowledged: readonly Acknowledged[];
  readonly bundles: readonly Sent[];
  /** wrong answers, such as a 500 for which there is no reason */
  readonly faults: readonly string[];
  /** answers 503, while the database was away */
  readonly unavailable: number;
  /** requests under way when the connection ended: they may have been done or not */
  readonly unanswered: number;
}

const SHARE_OF_BUNDLES: Readonly<Record<Load, number>> = { singles: 0, bundles: 1, both: 0.3 };

const owned: Owned[][] = Array.from({ length: CLIENTS }, () => []);
let writing: Promise<Report> | undefined;
let stopping = false;

process.on('message', async (message: Order | { stop: true }) => {
  if ('stop' in message) {
    stopping = true;
    process.send!(await writing!);
  } else {
    stopping = false;
    writing = write(message);
  }
});
process.on('disconnect', () => process.exit());

async function write({ port, token, load }: Order): Promise<Report> {
  const report = {
    acknowledged: [] as Acknowledged[],
    bundles: [] as Sent[],
    faults: [] as string[],
    unavailable: 0,
    unanswered: 0,
  };
  const client = async (own: Owned[], n: number) => {
    const wire = await openWire(port);
    while (!stopping) {
      const step = Math.random() < SHARE_OF_BUNDLES[load] ? bundle(own, n) : single(own, n);
      const { method, path, body } = step;
      if (step.bundle) report.bundles.push(step.bundle);
      let answer: Answer;
      try {
        answer = await send(wire, request(method, path, { token, body }));
      } catch (fault) {
        forget(own, step.touched);
        throw fault;
      }
      if (answer.status >= 200 && answer.status < 300) {
        const done = step.acknowledge(answer);
        if (done) report.acknowledged.push(...done);
        else report.faults.push(`${method} ${path}: ${answer.head} ${answer.body.subarray(0, 300)}`);
        continue;
      }
      // The database may have done it before it went away.
      forget(own, step.touched);
      if (answer.status === 503) {
        report.unavailable++;
        await sleep(50);
      } else report.faults.push(`${method} ${path}: ${answer.status} ${answer.body.subarray(0, 300)}`);
    }
    wire.close();
  };
  await Promise.all(owned.map((own, n) => client(own, n).catch(() => report.unanswered++)));
  return report;
}
