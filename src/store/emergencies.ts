/** Who has broken the glass for whom. */
import type pg from 'pg';
import { type Executor, run, transaction } from './pool.ts';
import { raiseEpoch } from './tokens.ts';

const OPEN = {
  name: 'emergencies',
  text: `select r.id, e.patient from emergency e join resource r on r.rid = e.patient
         where e.grantee = $1 and e.until > now()`,
};
const COUNT = {
  name: 'count_emergencies',
  text: `select count(*) from emergency where grantee = $1 and made > now() - interval '1 day'`,
};
const ADD = {
  name: 'add_emergency',
  text: `insert into emergency (grantee, patient, agent, reason, until)
         values ($1, $2, $3, $4, now() + make_interval(mins => $5))
         returning (extract(epoch from until) * 1000)::bigint`,
};

/** Patients whom a practitioner sees by it now: their numbers by their ids. */
export async function openEmergencies(
  executor: Executor,
  grantee: number,
): Promise<ReadonlyMap<string, number>> {
  const rows = await run(executor, OPEN, [grantee]);
  return new Map(rows.map(([id, rid]) => [id as string, rid as number]));
}

export interface Emergency {
  /** number of the Practitioner */
  readonly grantee: number;
  readonly patient: number;
  readonly agent: number;
  readonly reason: string;
}

/**
 * Opens a patient's records to a practitioner, from the next request on.
 *
 * @param most in a day
 * @returns    until when, in milliseconds; undefined where they have had so many
 */
export async function addEmergency(
  pool: pg.Pool,
  { grantee, patient, agent, reason }: Emergency,
  { minutes, most }: { readonly minutes: number; readonly most: number },
): Promise<number | undefined> {
  return transaction(pool, async (executor) => {
    // One after the other, so that they are counted right.
    await executor.query({ text: 'select pg_advisory_xact_lock($1)', values: [grantee] });
    const [[count] = [0]] = await run(executor, COUNT, [grantee]);
    if ((count as number) >= most) return undefined;
    const [[until] = []] = await run(executor, ADD, [grantee, patient, agent, reason, minutes]);
    await raiseEpoch(executor);
    return until as number;
  });
}
