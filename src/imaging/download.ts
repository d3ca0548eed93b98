/** A study or series as a ZIP archive with a DICOMDIR, for a disc or a viewer without a network. */

import type { InstancePlace, Reading } from '../records/imaging/imaging.ts';
import { answerStream } from './answers.ts';
import type { ImagingContext, Visit } from './context.ts';
import type { Attributes } from './dicom/json.ts';
import { dicomdir, type Listed } from './dicomdir.ts';
import { allOf } from './layout.ts';
import { type File, zip } from './zip.ts';

export const ZIP = 'application/zip';

/** Of a DICOMDIR's file-set: its UID is made of a UUID (PS3.5 §B.2). */
const newUid = (): string => `2.25.${BigInt(`0x${crypto.randomUUID().replaceAll('-', '')}`)}`;

/** Attributes that a DICOMDIR tells. */
const TOLD = [
  ...[
    '00080016',
    '00080018',
    '00080020',
    '00080030',
    '00080050',
    '00080060',
    '00081030',
    '00100010',
    '00100020',
  ],
  ...['0020000D', '0020000E', '00200010', '00200011', '00200013'],
];

/** @param name of the archive, without its ending */
export async function answerZip(
  { records }: ImagingContext,
  visit: Visit,
  { pages }: Reading,
  name: string,
): Promise<void> {
  const listed: (Listed & { readonly place: Pick<InstancePlace, 'blob'> })[] = [];
  const numbers = new Map<string, number>();
  for await (const page of pages)
    for (const { series, blob, syntax, attributes } of page) {
      const number = numbers.get(series) ?? numbers.size + 1;
      numbers.set(series, number);
      const path = ['DICOM', `S${digits(number, 6)}`, `I${digits(listed.length + 1, 7)}`];
      const all = JSON.parse(attributes) as Attributes;
      const told = Object.fromEntries(TOLD.flatMap((tag) => (all[tag] ? [[tag, all[tag]]] : [])));
      listed.push({ path, syntax, attributes: told, place: { blob } });
    }
  async function* files(): AsyncGenerator<File> {
    yield { name: 'DICOMDIR', body: [dicomdir(listed, newUid())] };
    for (const { path, place } of listed)
      yield { name: path.join('/'), body: allOf(() => records.imaging.open(place)) };
  }
  const headers = { 'Content-Type': ZIP, 'Content-Disposition': `attachment; filename="${name}.zip"` };
  return answerStream(visit, 200, headers, zip(files()));
}

const digits = (number: number, count: number): string => String(number).padStart(count, '0');
