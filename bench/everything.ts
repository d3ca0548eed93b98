/**
 * Patient/$everything of a patient with about a hundred resources, and of one with thousands: a server on an embedded
 * database of its own. `npm run bench:everything -- [SECONDS]`
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbedded } from '../src/store/embedded.ts';
import { migrate } from '../src/store/migrate.ts';
import { patientId } from './dataset.ts';
import { fill } from './fill.ts';
import { consilium, freePort, memoryOf, serve } from './processes.ts';

const seconds = Number(process.argv[2] ?? 10);
// Patient 0 has a tenth of all.
const size = { observations: 50_000, patients: 450 };
const ASKED = { median: 15, rate: 30_000 };

const dataDir = mkdtempSync(join(tmpdir(), 'consilium-everything-'));
const embedded = await startEmbedded({ dataDir });
try {
  const env = { DATA_DIR: dataDir };
  await migrate(embedded.url);
  await fill(embedded.url, size, console.log);
  const port = await freePort();
  const server = await serve(env, port);
  const token = (await consilium(['token'], env)).trim().split(/\s+/).at(-1)!;
  const few = await measure(port, token, patientId(300), server.pid);
  const many = await measure(port, token, patientId(0), server.pid);
  await server.stop();
  if (few.median > ASKED.median || many.rate < ASKED.rate) process.exitCode = 1;
} finally {
  await embedded.release();
  rmSync(dataDir, { recursive: true, force: true });
}

/** One client, one request after the other. */
async function measure(
  port: number,
  token: string,
  id: string,
  pid: number,
): Promise<{ readonly median: number; readonly rate: number }> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ask = () => read({ agent, port, path: `/fhir/Patient/${id}/$everything`, token });
  const resources = JSON.parse(Buffer.concat(await ask()).toString()).entry.length;
  const times: number[] = [];
  let size = 0;
  const before = memoryOf(pid)?.now;
  for (const end = performance.now() + seconds * 1000; performance.now() < end; ) {
    const begin = performance.now();
    const chunks = await ask();
    times.push(performance.now() - begin);
    size = chunks.reduce((sum, { length }) => sum + length, 0);
  }
  agent.destroy();
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.floor(times.length * share)] as number;
  const [median, rate] = [at(0.5), (resources * 1000) / at(0.5)];
  console.log(
    `${resources} resources, ${Math.round(size / 1024)} KiB: p50 ${median.toFixed(1)} ms, p99 ${at(0.99).toFixed(1)} ms, ` +
      `${Math.round(rate)} resources/s; server ${before} MiB before, ${memoryOf(pid)?.now} after, ${memoryOf(pid)?.peak} at most`,
  );
  return { median, rate };
}

function read(where: {
  readonly agent: Agent;
  readonly port: number;
  readonly path: string;
  readonly token: string;
}): Promise<Buffer[]> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${where.token}` };
    get({ ...where, host: '127.0.0.1', headers }, (response) => {
      const chunks: Buffer[] = [];
      if (response.statusCode !== 200) reject(new Error(`answered with ${response.statusCode}`));
      response.on('data', (chunk) => chunks.push(chunk)).on('end', () => resolve(chunks));
      response.on('error', reject);
    }).on('error', reject);
  });
}
