/** Malformed queries against a real server: each is answered or refused with a reason, in time. */
import http from 'node:http';
import fc from 'fast-check';
import { world } from '../oracle/arbitrary/worlds.ts';
import { type Ground, openGround } from '../oracle/ground.ts';
import { type Query, query } from './grammar.ts';

export interface Report {
  asked: number;
  /** answers by status */
  readonly statuses: Map<number, number>;
  /** the longest that one has taken, in milliseconds */
  slowest: number;
  readonly faults: string[];
}

export interface Plan {
  readonly seed: number;
  readonly strings: number;
  readonly progress?: (report: Report) => void;
}

/** Milliseconds that a statement may take, and so an answer. */
const TIMEOUT = 10_000;
/** So many are asked at once. */
const ABREAST = 8;
/** So many are drawn at a time. */
const DRAWN = 500;

/** Asks a server with a few resources. */
export async function fuzz({ seed, strings, progress }: Plan): Promise<Report> {
  const ground = await openGround({ SEARCH_TIMEOUT: String(TIMEOUT) });
  const agent = new http.Agent({ keepAlive: true, maxSockets: ABREAST });
  const report: Report = { asked: 0, statuses: new Map(), slowest: 0, faults: [] };
  try {
    await ground.load(fc.sample(world, { numRuns: 1, seed })[0] ?? []);
    const any = query(ground.app.app.definitions);
    for (let i = 0; report.asked < strings; i++) {
      const some = fc
        .sample(any, { numRuns: Math.min(DRAWN, strings - report.asked), seed: seed + i })
        .values();
      const worker = async (): Promise<void> => {
        for (const one of some) await check(ground, agent, one, report);
      };
      await Promise.all(Array.from({ length: ABREAST }, worker));
      progress?.(report);
    }
    // What a fault of ours would be, whatever the answer was.
    for (const line of ground.app.log)
      if (JSON.parse(line).level >= 50) report.faults.push(`the log says ${line.slice(0, 1000)}`);
    return report;
  } finally {
    agent.destroy();
    await ground.close();
  }
}

async function check(ground: Ground, agent: http.Agent, one: Query, report: Report): Promise<void> {
  const { status, says, lasted } = await ask(ground, agent, one);
  report.asked++;
  report.statuses.set(status, (report.statuses.get(status) ?? 0) + 1);
  report.slowest = Math.max(report.slowest, lasted);
  if (says === undefined) return;
  let least = one;
  // The fewest parameters that still show it.
  for (let i = 0; i < least.pairs.length; ) {
    const fewer = { ...least, pairs: least.pairs.filter((_, at) => at !== i) };
    if ((await ask(ground, agent, fewer)).says === undefined) i++;
    else least = fewer;
  }
  report.faults.push(`${least.method} ${least.path}?${least.pairs.join('&').slice(0, 1000)}: ${says}`);
}

interface Asked {
  readonly status: number;
  /** what is wrong with the answer */
  readonly says?: string;
  readonly lasted: number;
}

async function ask({ app }: Ground, agent: http.Agent, { method, path, pairs }: Query): Promise<Asked> {
  const began = performance.now();
  const form = pairs.join('&');
  const isPost = method === 'POST';
  const place = isPost
    ? `/fhir${path && `/${path.replace('/_search', '')}`}/_search`
    : `/fhir/${path}?${form}`;
  const { status, text } = await new Promise<{ status: number; text: string }>((resolve, reject) => {
    const request = http.request(
      `${app.url}/`,
      {
        agent,
        method,
        path: place,
        headers: {
          authorization: `Bearer ${app.token}`,
          ...(isPost && { 'content-type': 'application/x-www-form-urlencoded' }),
        },
      },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk) => chunks.push(chunk));
        answer.on('end', () =>
          resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString() }),
        );
        answer.on('error', reject);
      },
    );
    request.on('error', reject);
    request.end(isPost ? form : undefined);
  }).catch((fault: Error) => ({ status: 0, text: fault.message }));
  const lasted = performance.now() - began;
  return { status, lasted, says: wrongWith(status, text, lasted) };
}

function wrongWith(status: number, text: string, lasted: number): string | undefined {
  if (lasted > TIMEOUT) return `${status} after ${Math.round(lasted)} ms`;
  if (status >= 200 && status < 300) return undefined;
  if (status < 400 || status >= 500) return `${status}: ${text.slice(0, 500)}`;
  // What is longer than a request line can be has no route that would know FHIR.
  try {
    const { resourceType, issue } = JSON.parse(text);
    if (resourceType === 'OperationOutcome' && issue[0].diagnostics.length > 0) return undefined;
  } catch {
    // told below
  }
  return `${status} without an OperationOutcome that says why: ${text.slice(0, 500)}`;
}
