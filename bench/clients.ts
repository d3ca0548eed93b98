/**
 * Memory with many clients connected, and the time to start: a server on an embedded database of its own.
 * `npm run bench:clients -- [CLIENTS] [SECONDS]`
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startEmbedded } from '../src/store/embedded.ts';
import { newObservation, patient } from './dataset.ts';
import { consilium, freePort, memoryOf, serve } from './processes.ts';
import { openWire, request, send } from './wire.ts';

const clients = Number(process.argv[2] ?? 1000);
const seconds = Number(process.argv[3] ?? 20);
const size = { observations: 1000, patients: 100, others: 0 };
/** What a client waits between its requests: at least so many ms, and at most twice as many. */
const PAUSE = 500;

const dataDir = mkdtempSync(join(tmpdir(), 'consilium-clients-'));
// Held, so that the stop and the start of the server are the server's alone.
const embedded = await startEmbedded({ dataDir });
try {
  const env = { DATA_DIR: dataDir };
  const port = await freePort();
  const first = await serve(env, port);
  const token = (await consilium(['token'], env)).trim().split(/\s+/).at(-1)!;
  await hold(port, token, first.pid);
  await first.stop();
  await embedded.release();
  await startAgain(env, port, token);
} finally {
  await embedded.release();
  rmSync(dataDir, { recursive: true, force: true });
}

/** Many clients, each with a connection of its own, now and then writing and reading. */
async function hold(port: number, token: string, pid: number): Promise<void> {
  const bodies = Array.from({ length: 100 }, (_, n) => JSON.stringify(newObservation(n, size)));
  const wires = await Promise.all(Array.from({ length: clients }, () => openWire(port)));
  const end = performance.now() + seconds * 1000;
  let answers = 0;
  const faults: string[] = [];
  const memory: number[] = [];
  const watch = setInterval(() => memory.push(memoryOf(pid)?.now ?? 0), 250);
  await Promise.all(
    wires.map(async (wire, n) => {
      while (performance.now() < end) {
        await sleep(PAUSE * (1 + Math.random()));
        const bytes =
          n % 2
            ? request('POST', '/fhir/Observation', { token, body: bodies[n % bodies.length] })
            : request('GET', '/fhir/Observation?_count=10&_sort=-_lastUpdated', { token });
        const answer = await send(wire, bytes);
        answers++;
        if (answer.status >= 400) faults.push(`${answer.status} ${answer.body.subarray(0, 200)}`);
      }
      wire.close();
    }),
  );
  clearInterval(watch);
  const quarters = [0.25, 0.5, 0.75, 0.99].map((share) => memory[Math.floor(memory.length * share)] ?? 0);
  console.log(
    `${clients} clients for ${seconds} s: ${answers} answers, ${faults.length} faults; ` +
      `memory ${quarters.join(', ')} MiB by quarters, at most ${memoryOf(pid)?.peak}`,
  );
  if (faults[0]) console.log(`  ${faults[0]}`);
  if (faults.length > 0 || Math.max(...memory) > 600) process.exitCode = 1;
}

/** From the command to the open port with the database down, and from there to the first created resource. */
async function startAgain(env: NodeJS.ProcessEnv, port: number, token: string): Promise<void> {
  const begin = performance.now();
  const server = await serve(env, port);
  const listening = performance.now();
  const wire = await openWire(port);
  const { id: _id, ...body } = patient(1);
  const answer = await send(wire, request('POST', '/fhir/Patient', { token, body: JSON.stringify(body) }));
  const answered = performance.now();
  wire.close();
  await server.stop();
  console.log(
    `start again: listening after ${(listening - begin).toFixed(0)} ms, ` +
      `first POST answered ${answer.status} after ${(answered - listening).toFixed(0)} ms more`,
  );
  if (answer.status !== 201 || listening - begin > 3000 || answered - listening > 200) process.exitCode = 1;
}
