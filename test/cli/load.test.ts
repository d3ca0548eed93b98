/** `consilium load`, into a database in process and into a server over HTTP. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Bundle, BundleEntry, BundleEntryRequest, FhirResource } from 'fhir/r4.js';
import { connect } from '../../src/store/connect.ts';
import { startApp, type TestApp } from '../http/app.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { folder, run, start, until } from './consilium.ts';

const dir = folder();
let database: TestDatabase;

beforeEach(async () => {
  database = await cloneDatabase();
});
afterEach(() => database.drop());
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const env = () => ({ DATABASE_URL: database.url, DATA_DIR: join(dir, 'data') });
const load = (...args: string[]) => run(['load', ...args], { env: env(), cwd: dir });

async function query(text: string): Promise<Record<string, unknown>[]> {
  const client = await connect(database.url);
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

/** What is stored: how many resources, and how many versions beyond the first. */
const stored = async () =>
  (
    await query(
      `select count(*)::int as resources, coalesce(sum(version - 1), 0)::int as more from resource where version > 0`,
    )
  )[0];

function write(name: string, content: unknown): string {
  const file = join(dir, name);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(
    file,
    typeof content === 'string' || Buffer.isBuffer(content) ? content : JSON.stringify(content),
  );
  return file;
}

let serial = 0;
const uuid = () => `00000000-0000-4000-8000-${String(++serial).padStart(12, '0')}`;
const patient = (id?: string, more = {}) => ({ resourceType: 'Patient' as const, id, ...more });
const post = (resource: FhirResource, fullUrl?: string): BundleEntry => ({
  fullUrl,
  resource,
  request: { method: 'POST', url: resource.resourceType },
});
const bundle = (type: Bundle['type'], entry: BundleEntry[]): Bundle => ({
  resourceType: 'Bundle',
  type,
  entry,
});

/** A patient and so many observations of the patient, who refer to each other by urn:uuid. */
function family(size: number): Bundle {
  const name = `urn:uuid:${uuid()}`;
  const observation = () => ({
    resourceType: 'Observation' as const,
    status: 'final' as const,
    code: { text: 'x' },
    subject: { reference: name },
  });
  return bundle('transaction', [
    post(patient(), name),
    ...Array.from({ length: size }, () => post(observation(), `urn:uuid:${uuid()}`)),
  ]);
}

describe('what it takes', () => {
  test('files, folders with all below, globs, gzip by its first bytes, NDJSON and JSON of one resource', async () => {
    write('all/single.json', JSON.stringify(patient('single'), null, 2));
    write('all/deep/er/bundle.json', JSON.stringify(family(2), null, 1));
    write(
      'all/lines.ndjson',
      [patient('l1'), '', patient('l2')].map((x) => x && JSON.stringify(x)).join('\n'),
    );
    // Neither is named as what it is.
    write('all/packed.json', gzipSync(JSON.stringify(patient('packed'))));
    write('all/lines.json', `${JSON.stringify(patient('l3'))}\r\n${JSON.stringify(patient('l4'))}\r\n`);
    write('all/packed.ndjson.gz', gzipSync(`${JSON.stringify(patient('l5'))}\n`));
    write('all/notes.txt', 'not of ours');
    write('all/old.refused.ndjson', 'not to be loaded');
    write('globbed/a1.json', patient('a1'));
    write('globbed/b1.json', patient('b1'));
    const { code, out, err } = await load('all', 'globbed/a*.json', '--json');
    expect(err).toBe('');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      created: 11,
      there: 0,
      refused: 0,
      complete: true,
      types: { Patient: 9, Observation: 2 },
    });
    const ids = await query(`select id from resource where id ~ '^[a-z]' order by id`);
    expect(ids.map(({ id }) => id)).toEqual(['a1', 'l1', 'l2', 'l3', 'l4', 'l5', 'packed', 'single']);
  });

  test('standard input', async () => {
    const input = `${JSON.stringify(patient('p1'))}\n${JSON.stringify(patient('p2'))}\n`;
    const { code, out } = await run(['load', '-'], { env: env(), input });
    expect(code).toBe(0);
    expect(out).toMatch(/^ +2 {2}Patient\n2 resources loaded in /);
  });

  test('R4 http 3.1.0.11.2: urn:uuid references of a transaction become references to what was loaded', async () => {
    const { entry = [] } = family(1);
    await load(write('family.json', bundle('transaction', entry)));
    const [observation] = await query(`select content from resource where content like '%Observation%'`);
    expect(observation?.content).toContain(
      `"subject":{"reference":"Patient/${entry[0]?.fullUrl?.slice('urn:uuid:'.length)}"}`,
    );
  });

  test('numbers keep their digits, also where an id is put in', async () => {
    const text = (id: string) =>
      `{${id}"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.50}}`;
    write(
      'digits.json',
      `{"resourceType":"Bundle","type":"transaction","entry":[${[text(''), text('"id":"other",')]
        .map(
          (resource) =>
            `{"fullUrl":"urn:uuid:${uuid()}","resource":${resource},"request":{"method":"POST","url":"Observation"}}`,
        )
        .join(',')}]}`,
    );
    expect((await load('digits.json')).code).toBe(0);
    const rows = await query(`select content from resource where content is not null`);
    expect(rows).toHaveLength(2);
    for (const { content } of rows) expect(content).toContain('"value":1.50');
  });

  test('the entries of a batch and of a collection are single resources', async () => {
    const entries = [
      post(patient('c1')),
      { resource: patient('c2') },
      { resource: { resourceType: 'Nonsense' } },
    ];
    write('collection.json', bundle('collection', entries.slice(1) as BundleEntry[]));
    write('batch.json', bundle('batch', [post(patient()), entries[2] as BundleEntry]));
    const { code, out } = await load('collection.json', 'batch.json', '--json');
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({ created: 2, refused: 2 });
  });

  test('a path that leads nowhere is told in one line', async () => {
    const { code, err } = await load('nowhere.json');
    expect(code).toBe(1);
    expect(err).toBe('consilium: nowhere.json: there is no such file or folder\n');
  });
});

describe('nothing is loaded twice', () => {
  test('run again, everything is there already; what was changed since stays as it is', async () => {
    const anonymous = bundle('transaction', [post(patient()), post(patient())]);
    write('again/transaction.json', family(3));
    write('again/anonymous.json', anonymous);
    write(
      'again/lines.ndjson',
      `${JSON.stringify(patient('n1'))}\n${JSON.stringify({ resourceType: 'Patient' })}\n`,
    );
    expect(JSON.parse((await load('again', '--json')).out)).toMatchObject({ created: 8, there: 0 });
    await query(`update resource set version = 2 where id = 'n1'`);
    expect(JSON.parse((await load('again', '--json')).out)).toMatchObject({ created: 0, there: 8 });
    expect(await stored()).toEqual({ resources: 8, more: 1 });
  });

  test('killed half-way and run again, every resource is there once', async () => {
    for (let i = 0; i < 30; i++) write(`many/${i}.json`, family(99));
    const first = start(['load', 'many'], { env: env(), cwd: dir });
    await until(async () => (((await stored())?.resources as number) > 300 ? true : undefined));
    first.child.kill('SIGKILL');
    expect(await first.ended).toBe('SIGKILL');
    const between = (await stored())?.resources as number;
    expect(between).toBeLessThan(3000);
    const { code, out } = await load('many', '--json');
    expect(code).toBe(0);
    const { created, there } = JSON.parse(out);
    expect(created + there).toBe(3000);
    expect(there).toBeGreaterThanOrEqual(between);
    expect(await stored()).toEqual({ resources: 3000, more: 0 });
  });

  test('Ctrl-C finishes what is under way and says how to go on', async () => {
    for (let i = 0; i < 30; i++) write(`stopped/${i}.json`, family(99));
    const first = start(['load', 'stopped', '--json'], { env: env(), cwd: dir });
    await until(async () => (((await stored())?.resources as number) > 100 ? true : undefined));
    first.child.kill('SIGINT');
    expect(await first.ended).toBe(1);
    expect(first.err()).toBe('consilium: interrupted before the end: run it again to go on\n');
    const { created, complete } = JSON.parse(first.out());
    expect(complete).toBe(false);
    expect(await stored()).toEqual({ resources: created, more: 0 });
  });
});

describe('what is refused', () => {
  const linesOf = (file: string) =>
    readFileSync(join(dir, file), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));

  test('is written to a file with its place and the reason; the others go on', async () => {
    const bad = family(2);
    bad.entry?.push(post({ ...patient(), birthDate: 'soon' } as FhirResource, `urn:uuid:${uuid()}`));
    write('mixed/1-bad.json', bad);
    write('mixed/2-good.json', family(1));
    write(
      'mixed/3-lines.ndjson',
      [
        '{"resourceType":"Patient","id":"g1"}',
        '{"resourceType":"Patient","id":"b1","gender":"x","multipleBirthInteger":1.0}',
        '{"resource',
        '{"resourceType":"Patient","id":"g2"}',
      ].join('\n'),
    );
    const { code, out, err } = await load('mixed', '--json');
    expect(code).toBe(1);
    expect(err).toBe('consilium: 6 resources were refused: mixed.refused.ndjson says which and why\n');
    expect(JSON.parse(out)).toMatchObject({ created: 4, refused: 6, file: 'mixed.refused.ndjson' });
    // Files are loaded at the same time, so that either may be told of first.
    const refused = linesOf('mixed.refused.ndjson').sort((one, other) => (one.file < other.file ? -1 : 1));
    expect(refused).toEqual([
      {
        file: 'mixed/1-bad.json',
        entry: 3,
        type: 'Patient',
        resource: expect.objectContaining({ birthDate: 'soon' }),
        outcome: {
          resourceType: 'OperationOutcome',
          issue: [expect.objectContaining({ expression: ['Bundle.entry[3].resource.birthDate'] })],
        },
      },
      expect.objectContaining({ file: 'mixed/3-lines.ndjson', line: 3, text: '{"resource' }),
      expect.objectContaining({
        file: 'mixed/3-lines.ndjson',
        line: 2,
        type: 'Patient',
        outcome: expect.objectContaining({
          issue: expect.arrayContaining([expect.objectContaining({ expression: ['Patient.gender'] })]),
        }),
      }),
    ]);
    expect(readFileSync(join(dir, 'mixed.refused.ndjson'), 'utf8')).toContain('"multipleBirthInteger":1.0');
  });

  test.each<[string, unknown, RegExp]>([
    [
      'a conditional reference that finds nothing',
      bundle('transaction', [encounterWith('Practitioner?identifier=1|2')]),
      /Practitioner\?identifier=1\|2 finds nothing/,
    ],
    [
      'a conditional reference outside of a transaction',
      bundle('batch', [encounterWith('Practitioner?identifier=1|2')]),
      /resolved in a transaction only/,
    ],
    [
      'an unknown parameter in a condition',
      bundle('transaction', [
        { resource: patient(), request: { method: 'POST', url: 'Patient', ifNoneExist: 'shoe=1' } },
      ]),
      /no search parameter "shoe"/,
    ],
    [
      'a DELETE',
      bundle('transaction', [{ request: { method: 'DELETE', url: 'Patient/1' } }]),
      /load only takes POST and PUT, not DELETE/,
    ],
    ['a history', bundle('history', []), /A Bundle of type history holds nothing to load/],
    ['JSON of something else', { a: 1 }, /no resourceType/],
    ['broken gzip', gzipSync('{"resourceType":"Patient"}').subarray(0, 20), /cannot be read to its end/],
    ['bytes that are not UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), /not UTF-8/],
  ])('%s is refused with the reason', async (_, content, reason) => {
    expect((await load(write('refused.json', content))).code).toBe(1);
    const [line] = linesOf('refused.refused.ndjson');
    expect(line.outcome.issue[0].diagnostics).toMatch(reason);
  });
});

/** An entry whose resource refers to somebody. */
function encounterWith(reference: string) {
  return post({
    resourceType: 'Encounter',
    status: 'finished',
    class: { code: 'AMB' },
    participant: [{ individual: { reference } }],
  });
}

test('what is known by a condition is loaded once, and found by those that come before it', async () => {
  const identifier = [{ system: 'urn:load', value: 'conditional' }];
  const practitioner = (method: 'POST' | 'PUT', rest: Omit<BundleEntryRequest, 'method'>): BundleEntry => ({
    fullUrl: 'urn:uuid:0b5f5d0e-6f5c-4f0e-9d5e-2f2b1e3c4d5a',
    resource: { resourceType: 'Practitioner', identifier } as FhirResource,
    request: { method, ...rest },
  });
  const condition = 'identifier=urn:load|conditional';
  write('conditional/1-visits.json', bundle('transaction', [encounterWith(`Practitioner?${condition}`)]));
  write(
    'conditional/2-created.json',
    bundle('transaction', [practitioner('POST', { url: 'Practitioner', ifNoneExist: condition })]),
  );
  write(
    'conditional/3-updated.json',
    bundle('transaction', [practitioner('PUT', { url: `Practitioner?${condition}` })]),
  );
  const first = await load(join(dir, 'conditional'));
  expect(first).toMatchObject({ code: 0, out: expect.stringMatching(/2 resources loaded/) });
  expect((await load(join(dir, 'conditional'))).out).toMatch(/0 resources loaded.*3 were there already/);
});

describe('--url', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.close());

  test('loads into a server, and nothing twice', async () => {
    write('remote/1.json', family(3));
    write(
      'remote/2.ndjson',
      `${JSON.stringify(patient('r1'))}\n${JSON.stringify({ ...patient('r2'), gender: 'x' })}\n`,
    );
    const args = ['load', 'remote', '--url', `${app.url}/fhir`, '--token', app.token, '--json'];
    const first = await run(args, { cwd: dir });
    expect(JSON.parse(first.out)).toMatchObject({ created: 5, there: 0, refused: 1 });
    const second = await run(args, { cwd: dir });
    expect(JSON.parse(second.out)).toMatchObject({ created: 0, there: 5, refused: 1 });
    expect((await app.send('get', '/Patient/r1')).headers.etag).toBe('W/"1"');
  });

  test('a token that may not, a URL that is none of a server, and one where nobody answers', async () => {
    const file = write('one.json', patient('one'));
    const told = async (...args: string[]) => {
      const { code, err } = await run(['load', file, ...args], { cwd: dir });
      expect(err.split('\n')).toHaveLength(2);
      return `${code} ${err}`;
    };
    const url = `${app.url}/fhir`;
    expect(await told('--url', url, '--token', 'nonsense')).toMatch(
      /^1 consilium: .* does not let us in \(401\)/,
    );
    expect(await told('--url', `${app.url}/nowhere`)).toMatch(/^1 consilium: .*must be a FHIR base URL/);
    expect(await told('--url', 'http://127.0.0.1:9999')).toMatch(
      /^1 consilium: .*127.0.0.1:9999 does not answer/,
    );
    for (const none of ['nonsense', 'localhost:8080/fhir', 'ftp://127.0.0.1/fhir'])
      expect(await told('--url', none)).toMatch(/^2 consilium: --url.*http:\/\/localhost:8080\/fhir/);
  });
});
