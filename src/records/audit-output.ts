/** The audit trail on its way to a SIEM (AUDIT_SYSLOG): each entry as an AuditEvent, in the order of commits. */
import type { Message, Syslog } from '../jobs/syslog.ts';
import { handOn } from '../store/audit/feed.ts';
import type { AuditLog } from '../store/audit/log.ts';
import type { Entry } from '../store/audit/trail.ts';
import type { Store } from '../store/store.ts';
import { auditEventOf } from './audit-event.ts';

/** So many are sent together. */
const PIECE = 200;
/** Milliseconds. */
const PAUSE = 1000;

const NOTICE = 5;
const INFORMATIONAL = 6;

/**
 * Sends what is new, each second, one process for all. While the server takes nothing, nothing is passed over.
 *
 * @param failed told once of each time that sending begins to fail
 * @returns      ends it
 */
export function sendTrail(
  { transacting, catalog }: Pick<Store, 'transacting' | 'catalog'>,
  baseUrl: string,
  log: Pick<AuditLog, 'open'>,
  syslog: Syslog,
  failed: (fault: unknown) => void,
): () => Promise<void> {
  let stopped = false;
  let failing = false;
  let sending: Promise<void> | undefined;
  const send = async (entries: readonly Entry[]): Promise<void> =>
    syslog.send(entries.map((entry) => messageOf(baseUrl, log, entry)));
  const advance = async (): Promise<void> => {
    while (!stopped && (await handOn(transacting, catalog, PIECE, send)));
    failing = false;
  };
  const timer = setInterval(() => {
    sending ??= advance()
      .catch((fault) => {
        if (!failing) failed(fault);
        failing = true;
      })
      .finally(() => {
        sending = undefined;
      });
  }, PAUSE).unref();
  return async () => {
    stopped = true;
    clearInterval(timer);
    await sending;
    syslog.close();
  };
}

function messageOf(baseUrl: string, log: Pick<AuditLog, 'open'>, entry: Entry): Message {
  const event = auditEventOf(baseUrl, log, entry);
  const severity = entry.status < 400 ? INFORMATIONAL : NOTICE;
  return { at: event.recorded, severity, kind: 'AuditEvent', text: JSON.stringify(event) };
}
