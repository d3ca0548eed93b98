/** Orthanc with its DICOMweb plug-in: it pushes by STOW, asks by QIDO, and pulls back what it has sent. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { textIn } from '../../src/imaging/attributes.ts';
import type { Json } from '../http/imaging/dicomweb.ts';
import { attributesOf, type Peers, run } from './samples.ts';

const HOW = 'apt-get install --no-install-recommends orthanc orthanc-dicomweb';
const PLUGINS = ['/usr/share/orthanc/plugins', '/usr/lib/orthanc/plugins'];

export interface Orthanc {
  /** its HTTP server */
  readonly url: string;
  ask(path: string, body?: string | Buffer): Promise<Json>;
  close(): Promise<void>;
}

/**
 * Starts one with an empty store; undefined where it is not installed.
 *
 * @param servers DICOMweb servers that it may ask, as its configuration has them
 */
export async function startOrthanc(servers: object = {}): Promise<Orthanc | undefined> {
  const plugins = PLUGINS.filter((folder) => existsSync(folder));
  if (!(await run('Orthanc', '--version')) || plugins.length === 0) return undefined;
  const folder = await mkdtemp(join(tmpdir(), 'consilium-orthanc-'));
  const [http, dimse] = [await freePort(), await freePort()];
  const file = join(folder, 'orthanc.json');
  await writeFile(
    file,
    JSON.stringify({
      StorageDirectory: join(folder, 'db'),
      IndexDirectory: join(folder, 'db'),
      HttpPort: http,
      DicomPort: dimse,
      RemoteAccessAllowed: false,
      AuthenticationEnabled: false,
      OverwriteInstances: true,
      Plugins: plugins,
      DicomWeb: { Enable: true, Servers: servers },
    }),
  );
  const orthanc = spawn('Orthanc', [file], { stdio: 'ignore' });
  const url = `http://127.0.0.1:${http}`;
  const ask: Orthanc['ask'] = async (path, body) => {
    const answer = await fetch(url + path, body === undefined ? {} : { method: 'POST', body: body as never });
    return answer.ok ? answer.json() : { failed: answer.status };
  };
  for (let n = 0; n < 100 && !(await ask('/system').catch(() => undefined)); n++) await sleep(200);
  return {
    url,
    ask,
    async close() {
      orthanc.kill();
      await new Promise((done) => orthanc.once('exit', done));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export async function exchangesWithOrthanc({ app, samples, report }: Peers): Promise<void> {
  const orthanc = await startOrthanc({
    ours: { Url: `${app.url}/dicomweb/`, HttpHeaders: { Authorization: `Bearer ${app.token}` } },
  });
  if (!orthanc) return report.skip('Orthanc', HOW);
  const { url, ask } = orthanc;
  try {
    for (const sample of samples) {
      const attributes = await attributesOf(sample);
      if (!textIn(attributes, '0020000D') || !textIn(attributes, '00100020')) continue;
      const { ID: instance, ParentStudy: study } = await ask('/instances', sample.bytes);
      const before = await md5(`${url}/instances/${instance}/file`);
      const pushed = await ask(
        '/dicom-web/servers/ours/stow',
        JSON.stringify({ Resources: [study], Synchronous: true }),
      );
      report.check(`${sample.name}: Orthanc pushes it`, pushed.failed === undefined, JSON.stringify(pushed));
      const uid = textIn(attributes, '0020000D') as string;
      const found = await ask(
        '/dicom-web/servers/ours/qido',
        JSON.stringify({ Uri: '/studies', Arguments: { StudyInstanceUID: uid } }),
      );
      report.check(
        `${sample.name}: and finds it`,
        found.length === 1 && found[0]['0020000D'].Value === uid,
        JSON.stringify(found).slice(0, 200),
      );
      await fetch(`${url}/studies/${study}`, { method: 'DELETE' });
      const pulled = await ask(
        '/dicom-web/servers/ours/retrieve',
        JSON.stringify({ Resources: [{ Study: uid }], Synchronous: true }),
      );
      const after = await md5(`${url}/instances/${instance}/file`);
      report.check(`${sample.name}: and pulls back the same bytes`, before === after, JSON.stringify(pulled));
      await fetch(`${url}/studies/${study}`, { method: 'DELETE' });
      await fetch(`${app.url}/dicomweb/studies/${uid}`, {
        method: 'DELETE',
        headers: { Authorization: `Bearer ${app.token}` },
      });
    }
  } finally {
    await orthanc.close();
  }
}

async function md5(url: string): Promise<string> {
  const answer = await fetch(url);
  return answer.ok
    ? createHash('md5')
        .update(Buffer.from(await answer.arrayBuffer()))
        .digest('hex')
    : `${answer.status}`;
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
