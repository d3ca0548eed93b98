/**
 * What is long: Patient/$everything of a patient with about a hundred resources and of one with thousands, and a walk
 * over a tenth of all Observations by pages of 1,000. One client, on the database of the searches.
 * `npm run bench:everything -- [--seconds N] [--observations N] [--patients N] [--others N]`
 */
import { Agent, get } from 'node:http';
import { parseArgs } from 'node:util';
import { openDatabase } from './database.ts';
import { observationsBySubject, patientId, type Size } from './dataset.ts';
import { consilium, freePort, memoryOf, serve } from './processes.ts';

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    observations: { type: 'string', default: '1000000' },
    patients: { type: 'string', default: '20000' },
    others: { type: 'string', default: '500000' },
  },
});
const seconds = Number(options.seconds);
const size: Size = {
  observations: Number(options.observations),
  patients: Number(options.patients),
  others: Number(options.others),
};
const ASKED = { median: 15, rate: 30_000 };

const database = await openDatabase(size, console.log);
try {
  const env = { DATABASE_URL: database.url, DATA_DIR: database.dataDir };
  const port = await freePort();
  const token = (await consilium(['token', '--minutes', '1440'], env)).trim().split(/\s+/).at(-1)!;
  const server = await serve(env, port);
  const few = await measure(port, token, patientId(patientOfAbout(70)), server.pid);
  // One of the frequent patients has some thousands.
  const many = await measure(port, token, patientId(1), server.pid);
  const walked = await walk(port, token, server.pid);
  await server.stop();
  if (few.median > ASKED.median || many.rate < ASKED.rate || walked < ASKED.rate) process.exitCode = 1;
} finally {
  await database.close();
}

/** The patient whose Observations come nearest to that many; there are some 25 other resources about each. */
function patientOfAbout(many: number): number {
  const counts = observationsBySubject(size);
  const [[found] = [2]] = [...counts].sort(([, a], [, b]) => Math.abs(a - many) - Math.abs(b - many));
  return found;
}

/** All Observations of patient 0, page by page. */
async function walk(port: number, token: string, pid: number): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const before = memoryOf(pid)?.now;
  const seen = new Set<string>();
  const begin = performance.now();
  for (let path: string | undefined = `/fhir/Observation?patient=${patientId(0)}&_count=1000`; path; ) {
    const text: string = Buffer.concat(await read({ agent, port, path, token })).toString();
    for (const [, id] of text.matchAll(/"fullUrl":"[^"]*\/([^"/]+)"/g)) seen.add(id as string);
    const next = /"relation":"next","url":"([^"]+)"/.exec(text)?.[1];
    path = next && new URL(next).pathname + new URL(next).search;
  }
  const rate = seen.size / ((performance.now() - begin) / 1000);
  agent.destroy();
  console.log(
    `walk of ${seen.size} by 1,000: ${Math.round(rate)} resources/s, the client's reading included; ` +
      `server ${before} MiB before, ${memoryOf(pid)?.now} after, ${memoryOf(pid)?.peak} at most`,
  );
  return rate;
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
