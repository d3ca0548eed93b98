/** What goes wrong, told in one line. */
import { type Config, readConfig } from '../config.ts';

/** A fault in how the command was called: exit code 2. */
export class Usage extends Error {}

export function fail(message: string): void {
  process.stderr.write(`consilium: ${message}\n`);
}

/** The message of whatever was thrown, in one line. */
export function oneLine(fault: unknown): string {
  // The errors of connections to several addresses (localhost is two) have their message inside.
  const inner = fault instanceof AggregateError && !fault.message ? fault.errors[0] : fault;
  const message = inner instanceof Error ? inner.message || inner.name : String(inner);
  return message.replace(/\s*\n\s*/g, ' ').trim();
}

/** @throws Usage naming the setting and what is expected */
export function configuration(): Config {
  try {
    return readConfig(process.env);
  } catch (fault) {
    throw new Usage((fault as Error).message);
  }
}
