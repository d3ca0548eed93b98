/** The audit trail as AuditEvents, made when they are asked for. */
import type { Filter } from '../search/request.ts';
import type { AuditLog } from '../store/audit/log.ts';
import { type Entry, type Place, readEntry, readTrail } from '../store/audit/trail.ts';
import { instantOf } from '../store/pool.ts';
import { timestampText } from '../store/read/history.ts';
import { auditEventOf } from './audit-event.ts';
import { newBudget, spend } from './judge.ts';
import { boundsIn, type Made, type Maker, passesMade, patientsIn, storedAs, stretches } from './made.ts';
import type { Stored } from './records.ts';
import type { ReadSetting } from './setting.ts';

/** So many are read at a time. */
const STRIDE = 200;

/** What opens the queries of entries. */
export type Opening = Pick<AuditLog, 'open'>;

export const auditEvents = (setting: ReadSetting, log: Opening): Maker => ({
  type: 'AuditEvent',
  async one({ access }, id) {
    const entry = await readEntry(setting.store.pool, id);
    const isSeen = entry && passes(setting, log, entry, access.within('AuditEvent', 'r'));
    return isSeen ? storedOf(setting, log, entry) : undefined;
  },
  all: (_caller, filters, from) => entriesOf(setting, log, filters, from as Place | undefined),
});

/** Entries that pass, newest first. */
async function* entriesOf(
  setting: ReadSetting,
  log: Opening,
  filters: readonly Filter[],
  from: Place | undefined,
): AsyncGenerator<Made> {
  const { pool } = setting.store;
  const budget = newBudget();
  const patients = await patientsIn(setting, filters);
  for (const bounds of stretches(boundsIn(filters, 'date')))
    for (let before = from; ; ) {
      const rows = await readTrail(pool, {
        patients,
        from: timestampText(bounds.from),
        to: timestampText(bounds.to),
        before,
        count: STRIDE,
      });
      spend(budget, rows.length);
      for (const { entry, place } of rows)
        if (passes(setting, log, entry, filters))
          yield { at: entry.at, stored: storedOf(setting, log, entry), place };
      before = rows.at(-1)?.place ?? before;
      if (rows.length < STRIDE) break;
    }
}

function passes(setting: ReadSetting, log: Opening, entry: Entry, filters: readonly Filter[]): boolean {
  if (filters.length === 0) return true;
  const { store, baseUrl } = setting;
  const analysis = store.indexer.analyse(auditEventOf(baseUrl, log, entry), baseUrl);
  return passesMade(setting, filters, analysis, entry.at);
}

const storedOf = ({ baseUrl }: ReadSetting, log: Opening, entry: Entry): Stored =>
  storedAs(auditEventOf(baseUrl, log, entry), instantOf(entry.at));
