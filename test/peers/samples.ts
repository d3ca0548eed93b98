/** Every sample is stored, or refused for the right reason, and can be had back as it was. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { textIn } from '../../src/imaging/attributes.ts';
import { openDictionary } from '../../src/imaging/dicom/dictionary.ts';
import type { Attributes } from '../../src/imaging/dicom/json.ts';
import { describe } from '../../src/imaging/dicom/json.ts';
import { passing } from '../../src/imaging/dicom/read.ts';
import type { TestApp } from '../http/app.ts';
import { dicomwebOf } from '../http/imaging/dicomweb.ts';

export interface Sample {
  readonly name: string;
  readonly path: string;
  readonly bytes: Buffer;
}

export interface Report {
  failed: number;
  check(what: string, isSo: boolean, detail?: string): void;
  skip(what: string, how: string): void;
}

export interface Peers {
  readonly app: TestApp;
  readonly samples: readonly Sample[];
  readonly report: Report;
  /** folder of the viewer's built files, where it is named */
  readonly ohif?: string | undefined;
}

const execute = promisify(execFile);
const dictionary = openDictionary();

/** Runs a program; undefined where it is not there. */
export async function run(
  program: string,
  ...args: readonly string[]
): Promise<{ readonly ok: boolean; readonly out: Buffer } | undefined> {
  try {
    const { stdout } = await execute(program, args, {
      encoding: 'buffer',
      maxBuffer: 2 ** 30,
      timeout: 60_000,
    });
    return { ok: true, out: stdout };
  } catch (fault) {
    if ((fault as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    return { ok: false, out: Buffer.from(String((fault as { stderr?: unknown }).stderr ?? '')) };
  }
}

/** What a file is, read by ourselves. */
export async function attributesOf({ bytes }: Sample): Promise<Attributes> {
  async function* whole() {
    yield bytes;
  }
  const { chunks, parsed } = passing(whole(), dictionary);
  for await (const _ of chunks) void _;
  return describe(parsed()).attributes;
}

export const pathOf = (attributes: Attributes): string =>
  `/studies/${textIn(attributes, '0020000D')}/series/${textIn(attributes, '0020000E')}/instances/${textIn(attributes, '00080018')}`;

/** The reason that is right for a file, before others of the same UID are there. */
function expectedReason(attributes: Attributes): number | undefined {
  if (!textIn(attributes, '0020000D')) return 0x0120;
  return textIn(attributes, '00100020') ? undefined : 0x0110;
}

export async function storedAndRefused({ app, samples, report }: Peers): Promise<void> {
  const { stow, send } = dicomwebOf(() => app);
  const seen = new Set<string>();
  for (const sample of samples) {
    const attributes = await attributesOf(sample);
    const uid = textIn(attributes, '00080018') ?? '';
    const expected = seen.has(uid) ? 0x0111 : expectedReason(attributes);
    const { failed } = await stow([sample.bytes]);
    const reason = failed[uid] ?? failed[''];
    const detail = `${reason?.toString(16)}, and not ${expected?.toString(16)}`;
    report.check(
      `${sample.name} is ${expected ? `refused: ${expected.toString(16)}` : 'stored'}`,
      reason === expected,
      detail,
    );
    if (expected !== undefined) continue;
    seen.add(uid);
    const back = await send('get', pathOf(attributes)).set('Accept', 'application/dicom; transfer-syntax=*');
    report.check(`${sample.name} comes back as it was`, sample.bytes.equals(back.body));
  }
}
