/**
 * Images: STOW of 1,000 instances of 0.5 MB, beside Orthanc's where it is installed; 64 thumbnails, cold and warm; QIDO over
 * 100,000 studies. `npm run bench:imaging -- [--instances N] [--studies N] [--only stow|thumbnails|qido]`
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, type OutgoingHttpHeaders, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { startEmbedded } from '../src/store/embedded.ts';
import { multipart } from '../test/http/imaging/dicomweb.ts';
import { image, uint16 } from '../test/imaging/files.ts';
import { startOrthanc } from '../test/peers/orthanc.ts';
import { consilium, freePort, memoryOf, type Running, serve } from './processes.ts';

const { values: options } = parseArgs({
  options: {
    instances: { type: 'string', default: '1000' },
    studies: { type: 'string', default: '100000' },
    only: { type: 'string' },
  },
});
const instances = Number(options.instances);
const studies = Number(options.studies);
const SENDERS = 8;
const TOGETHER = 50;
const SIDE = 512;
const ASKED = { qido: 50 };
const LONGEST = 20_000;

interface Server {
  readonly name: string;
  /** of DICOMweb */
  readonly url: string;
  readonly headers: OutgoingHttpHeaders;
  readonly pid?: number;
}

const agent = new Agent({ keepAlive: true, maxSockets: SENDERS });

function ask(
  { url, headers }: Server,
  path: string,
  { body, type, accept }: { body?: Buffer; type?: string; accept?: string } = {},
): Promise<{ readonly status: number; readonly length: number }> {
  return new Promise((resolve, reject) => {
    const all = {
      ...headers,
      ...(type ? { 'Content-Type': type } : {}),
      ...(accept ? { Accept: accept } : {}),
      ...(body ? { 'Content-Length': body.length } : {}),
    };
    const sent = request(url + path, { method: body ? 'POST' : 'GET', headers: all, agent }, (response) => {
      let length = 0;
      response.on('data', (piece: Buffer) => {
        length += piece.length;
      });
      response.on('end', () => resolve({ status: response.statusCode as number, length }));
      response.on('error', reject);
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

/** Does all of it, so many at once, and tells the seconds that it took. */
async function together<T>(
  all: readonly T[],
  abreast: number,
  work: (one: T) => Promise<void>,
): Promise<number> {
  const begin = performance.now();
  const left = [...all];
  await Promise.all(
    Array.from({ length: abreast }, async () => {
      for (let one = left.shift(); one !== undefined; one = left.shift()) await work(one);
    }),
  );
  return (performance.now() - begin) / 1000;
}

const PIXELS = Buffer.alloc(SIDE * SIDE * 2);
for (let i = 0; i < PIXELS.length; i += 2) PIXELS.writeUInt16LE(((i * 31) >>> 3) & 0xfff, i);

/** Half a megabyte each, and no two of them alike. */
function fileOf(study: string, number: number): Buffer {
  const pixels = Buffer.from(PIXELS);
  pixels.writeUInt16LE(number & 0xfff, 0);
  return image({
    ...{ study, instance: `${study}.1.${number}`, number, patient: study },
    more: {
      '00280010': ['US', uint16(SIDE)],
      '00280011': ['US', uint16(SIDE)],
      '00280100': ['US', uint16(16)],
      '00280101': ['US', uint16(12)],
      '00280102': ['US', uint16(11)],
      '7FE00010': ['OW', pixels],
    },
  });
}

async function stow(server: Server): Promise<void> {
  const type = 'multipart/related; type="application/dicom"; boundary=BOUNDARY';
  const accept = 'application/dicom+json';
  const send = async (path: string, files: readonly Buffer[]): Promise<void> => {
    const { status } = await ask(server, path, { body: multipart(files, 'BOUNDARY'), type, accept });
    if (status !== 200) throw new Error(`${server.name} answered STOW with ${status}`);
  };
  const begin = performance.now().toFixed(0);
  const numbers = Array.from({ length: instances }, (_, i) => i + 1);
  const groups = Array.from({ length: Math.ceil(instances / TOGETHER) }, (_, i) =>
    numbers.slice(i * TOGETHER, (i + 1) * TOGETHER),
  );
  const inGroups = await together(groups, 1, (group) =>
    send(
      '/studies',
      group.map((n) => fileOf(`1.9.${begin}1`, n)),
    ),
  );
  const alone = await together(numbers, SENDERS, (n) => send('/studies', [fileOf(`1.9.${begin}2`, n)]));
  const memory = server.pid ? `, ${memoryOf(server.pid)?.peak} MiB at most` : '';
  console.log(
    `${server.name}: ${instances} instances of 0.5 MB, in requests of ${TOGETHER} one after the other ` +
      `${Math.round(instances / inGroups)}/s, in single ones of ${SENDERS} senders ${Math.round(instances / alone)}/s${memory}`,
  );
}

async function thumbnails(server: Server): Promise<void> {
  const study = '1.9.3';
  const numbers = Array.from({ length: 64 }, (_, i) => i + 1);
  const files = numbers.map((n) => fileOf(study, n));
  const type = 'multipart/related; type="application/dicom"; boundary=BOUNDARY';
  await ask(server, '/studies', {
    body: multipart(files, 'BOUNDARY'),
    type,
    accept: 'application/dicom+json',
  });
  const show = async (n: number): Promise<void> => {
    const path = `/studies/${study}/series/${study}.1/instances/${study}.1.${n}/thumbnail`;
    const { status } = await ask(server, path, { accept: 'image/jpeg' });
    if (status !== 200) throw new Error(`a thumbnail was answered with ${status}`);
  };
  const cold = await together(numbers, SENDERS, show);
  const warm = await together(numbers, SENDERS, show);
  console.log(
    `64 thumbnails of ${SIDE} by ${SIDE}, ${SENDERS} at once: cold ${Math.round(cold * 1000)} ms, warm ${Math.round(warm * 1000)} ms`,
  );
}

/** Rows of studies of two series and three instances, with ImagingStudys that QIDO needs of them. */
const FILL = `
with made as (
  insert into resource (rid, type, id, version, updated, content)
  select 1000000000 + n, $1, 'bench-' || n, 1, now(), '{"resourceType":"ImagingStudy"}'
  from generate_series(1, $2::int) n returning rid
), study as (
  insert into dicom_study (uid, rid, patient_id, issuer, date, time, accession, name, attributes)
  select '1.8.' || n, 1000000000 + n, 'P' || n % 20000, '', to_char(date '2010-01-01' + n % 5000, 'YYYYMMDD'), '101500',
    'A' || n, 'lopez^maria' || n % 20000, jsonb_build_object(
      '0020000D', jsonb_build_object('vr', 'UI', 'Value', jsonb_build_array('1.8.' || n)),
      '00081030', jsonb_build_object('vr', 'LO', 'Value', jsonb_build_array('Knee ' || n % 100)),
      '00100010', jsonb_build_object('vr', 'PN', 'Value', jsonb_build_array(jsonb_build_object('Alphabetic', 'Lopez^Maria' || n % 20000))))
  from generate_series(1, $2::int) n returning uid
), series as (
  insert into dicom_series (study, uid, modality, number, attributes)
  select '1.8.' || n, '1.8.' || n || '.' || s, (array['MR', 'CT', 'CR', 'US'])[n % 4 + 1], s, '{}'
  from generate_series(1, $2::int) n, generate_series(1, 2) s returning uid
)
insert into dicom_instance (uid, study, series, class, number, syntax, frames, blob, sha256, attributes, places)
select '1.8.' || n || '.' || i, '1.8.' || n, '1.8.' || n || '.' || i % 2 + 1, '1.2.840.10008.5.1.4.1.1.4', i,
  '1.2.840.10008.1.2.1', 1, gen_random_uuid(), '', '{}', '{}'
from generate_series(1, $2::int) n, generate_series(1, 3) i`;

const QUERIES: Readonly<Record<string, (n: number) => string>> = {
  'all, newest first': () => '/studies?limit=25',
  'a page in the middle': (n) => `/studies?limit=25&offset=${(n * 997) % 50_000}`,
  'a UID': (n) => `/studies?StudyInstanceUID=1.8.${(n % studies) + 1}`,
  'a patient': (n) => `/studies?PatientID=P${n % 20_000}`,
  'a day': (n) => `/studies?StudyDate=2012${String((n % 12) + 1).padStart(2, '0')}15`,
  'an accession number': (n) => `/studies?AccessionNumber=A${(n % studies) + 1}`,
  "a name's beginning": (n) => `/studies?PatientName=lopez%5Emaria${n % 200}*`,
  'a modality, newest': (n) => `/studies?ModalitiesInStudy=${['MR', 'CT'][n % 2]}&limit=25`,
  'a description': (n) => `/studies?StudyDescription=Knee+${n % 100}&limit=25`,
  'series of a study': (n) => `/studies/1.8.${(n % studies) + 1}/series`,
};

async function qido(server: Server, databaseUrl: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const { rows } = await client.query(`select code as number from type where name = 'ImagingStudy'`);
  await client.query(FILL, [rows[0].number, studies]);
  await client.query('analyze');
  await client.end();
  let slowest = 0;
  for (const [name, path] of Object.entries(QUERIES)) {
    const times: number[] = [];
    for (const end = performance.now() + LONGEST; times.length < 200 && performance.now() < end; ) {
      const begin = performance.now();
      const { status } = await ask(server, path(times.length * 37), { accept: 'application/dicom+json' });
      if (status !== 200) throw new Error(`QIDO was answered with ${status}`);
      times.push(performance.now() - begin);
    }
    times.splice(0, 5);
    times.sort((a, b) => a - b);
    const at = (share: number): number => times[Math.floor(times.length * share)] as number;
    slowest = Math.max(slowest, at(0.99));
    console.log(
      `QIDO over ${studies} studies, ${name}: p50 ${at(0.5).toFixed(1)} ms, p99 ${at(0.99).toFixed(1)}`,
    );
  }
  return slowest < ASKED.qido;
}

const wanted = (what: string): boolean => options.only === undefined || options.only === what;
const dataDir = await mkdtemp(join(tmpdir(), 'consilium-bench-'));
const embedded = await startEmbedded({ dataDir, log: () => {} });
let running: Running | undefined;
try {
  const env = { DATABASE_URL: embedded.url, DATA_DIR: dataDir };
  await consilium(['migrate'], env);
  const token = (await consilium(['token', '--minutes', '600'], env)).trim().split(/\s+/).at(-1);
  const port = await freePort();
  running = await serve(env, port);
  const headers = { Authorization: `Bearer ${token}` };
  const ours = { name: 'Consilium', url: `http://127.0.0.1:${port}/dicomweb`, headers, pid: running.pid };
  if (wanted('stow')) {
    await stow(ours);
    const orthanc = await startOrthanc();
    if (orthanc) await stow({ name: 'Orthanc', url: `${orthanc.url}/dicom-web`, headers: {} });
    else console.log('Orthanc is not installed: apt-get install orthanc orthanc-dicomweb');
    await orthanc?.close();
  }
  if (wanted('thumbnails')) await thumbnails(ours);
  if (wanted('qido') && !(await qido(ours, embedded.url))) process.exitCode = 1;
} finally {
  agent.destroy();
  await running?.stop();
  await embedded.release();
  await rm(dataDir, { recursive: true, force: true });
}
