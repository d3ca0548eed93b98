/** Jobs on their own: what is kept, who does it, and what is said of one that was interrupted. */
import type pg from 'pg';
import { pino } from 'pino';
import { type Claimed, Lost, type Perform } from '../../src/jobs/job.ts';
import { type Jobs, openJobs } from '../../src/jobs/jobs.ts';
import { addPart } from '../../src/jobs/parts.ts';
import { beatJobs, claimJob, finishJob, markJob, sweepJobs } from '../../src/jobs/queue.ts';
import { openPool } from '../../src/store/pool.ts';
import { until } from '../cli/consilium.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let pool: pg.Pool;
const opened: Jobs[] = [];
const log = pino({ level: 'silent' });
const ME = 7;
const REQUEST = { method: 'POST', url: '/fhir/Patient', headers: { prefer: 'respond-async' } };
const OK = { status: 200, about: false };

beforeAll(async () => {
  database = await cloneDatabase();
  pool = openPool({ databaseUrl: database.url });
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((jobs) => jobs.close()));
  await pool.query('delete from job');
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});

function open(mostAnswer?: number): Jobs {
  const jobs = openJobs(pool, mostAnswer);
  opened.push(jobs);
  return jobs;
}

/** A process that has claimed a job and was killed. */
async function killedAfter(work: (claimed: Claimed) => Promise<void> = async () => {}): Promise<Claimed> {
  const claimed = (await claimJob(pool)) as Claimed;
  await work(claimed);
  await pool.query(`update job set alive = alive - interval '1 minute'`);
  return claimed;
}

async function bytes(body: AsyncIterable<Buffer>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(body));
}

/** What there is in the end. */
const endOf = (jobs: Jobs, id: string) =>
  until(async () => {
    const progress = await jobs.look(ME, id);
    return progress?.state === 'done' ? progress : undefined;
  });

/** Gives back what it got. */
const echo: Perform = async ({ body }, put) => {
  for await (const piece of body) await put(piece);
  return OK;
};

test('a job is done at once by the process that was asked, its bodies in pieces', async () => {
  const jobs = open();
  jobs.start(echo, log);
  const body = Buffer.alloc(2_500_000, 'abc');
  const id = await jobs.add(ME, REQUEST, body);
  const done = await endOf(jobs, id);
  expect(done.answer).toEqual(OK);
  expect((await bytes(done.body)).equals(body)).toBe(true);
  const { rows } = await pool.query('select attempt, length(piece) from job_part order by n');
  expect(rows).toEqual([1048576, 1048576, 402848].map((length) => ({ attempt: 1, length })));
});

test('what was asked for before a restart is done after it', async () => {
  const id = await open().add(ME, REQUEST, Buffer.from('x'));
  const later = open();
  later.start(echo, log);
  expect((await bytes((await endOf(later, id)).body)).toString()).toBe('x');
});

describe('a job whose process was killed', () => {
  test('is done by another where it has written nothing', async () => {
    const jobs = open();
    const id = await jobs.add(ME, REQUEST, Buffer.from('again'));
    const dead = await killedAfter((claimed) => addPart(pool, claimed, 0, Buffer.from('half an ans')));
    const attempts: number[] = [];
    jobs.start((job, put) => {
      attempts.push(job.attempt);
      return echo(job, put);
    }, log);
    expect((await bytes((await endOf(jobs, id)).body)).toString()).toBe('again');
    expect(attempts).toEqual([dead.attempt + 1]);
  });

  test.each([
    ['done', 200, 'incomplete', 'warning', /was done/],
    ['begun', 500, 'incomplete', 'error', /may have been done/],
  ] as const)('is not done twice where it has %s to write', async (mark, status, code, severity, told) => {
    const jobs = open();
    const id = await jobs.add(ME, REQUEST, Buffer.from('once'));
    await killedAfter((claimed) => markJob(pool, claimed, mark));
    jobs.start(() => {
      throw new Error('it is done twice');
    }, log);
    const { answer, body } = await endOf(jobs, id);
    expect(answer).toEqual({ status, about: true });
    const outcome = JSON.parse((await bytes(body)).toString());
    expect(outcome.issue).toEqual([{ severity, code, diagnostics: expect.stringMatching(told) }]);
  });

  test('is given up after three times', async () => {
    const jobs = open();
    const id = await jobs.add(ME, REQUEST, Buffer.from('poison'));
    for (let n = 0; n < 3; n++) await killedAfter();
    jobs.start(() => {
      throw new Error('it is done a fourth time');
    }, log);
    expect((await endOf(jobs, id)).answer).toEqual({ status: 500, about: true });
  });

  test('writes nothing any more, should it not have been dead', async () => {
    await open().add(ME, REQUEST, Buffer.from('x'));
    const slow = await killedAfter();
    const other = (await claimJob(pool)) as Claimed;
    expect(other.attempt).toBe(slow.attempt + 1);
    await expect(markJob(pool, slow, 'done')).rejects.toThrow(Lost);
    await expect(addPart(pool, slow, 0, Buffer.from('x'))).rejects.toThrow(Lost);
    await expect(finishJob(pool, slow, OK, { parts: 0, size: 0 })).rejects.toThrow(Lost);
    expect(await beatJobs(pool, [slow])).toEqual(new Set());
    expect(await beatJobs(pool, [other])).toEqual(new Set([other.id]));
  });
});

test('one that is heard of is not taken from its process', async () => {
  await open().add(ME, REQUEST, Buffer.from('x'));
  expect(await claimJob(pool)).toBeDefined();
  expect(await claimJob(pool)).toBeUndefined();
});

test('the jobs of one client do not hold up those of another', async () => {
  const jobs = open();
  const ids = [];
  for (const agent of [1, 1, 1, 2]) ids.push(await jobs.add(agent, REQUEST, Buffer.from('x')));
  const order = [];
  for (let n = 0; n < 4; n++) order.push(ids.indexOf(((await claimJob(pool)) as Claimed).id));
  expect(order).toEqual([0, 3, 1, 2]);
});

test('a process does two at once, and ends when they are done', async () => {
  const jobs = open();
  const finish: (() => void)[] = [];
  jobs.start(async () => {
    await new Promise<void>((resolve) => finish.push(resolve));
    return OK;
  }, log);
  for (let n = 0; n < 3; n++) await jobs.add(ME, REQUEST, Buffer.from('x'));
  await until(() => (finish.length === 2 ? true : undefined));
  let closed = false;
  const closing = jobs.close().then(() => {
    closed = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect([closed, finish.length]).toEqual([false, 2]);
  for (const each of finish) each();
  await closing;
  const { rows } = await pool.query('select state, count(*) from job group by state order by state');
  expect(rows).toEqual([
    { state: 'd', count: 2 },
    { state: 'w', count: 1 },
  ]);
});

test.each([
  [undefined, 413, 'error'],
  ['done', 200, 'warning'],
] as const)('an answer that is too large is not kept (%s)', async (mark, status, severity) => {
  const jobs = open(1000);
  jobs.start(async (job, put) => {
    if (mark) await markJob(pool, job, mark);
    for (let n = 0; n < 3; n++) await put(Buffer.alloc(400));
    return OK;
  }, log);
  const { answer, body } = await endOf(jobs, await jobs.add(ME, REQUEST, Buffer.from('x')));
  expect(answer).toEqual({ status, about: true });
  expect(JSON.parse((await bytes(body)).toString()).issue).toMatchObject([{ severity, code: 'too-costly' }]);
});

test('cancelling ends one that is under way', async () => {
  const jobs = open();
  const begun = new Promise<void>((resolve) => {
    jobs.start(async ({ signal }, put) => {
      resolve();
      await new Promise((stop) => signal.addEventListener('abort', stop));
      await put(Buffer.from('x'));
      return OK;
    }, log);
  });
  const id = await jobs.add(ME, REQUEST, Buffer.from('x'));
  await begun;
  expect(await jobs.forget(ME + 1, id)).toBe(false);
  expect(await jobs.forget(ME, id)).toBe(true);
  await jobs.close();
  expect(await jobs.look(ME, id)).toBeUndefined();
});

test('a day later the answer is removed', async () => {
  const jobs = open();
  jobs.start(echo, log);
  const id = await jobs.add(ME, REQUEST, Buffer.from('x'));
  await endOf(jobs, id);
  await sweepJobs(pool);
  expect(await jobs.look(ME, id)).toBeDefined();
  await pool.query(`update job set expires = expires - interval '1 day'`);
  expect(await jobs.look(ME, id)).toBeUndefined();
  await sweepJobs(pool);
  expect((await pool.query('select from job union all select from job_part')).rowCount).toBe(0);
});
