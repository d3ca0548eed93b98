/** The file of what was refused: NDJSON, one line for each resource at fault. It is made when there is something. */
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { operationOutcome } from '../../fhir/outcome.ts';
import { oneLine } from '../fault.ts';
import type { Refused } from './plan.ts';

/** Of a text that is no JSON so much is shown, in characters. */
const SHOWN = 2000;

export interface RefusedFile {
  /** @throws Error where it cannot be written */
  add(refused: Refused): void;
  close(): void;
}

/** @param name of the file; one of an earlier load is replaced */
export function openRefused(name: string): RefusedFile {
  let file: number | undefined;
  rmSync(name, { force: true });
  return {
    add: (refused) => {
      try {
        file ??= openSync(name, 'w');
        // At once: what was told to be in it is in it, whatever becomes of us.
        writeSync(file, `${lineOf(refused)}\n`);
      } catch (fault) {
        throw new Error(`${name} cannot be written (${oneLine(fault)}): choose another with --refused`);
      }
    },
    close: () => {
      if (file !== undefined) closeSync(file);
      file = undefined;
    },
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
