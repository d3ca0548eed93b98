/** The trail of who was shown what: on every path, before it is shown, and never changed afterwards. */
import type { AuditEvent, Bundle } from 'fhir/r4.js';
import { Client } from 'pg';
import type { Response } from 'supertest';
import { seal, verify } from '../../../src/store/audit/seals.ts';
import { startApp, type TestApp } from '../app.ts';
import { type Asking, asking } from './tokens.ts';

let app: TestApp;
let db: Client;
let doc: Asking;
const to = (reference: string) => ({ reference });

beforeAll(async () => {
  app = await startApp({ SECRET_KEY: 'a secret of more than thirty-two characters' });
  db = new Client(app.databaseUrl);
  await db.connect();
  await app.create('Practitioner', 'doc', {});
  for (const id of ['ann', 'bob', 'cid'])
    await app.create('Patient', id, id === 'cid' ? {} : { generalPractitioner: [to('Practitioner/doc')] });
  for (const patient of ['ann', 'bob', 'cid'])
    for (const n of [1, 2])
      await app.create('Observation', `${patient}-${n}`, {
        status: 'final',
        code: { text: 'x' },
        subject: to(`Patient/${patient}`),
      });
  doc = await asking(app, 'user/*.rs', { fhirUser: 'Practitioner/doc' });
});
afterAll(async () => {
  await db.end();
  await app.close();
});

interface Kept {
  readonly action: string;
  readonly status: number;
  readonly type: string | null;
  readonly patient: string | null;
  readonly found: number;
}

/** What a request has left in the trail. */
async function kept(request: () => PromiseLike<unknown>): Promise<Kept[]> {
  const { rows: before } = await db.query('select coalesce(max(tx), 0) as tx from access_log');
  await request();
  const { rows } = await db.query(
    `select a.action, a.status, t.name as type, p.id as patient, a.found
     from access_log a left join type t on t.code = a.type left join resource p on p.rid = a.patient
     where a.tx > $1 order by p.id`,
    [before[0].tx],
  );
  return rows;
}

const one = (action: string, type: string | null, patient: string | null, found = 1, status = 200): Kept => ({
  action,
  status,
  type,
  patient,
  found,
});

test.each<[string, Kept[]]>([
  ['/Patient/ann', [one('r', 'Patient', 'ann')]],
  ['/Observation/ann-1', [one('r', 'Observation', 'ann')]],
  ['/Observation/ann-1/_history/1', [one('v', 'Observation', 'ann')]],
  ['/Observation/ann-1/_history', [one('h', 'Observation', 'ann')]],
  ['/Observation', [one('s', 'Observation', 'ann', 4), one('s', 'Observation', 'bob', 4)]],
  ['/Observation?patient=ann', [one('s', 'Observation', 'ann', 2)]],
  ['/Observation?patient=ann&_include=Observation:patient', [one('s', 'Observation', 'ann', 3)]],
  [
    '/Practitioner?_revinclude=Patient:general-practitioner',
    [one('s', 'Practitioner', 'ann', 3), one('s', 'Practitioner', 'bob', 3)],
  ],
  // a count shows nobody
  ['/Observation?_summary=count', [one('s', 'Observation', null, 4)]],
  ['/Observation?code:text=nothing', [one('s', 'Observation', null, 0)]],
  ['/Observation/cid-1', [one('r', 'Observation', null, 0, 404)]],
  ['/Observation/nothing', [one('r', 'Observation', null, 0, 404)]],
])('%s', async (path, rows) => {
  expect(await kept(() => doc('get', path))).toEqual(rows);
});

test('$everything: the patient asked for, and each piece of what is shown', async () => {
  const rows = await kept(() => doc('get', '/Patient/ann/$everything').expect(200));
  expect(rows).toContainEqual(one('e', 'Patient', 'ann', 4));
});

test('entries of Bundles, one by one; refusals too', async () => {
  const bundle = (type: string) => ({
    resourceType: 'Bundle',
    type,
    entry: ['Observation/ann-1', 'Patient?_id=bob'].map((url) => ({ request: { method: 'GET', url } })),
  });
  for (const type of ['batch', 'transaction']) {
    const rows = await kept(() =>
      doc('post', '/').type('application/fhir+json').send(bundle(type)).expect(200),
    );
    expect(rows).toEqual([one('r', 'Observation', 'ann'), one('s', 'Patient', 'bob')]);
  }
  const app1 = await asking(app, 'patient/Patient.rs', { patient: 'ann', fhirUser: 'Patient/ann' });
  expect(await kept(() => app1('get', '/Observation').expect(403))).toEqual([
    one('s', 'Observation', null, 0, 403),
  ]);
});

const resource = {
  resourceType: 'Observation',
  status: 'final',
  code: { text: 'x' },
  subject: to('Patient/ann'),
};

test.each<[string, 'post' | 'put' | 'delete', string, object, Kept[]]>([
  ['create', 'post', '/Observation', resource, [one('C', 'Observation', null, 0, 403)]],
  [
    'update',
    'put',
    '/Observation/ann-1',
    { ...resource, id: 'ann-1' },
    [one('U', 'Observation', null, 0, 403)],
  ],
  ['delete', 'delete', '/Observation/ann-1', {}, [one('D', 'Observation', null, 0, 403)]],
  [
    'transaction',
    'post',
    '/',
    {
      resourceType: 'Bundle',
      type: 'transaction',
      entry: [{ resource, request: { method: 'POST', url: 'Observation' } }],
    },
    [one('T', null, null, 0, 403)],
  ],
])('a refused %s', async (_, method, path, body, rows) => {
  expect(await kept(() => doc(method, path).type('application/fhir+json').send(body).expect(403))).toEqual(
    rows,
  );
});

test('what a condition found instead of creating is shown, and noted', async () => {
  const body = { resourceType: 'Patient', identifier: [{ system: 'urn:s', value: '1' }] };
  const create = () =>
    app
      .send('post', '/Patient')
      .type('application/fhir+json')
      .set('If-None-Exist', 'identifier=urn:s|1')
      .send(body);
  expect(await kept(() => create().expect(201))).toEqual([]);
  expect(await kept(() => create().expect(200))).toMatchObject([{ action: 'r', type: 'Patient', found: 1 }]);
});

test('what was asked for is kept sealed, and says nothing in the database', async () => {
  await doc('get', '/Patient?name=very-secret-name').expect(200);
  const { rows } = await db.query(
    'select query from access_log where query is not null order by tx desc, n desc limit 1',
  );
  expect(rows[0].query.toString('latin1')).not.toContain('secret');
});

test('it cannot be changed or deleted', async () => {
  for (const statement of [
    'update access_log set found = 0',
    'delete from access_log',
    'delete from audit_seal',
  ])
    await expect(db.query(statement)).rejects.toThrow(/never changed or deleted/);
});

test('nothing is shown that cannot be noted', async () => {
  await db.query('alter table access_log add constraint full_up check (found < 0) not valid');
  try {
    const { body } = await doc('get', '/Observation/ann-1').expect(503);
    expect(JSON.stringify(body)).not.toContain('Patient/ann');
    await doc('get', '/Observation').expect(503);
  } finally {
    await db.query('alter table access_log drop constraint full_up');
  }
  await doc('get', '/Observation/ann-1').expect(200);
});

test('seals hold as long as nobody changes the rows under them', async () => {
  const { pool, store } = app.app;
  await seal(pool, store.catalog);
  await doc('get', '/Observation/ann-1').expect(200);
  await seal(pool, store.catalog);
  await seal(pool, store.catalog);
  const whole = await verify(pool);
  expect(whole).toMatchObject({ seals: 2 });
  expect(whole).not.toHaveProperty('broken');
  expect(whole.changes).toBeGreaterThan(9);
  await db.query('alter table access_log disable trigger all');
  await db.query(`set session_replication_role = replica`);
  await db.query(`update access_log set agent = agent + 1 where tx = (select max(tx) from access_log)`);
  await db.query(`set session_replication_role = default`);
  expect(await verify(pool)).toMatchObject({ seals: 1, broken: { n: 2 } });
});

describe('the trail as AuditEvents (IHE Basic Audit Log Patterns)', () => {
  type Page = Bundle<AuditEvent>;
  const events = async (ask: Asking, query: string): Promise<AuditEvent[]> => {
    const { body } = await ask('get', `/AuditEvent?${query}`).expect(200);
    return ((body as Page).entry ?? []).map(({ resource }) => resource as AuditEvent);
  };
  let audits: Asking;
  beforeAll(async () => {
    audits = await asking(app, 'system/AuditEvent.cruds');
    await doc('get', '/Observation?patient=bob&code:text=x').expect(200);
  });

  test('of a search: who, by which client, about whom, and what was asked for', async () => {
    const [event] = await events(audits, 'patient=bob&_count=1');
    expect(event).toMatchObject({
      type: { code: 'rest' },
      subtype: [{ code: 'search' }],
      action: 'E',
      outcome: '0',
      meta: {
        profile: ['https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PatientQuery'],
      },
      agent: [
        { who: { identifier: { value: 'test' } }, network: { address: '127.0.0.1', type: '2' } },
        { requestor: false, network: { type: '5' } },
        { who: { reference: 'Practitioner/doc' }, requestor: true },
      ],
    });
    const query = event?.entity?.find(({ role }) => role?.code === '24')?.query ?? '';
    expect(Buffer.from(query, 'base64').toString()).toBe('Observation?patient=bob&code:text=x');
    expect(event?.entity?.map(({ what }) => what?.reference)).toContain('Patient/bob');
    await audits('get', `/AuditEvent/${event?.id}`).expect(200);
    await audits('get', `/AuditEvent/${event?.id}/_history/1`).expect(200);
  });

  test('writes and refusals are there, and all parameters of AuditEvent find them', async () => {
    expect((await events(audits, 'action=C&entity=Observation/bob-1'))[0]).toMatchObject({ action: 'C' });
    expect(await events(audits, 'outcome=4&agent=Practitioner/doc')).not.toEqual([]);
    expect(await events(audits, 'date=lt2020')).toEqual([]);
    const all = await asking(app, 'system/*.rs');
    const chain = 'patient.general-practitioner=Practitioner/doc&agent:Practitioner._id=doc&_count=1';
    expect(await events(all, chain)).toHaveLength(1);
    expect(await events(all, 'agent:Practitioner._id=nobody')).toEqual([]);
    expect(await events(audits, '_content=bob')).not.toEqual([]);
    expect(await events(all, '_has:Provenance:target:_id=x')).toEqual([]);
    expect(await events(audits, 'subtype=http://hl7.org/fhir/restful-interaction|vread')).not.toEqual([]);
    const { body } = await audits('get', '/AuditEvent?patient=ann&_summary=count').expect(200);
    expect(body.total).toBeGreaterThan(5);
  });

  test('by pages, each once, newest first, those that were posted among them', async () => {
    const recorded = new Date().toISOString();
    const posted = {
      resourceType: 'AuditEvent',
      type: { code: 'x' },
      recorded,
      agent: [{ requestor: false, who: { display: 'scanner' } }],
      source: { observer: { display: 'scanner' } },
      entity: [{ what: { reference: 'Patient/ann' } }],
    };
    const { body: made } = await app
      .send('post', '/AuditEvent')
      .type('application/fhir+json')
      .send(posted)
      .expect(201);
    const whole = (await events(audits, 'patient=ann&_count=1000')).map(({ id }) => id);
    expect(whole).toContain(made.id);
    const paged: (string | undefined)[] = [];
    const times: string[] = [];
    for (let next: string | undefined = '/AuditEvent?patient=ann&_count=4'; next; ) {
      const answer: Response = await audits('get', next);
      expect(answer.text).not.toContain('"issue"');
      const { entry = [], link } = answer.body as Page;
      for (const { resource } of entry) {
        paged.push(resource?.id);
        times.push(resource?.recorded as string);
      }
      next = link?.find(({ relation }) => relation === 'next')?.url.replace(app.base, '');
    }
    // what was asked meanwhile is there too
    expect(paged.slice(-whole.length)).toEqual(whole);
    expect(new Set(paged).size).toBe(paged.length);
    expect(times).toEqual([...times].sort().reverse());
  });

  test('patients see their own', async () => {
    const ann = await asking(app, 'patient/*.rs', { patient: 'ann', fhirUser: 'Patient/ann' });
    const own = await events(ann, '_count=1000');
    expect(own.length).toBeGreaterThan(3);
    for (const { entity = [] } of own)
      expect(entity.map(({ what }) => what?.reference)).toContain('Patient/ann');
    const [of] = await events(audits, 'patient=bob');
    await ann('get', `/AuditEvent/${of?.id}`).expect(404);
    await ann('get', '/AuditEvent?patient=bob').expect(403);
  });

  test.each([
    ['put', 405],
    ['delete', 405],
    ['patch', 404],
  ] as const)('%s of one is refused', async (method, status) => {
    const [{ id = '', ...event } = {} as AuditEvent] = await events(audits, 'patient=bob');
    const request = audits(method, `/AuditEvent/${id}`).type(
      method === 'patch' ? 'application/json-patch+json' : 'application/fhir+json',
    );
    await request.send(method === 'patch' ? [] : { ...event, id }).expect(status);
    await audits('get', `/AuditEvent/${id}`).expect(200);
  });

  test.each(['_sort=date', '_sort=agent', '_include=AuditEvent:patient'])(
    'what would leave some of it out is refused: %s',
    async (query) => {
      await audits('get', `/AuditEvent?${query}`).expect(400);
    },
  );
});
