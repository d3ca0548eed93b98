/** The file of what was refused: NDJSON, one line for each resource at fault. It is made when there is something. */
import { createWriteStream, rmSync, type WriteStream } from 'node:fs';
import { operationOutcome } from '../../fhir/outcome.ts';
import type { Refused } from './plan.ts';

/** Of a text that is no JSON so much is shown, in characters. */
const SHOWN = 2000;

export interface RefusedFile {
  add(refused: Refused): Promise<void>;
  /** Resolves when all is written. */
  close(): Promise<void>;
}

/** @param name of the file; one of an earlier load is replaced */
export function openRefused(name: string): RefusedFile {
  let stream: WriteStream | undefined;
  let broken: Error | undefined;
  rmSync(name, { force: true });
  return {
    add: async (refused) => {
      if (!stream) {
        stream = createWriteStream(name);
        stream.on('error', (fault) => {
          broken = fault;
        });
      }
      if (!stream.write(`${lineOf(refused)}\n`) && !broken)
        await new Promise<void>((resolve) => {
          stream?.once('drain', resolve).once('error', () => resolve());
        });
      if (broken)
        throw new Error(`${name} cannot be written (${broken.message}): choose another with --refused`);
    },
    close: () => new Promise((resolve) => (stream ? stream.end(() => resolve()) : resolve())),
  };
}

/** The resource stands in the line as it was written, so that its numbers keep their digits. */
function lineOf({ origin, type, text, fault }: Refused): string {
  const head = JSON.stringify({ ...origin, type, outcome: operationOutcome(fault.issues) });
  if (text === undefined) return head;
  return `${head.slice(0, -1)},${isJson(text) ? `"resource":${text.replace(/[\r\n]+/g, ' ').trim()}` : `"text":${JSON.stringify(text.slice(0, SHOWN))}`}}`;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
