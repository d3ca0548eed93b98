/** What was asked for with `Prefer: respond-async` outlasts the process that was asked. */
import { connect } from '../../src/store/connect.ts';
import { until } from './consilium.ts';
import { openServers, type Servers } from './servers.ts';

let servers: Servers;
beforeAll(async () => {
  servers = await openServers();
});
afterAll(() => servers.close());

/** Asks for something later; answers with the id of the job. */
async function later(base: string, method: string, path: string, resource?: object): Promise<string> {
  const answer = await fetch(base + path, {
    method,
    headers: { ...servers.headers, prefer: 'respond-async' },
    body: resource && JSON.stringify(resource),
  });
  expect(answer.status).toBe(202);
  return answer.headers.get('content-location')?.split('/').at(-1) as string;
}

const poll = (base: string, job: string): Promise<Response> =>
  fetch(`${base}/_async/${job}`, { headers: servers.headers });

interface Answered {
  readonly entry: readonly [{ readonly response: { readonly status: string } }];
}

/** The one entry of the answer. */
const entryOf = (base: string, job: string) =>
  until(async () => {
    const answer = await poll(base, job);
    if (answer.status === 202) return undefined;
    const { entry } = (await answer.json()) as Answered;
    return entry[0];
  });

test('kill -9: what is answered is still told, and what was under way is done, once', async () => {
  const first = await servers.serve();
  const patient = { resourceType: 'Patient', id: 'kept' };
  const answered = await later(first.base, 'PUT', '/Patient/kept', patient);
  await entryOf(first.base, answered);

  // Writes wait for this lock: the create and the update are begun, the third is not.
  const lock = await connect(servers.databaseUrl);
  await lock.query('begin; lock table resource in access exclusive mode');
  const entry = {
    resource: { resourceType: 'Basic', code: { text: 'x' } },
    request: { method: 'POST', url: 'Basic' },
  };
  const jobs = [
    await later(first.base, 'POST', '', { resourceType: 'Bundle', type: 'transaction', entry: [entry] }),
    await later(first.base, 'PUT', '/Patient/kept', patient),
    await later(first.base, 'POST', '/Basic', entry.resource),
  ];
  await until(async () => {
    const told = await Promise.all(jobs.map((job) => poll(first.base, job)));
    const words = told.map((answer) => answer.headers.get('x-progress')?.split(',')[0]);
    return words.join() === 'running,running,waiting' ? true : undefined;
  });
  first.server.child.kill('SIGKILL');
  await first.server.ended;
  await lock.query('rollback');
  // As long as others wait before they take over.
  await lock.query(`update job set alive = alive - interval '1 minute' where state = 'r'`);
  await lock.end();

  const { base } = await servers.serve();
  const entries = await Promise.all([answered, ...jobs].map((job) => entryOf(base, job)));
  expect(entries.map(({ response }) => response.status)).toEqual([
    '201 Created',
    '200 OK',
    '200 OK',
    '201 Created',
  ]);
  const counted = async (path: string): Promise<number> =>
    ((await (await fetch(base + path, { headers: servers.headers })).json()) as { total: number }).total;
  expect(await counted('/Basic?_total=accurate')).toBe(2);
  expect(await counted('/Patient/kept/_history')).toBe(2);
});
