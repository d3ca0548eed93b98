/**
 * Who is let in nowhere, for the audit trail: requests without a valid access token, and attempts to sign in while nobody is let
 * try. Anybody can make them, so they are counted by address and written once a minute: nobody fills the disk by knocking.
 */
import type { Records } from '../records/records.ts';

export interface Strangers {
  /** @param name that was given, where one was */
  count(what: Knock, address: string, name?: string): void;
  /** Writes what was counted until now, and stops. */
  close(): Promise<void>;
}

type Knock = 'token-shown' | 'sign-in';

const STATUS: Readonly<Record<Knock, number>> = { 'token-shown': 401, 'sign-in': 429 };

const MINUTE = 60_000;
/** So many addresses have rows of their own in a minute; the others have one together. */
const MOST = 200;
const OTHERS = 'others';
/** So many names are told of one address. */
const NAMES = 5;

interface Counted {
  readonly what: Knock;
  readonly address: string;
  readonly names: Set<string>;
  times: number;
}

/**
 * Makes it for this process. What was counted in the last minute is lost with a process that is killed.
 *
 * @param failed told of what could not be written
 */
export function makeStrangers(note: Records['note'], failed: (fault: unknown) => void): Strangers {
  let counted = new Map<string, Counted>();

  async function write(): Promise<void> {
    const all = [...counted.values()];
    counted = new Map();
    for (const { what, address, names, times } of all) {
      const asked = names.size > 0 ? [...names].join(' ') : undefined;
      await note({ what, status: STATUS[what], times, address, asked }).catch(failed);
    }
  }

  const writing = setInterval(() => void write(), MINUTE).unref();
  return {
    count(what, from, name) {
      const isKnown = counted.size < MOST || counted.has(`${what} ${from}`);
      const address = isKnown ? from : OTHERS;
      const key = `${what} ${address}`;
      const one = counted.get(key) ?? { what, address, names: new Set(), times: 0 };
      one.times += 1;
      if (name !== undefined && one.names.size < NAMES) one.names.add(name);
      counted.set(key, one);
    },
    async close() {
      clearInterval(writing);
      await write();
    },
  };
}
