/** A SearchParameter over thousands of resources, while others write and processes die. */
import { setTimeout as sleep } from 'node:timers/promises';
import { loadDefinitions } from '../../src/fhir/definitions.ts';
import { EXTRACTOR_VERSION } from '../../src/fhir/extract.ts';
import { openCatalog } from '../../src/store/catalog.ts';
import { openPool } from '../../src/store/pool.ts';
import { openSearchParameters } from '../../src/store/search-parameters.ts';
import { inconsistencies } from '../support/consistency.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { folder, listening, type Run, run, start, until } from './consilium.ts';

const RESOURCES = 5000;
const IN_BUNDLE = 500;

let database: TestDatabase;
let env: Record<string, string>;
let headers: Record<string, string>;
const servers: Run[] = [];

beforeAll(async () => {
  database = await cloneDatabase();
  env = { DATABASE_URL: database.url, DATA_DIR: folder() };
  const token = (await run(['token'], { env })).out.trim();
  headers = { authorization: `Bearer ${token}`, 'content-type': 'application/fhir+json' };
});
afterAll(async () => {
  for (const { child } of servers) child.kill('SIGKILL');
  await Promise.all(servers.map(({ ended }) => ended));
  await database.drop();
});

interface Server {
  readonly server: Run;
  readonly base: string;
}

async function serve(): Promise<Server> {
  const server = start(['serve'], { env });
  servers.push(server);
  return { server, base: await listening(server) };
}

async function kill({ server }: Server): Promise<void> {
  server.child.kill('SIGKILL');
  await server.ended;
}

const send = (base: string, method: string, path: string, resource?: object): Promise<Response> =>
  fetch(base + path, { method, headers, body: resource && JSON.stringify(resource) });

const patient = (given: string) => ({ resourceType: 'Patient', name: [{ family: 'Smith', given: [given] }] });

test('5,000 resources, writers and kill -9: a search is refused until it is answered in full', async () => {
  const [first, second] = [await serve(), await serve()];
  for (let n = 0; n < RESOURCES; n += IN_BUNDLE) {
    const entry = Array.from({ length: IN_BUNDLE }, (_, i) => ({
      resource: patient(`n${n + i}`),
      request: { method: 'POST', url: 'Patient' },
    }));
    const { status } = await send(first.base, 'POST', '', {
      resourceType: 'Bundle',
      type: 'transaction',
      entry,
    });
    expect(status).toBe(200);
  }

  // Writers that never stop; of what they have sent, so much is acknowledged.
  const count = { sent: RESOURCES, done: RESOURCES };
  let stop = false;
  const writer = async (bases: readonly string[], name: string): Promise<void> => {
    for (let n = 0; !stop; n++) {
      count.sent++;
      const sent = await send(
        bases[n % bases.length] as string,
        'POST',
        '/Patient',
        patient(`${name}${n}`),
      ).catch(() => undefined);
      // What a killed server was sent may have been written.
      if (sent?.status === 201) count.done++;
      const id = sent && ((await sent.json().catch(() => ({}))) as { id?: string }).id;
      await sleep(20);
      if (id) await send(second.base, 'PUT', `/Patient/${id}`, { ...patient(`${name}${n}x`), id });
    }
  };
  const writers = ['a', 'b', 'c'].map((name) => writer([second.base, first.base], name));

  const posted = await send(first.base, 'POST', '/SearchParameter', {
    resourceType: 'SearchParameter',
    url: 'https://example.org/SearchParameter/surname',
    name: 'surname',
    status: 'active',
    description: 'family names',
    code: 'surname',
    base: ['Patient'],
    type: 'string',
    expression: 'Patient.name.family',
  });
  expect(posted.status).toBe(201);

  const told: string[] = [];
  const look = async (base: string): Promise<boolean> => {
    const least = count.done;
    const answer = await send(base, 'GET', '/Patient?surname=smith&_summary=count');
    const body = (await answer.json()) as { total?: number; issue?: { diagnostics: string }[] };
    if (answer.status === 400) {
      told.push(body.issue?.[0]?.diagnostics ?? '');
      return false;
    }
    expect(body.total).toBeGreaterThanOrEqual(least);
    expect(body.total).toBeLessThanOrEqual(count.sent);
    return true;
  };
  const percent = (): number => Number(/(\d+) % done/.exec(told.at(-1) ?? '')?.[1] ?? 0);
  await until(async () => {
    expect(await look(second.base)).toBe(false);
    return percent() >= 10 ? true : undefined;
  });
  await kill(first);
  const third = await serve();
  await until(async () => ((await look(third.base)) ? true : undefined));
  for (const one of told)
    expect(one).toMatch(
      /^The search parameter surname of Patient is being indexed: \d+ % done, job [\da-f-]{36}$/,
    );
  expect(await look(second.base)).toBe(true);
  stop = true;
  await Promise.all(writers);
  for (const { base } of [second, third]) expect(await look(base)).toBe(true);

  const job = /job (\S+)$/.exec(told.at(-1) as string)?.[1];
  const result = (await (await send(second.base, 'GET', `/_async/${job}`)).json()) as {
    entry: { resource: { parameter: { name: string; valueBoolean?: boolean; valueDecimal?: number }[] } }[];
  };
  const value = (name: string) => result.entry[0]?.resource.parameter.find((one) => one.name === name);
  expect(value('verified')?.valueBoolean).toBe(true);
  expect(value('rebuilt')?.valueDecimal).toBeGreaterThanOrEqual(RESOURCES);
  await consistent();
}, 120_000);

test('after an upgrade of the extractors all rows are made anew, and searches are answered meanwhile', async () => {
  const pool = openPool({ databaseUrl: database.url });
  await pool.query(`update setting set value = '${EXTRACTOR_VERSION - 1}' where name = 'extractor'`);
  await pool.query('update resource_index set extractor = extractor - 1048576');
  const { base } = await serve();
  const stale = async () =>
    (
      await pool.query('select count(*) from resource_index where extractor / 1048576 < $1', [
        EXTRACTOR_VERSION,
      ])
    ).rows[0].count;
  while ((await stale()) > 0) {
    const answer = await send(base, 'GET', '/Patient?surname=smith&_summary=count');
    expect(((await answer.json()) as { total: number }).total).toBeGreaterThanOrEqual(RESOURCES);
    await sleep(100);
  }
  await pool.end();
}, 60_000);

async function consistent(): Promise<void> {
  const pool = openPool({ databaseUrl: database.url });
  const definitions = await loadDefinitions();
  await openSearchParameters(pool, definitions, await openCatalog(pool, definitions)).refresh();
  expect(await inconsistencies(pool, definitions)).toEqual([]);
  await pool.end();
}
