/** READ_ONLY: the door lets nothing in that writes, whatever route it came by. */
import { error, Refusal } from '../fhir/outcome.ts';
import type { Entry, Records } from './records.ts';

/** Seconds after which a client should ask again. */
const RETRY = '60';

/** The same records, of which none can be changed: 503 (RFC 9110 §15.6.4), as it will pass. */
export function readOnly(records: Records): Records {
  const reading = ({ method }: Entry): boolean => method === 'GET';
  return {
    ...records,
    create: refuse,
    update: refuse,
    patch: refuse,
    remove: refuse,
    writeBinary: refuse,
    keepRendition: refuse,
    transcoding: { ...records.transcoding, ask: refuse },
    changeMeta: refuse,
    reindex: refuse,
    breakGlass: refuse,
    carryOut: (caller, entry) => (reading(entry) ? records.carryOut(caller, entry) : refuse()),
    transaction: (caller, entries) =>
      entries.every(reading) ? records.transaction(caller, entries) : refuse(),
    uploads: {
      ...records.uploads,
      ...{ begin: refuse, declare: refuse, append: refuse, close: refuse, remove: refuse },
    },
    imaging: {
      ...records.imaging,
      ...{ putAway: refuse, store: refuse, remove: refuse, purge: async () => [] },
      review: { ...records.imaging.review, release: refuse, reject: refuse },
    },
    deferred: { ...records.deferred, add: refuse, forget: refuse },
  };
}

async function refuse(): Promise<never> {
  const issue = error('transient', 'The server is in maintenance and can be read only: write again later');
  throw new Refusal(503, [issue], { 'Retry-After': RETRY });
}
