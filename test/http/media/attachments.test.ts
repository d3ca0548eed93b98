/** Attachments (R4 datatypes.html#Attachment): what the bytes tell, and large data that is kept apart. */
import { createHash, randomBytes } from 'node:crypto';
import request from 'supertest';
import { sweepBlobs } from '../../../src/store/bytes.ts';
import { asking } from '../access/tokens.ts';
import { startApp, type TestApp } from '../app.ts';
import { asBytes, picture, store, tells } from './support.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

const FHIR = 'application/fhir+json';
const sha1 = (bytes: Buffer): string => createHash('sha1').update(bytes).digest('base64');
const large = randomBytes(100_000);
const contentOf = async (id: string): Promise<string> =>
  (await app.app.pool.query('select content from resource where id = $1', [id])).rows[0].content;

describe('what the uploader left out', () => {
  test('hash, size and type over the bytes that are served; width, height, type and device of a Media', async () => {
    const id = await store(app, 'image/jpeg', await picture('jpeg', { orientation: 6 }));
    const { body: served } = await asBytes(app.send('get', `/Binary/${id}`));
    const { body } = await app.create('Media', 'told', {
      status: 'completed',
      content: { url: `Binary/${id}` },
    });
    expect(body).toMatchObject({
      content: { url: `Binary/${id}`, contentType: 'image/jpeg', size: served.length, hash: sha1(served) },
      ...{ width: 200, height: 400, deviceName: 'Apple iPhone 15', type: { coding: [{ code: 'image' }] } },
      modality: { coding: [{ system: 'http://dicom.nema.org/resources/ontology/DCM', code: 'XC' }] },
    });
    const own = { ...{ status: 'completed', width: 7 }, content: { url: `Binary/${id}` } };
    expect((await app.create('Media', 'own', own)).body).toMatchObject({ width: 7, height: 400 });
    // a picture that names no camera may be a scan
    const scan = await store(app, 'image/gif', await picture('gif'));
    const scanned = { status: 'completed', content: { url: `Binary/${scan}` } };
    expect((await app.create('Media', 'scanned', scanned)).body).not.toHaveProperty('modality');
  });

  test('in a transaction, of the Binary beside it', async () => {
    const data = (await picture('png')).toString('base64');
    const entry = [
      {
        request: { method: 'POST', url: 'DocumentReference' },
        resource: {
          ...{ resourceType: 'DocumentReference', status: 'current' },
          content: [{ attachment: { url: 'urn:uuid:1a0e22fe-3b52-4f3c-8a3e-7f6c1d2b3a4c' } }],
        },
      },
      {
        fullUrl: 'urn:uuid:1a0e22fe-3b52-4f3c-8a3e-7f6c1d2b3a4c',
        request: { method: 'POST', url: 'Binary' },
        resource: { resourceType: 'Binary', contentType: 'image/png', data },
      },
    ];
    const { body } = await app
      .send('post', '')
      .type(FHIR)
      .send({ resourceType: 'Bundle', type: 'transaction', entry })
      .expect(200);
    const [document, binary] = body.entry.map(
      (one: { response: { location: string } }) => one.response.location,
    );
    const { body: served } = await asBytes(app.send('get', `/${binary}`));
    const { body: written } = await app.send('get', `/${document}`).expect(200);
    expect(written.content[0].attachment).toMatchObject({ size: served.length, hash: sha1(served) });
  });

  test('who may not read a Binary learns nothing of it', async () => {
    const id = await store(app, 'image/jpeg', await picture('jpeg'));
    const token = await app.app.issueToken({ scope: 'system/Media.cruds', client: 'test', minutes: 5 });
    const { body } = await app
      .create('Media', 'blind', { status: 'completed', content: { url: `Binary/${id}` } })
      .set('Authorization', `Bearer ${token}`);
    expect(body.content).toEqual({ url: `Binary/${id}` });
    expect(body.width).toBeUndefined();
  });
});

describe('data in a resource', () => {
  const PLACES: [string, object, string][] = [
    ['Media', { status: 'completed', content: { data: '?' } }, 'content'],
    [
      'DiagnosticReport',
      {
        status: 'final',
        code: { text: 'x' },
        presentedForm: [{ contentType: 'application/pdf', data: '?' }],
      },
      'presentedForm',
    ],
    [
      'DocumentReference',
      { status: 'current', content: [{ attachment: { data: '?' } }, { attachment: { data: '?' } }] },
      'content',
    ],
    [
      'Communication',
      { status: 'completed', payload: [{ contentString: 'so' }, { contentAttachment: { data: '?' } }] },
      'payload',
    ],
  ];
  const withData = (rest: object, bytes: Buffer): object =>
    JSON.parse(JSON.stringify(rest).replaceAll('"?"', `"${bytes.toString('base64')}"`));

  test.each(PLACES)('%s: large data is kept apart, and comes back where it was', async (type, rest) => {
    const id = `large-${type.toLowerCase()}`;
    const sent = withData(rest, large);
    const { body: written } = await app.create(type, id, sent);
    expect(written).toMatchObject(sent);
    expect((await contentOf(id)).length).toBeLessThan(1000);
    const read = await app.send('get', `/${type}/${id}`).set('Accept-Encoding', 'identity').expect(200);
    expect(read.body).toMatchObject(sent);
    expect(read.headers['content-length']).toBe(String(Buffer.byteLength(read.text)));
    expect((await app.send('get', `/${type}/${id}/_history/1`).expect(200)).body).toMatchObject(sent);
    await app.send('head', `/${type}/${id}`).expect(200);
    // among others a url stands for it
    for (const path of [`/${type}?_id=${id}`, `/${type}/${id}/_history`, `/${type}/_history`]) {
      const { text } = await app.send('get', path).expect(200);
      expect(text).not.toContain(large.toString('base64').slice(0, 40));
      const [, url] = new RegExp(`"url":"(${type}/${id}/\\$content\\?part=[0-9a-f-]{36})"`).exec(text)!;
      expect((await asBytes(app.send('get', `/${url}`)).expect(200)).body.equals(large)).toBe(true);
    }
  });

  test('a resource that was read among others can be written back, and patched', async () => {
    const sent = withData(PLACES[1]![1], large);
    await app.create('DiagnosticReport', 'back', sent);
    const { body } = await app.send('get', '/DiagnosticReport?_id=back');
    const { resource } = body.entry[0];
    expect(resource.presentedForm[0]).toMatchObject({ size: large.length, hash: sha1(large) });
    await app
      .send('put', '/DiagnosticReport/back')
      .type(FHIR)
      .send({ ...resource, conclusion: 'well' })
      .expect(200);
    await app
      .send('patch', '/DiagnosticReport/back')
      .type('application/json-patch+json')
      .send(JSON.stringify([{ op: 'replace', path: '/conclusion', value: 'very well' }]))
      .expect(200);
    const { body: now } = await app.send('get', '/DiagnosticReport/back');
    expect(now).toMatchObject({ ...sent, conclusion: 'very well' });
    const [, part] = /part=(.{36})/.exec(resource.presentedForm[0].url)!;
    // of another resource it is nothing
    const stolen = { ...resource, id: 'thief' };
    await app.send('put', '/DiagnosticReport/thief').type(FHIR).send(stolen).expect(201);
    await app.send('get', `/DiagnosticReport/thief/$content?part=${part}`).expect(404);
    const wrong = {
      ...resource,
      presentedForm: [{ url: `DiagnosticReport/back/$content?part=${part!.replace(/.$/, 'x')}` }],
    };
    await app.send('put', '/DiagnosticReport/back').type(FHIR).send(wrong);
    await app.send('get', '/DiagnosticReport/back/$content').expect(400);
    for (const none of ['x', '-'.repeat(36), "'"])
      await app.send('get', `/DiagnosticReport/back/$content?part=${none}`).expect(404);
    const reader = await app.app.issueToken({ scope: 'system/Media.r', client: 'test', minutes: 5 });
    await app
      .send('get', `/${resource.presentedForm[0].url}`)
      .set('Authorization', `Bearer ${reader}`)
      .expect(403);
  });

  test('Prefer: attachments=inline puts data in its place in Bundles, as far as there is room', async () => {
    const ask = (path: string) => app.send('get', path).set('Prefer', 'attachments=inline').expect(200);
    await app.create('Patient', 'inlined', {});
    const sent = withData(PLACES[1]![1], large);
    await app.create('DiagnosticReport', 'inlined', { ...sent, subject: { reference: 'Patient/inlined' } });
    for (const path of [
      '/DiagnosticReport?_id=inlined',
      '/DiagnosticReport/inlined/_history',
      '/Patient/inlined/$everything?_type=DiagnosticReport',
    ]) {
      const answer = await ask(path);
      expect(answer.headers['preference-applied']).toBe('attachments=inline');
      const [resource] = answer.body.entry
        .map((one: { resource: { resourceType: string } }) => one.resource)
        .filter(({ resourceType }: { resourceType: string }) => resourceType === 'DiagnosticReport');
      expect(resource).toMatchObject(sent);
    }
    // of what is larger than the room that a Bundle has the url is left
    await app.app.pool.query(
      `update blob set size = 64 * 1024 * 1024 where name::text = substring(
         (select content from resource where id = 'inlined' and type = (select code from type where name = 'DiagnosticReport'))
         from 'blob:([0-9a-f-]{36})')`,
    );
    expect((await ask('/DiagnosticReport?_id=inlined')).text).toContain('$content?part=');
  });

  test('a part that only older versions have is for whoever may read one of these', async () => {
    for (const id of ['old', 'new']) await app.create('Patient', id, {});
    const put = (patient: string, bytes?: Buffer) =>
      app
        .send('put', '/DiagnosticReport/moved')
        .type(FHIR)
        .send({
          ...(bytes ? withData(PLACES[1]![1], bytes) : { status: 'final', code: { text: 'x' } }),
          ...{ resourceType: 'DiagnosticReport', id: 'moved', subject: { reference: `Patient/${patient}` } },
        });
    const [first, second] = [randomBytes(70_000), randomBytes(70_000)];
    await put('old', first).expect(201);
    await put('new', second).expect(200);
    await put('new').expect(200);
    const { text } = await app.send('get', '/DiagnosticReport/moved/_history');
    const [late, early] = [...text.matchAll(/DiagnosticReport\/moved\/\$content\?part=[0-9a-f-]{36}/g)].map(
      String,
    );
    const patient = await asking(app, 'patient/DiagnosticReport.rs', { patient: 'new' });
    expect((await asBytes(patient('get', `/${late}`)).expect(200)).body.equals(second)).toBe(true);
    await patient('get', `/${early}`).expect(404);
    await patient('get', `/${early!.replace('$content', '$link')}`).expect(404);
    // nor does it come back to them by being written
    const writer = await asking(app, 'patient/DiagnosticReport.cruds', { patient: 'new' });
    const report = (url: string) => ({
      ...{ resourceType: 'DiagnosticReport', id: 'moved', status: 'final', code: { text: 'x' } },
      ...{ subject: { reference: 'Patient/new' }, presentedForm: [{ url }] },
    });
    const write = (url: string) => writer('put', '/DiagnosticReport/moved').type(FHIR).send(report(url));
    await write(early!).expect(400);
    await write(late!).expect(200);
    expect((await asBytes(app.send('get', `/${early}`)).expect(200)).body.equals(first)).toBe(true);
  });

  test('_elements and _summary show the url; a stand-in cannot be forged', async () => {
    const { body } = await app
      .send('get', '/DiagnosticReport/large-diagnosticreport?_elements=presentedForm')
      .expect(200);
    expect(body.presentedForm[0].url).toMatch(/\$content\?part=/);
    await app
      .send('put', '/Media/forged')
      .type(FHIR)
      .send({
        resourceType: 'Media',
        id: 'forged',
        status: 'completed',
        content: { data: 'blob:01a212c6-8d25-7000-a99e-1bd013998874' },
      })
      .expect(400);
  });

  test('small data stays as it came; a photo loses its place, however large', async () => {
    const small = Buffer.from('small');
    const { body } = await app.create('DocumentReference', 'small', withData(PLACES[2]![1], small));
    expect(body.content[0].attachment).toEqual({ data: small.toString('base64') });
    const photo = await picture('jpeg');
    const { body: media } = await app.create('Media', 'inline', {
      status: 'completed',
      content: { data: photo.toString('base64') },
    });
    const kept = Buffer.from(media.content.data, 'base64');
    expect(tells(kept)).toBe(false);
    expect(media).toMatchObject({
      width: 400,
      height: 200,
      content: { size: kept.length, hash: sha1(kept), contentType: 'image/jpeg' },
    });
    const noise = await picture('tiff', { width: 600, height: 400 });
    await app.create('Media', 'apart', {
      status: 'completed',
      content: { data: Buffer.concat([noise, randomBytes(70_000)]).toString('base64') },
    });
    await app.send('get', '/Media/apart/$content?size=256').expect(200).expect('Content-Type', 'image/jpeg');
    const { body: link } = await app.send('get', '/Media/apart/$link?size=256').expect(200);
    await request(app.url).get(link.parameter[0].valueUrl.replace(app.base, '/fhir')).expect(200);
  });

  test('blobs of versions stay, those of writes that failed go; equal bytes of one patient become one', async () => {
    const { pool, store: kept } = app.app;
    const report = (status: string, bytes: Buffer): object => ({
      ...{ resourceType: 'DiagnosticReport', id: 'versions', status, code: { text: 'x' } },
      presentedForm: [{ data: bytes.toString('base64') }],
    });
    const [first, second] = [randomBytes(70_001), randomBytes(70_002)];
    const put = (bytes: Buffer) =>
      app.send('put', '/DiagnosticReport/versions').type(FHIR).send(report('final', bytes));
    await put(first).expect(201);
    await put(second).expect(200);
    await put(randomBytes(70_003)).set('If-Match', 'W/"17"').expect(412);
    await Promise.all(['a', 'b'].map((id) => app.create('Patient', id, {})));
    const same = randomBytes(5000);
    const ids: string[] = [];
    for (const patient of ['a', 'a', 'b'])
      ids.push(
        await store(app, 'application/octet-stream', same, { 'X-Security-Context': `Patient/${patient}` }),
      );
    await pool.query(`update attachment set created = created - interval '2 hours'`);
    for (let i = 0; i < 2; i++) {
      await sweepBlobs(pool, kept.blobs);
      await pool.query(`update blob set idle = idle - interval '25 hours'`);
    }
    await sweepBlobs(pool, kept.blobs);
    const { rows } = await pool.query(
      'select size::int from blob where size between 70001 and 70003 order by 1',
    );
    expect(rows.map(({ size }) => size)).toEqual([70_001, 70_002]);
    const { body } = await app.send('get', '/DiagnosticReport/versions/_history/1').expect(200);
    expect(Buffer.from(body.presentedForm[0].data, 'base64').equals(first)).toBe(true);
    const { rows: blobs } = await pool.query('select blob from resource where id = any ($1) order by id', [
      ids,
    ]);
    expect(blobs[0].blob).toBe(blobs[1].blob);
    expect(blobs[2].blob).not.toBe(blobs[0].blob);
    expect((await pool.query('select count(*)::int from blob where size = 5000')).rows).toEqual([
      { count: 2 },
    ]);
    for (const id of ids)
      expect((await asBytes(app.send('get', `/Binary/${id}`))).body.equals(same)).toBe(true);
  });
});
