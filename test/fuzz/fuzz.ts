/** Sends what queries.ts makes, and judges the answers. */
import { Agent, request } from 'node:http';
import type { Definitions } from '../../src/fhir/definitions.ts';
import { makeRequests, type Request } from './queries.ts';

export interface Fuzzed {
  readonly port: number;
  readonly token: string;
  readonly definitions: Definitions;
}

export interface Told {
  /** how many answers had a status */
  readonly statuses: Readonly<Record<number, number>>;
  /** of an answer, in ms */
  readonly longest: number;
  readonly faults: readonly string[];
}

/** So many are under way at a time. */
const ABREAST = 8;
/** The time-out of a search, and something for what is around it. */
const LONGEST = 15_000;

export async function fuzz(
  { port, token, definitions }: Fuzzed,
  strings: number,
  seed: number,
  progress: (done: number) => void = () => {},
): Promise<Told> {
  const agent = new Agent({ keepAlive: true, maxSockets: ABREAST });
  const next = makeRequests(definitions, seed);
  const statuses: Record<number, number> = {};
  const faults: string[] = [];
  let [done, longest] = [0, 0];
  const one = async (): Promise<void> => {
    while (done < strings) {
      done++;
      progress(done);
      const asked = next();
      const began = performance.now();
      const { status, body } = await send(agent, port, token, asked);
      const took = performance.now() - began;
      longest = Math.max(longest, took);
      statuses[status] = (statuses[status] ?? 0) + 1;
      const fault = took > LONGEST ? `took ${Math.round(took)} ms` : faultOf(status, body);
      if (fault)
        faults.push(
          `${fault}: ${asked.method} ${asked.path.slice(0, 300)} ${(asked.form ?? '').slice(0, 300)}`,
        );
    }
  };
  await Promise.all(Array.from({ length: ABREAST }, one));
  agent.destroy();
  return { statuses, longest, faults };
}

function faultOf(status: number, body: string): string | undefined {
  if (status >= 200 && status < 300) return undefined;
  if (status < 400 || status >= 500) return `${status} ${body.slice(0, 200)}`;
  // Lines that are no HTTP are refused before anything of FHIR is known.
  if (status === 400 && body === '') return undefined;
  try {
    const { resourceType, issue } = JSON.parse(body);
    if (resourceType === 'OperationOutcome' && issue[0].diagnostics.length > 5) return undefined;
  } catch {
    // told below
  }
  return `${status} without a reason: ${body.slice(0, 200)}`;
}

function send(
  agent: Agent,
  port: number,
  token: string,
  { method, path, form }: Request,
): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve) => {
    const headers: Record<string, string> = { authorization: `Bearer ${token}` };
    if (form !== undefined) headers['content-type'] = 'application/x-www-form-urlencoded';
    const sent = request(
      { agent, port, host: '127.0.0.1', method, path: `/fhir${path}`, headers },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }),
        );
        response.on('error', (fault) => resolve({ status: 0, body: fault.message }));
      },
    );
    sent.on('error', (fault) => resolve({ status: 0, body: fault.message }));
    sent.end(form);
  });
}
