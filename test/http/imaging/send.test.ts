/** ImagingStudy/[id]/$send: a study is pushed to another server. */

import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { image } from '../../imaging/files.ts';
import { startApp, type TestApp } from '../app.ts';
import { dicomwebOf, type Json } from './dicomweb.ts';

let here: TestApp;
let there: TestApp;
let flaky: Server;
let refusals = 2;
const { stow, fhir } = dicomwebOf(() => here);
const elsewhere = dicomwebOf(() => there);
const files = [1, 2, 3].map((n) => image({ study: '6.1', instance: `6.1.1.${n}`, patient: 'S', number: n }));

beforeAll(async () => {
  there = await startApp();
  // busy at first, then as the other
  flaky = createServer((request, response) => {
    if (refusals-- > 0) {
      request.resume();
      response.writeHead(503, { 'Retry-After': '0' }).end();
      return;
    }
    request
      .resume()
      .on('end', () => response.writeHead(200, { 'Content-Type': 'application/dicom+json' }).end('{}'));
  });
  flaky.listen(0, '127.0.0.1');
  await once(flaky, 'listening');
  const { port } = flaky.address() as { port: number };
  here = await startApp({
    DICOM_SEND: `${there.url}/dicomweb Bearer ${there.token}, http://127.0.0.1:${port}, http://127.0.0.1:1`,
  });
  for (const [id, address, code] of [
    ['pacs', `${there.url}/dicomweb`, 'dicom-stow-rs'],
    ['flaky', `http://127.0.0.1:${port}/`, 'dicom-stow-rs'],
    ['other', 'http://127.0.0.1:9/dicomweb', 'dicom-stow-rs'],
    ['reading', `${there.url}/dicomweb`, 'dicom-wado-rs'],
  ] as const)
    await here.create('Endpoint', id, {
      status: 'active',
      connectionType: { system: 'http://terminology.hl7.org/CodeSystem/endpoint-connection-type', code },
      payloadType: [{ text: 'DICOM' }],
      address,
    });
  await stow(files);
});
afterAll(async () => {
  flaky.close();
  await Promise.all([here.close(), there.close()]);
});

async function send(endpoint: string) {
  const [study] = await fhir('/ImagingStudy?identifier=urn:oid:6.1');
  return here
    .send('post', `/ImagingStudy/${study.id}/$send`)
    .type('application/fhir+json')
    .send({
      resourceType: 'Parameters',
      parameter: [{ name: 'endpoint', valueReference: { reference: endpoint } }],
    });
}

test('all files arrive as they are, and once more changes nothing', async () => {
  for (let n = 0; n < 2; n++) {
    const { status, body } = await send('Endpoint/pacs');
    expect([status, body.parameter]).toEqual([200, [{ name: 'sent', valueUnsignedInt: 3 }]]);
  }
  const found = await elsewhere.find('/studies/6.1/instances');
  expect(found.map((item: Json) => item['00080018'].Value[0]).sort()).toEqual([
    '6.1.1.1',
    '6.1.1.2',
    '6.1.1.3',
  ]);
  const { body } = await elsewhere
    .send('get', '/studies/6.1/series/6.1.1/instances/6.1.1.2')
    .set('Accept', 'application/dicom; transfer-syntax=*');
  expect(body.equals(files[1]!)).toBe(true);
});

test('what the other server does not take is told', async () => {
  await elsewhere.stow([image({ study: '6.1', instance: '6.1.1.9', patient: 'S', number: 9 })]);
  await stow([image({ study: '6.1', instance: '6.1.1.9', patient: 'S', number: 8 })]);
  const { status, body } = await send('Endpoint/pacs');
  expect(status).toBe(200);
  // another file of that UID is there: it has it
  expect(body.parameter[0]).toEqual({ name: 'sent', valueUnsignedInt: 4 });
});

test('a busy server is tried again', async () => {
  const { status, body } = await send('Endpoint/flaky');
  expect([status, body.parameter[0].valueUnsignedInt > 2]).toEqual([200, true]);
});

test.each([
  ['Endpoint/other', 403, /DICOM_SEND/],
  ['Endpoint/reading', 422, /dicom-stow-rs/],
  ['Endpoint/nobody', 404, /nobody/],
  ['Patient/x', 400, /endpoint/],
])('%s: %i', async (endpoint, status, message) => {
  const answer = await send(endpoint);
  expect([answer.status, answer.body.issue[0].diagnostics]).toEqual([status, expect.stringMatching(message)]);
});
