/** How often somebody may try to sign in: kept in the database, so that neither a restart nor another process forgives. */
import { networkOf } from '../http/address.ts';
import { type Executor, run } from '../store/pool.ts';

interface Limit {
  /** failures that are let pass */
  readonly free: number;
  /** seconds without any after which they are forgotten */
  readonly forgotten: number;
  /** seconds of the first pause, which doubles with each failure */
  readonly pause: number;
  readonly longest: number;
}

const DAY = 86_400;

/** Few, so that nobody guesses; pauses are short at first, so that nobody keeps a person out for long. */
const OF_ACCOUNT: Limit = { free: 5, forgotten: DAY, pause: 60, longest: 3600 };
/** Many people may come from one address. */
const OF_ADDRESS: Limit = { free: 50, forgotten: 900, pause: 300, longest: 3600 };
/** Links to choose a password that somebody asks for: nobody fills the mailbox of another, nor asks for many. */
const OF_LINKS: Limit = { free: 3, forgotten: DAY, pause: 900, longest: DAY };
const OF_LINKS_BY_ADDRESS: Limit = { free: 20, forgotten: 3600, pause: 900, longest: DAY };
/** Apps that register themselves, from one address, and wait to be let in: nobody fills the list of those. */
const OF_APPS: Limit = { free: 20, forgotten: DAY, pause: 3600, longest: DAY };

// It is counted before it is looked at, so that many at once are as many. Nothing is counted while nobody is let in.
const COUNT = {
  name: 'smart_count_attempt',
  text: `insert into attempt as a (key, failures, since) values ($1, 1, now())
         on conflict (key) do update set
           failures = case when a.since < now() - make_interval(secs => $3) then 1 else a.failures + 1 end,
           until = case when a.since >= now() - make_interval(secs => $3) and a.failures + 1 >= $2
             then now() + make_interval(secs => least($5, $4 * 2.0 ^ least(a.failures + 1 - $2, 20))) end,
           since = now()
         where a.until is null or a.until <= now()
         returning true`,
};
const WAIT = {
  name: 'smart_attempt_wait',
  text: `select ceil(extract(epoch from until - now()))::int from attempt where key = $1 and until > now()`,
};
const FORGIVE = {
  name: 'smart_forgive',
  text: `with forgotten as (delete from attempt where key = $1)
         update attempt set failures = greatest(failures - 1, 0), until = null where key = $2`,
};

/**
 * Counts an attempt.
 *
 * @param account name of it, whether there is one or not
 * @returns       seconds to wait, where it is one too many; 0 where it may go on
 */
export async function countAttempt(executor: Executor, account: string, address: string): Promise<number> {
  const wait = await count(executor, keyOfAddress(address), OF_ADDRESS);
  return wait > 0 ? wait : count(executor, keyOfAccount(account), OF_ACCOUNT);
}

/** Counts a link that is asked for; answers as countAttempt. */
export async function countLink(executor: Executor, account: string, address: string): Promise<number> {
  const wait = await count(executor, `links of ${keyOfAddress(address)}`, OF_LINKS_BY_ADDRESS);
  return wait > 0 ? wait : count(executor, `links of ${keyOfAccount(account)}`, OF_LINKS);
}

/** Counts an app that registers itself; answers as countAttempt. */
export function countApp(executor: Executor, address: string): Promise<number> {
  return count(executor, `apps of ${keyOfAddress(address)}`, OF_APPS);
}

async function count(executor: Executor, key: string, limit: Limit): Promise<number> {
  const { free, forgotten, pause, longest } = limit;
  const counted = await run(executor, COUNT, [key, free, forgotten, pause, longest]);
  if (counted.length > 0) return 0;
  const [row] = await run(executor, WAIT, [key]);
  return (row?.[0] as number | undefined) ?? 0;
}

/** Takes back what was counted: it was the person. */
export async function forgiveAttempt(executor: Executor, account: string, address: string): Promise<void> {
  await run(executor, FORGIVE, [keyOfAccount(account), keyOfAddress(address)]);
}

const keyOfAccount = (account: string): string => `account ${account.slice(0, 200)}`;

const keyOfAddress = (address: string): string => `address ${networkOf(address)}`;
