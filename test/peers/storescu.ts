/** dcmtk's echoscu and storescu into the DIMSE gateway: what a modality sends is here as by STOW. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { textIn } from '../../src/imaging/attributes.ts';
import { dicomwebOf, jsonOf } from '../http/imaging/dicomweb.ts';
import { differing } from './dcmtk.ts';
import { attributesOf, type Peers, pathOf, run } from './samples.ts';

const HOW = 'apt-get install dcmtk';

/** What storescu proposes for files that are stored in a transfer syntax; others go in an uncompressed one. */
const PROPOSED: Readonly<Record<string, string>> = {
  '1.2.840.10008.1.2.1.99': '-xd',
  '1.2.840.10008.1.2.4.50': '-xy',
  '1.2.840.10008.1.2.4.51': '-xx',
  '1.2.840.10008.1.2.4.70': '-xs',
  '1.2.840.10008.1.2.4.80': '-xt',
  '1.2.840.10008.1.2.4.81': '-xu',
  '1.2.840.10008.1.2.4.90': '-xv',
  '1.2.840.10008.1.2.4.91': '-xw',
  '1.2.840.10008.1.2.5': '-xr',
};

export async function takesFromStorescu({ app, samples, report }: Peers): Promise<void> {
  if (!(await run('storescu', '--version'))) return report.skip('storescu', HOW);
  const { imaging, records } = app.app;
  const gateway = imaging.gateway({
    title: 'OURS',
    allowed: new Set(['MODALITY']),
    caller: records.operator,
  });
  gateway.listen(0, '127.0.0.1');
  await once(gateway, 'listening');
  const { port } = gateway.address() as AddressInfo;
  const from = (title: string) => ['-aet', title, '-aec', 'OURS', '127.0.0.1', String(port)];
  const { stow, send } = dicomwebOf(() => app);

  /** What is here of a file, and of its first frame. */
  async function shown(at: string) {
    const metadata = await send('get', `${at}/metadata`);
    const [attributes] = metadata.status === 200 ? jsonOf(metadata) : [];
    // storescu leaves padding out, and writes uncompressed pixels as OW
    const { FFFCFFFC: _, '7FE00010': __, ...kept } = attributes ?? {};
    const frame = await send('get', `${at}/frames/1`).set('Accept', 'application/octet-stream');
    await send('delete', at.split('/').slice(0, 3).join('/'));
    return { attributes: kept, frame: frame.body.toString('base64') };
  }

  try {
    report.check('echoscu is answered', (await run('echoscu', ...from('MODALITY')))?.ok === true);
    report.check('of another title it is not', (await run('echoscu', ...from('STRANGER')))?.ok === false);
    for (const sample of samples) {
      const attributes = await attributesOf(sample);
      if (!textIn(attributes, '0020000D') || !textIn(attributes, '00100020')) continue;
      const at = pathOf(attributes);
      await stow([sample.bytes]);
      const expected = await shown(at);
      const proposed = PROPOSED[textIn(expected.attributes, '00083002') ?? ''];
      const sent = await run(
        'storescu',
        '-R',
        ...(proposed ? [proposed] : []),
        ...from('MODALITY'),
        sample.path,
      );
      report.check(`storescu sends ${sample.name}`, sent?.ok === true, sent?.out.toString().slice(0, 200));
      const found = await shown(at);
      const differences = differing(found.attributes, expected.attributes);
      report.check(
        `${sample.name}: metadata are as by STOW`,
        differences.length === 0 && textIn(found.attributes, '0020000D') !== undefined,
        differences.join('; '),
      );
      report.check(`${sample.name}: and so is its first frame`, found.frame === expected.frame);
    }
  } finally {
    gateway.close();
  }
}
