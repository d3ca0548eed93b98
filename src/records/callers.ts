/**
 * Who is asking, remembered for as long as nothing that decides about access has changed: whatever is read or
 * written reads the epoch along, and a caller of an older one is judged anew.
 */
import { type Access, accessOf } from '../access/access.ts';
import type { Person, Whose } from '../access/person.ts';
import type { Grammar } from '../access/rule.ts';
import { Refusal, refusal } from '../fhir/outcome.ts';
import type { Claim } from '../jobs/job.ts';
import { cache } from '../store/cache.ts';
import { lane } from '../store/lane.ts';
import type { Executor } from '../store/pool.ts';
import { currentEpoch, holderOf, lookUpToken, lookUpTokenNumber, type TokenRow } from '../store/tokens.ts';
import type { Caller } from './records.ts';

export interface Callers {
  authenticate(token: string): Promise<Caller | undefined>;
  operator(): Promise<Caller>;
  /** The caller of a request that is done later, with the rights that its access token has now. */
  ofJob(job: Claim | undefined, agent: number): Promise<Caller | undefined>;
  /**
   * Does `work` for a caller, and does it again where it turns out that its epoch has passed.
   *
   * @param work throws Stale, or has nothing to show yet, where it saw another epoch
   */
  asOf<T>(caller: Caller, work: (caller: Caller) => Promise<T>): Promise<T>;
  /** The epoch as it is now. */
  epoch(): Promise<number>;
}

/** Thrown where a caller's epoch is not the one that was read along. */
export class Stale extends Error {}

/** @throws Stale where the caller was judged in another epoch */
export function checkEpoch(caller: Caller, epoch: number): void {
  if (caller.epoch !== epoch) throw new Stale();
}

interface Remembered {
  readonly row: TokenRow;
  readonly caller: Caller;
  /** milliseconds */
  readonly expires: number;
}

/** @param upTo makes the definitions those of an epoch, before anybody is let do anything in it */
export function makeCallers(
  executor: Executor,
  grammar: Grammar,
  personOf: (holder: string, epoch: number) => Promise<Person>,
  upTo: (epoch: number) => Promise<void> | undefined,
): Callers {
  const byToken = cache<string, Remembered>(10_000);
  // By their access, as a caller is copied for each request.
  const tokens = new WeakMap<Access, string>();
  const ofPeople = new WeakMap<Person, Map<string, Access>>();
  const everything = accessOf('system/*.cruds', grammar);

  async function look(token: string): Promise<Caller | undefined> {
    const row = await lookUpToken(executor, token);
    if (!row) {
      byToken.delete(token);
      return undefined;
    }
    await upTo(row.epoch);
    const caller = await callerOf(row);
    byToken.set(token, { row, caller, expires: row.expires });
    tokens.set(caller.access, token);
    return caller;
  }

  /** As long as nothing changes about a person, what their tokens open is worked out once. */
  function accessOfPerson({ number, scope, epoch }: TokenRow, whose: Whose, found: Person): Access {
    const known = ofPeople.get(found) ?? new Map<string, Access>();
    ofPeople.set(found, known);
    const key = `${number} ${epoch}`;
    const access = known.get(key) ?? accessOf(scope, grammar, whose);
    known.set(key, access);
    return access;
  }

  async function callerOf(row: TokenRow, job?: Claim): Promise<Caller> {
    const { number: agent, scope, epoch, payload } = row;
    const { patient } = payload?.extra ?? {};
    const holder = holderOf(row);
    const person = holder === undefined ? undefined : await personOf(holder, epoch);
    const access = person
      ? accessOfPerson(row, { patient, person: { ...person, clearance: row.clearance ?? 'N' } }, person)
      : accessOf(scope, grammar, { patient });
    return { agent, access, epoch, ...(job ? { job } : {}) };
  }

  // Searches and histories ask beside their own statement: those under way share the question.
  const ask = lane<null, number>({ width: 2, most: 1000 }, async (batch) => {
    const epoch = await currentEpoch(executor);
    return batch.map(() => epoch);
  });

  /** Whether a refusal may be out of date: leave may have been given since. */
  async function refusedEarlier(caller: Caller, fault: unknown): Promise<boolean> {
    return fault instanceof Refusal && fault.status === 403 && caller.epoch !== (await ask(null));
  }

  async function ofJob(job: Claim | undefined, agent: number): Promise<Caller | undefined> {
    const row = await lookUpTokenNumber(executor, agent);
    if (row) await upTo(row.epoch);
    return row && callerOf(row, job);
  }

  async function present(): Promise<number> {
    const epoch = await currentEpoch(executor);
    await upTo(epoch);
    return epoch;
  }

  async function renew(caller: Caller): Promise<Caller> {
    if (caller.agent === 0) return { ...caller, epoch: await present() };
    // One that is done later is asked for by its number, as its token is not kept.
    const token = caller.job ? undefined : tokens.get(caller.access);
    const renewed = token === undefined ? await ofJob(caller.job, caller.agent) : await look(token);
    if (!renewed)
      throw refusal(401, 'login', 'The access token has expired or was revoked: ask for a new one');
    return renewed;
  }

  return {
    async authenticate(token) {
      const known = byToken.get(token);
      if (!known || known.expires <= Date.now()) return look(token);
      // Whose records are a person's to see is asked for each request.
      if (holderOf(known.row) === undefined) return known.caller;
      const caller = await callerOf(known.row);
      tokens.set(caller.access, token);
      return caller;
    },
    ofJob,
    operator: async () => ({ agent: 0, access: everything, epoch: await present() }),
    async asOf(caller, work) {
      let current = caller;
      for (let attempt = 0; ; attempt++) {
        try {
          return await work(current);
        } catch (fault) {
          const stale = fault instanceof Stale || (await refusedEarlier(current, fault));
          if (!stale || attempt === 20) throw fault;
          current = { ...(await renew(current)), ...(caller.origin ? { origin: caller.origin } : {}) };
        }
      }
    },
    epoch: () => ask(null),
  };
}
