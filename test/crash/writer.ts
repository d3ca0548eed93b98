/**
 * Writes from several clients at once, from a process of its own that survives what it writes to. It remembers
 * what was acknowledged: `{ port, token }` over IPC makes it write, `{ stop: true }` makes it stop and answer.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Resource } from 'fhir/r4.js';
import { observation, patient, patientId } from '../../bench/dataset.ts';
import { type Answer, fieldOf, openWire, request, type Wire } from '../../bench/wire.ts';
import { digest } from './digest.ts';

/** A write that the server has answered with success. */
export interface Acknowledged {
  readonly type: string;
  readonly id: string;
  readonly version: number;
  /** of the content; undefined of a deletion */
  readonly digest?: string;
}

export interface Report {
  readonly acknowledged: readonly Acknowledged[];
  /** wrong answers, such as a 500 for which there is no reason */
  readonly faults: readonly string[];
  /** answers 503, while the database was away */
  readonly unavailable: number;
  /** requests under way when the connection ended: they may have been done or not */
  readonly unanswered: number;
}

const CLIENTS = 6;
const SIZE = { observations: 50_000, patients: 500 };
/** Most resources that a client goes on changing. */
const OWN = 100;

interface Owned {
  readonly type: string;
  readonly id: string;
  version: number;
}

const owned: Owned[][] = Array.from({ length: CLIENTS }, () => []);
let writing: Promise<Report> | undefined;
let stopping = false;

process.on('message', async (message: { port: number; token: string } | { stop: true }) => {
  if ('stop' in message) {
    stopping = true;
    process.send!(await writing!);
  } else {
    stopping = false;
    writing = write(message.port, message.token);
  }
});
process.on('disconnect', () => process.exit());

async function write(port: number, token: string): Promise<Report> {
  const report = {
    acknowledged: [] as Acknowledged[],
    faults: [] as string[],
    unavailable: 0,
    unanswered: 0,
  };
  const client = async (n: number) => {
    const wire = await openWire(port);
    while (!stopping) {
      const step = next(n);
      const answer = await send(wire, request(step.method, step.path, { token, body: step.body }));
      if (answer instanceof Error) {
        report.unanswered++;
        break;
      }
      if (answer.status === 503) {
        report.unavailable++;
        await sleep(50);
      } else if (answer.status >= 200 && answer.status < 300) {
        const done = acknowledge(n, step, answer);
        if (done) report.acknowledged.push(...done);
        else report.faults.push(`${step.method} ${step.path}: ${answer.head}`);
      } else
        report.faults.push(`${step.method} ${step.path}: ${answer.status} ${answer.body.subarray(0, 300)}`);
    }
    wire.close();
  };
  await Promise.all(owned.map((_, n) => client(n).catch(() => report.unanswered++)));
  return report;
}

interface Step {
  readonly method: string;
  readonly path: string;
  readonly type: string;
  readonly body?: string;
  /** what it is done to; undefined for a create */
  readonly of?: Owned;
}

const whole = (below: number) => Math.floor(Math.random() * below);

/** The next step of a client. A resource is written by one client only, so that its versions are known. */
function next(client: number): Step {
  const own = owned[client]!;
  const chance = Math.random();
  const of = own[whole(own.length)];
  // Patients at ids that Observations refer to already: numbers of the client's own.
  if (chance < 0.1) {
    const n = CLIENTS * whole(Math.floor(SIZE.patients / CLIENTS)) + client;
    const known = own.find(({ id }) => id === patientId(n));
    return put(known ?? { type: 'Patient', id: patientId(n), version: 0 });
  }
  if (of && chance > 0.85) return { method: 'DELETE', path: `/fhir/${of.type}/${of.id}`, type: of.type, of };
  if (of && chance > 0.5) return put(of);
  const { id: _id, ...body } = observation(whole(SIZE.observations), SIZE);
  return { method: 'POST', path: '/fhir/Observation', type: 'Observation', body: JSON.stringify(body) };
}

function put(of: Owned): Step {
  const { type, id } = of;
  // Another code, date, value, subject: all index rows move.
  const body =
    type === 'Patient' ? patient(whole(SIZE.patients)) : observation(whole(SIZE.observations), SIZE);
  return { method: 'PUT', path: `/fhir/${type}/${id}`, type, of, body: JSON.stringify({ ...body, id }) };
}

/**
 * The write that an answer acknowledges. A DELETE of what is deleted makes no version: also where nobody was told
 * of the first one, as it was under way when the connection ended.
 *
 * @returns undefined where the answer does not say which version it made
 */
function acknowledge(client: number, { type, body, of }: Step, answer: Answer): Acknowledged[] | undefined {
  const own = owned[client]!;
  const location = /\/([^/]+)\/_history\/\d+$/.exec(fieldOf(answer, 'location') ?? '');
  const resource = of ?? (location ? { type, id: location[1]!, version: 0 } : undefined);
  if (!resource) return undefined;
  if (!own.includes(resource)) {
    own.push(resource);
    if (own.length > OWN) own.splice(whole(OWN), 1);
  }
  const version = Number(/^W\/"(\d+)"$/.exec(fieldOf(answer, 'etag') ?? '')?.[1]);
  if (body === undefined && !version) return [];
  if (!(version > resource.version)) return undefined;
  resource.version = version;
  return [{ ...resource, digest: body === undefined ? undefined : digest(JSON.parse(body) as Resource) }];
}

function send(wire: Wire, bytes: Buffer): Promise<Answer | Error> {
  return new Promise((resolve) => {
    wire.send(bytes, resolve);
  });
}
