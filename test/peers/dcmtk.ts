/** dcmtk: metadata as dcm2json has it, pictures as dcmj2pnm makes them, and one picture whatever the transfer syntax. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { firstOf, textIn, wholeIn } from '../../src/imaging/attributes.ts';
import type { Attributes } from '../../src/imaging/dicom/json.ts';
import { dicomwebOf, type Json, jsonOf } from '../http/imaging/dicomweb.ts';
import { attributesOf, type Peers, pathOf, run, type Sample } from './samples.ts';

const HOW = 'apt-get install dcmtk';

export async function agreesWithDcmtk(peers: Peers): Promise<void> {
  const { samples, report } = peers;
  if (!(await run('dcm2json', '--version'))) return report.skip('dcmtk', HOW);
  const folder = await mkdtemp(join(tmpdir(), 'consilium-dcmtk-'));
  try {
    const pictures = new Map<string, string>();
    for (const sample of samples) {
      const attributes = await attributesOf(sample);
      if (!textIn(attributes, '0020000D') || !textIn(attributes, '00100020')) continue;
      await compare(peers, folder, sample, attributes, pictures);
    }
    const mr = [...pictures].filter(([name]) =>
      /^mr-(?:implicit|explicit-be|rle|j2k-lossless|jpegls-lossless)/.test(name),
    );
    if (mr.length > 1)
      report.check(
        `${mr.map(([name]) => name).join(', ')} give one picture`,
        new Set(mr.map(([, picture]) => picture)).size === 1,
      );
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** One sample, alone on the server: several have the same UID. */
async function compare(
  { app, report }: Peers,
  folder: string,
  { name, path, bytes }: Sample,
  attributes: Attributes,
  pictures: Map<string, string>,
): Promise<void> {
  const { stow, send } = dicomwebOf(() => app);
  const { status } = await stow([bytes]);
  if (status !== 200) return report.check(`${name} is stored`, false, String(status));
  const at = pathOf(attributes);
  const theirs = await run('dcm2json', path);
  if (theirs?.ok) {
    const [ours] = jsonOf(await send('get', `${at}/metadata`));
    const differences = differing(ours, JSON.parse(theirs.out.toString('utf8')));
    report.check(
      `${name}: metadata as dcm2json has it`,
      differences.length === 0,
      differences.slice(0, 5).join('; '),
    );
  } else report.skip(`${name}: metadata`, 'dcm2json does not read it');

  if (attributes['7FE00010']) {
    const picture = await send('get', `${at}/frames/1/rendered`).set('Accept', 'image/png');
    pictures.set(name, picture.body.toString('base64'));
    await comparePicture(peers(app, report), folder, name, path, attributes, at);
  }
  await send('delete', at.split('/').slice(0, 3).join('/'));
}

const peers = (app: Peers['app'], report: Peers['report']): Pick<Peers, 'app' | 'report'> => ({
  app,
  report,
});

async function comparePicture(
  { app, report }: Pick<Peers, 'app' | 'report'>,
  folder: string,
  name: string,
  path: string,
  attributes: Attributes,
  at: string,
): Promise<void> {
  const { send } = dicomwebOf(() => app);
  const isGray = /^MONOCHROME/.test(textIn(attributes, '00280004') ?? '');
  const center = firstOf(attributes, '00281050');
  const width = firstOf(attributes, '00281051');
  const hasLut = attributes['00283010'] !== undefined;
  const window =
    isGray && !hasLut && typeof center === 'number' && typeof width === 'number'
      ? [center, width]
      : undefined;
  // Without a window in the file each has a default of its own.
  const bits = wholeIn(attributes, '00280100') ?? 8;
  const chosen = window ?? (isGray && !hasLut && bits !== 8 ? (bits === 1 ? [1, 1] : [40, 400]) : undefined);
  const file = join(folder, 'picture.pnm');
  const args = [
    '+F',
    '1',
    ...(chosen ? ['+Ww', String(chosen[0]), String(chosen[1])] : hasLut ? ['+Wl', '1'] : []),
    path,
    file,
  ];
  const made = (await run('dcmj2pnm', ...args))?.ok || (await run('dcml2pnm', ...args))?.ok;
  if (!made) return report.skip(`${name}: picture`, 'dcmtk does not render it');
  const query = chosen ? `?window=${chosen.join(',')}` : '';
  const { body } = await send('get', `${at}/frames/1/rendered${query}`).set('Accept', 'image/png');
  const ours = await sharp(body)
    .toColourspace(isGray ? 'b-w' : 'srgb')
    .raw()
    .toBuffer();
  const theirs = pnm(await readFile(file));
  let most = ours.length === theirs.length ? 0 : Number.POSITIVE_INFINITY;
  for (let i = 0; i < ours.length && most < 256; i++)
    most = Math.max(most, Math.abs((ours[i] ?? 0) - (theirs[i] ?? 0)));
  report.check(
    `${name}: picture within one level of dcmtk's`,
    most <= 1,
    `${most} (${ours.length} and ${theirs.length} bytes)`,
  );
}

/** Pixels of a raw PGM or PPM. */
function pnm(bytes: Buffer): Buffer {
  let at = 0;
  for (let fields = 0; fields < 4; ) {
    if (bytes[at] === 35) while (bytes[at] !== 10) at++;
    else if (/\s/.test(String.fromCharCode(bytes[at] as number))) at++;
    else {
      while (!/\s/.test(String.fromCharCode(bytes[at] as number))) at++;
      fields++;
    }
  }
  return bytes.subarray(at + 1);
}

/** What differs, beyond how numbers are printed and where long values are. */
export function differing(ours: Json, theirs: Json, at = ''): string[] {
  const found: string[] = [];
  for (const tag of new Set([...Object.keys(ours), ...Object.keys(theirs)])) {
    const [a, b] = [ours[tag], theirs[tag]];
    // what we add, and file meta information
    if (tag === '00083002' || tag.startsWith('0002') || tag.endsWith('0000')) continue;
    const where = at + tag;
    if (!a || !b) found.push(`${where} only of ${a ? 'ours' : 'theirs'}`);
    else if (a.vr !== b.vr) found.push(`${where} ${a.vr} and ${b.vr}`);
    else if (a.BulkDataURI !== undefined) continue;
    else if (a.vr === 'SQ')
      for (let i = 0; i < Math.max(a.Value?.length ?? 0, b.Value?.length ?? 0); i++)
        found.push(...differing(a.Value?.[i] ?? {}, b.Value?.[i] ?? {}, `${where}/${i}/`));
    else if (!alike(a, b))
      found.push(`${where} ${JSON.stringify(a).slice(0, 80)} and ${JSON.stringify(b).slice(0, 80)}`);
  }
  return found;
}

function alike(a: Json, b: Json): boolean {
  if (a.InlineBinary !== undefined || b.InlineBinary !== undefined) return a.InlineBinary === b.InlineBinary;
  const [x, y] = [a.Value ?? [], b.Value ?? []].map((values) =>
    values.map((one: Json) => (one === '' || one === undefined ? null : one)),
  );
  const isEmpty = (values: Json[]) =>
    values.every((one) => one === null || /^\{?("Alphabetic":"\^*")?\}?$/.test(JSON.stringify(one)));
  if (isEmpty(x) && isEmpty(y)) return true;
  return (
    x.length === y.length &&
    x.every((one: Json, i: number) => {
      const other = y[i];
      if (typeof one === 'number' || typeof other === 'number')
        return Math.abs(Number(one) - Number(other)) <= 1e-5 * Math.max(1, Math.abs(Number(one)));
      // components at the end that are empty may be left out (PS3.5 §6.2.1.1)
      const text = (value: Json): string => JSON.stringify(value).replace(/ *\^* *(?="\}?$)/, '');
      return text(one) === text(other);
    })
  );
}
