/** STOW-RS (PS3.18 §10.5), and the FHIR resources that come of it. */
import { randomBytes } from 'node:crypto';
import { CLASSES, dicomFile, image, SYNTAX } from '../../imaging/files.ts';
import { startApp, type TestApp } from '../app.ts';
import { asSent, dicomwebOf, type Json, jsonOf, multipart } from './dicomweb.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp({ DICOM_ISSUERS: '*=https://hospital.example/mrn' });
});
afterAll(() => app.close());
const { send, stow, find, fhir } = dicomwebOf(() => app);

const TYPE = 'multipart/related; type="application/dicom"; boundary=B';
const studyOf = async (uid: string): Promise<Json> =>
  (await fhir(`/ImagingStudy?identifier=urn:dicom:uid|urn:oid:${uid}`))[0];

describe('PS3.18 10.5: what is stored', () => {
  test('becomes an ImagingStudy of the Patient whom its Patient ID names', async () => {
    await app.create('Patient', 'maria', {
      identifier: [{ system: 'https://hospital.example/mrn', value: 'M1' }],
    });
    const { status, body } = await stow([
      image({ study: '1.2.1', instance: '1.2.1.1.1', patient: 'M1' }),
      image({ study: '1.2.1', instance: '1.2.1.1.2', patient: 'M1', number: 2 }),
      image({ study: '1.2.1', series: '1.2.1.2', instance: '1.2.1.2.1', patient: 'M1', modality: 'CT' }),
    ]);
    expect(status).toBe(200);
    expect(body['00081190'].Value[0]).toBe('https://fhir.example.org/dicomweb/studies/1.2.1');
    const study = await studyOf('1.2.1');
    expect(study).toMatchObject({
      status: 'available',
      subject: { reference: 'Patient/maria' },
      started: '2026-01-02',
      description: 'Knee',
      referrer: { display: 'Gregory House' },
      modality: [{ code: 'CT' }, { code: 'MR' }],
      numberOfSeries: 2,
      numberOfInstances: 3,
      endpoint: [{ reference: 'Endpoint/dicom-wado-rs' }],
    });
    expect(study.identifier).toContainEqual({ system: 'urn:dicom:uid', value: 'urn:oid:1.2.1' });
    const mr = study.series.find(({ uid }: Json) => uid === '1.2.1.1');
    expect(mr).toMatchObject({ number: 1, modality: { code: 'MR' }, numberOfInstances: 2 });
    expect(mr.instance).toEqual([
      {
        uid: '1.2.1.1.1',
        number: 1,
        sopClass: { system: 'urn:ietf:rfc:3986', code: `urn:oid:${CLASSES.mr}` },
      },
      {
        uid: '1.2.1.1.2',
        number: 2,
        sopClass: { system: 'urn:ietf:rfc:3986', code: `urn:oid:${CLASSES.mr}` },
      },
    ]);
    const { body: endpoint } = await app.send('get', '/Endpoint/dicom-wado-rs').expect(200);
    expect(endpoint).toMatchObject({
      connectionType: { code: 'dicom-wado-rs' },
      address: 'https://fhir.example.org/dicomweb',
      extension: [{ valueBoolean: true }],
    });
  });

  test('makes a Patient where the ID is new, once', async () => {
    await stow([image({ study: '1.2.2', instance: '1.2.2.1.1', patient: 'N1' })]);
    await stow([image({ study: '1.2.3', instance: '1.2.3.1.1', patient: 'N1' })]);
    const [patient, ...more] = await fhir('/Patient?identifier=https://hospital.example/mrn|N1');
    expect(more).toEqual([]);
    expect(patient).toMatchObject({
      name: [{ family: 'Lopez', given: ['Maria'] }],
      gender: 'female',
      birthDate: '1980-02-29',
    });
    expect(await fhir(`/ImagingStudy?patient=${patient.id}`)).toHaveLength(2);
  });

  test('equal IDs of different issuers are different patients', async () => {
    const more = { '00100021': ['LO', 'ELSEWHERE'] } as const;
    await stow([image({ study: '1.2.4', instance: '1.2.4.1.1', patient: 'M1', more })]);
    expect((await studyOf('1.2.4')).subject.reference).not.toBe('Patient/maria');
    expect(
      await fhir('/Patient?identifier=https://fhir.example.org/dicomweb/patient-ids/ELSEWHERE|M1'),
    ).toHaveLength(1);
  });

  test('the same once more changes no version', async () => {
    const file = image({ study: '1.2.5', instance: '1.2.5.1.1' });
    await stow([file]);
    const before = await studyOf('1.2.5');
    const { status, stored } = await stow([file, file]);
    expect([status, stored]).toEqual([200, ['1.2.5.1.1', '1.2.5.1.1']]);
    expect((await studyOf('1.2.5')).meta).toEqual(before.meta);
  });

  test('what others have written of the ImagingStudy stays', async () => {
    await stow([image({ study: '1.2.6', instance: '1.2.6.1.1' })]);
    const study = await studyOf('1.2.6');
    await app
      .send('put', `/ImagingStudy/${study.id}`)
      .type('application/fhir+json')
      .send({ ...study, note: [{ text: 'seen' }], description: 'left knee' })
      .expect(200);
    await stow([image({ study: '1.2.6', instance: '1.2.6.1.2', number: 2 })]);
    expect(await studyOf('1.2.6')).toMatchObject({
      note: [{ text: 'seen' }],
      description: 'left knee',
      numberOfInstances: 2,
    });
  });

  test('an ImagingStudy that came before its images is theirs', async () => {
    const identifier = [{ system: 'urn:dicom:uid', value: 'urn:oid:1.2.7' }];
    await app.create('ImagingStudy', 'early', {
      identifier,
      status: 'registered',
      subject: { reference: 'Patient/maria' },
    });
    await stow([image({ study: '1.2.7', instance: '1.2.7.1.1', patient: 'M1' })]);
    expect(await studyOf('1.2.7')).toMatchObject({ id: 'early', status: 'available', numberOfInstances: 1 });
  });
});

describe('PS3.18 10.5.3: what is not, and why', () => {
  test('another file of a UID: 0111, and the first stays', async () => {
    await stow([image({ study: '1.3.1', instance: '1.3.1.1.1' })]);
    const { status, failed } = await stow([image({ study: '1.3.1', instance: '1.3.1.1.1', number: 9 })]);
    expect([status, failed]).toEqual([409, { '1.3.1.1.1': 0x0111 }]);
    expect((await studyOf('1.3.1')).series[0].instance[0].number).toBe(1);
  });

  test('some are stored, some are not: 202', async () => {
    const { status, stored, failed } = await stow([
      image({ study: '1.3.2', instance: '1.3.2.1.1' }),
      dicomFile({ '00080016': ['UI', CLASSES.mr], '00080018': ['UI', '1.3.2.9'] }),
      Buffer.from('no DICOM'),
    ]);
    expect(status).toBe(202);
    expect(stored).toEqual(['1.3.2.1.1']);
    expect(failed).toEqual({ '1.3.2.9': 0x0120, '': 0xc000 });
  });

  test('a long part that is refused at its beginning is passed over', async () => {
    const { status, stored } = await stow([
      Buffer.alloc(1_000_000, 65),
      image({ study: '1.3.8', instance: '1.3.8.1.1' }),
      Buffer.concat([image({ study: '1.3.8', instance: '1.3.8.1.2' }), Buffer.alloc(300_000, 255)]),
    ]);
    expect([status, stored]).toEqual([202, ['1.3.8.1.1']]);
    await asSent(send('post', '/studies'), 'application/dicom', Buffer.alloc(1_000_000, 65)).expect(409);
  });

  test('of another study than the path names', async () => {
    const { status, failed } = await stow([image({ study: '1.3.3', instance: '1.3.3.1' })], '/studies/1.3.4');
    expect([status, failed]).toEqual([409, { '1.3.3.1': 0xa900 }]);
  });

  test('of another patient than its study: 409, kept for review, and told alike by whoever brings it', async () => {
    await stow([image({ study: '1.3.5', instance: '1.3.5.1.1', patient: 'A' })]);
    const answer = await stow([image({ study: '1.3.5', instance: '1.3.5.1.2', patient: 'B' })]);
    expect([answer.status, answer.failed]).toEqual([409, { '1.3.5.1.2': 0x0110 }]);
    expect((await studyOf('1.3.5')).numberOfInstances).toBe(1);
    const { rows } = await app.app.pool.query('select reason, study from dicom_held where uid = $1', [
      '1.3.5.1.2',
    ]);
    expect(rows).toEqual([{ reason: 'of another patient than their study', study: '1.3.5' }]);
    await stow([image({ study: '1.3.5', instance: '1.3.5.1.2', patient: 'B' })]);
    const tasks = await fhir('/Task?identifier=urn:dicom:uid|urn:oid:1.3.5');
    expect(tasks.map(({ status }) => status)).toEqual(['requested']);
    const nobody = await stow([image({ study: '1.3.6', instance: '1.3.6.1.1', patient: '' })]);
    expect([nobody.status, nobody.failed]).toEqual([409, { '1.3.6.1.1': 0x0110 }]);
  });

  test.each([
    [415, 'application/json', Buffer.from('{}')],
    [415, 'multipart/related; type="application/dicom+json"; boundary=B', multipart([], 'B')],
    [400, TYPE, Buffer.from('--B\r\nContent-Type: application/dicom\r\n\r\nDICM')],
    [400, TYPE, Buffer.from('nothing')],
    [400, TYPE, Buffer.from(`--B\r\nX: ${'x'.repeat(20_000)}`)],
    [400, TYPE, Buffer.from('--B--')],
  ])('%i for what is no such request: %s', async (status, type, body) => {
    const answer = await asSent(send('post', '/studies'), type, body);
    expect(answer.status).toBe(status);
    expect(answer.headers['content-type']).toBe('application/problem+json');
    expect(jsonOf(answer).detail).toMatch(/\w/);
  });

  test('401 without a token, and 403 with one that does not allow it', async () => {
    const file = image({ study: '1.3.7', instance: '1.3.7.1.1' });
    await asSent(send('post', '/studies', 'none'), 'application/dicom', file).expect(401);
    const token = await app.app.issueToken({ scope: 'system/ImagingStudy.rs', client: 'test', minutes: 1 });
    await asSent(send('post', '/studies', token), 'application/dicom', file).expect(403);
    expect(await find('/studies?StudyInstanceUID=1.3.7')).toEqual([]);
  });
});

describe('PS3.18 8.6: how it is sent', () => {
  test.each([
    'multipart/related; type="application/dicom"; boundary=B',
    'multipart/related; type=application/dicom; boundary=B',
    'Multipart/Related; boundary="B"',
  ])('%s', async (type) => {
    const study = `1.4.${randomBytes(4).readUInt32BE()}`;
    const body = multipart([image({ study, instance: `${study}.1.1` })], 'B');
    await asSent(send('post', '/studies'), type, body).expect(200);
  });

  test('one file by itself, and one that is deflated', async () => {
    await asSent(
      send('post', '/studies'),
      'application/dicom',
      image({ study: '1.4.1', instance: '1.4.1.1.1' }),
    ).expect(200);
    const deflated = image({ study: '1.4.1', instance: '1.4.1.1.2' }, SYNTAX.deflated);
    await asSent(send('post', '/studies/1.4.1'), 'application/dicom', deflated).expect(200);
  });

  test('chunked, in pieces of any size, with a boundary that is nearly in the pixels', async () => {
    const { request } = await import('node:http');
    const pixels = Buffer.concat(Array.from({ length: 500 }, () => Buffer.from('\r\n--BOUNDAR\r\n--BOUND')));
    const file = image({ study: '1.4.2', instance: '1.4.2.1.1', more: { '7FE00010': ['OB', pixels] } });
    const body = multipart([file], 'BOUNDARY');
    const status = await new Promise<number>((resolve, reject) => {
      const sent = request(`${app.url}/dicomweb/studies`, {
        method: 'POST',
        headers: {
          Authorization: `Bearer ${app.token}`,
          'Content-Type': 'multipart/related; type="application/dicom"; boundary=BOUNDARY',
        },
      });
      sent.on('response', (answer) => resolve(answer.resume().statusCode!));
      sent.on('error', reject);
      for (let at = 0; at < body.length; at += 997) sent.write(body.subarray(at, at + 997));
      sent.end();
    });
    expect(status).toBe(200);
    const stored = await send('get', '/studies/1.4.2/series/1.4.2.1/instances/1.4.2.1.1').set(
      'Accept',
      'application/dicom; transfer-syntax=*',
    );
    expect(stored.body.equals(file)).toBe(true);
  });
});

test('eight senders of one study at once: all is in, once, and ImagingStudy and QIDO agree', async () => {
  const file = (n: number) =>
    image({ study: '1.5.1', series: `1.5.1.${n % 3}`, instance: `1.5.1.9.${n}`, number: n, patient: 'C' });
  await Promise.all(
    Array.from({ length: 8 }, async (_, sender) => {
      for (let n = 0; n < 6; n++) {
        const { status } = await stow([file(sender * 6 + n), file(n)]);
        expect(status).toBe(200);
      }
    }),
  );
  const study = await studyOf('1.5.1');
  expect(study.numberOfInstances).toBe(48);
  expect(study.series.flatMap(({ instance }: Json) => instance)).toHaveLength(48);
  const [found] = await find('/studies?StudyInstanceUID=1.5.1');
  expect(found['00201208'].Value).toEqual([48]);
  expect(found['00201206'].Value).toEqual([3]);
  expect(await find('/studies/1.5.1/instances')).toHaveLength(48);
  expect(await fhir('/Patient?identifier=https://hospital.example/mrn|C')).toHaveLength(1);
  expect(await fhir('/ImagingStudy?identifier=urn:oid:1.5.1')).toHaveLength(1);
});

describe('a study is gone with its ImagingStudy', () => {
  test('by DICOMweb', async () => {
    await stow([image({ study: '1.6.1', instance: '1.6.1.1.1' })]);
    const { rows } = await app.app.pool.query('select blob from dicom_instance where study = $1', ['1.6.1']);
    await send('delete', '/studies/1.6.1').expect(204);
    expect(await find('/studies?StudyInstanceUID=1.6.1')).toEqual([]);
    expect(await studyOf('1.6.1')).toBeUndefined();
    await send('get', '/studies/1.6.1').expect(404);
    await expect(app.app.store.blobs.open(rows[0].blob)).rejects.toThrow();
    expect((await stow([image({ study: '1.6.1', instance: '1.6.1.1.1' })])).status).toBe(200);
  });

  test('by FHIR, from the next request on', async () => {
    await stow([image({ study: '1.6.2', instance: '1.6.2.1.1' })]);
    const { id } = await studyOf('1.6.2');
    await app.send('delete', `/ImagingStudy/${id}`).expect(204);
    expect(await find('/studies?StudyInstanceUID=1.6.2')).toEqual([]);
    await send('get', '/studies/1.6.2/metadata').expect(404);
    // and it may come again
    expect((await stow([image({ study: '1.6.2', instance: '1.6.2.1.1' })])).status).toBe(200);
    expect((await studyOf('1.6.2')).id).not.toBe(id);
    expect(await find('/studies/1.6.2/instances')).toHaveLength(1);
  });
});
