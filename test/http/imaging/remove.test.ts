/** A study that is deleted takes its pixels and all that was made of them along; QIDO, WADO and FHIR tell the same. */
import { mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { image } from '../../imaging/files.ts';
import { startApp, type TestApp } from '../app.ts';
import { dicomwebOf, type Json } from './dicomweb.ts';

let here: TestApp;
let there: TestApp;
let folders: string[];
const { send, stow, find, fhir } = dicomwebOf(() => here);
const beside = dicomwebOf(() => there);

beforeAll(async () => {
  folders = [await mkdtemp(join(tmpdir(), 'consilium-a-')), await mkdtemp(join(tmpdir(), 'consilium-b-'))];
  here = await startApp({ DATA_DIR: folders[0] as string });
  // another process over the same database and store of bytes, with a cache of its own
  await symlink(join(folders[0] as string, 'blobs'), join(folders[1] as string, 'blobs'));
  there = await startApp({ DATA_DIR: folders[1] as string }, here.database);
});
afterAll(async () => {
  await there?.app.close();
  await here?.close();
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

/** Names of files in a folder and those below it. */
async function filesIn(...path: string[]): Promise<string[]> {
  const found = await readdir(join(...path), { recursive: true, withFileTypes: true }).catch(() => []);
  return found.filter((one) => one.isFile()).map(({ name }) => name);
}
const bytesOf = async (study: string): Promise<string[]> => {
  const { rows } = await here.app.pool.query('select blob::text from dicom_instance where study = $1', [
    study,
  ]);
  return rows.map(({ blob }) => blob as string);
};
const picturesOf = async (folder: number, blobs: readonly string[]): Promise<string[]> => {
  const found = await readdir(join(folders[folder] as string, 'pictures'), { recursive: true }).catch(
    () => [],
  );
  return found.filter((path) => blobs.some((blob) => path.includes(`${blob}/`)));
};

/** A study of two instances, with pictures of them. */
async function shown(study: string): Promise<{ id: string; blobs: string[] }> {
  await stow([1, 2].map((n) => image({ study, instance: `${study}.1.${n}`, patient: study, number: n })));
  for (const path of ['rendered', 'thumbnail'])
    await send('get', `/studies/${study}/series/${study}.1/instances/${study}.1.1/${path}`)
      .set('Accept', 'image/png')
      .expect(200);
  const [{ id }] = (await fhir(`/ImagingStudy?identifier=urn:dicom:uid|urn:oid:${study}`)) as Json[];
  const blobs = await bytesOf(study);
  expect(blobs).toHaveLength(2);
  expect(await picturesOf(0, blobs)).toHaveLength(2);
  return { id, blobs };
}

async function expectGone(study: string, id: string): Promise<void> {
  expect(await find(`/studies?StudyInstanceUID=${study}`)).toEqual([]);
  expect(await find(`/instances?StudyInstanceUID=${study}`)).toEqual([]);
  expect(await fhir(`/ImagingStudy?identifier=urn:dicom:uid|urn:oid:${study}`)).toEqual([]);
  await here.send('get', `/ImagingStudy/${id}`).expect(410);
  const instance = `/studies/${study}/series/${study}.1/instances/${study}.1.1`;
  for (const path of [
    `/studies/${study}`,
    `/studies/${study}/metadata`,
    ...['', '/rendered', '/thumbnail', '/metadata', '/frames/1', '/bulkdata/7FE00010'].map(
      (end) => instance + end,
    ),
  ])
    await send('get', path).expect(404);
}

async function expectNoBytes(blobs: readonly string[]): Promise<void> {
  const kept = await filesIn(folders[0] as string, 'blobs');
  expect(kept.filter((name) => blobs.some((blob) => name.includes(blob)))).toEqual([]);
  expect(await picturesOf(0, blobs)).toEqual([]);
  const { rows } = await here.app.pool.query('select from blob where name = any ($1::uuid[])', [blobs]);
  expect(rows).toEqual([]);
}

test('by DICOMweb: all of it is gone at once', async () => {
  const { id, blobs } = await shown('9.1');
  await send('delete', '/studies/9.1').expect(204);
  await expectGone('9.1', id);
  await expectNoBytes(blobs);
});

test('by FHIR: it is shown to nobody at once, and its bytes and pictures go within a minute', async () => {
  const { id, blobs } = await shown('9.2');
  await here.send('delete', `/ImagingStudy/${id}`).expect(204);
  await expectGone('9.2', id);
  await here.app.imaging.purge();
  await expectNoBytes(blobs);
  await expectGone('9.2', id);
});

test('a picture in the cache is shown to nobody who may not see its study any more', async () => {
  const { id } = await shown('9.3');
  const study = (await here.send('get', `/ImagingStudy/${id}`).expect(200)).body;
  const path = '/studies/9.3/series/9.3.1/instances/9.3.1.1/rendered';
  await send('get', path).set('Accept', 'image/png').expect(200);
  await here
    .send('put', `/ImagingStudy/${id}`)
    .type('application/fhir+json')
    .send({ ...study, identifier: [{ system: 'urn:dicom:uid', value: 'urn:oid:9.9.9' }] })
    .expect(200);
  await send('get', path).set('Accept', 'image/png').expect(404);
});

test('pictures that another process has made go, too', async () => {
  const { blobs } = await shown('9.4');
  await beside
    .send('get', '/studies/9.4/series/9.4.1/instances/9.4.1.1/rendered', here.token)
    .set('Accept', 'image/png')
    .expect(200);
  expect(await picturesOf(1, blobs)).toHaveLength(1);
  await there.app.imaging.sweep();
  expect(await picturesOf(1, blobs)).toHaveLength(1);
  await send('delete', '/studies/9.4').expect(204);
  await there.app.imaging.sweep();
  expect(await picturesOf(1, blobs)).toEqual([]);
});

test('what comes while its study is deleted: ImagingStudy, QIDO and files agree in the end', async () => {
  for (let n = 0; n < 6; n++) {
    const study = `9.5.${n}`;
    await stow([image({ study, instance: `${study}.1.0`, patient: 'C' })]);
    const coming = [1, 2, 3].map((i) =>
      stow([image({ study, instance: `${study}.1.${i}`, patient: 'C', number: i })]),
    );
    const [gone, ...arrived] = await Promise.all([send('delete', `/studies/${study}`), ...coming]);
    expect([204, 404, 409]).toContain(gone.status);
    await here.app.imaging.purge();
    const [resource] = await fhir(`/ImagingStudy?identifier=urn:dicom:uid|urn:oid:${study}`);
    const listed = (resource?.series ?? []).flatMap(({ instance }: Json) =>
      instance.map(({ uid }: Json) => uid),
    );
    const found = (await find(`/instances?StudyInstanceUID=${study}`)).map(
      (one: Json) => one['00080018'].Value[0],
    );
    expect(found.sort()).toEqual(listed.sort());
    for (const uid of found)
      await send('get', `/studies/${study}/series/${study}.1/instances/${uid}`)
        .set('Accept', 'application/dicom; transfer-syntax=*')
        .expect(200);
    for (const { status } of arrived) expect([200, 409]).toContain(status);
  }
});
