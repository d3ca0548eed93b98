import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { openWire } from './wire.ts';
import { workloads } from './workloads.ts';

const [name, seconds, clients] = [
  process.argv[2]!,
  Number(process.argv[3] ?? 5),
  Number(process.argv[4] ?? 1),
];
const size = { observations: 1000000, patients: 20000, others: 500000 };
const token = readFileSync('/tmp/tok', 'utf8').trim();
const w = workloads[name]!(size, token);
const times: number[] = [];
const until = performance.now() + seconds * 1000;
async function one(c: number) {
  const wire = await openWire(Number(process.env.P ?? 8899));
  const next = w(c, clients);
  while (performance.now() < until) {
    const e = next();
    const t = performance.now();
    const a = await new Promise<any>((r) => wire.send(e.bytes, r));
    times.push(performance.now() - t);
    const f = e.fault(a);
    if (f) {
      console.log(f);
      process.exit(1);
    }
  }
}
await Promise.all(Array.from({ length: clients }, (_, c) => one(c)));
times.sort((a, b) => a - b);
console.log(
  name,
  'n',
  times.length,
  'per s',
  Math.round(times.length / seconds),
  'p50',
  times[times.length >> 1]!.toFixed(2),
  'p99',
  times[Math.floor(times.length * 0.99)]!.toFixed(2),
);
process.exit(0);
