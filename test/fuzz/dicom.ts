/** Broken DICOM: files and multiparts that were sound, changed at random. */
import { openDictionary } from '../../src/imaging/dicom/dictionary.ts';
import { Malformed } from '../../src/imaging/dicom/parse.ts';
import { passing } from '../../src/imaging/dicom/read.ts';
import { instanceOf, Unacceptable } from '../../src/imaging/instance.ts';
import type { TestApp } from '../http/app.ts';
import { asSent, dicomwebOf, multipart } from '../http/imaging/dicomweb.ts';
import { dicomFile, encapsulated, image, SYNTAX } from '../imaging/files.ts';

/** Numbers in [0, most), the same for the same seed (mulberry32). */
export function random(seed: number): (most: number) => number {
  let state = seed >>> 0;
  return (most) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * most);
  };
}

/** Sound files of several forms. */
export function seeds(): readonly Buffer[] {
  const of = { study: '3.1', instance: '3.1.1.1', patient: 'F' };
  const jpeg = image({ ...of, more: { '7FE00010': ['OB', ''] } }, SYNTAX.jpeg);
  const nested = {
    '00081140': ['SQ', [{ '00081155': ['UI', '1.2.3'], '00081140': ['SQ', [{ '00100020': ['LO', 'x'] }]] }]],
  } as const;
  return [
    image({ ...of, frames: 3, more: nested }),
    image({ ...of, more: nested }, SYNTAX.implicit),
    image(of, SYNTAX.deflated),
    Buffer.concat([
      jpeg.subarray(0, -12),
      encapsulated([Buffer.from([0xff, 0xd8, 0xff, 0xd9]), Buffer.alloc(50, 3)], [0]),
    ]),
    dicomFile({ '00080018': ['UI', '1.2'] }),
  ];
}

/** Some bytes set, cut out, doubled or put in, or a length made huge. */
export function mutated(bytes: Buffer, next: (most: number) => number, most = 4): Buffer {
  let changed = Buffer.from(bytes);
  for (let n = next(most); n >= 0; n--) {
    // mostly in the elements, and not in the preamble
    const at =
      next(8) === 0
        ? next(changed.length + 1)
        : Math.min(changed.length, 128 + next(Math.max(1, changed.length - 128)));
    switch (next(6)) {
      case 0:
        if (at < changed.length) changed[at] = next(256);
        break;
      case 1:
        changed = Buffer.concat([changed.subarray(0, at), changed.subarray(at + next(40))]);
        break;
      case 2:
        changed = Buffer.concat([changed.subarray(0, at), changed.subarray(Math.max(0, at - next(60)))]);
        break;
      case 3:
        if (at + 4 <= changed.length)
          changed.writeUInt32LE([0xffffffff, 0x7fffffff, 0xfffffffe, 0][next(4)] as number, at);
        break;
      case 4:
        changed = changed.subarray(0, at);
        break;
      default:
        changed = Buffer.concat([
          changed.subarray(0, at),
          Buffer.from([0xfe, 0xff, 0x00, 0xe0, 255, 255, 255, 255]),
          changed.subarray(at),
        ]);
    }
  }
  return changed;
}

const dictionary = openDictionary();

/** Reads a broken file; throws whatever is not the fault of the file. */
export async function readBroken(bytes: Buffer, chunk: number): Promise<boolean> {
  async function* chunks() {
    for (let at = 0; at < bytes.length; at += chunk) yield bytes.subarray(at, at + chunk);
  }
  try {
    const { chunks: passed, parsed } = passing(chunks(), dictionary);
    for await (const _ of passed) void _;
    instanceOf(parsed(), { name: 'x', size: 0, sha256: '' });
    return true;
  } catch (fault) {
    if (fault instanceof Malformed || fault instanceof Unacceptable) return false;
    throw fault;
  }
}

/** Sends a broken request, and asks for all of what it may have left. */
export async function sendBroken(
  app: TestApp,
  body: Buffer,
  next: (most: number) => number,
): Promise<readonly number[]> {
  const { send } = dicomwebOf(() => app);
  const type = 'multipart/related; type="application/dicom"; boundary=B';
  const whole = next(3) === 0 ? mutated(multipart([body], 'B'), next) : multipart([body], 'B');
  const statuses = [(await asSent(send('post', '/studies'), type, whole)).status];
  const at = '/studies/3.1/series/3.1.1/instances/3.1.1.1';
  for (const path of ['/metadata', '/rendered', '/frames/1', ''])
    statuses.push((await send('get', at + path).set('Accept', '*/*')).status);
  await send('delete', '/studies/3.1');
  return statuses;
}
