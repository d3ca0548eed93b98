/**
 * What access and its trail cost: the same requests by turns, with a token of a system and with one that is limited, with
 * AUDIT=strict and without a trail. `npm run bench:access -- [--rounds N] [--slice MS] [--observations N] …`
 */
import { createHash, randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import type { Consent } from 'fhir/r4.js';
import pg from 'pg';
import { openDatabase } from './database.ts';
import {
  counted,
  isOfFirst,
  observationId,
  patientId,
  patientsWith,
  practitionerId,
  type Size,
  subjectOf,
} from './dataset.ts';
import { consilium, freePort, type Running, serve } from './processes.ts';
import { openWire, request, type Wire } from './wire.ts';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    slice: { type: 'string', default: '1500' },
    observations: { type: 'string', default: '200000' },
    patients: { type: 'string', default: '20000' },
    others: { type: 'string', default: '100000' },
    consents: { type: 'string', default: '5000' },
    revoked: { type: 'string', default: '50000' },
  },
});
const size: Size = {
  observations: Number(options.observations),
  patients: Number(options.patients),
  others: Number(options.others),
};
const SINCE = '2021-01-01';
const [frequent, second] = counted as readonly [(typeof counted)[number], (typeof counted)[number]];
const code = ({ code: one }: { readonly code: string }): string => `code=http://loinc.org|${one}`;

interface Side {
  readonly name: string;
  readonly server: Running;
  readonly token: string;
}
type Path = () => string;

const database = await openDatabase(size, console.log);
const pool = new pg.Pool({ connectionString: database.url, max: 1 });
try {
  const env = { DATABASE_URL: database.url, DATA_DIR: database.dataDir };
  const token = (await consilium(['token', '--minutes', '1440'], env)).trim().split(/\s+/).at(-1)!;
  const [strict, off] = [
    await serve({ ...env, AUDIT: 'strict' }, await freePort()),
    await serve({ ...env, AUDIT: 'off' }, await freePort()),
  ];
  const system: Side = { name: 'system', server: strict, token };

  const ids = size.observations;
  const anyRead: Path = () => `/fhir/Observation/${observationId(whole(ids))}`;
  const patients = patientsWith(frequent, SINCE, 20, size);
  const firstOf = (patient: number): string =>
    `/fhir/Observation?patient=${patientId(patient)}&${code(frequent)}&date=ge${SINCE}&_sort=-date&_count=20`;
  const anyFirst: Path = () => firstOf(patients[whole(patients.length)] as number);
  console.log('AUDIT=strict ÷ off, the token of a system');
  for (const clients of [1, 8, 32]) {
    await compare('read', anyRead, clients, system, { name: 'off', server: off, token });
    await compare('patient + code + date', anyFirst, clients, system, { name: 'off', server: off, token });
  }

  const patient = patients[0] as number;
  const own = ownObservation(patient);
  const granular = await tokenFor('patient/Observation.rs?category=vital-signs patient/Patient.r', {
    patient: patientId(patient),
    fhirUser: `Patient/${patientId(patient)}`,
  });
  console.log('a granular token for one patient ÷ that of a system, AUDIT=strict in both');
  const limited: Side = { name: 'granular', server: strict, token: granular };
  for (const clients of [1, 8]) {
    await compare('read', () => `/fhir/Observation/${own}`, clients, limited, system);
    await compare('patient + code + date', () => firstOf(patient), clients, limited, system);
  }

  const doctor: Side = {
    name: 'practitioner',
    server: strict,
    token: await tokenFor('user/*.rs', { fhirUser: `Practitioner/${practitionerId(0)}` }),
  };
  await practitioners('a practitioner with 5,000 patients ÷ a system', doctor);
  await burden(system);
  await practitioners(
    `the same with ${options.consents} Consents and ${options.revoked} revoked tokens`,
    doctor,
  );
  await Promise.all([strict.stop(), off.stop()]);

  async function practitioners(title: string, side: Side): Promise<void> {
    console.log(title);
    const paths: Readonly<Record<string, Path>> = {
      'newest 50 of the frequent code': () => `/fhir/Observation?${code(frequent)}&_sort=-date&_count=50`,
      'newest 50 of the second code': () => `/fhir/Observation?${code(second)}&_sort=-date&_count=50`,
      'name search': () => '/fhir/Patient?name=an&_count=20',
      'count of the second code': () => `/fhir/Observation?${code(second)}&_summary=count`,
      'read of one of theirs': () => `/fhir/Patient/${patientId(patients.find(isOfFirst) ?? 1)}`,
    };
    for (const [name, path] of Object.entries(paths)) await compare(name, path, 1, side, system);
  }
} finally {
  await pool.end();
  await database.close();
}

function whole(below: number): number {
  return Math.floor(Math.random() * below);
}

function ownObservation(patient: number): string {
  for (let n = 0; n < size.observations; n++) if (subjectOf(n, size) === patient) return observationId(n);
  return observationId(0);
}

async function tokenFor(scope: string, extra: object): Promise<string> {
  const secret = randomBytes(32).toString('base64url');
  await pool.query(
    `insert into token (hash, scope, client, expires, payload) values ($1, $2, 'bench', now() + interval '1 day', $3)`,
    [createHash('sha256').update(secret).digest(), scope, { extra }],
  );
  return secret;
}

/** Tokens that were revoked, and Consents of the practitioner's patients that say little. */
async function burden(system: Side): Promise<void> {
  await pool.query(
    `insert into token (hash, scope, client, expires)
     select sha256(n::text::bytea), 'system/*.rs', 'bench', now() - interval '1 hour' from generate_series(1, $1::integer) n`,
    [Number(options.revoked)],
  );
  const theirs = Array.from({ length: size.patients }, (_, n) => n)
    .filter(isOfFirst)
    .slice(0, Number(options.consents));
  for (let from = 0; from < theirs.length; from += 500) {
    const entry = theirs.slice(from, from + 500).map((n) => ({
      resource: consentOf(n),
      request: { method: 'POST', url: 'Consent' },
    }));
    const answer = await fetch(`http://127.0.0.1:${system.server.port}/fhir`, {
      method: 'POST',
      headers: { authorization: `Bearer ${system.token}`, 'content-type': 'application/fhir+json' },
      body: JSON.stringify({ resourceType: 'Bundle', type: 'transaction', entry }),
    });
    if (!answer.ok) throw new Error(await answer.text());
  }
}

/** Everything is permitted but what is labelled so; each fourth says nothing at all. */
function consentOf(n: number): Consent {
  return {
    resourceType: 'Consent',
    status: 'active',
    scope: {
      coding: [{ system: 'http://terminology.hl7.org/CodeSystem/consentscope', code: 'patient-privacy' }],
    },
    category: [{ text: 'privacy' }],
    patient: { reference: `Patient/${patientId(n)}` },
    policyRule: { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/v3-ActCode', code: 'OPTIN' }] },
    ...(n % 4 === 0
      ? {}
      : {
          provision: {
            type: 'deny',
            securityLabel: [{ system: 'http://terminology.hl7.org/CodeSystem/v3-ActCode', code: 'HIV' }],
          },
        }),
  };
}

/** Two sides by turns: the median of the rounds' ratios, and the second side's and the first's p99. */
async function compare(name: string, path: Path, clients: number, one: Side, other: Side): Promise<void> {
  const ratios: number[] = [];
  const rates: [number[], number[]] = [[], []];
  const p99: [number[], number[]] = [[], []];
  for (let round = 0; round <= Number(options.rounds); round++) {
    const turns = [await drive(path, clients, one), await drive(path, clients, other)] as const;
    // The first warms.
    if (round === 0) continue;
    ratios.push(turns[0].rate / turns[1].rate);
    for (const side of [0, 1] as const) {
      rates[side].push(turns[side].rate);
      p99[side].push(turns[side].p99);
    }
  }
  const cells = [
    name.padEnd(34),
    `${clients} clients`.padEnd(11),
    `${median(ratios).toFixed(2)}`,
    `${Math.round(median(rates[0]))}/s ÷ ${Math.round(median(rates[1]))}/s`,
    `p99 ${median(p99[0]).toFixed(1)} / ${median(p99[1]).toFixed(1)} ms`,
  ];
  console.log(`  ${cells.join('  ')}`);
}

async function drive(
  path: Path,
  clients: number,
  { server, token }: Side,
): Promise<{ rate: number; p99: number }> {
  const wires = await Promise.all(Array.from({ length: clients }, () => openWire(server.port)));
  const times: number[] = [];
  const begin = performance.now();
  const end = begin + Number(options.slice);
  const client = (wire: Wire) =>
    new Promise<void>((resolve, reject) => {
      const turn = () => {
        const sent = performance.now();
        wire.send(request('GET', path(), { token }), (answer) => {
          if (answer instanceof Error) return reject(answer);
          if (answer.status !== 200)
            return reject(new Error(`${answer.status} ${answer.body.subarray(0, 300)}`));
          times.push(performance.now() - sent);
          if (performance.now() < end) turn();
          else resolve();
        });
      };
      turn();
    });
  await Promise.all(wires.map(client));
  const seconds = (performance.now() - begin) / 1000;
  for (const wire of wires) wire.close();
  times.sort((a, b) => a - b);
  return { rate: times.length / seconds, p99: times[Math.floor(times.length * 0.99)] as number };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] as number;
}
