/** How often a client may ask (RFC 6585 §4): a bucket for each access token, and for each address with false ones. */
import { error, Refusal } from '../fhir/outcome.ts';
import { networkOf } from './address.ts';

export interface Quota {
  /**
   * Lets a request in, before its token is looked up.
   *
   * @throws Refusal 429 with Retry-After
   */
  admit(token: string, address: string): void;
  /** The token is a client's: from now on it has a bucket of its own, whatever others do at its address. */
  know(token: string): void;
  /** The token is none. */
  blame(address: string): void;
}

const MINUTE = 60_000;

/** Buckets of a minute that are kept, at most: a flood of false tokens from everywhere must not fill the memory. */
const MOST = 50_000;

/**
 * Makes the quota of this process. A batch or transaction is one request, which MAX_ENTRIES and MAX_BODY bound; so is a
 * request that is done later.
 *
 * @param perMinute requests that may be made at once, and come back over a minute
 * @param now       milliseconds
 */
export function makeQuota(perMinute: number, now: () => number = () => performance.now()): Quota {
  const clients = makeBuckets(perMinute, now);
  const addresses = makeBuckets(perMinute, now);
  return {
    admit(token, address) {
      const wait = clients.has(token) ? clients.take(token) : addresses.wait(networkOf(address));
      if (wait > 0) throw tooMany(perMinute, wait);
    },
    know(token) {
      if (!clients.has(token)) clients.take(token);
    },
    blame(address) {
      addresses.take(networkOf(address));
    },
  };
}

export interface Buckets {
  has(key: string): boolean;
  /** Milliseconds until there is something in a bucket; 0 where there is. */
  wait(key: string): number;
  /** Takes one out of a bucket where there is something, and answers as `wait` did before. */
  take(key: string): number;
}

/** A bucket is the time at which it will be full again: all that must be known of it. */
export function makeBuckets(perMinute: number, now: () => number = () => performance.now()): Buckets {
  const each = MINUTE / perMinute;
  // What was not used for a minute is full again, so that to forget it changes nothing.
  let young = new Map<string, number>();
  let old = new Map<string, number>();
  let since = now();
  const fullAt = (key: string): number => young.get(key) ?? old.get(key) ?? 0;
  const wait = (key: string): number => Math.max(0, fullAt(key) + each - now() - MINUTE);
  return {
    has: (key) => young.has(key) || old.has(key),
    wait,
    take(key) {
      const time = now();
      if (time - since > MINUTE || young.size >= MOST) {
        old = young;
        young = new Map();
        since = time;
      }
      const until = wait(key);
      if (until === 0) young.set(key, Math.max(time, fullAt(key)) + each);
      return until;
    },
  };
}

function tooMany(perMinute: number, wait: number): Refusal {
  const issue = error(
    'throttled',
    `More than ${perMinute} requests a minute, the limit of this server (QUOTA): wait as long as Retry-After says`,
  );
  return new Refusal(429, [issue], { 'Retry-After': String(Math.ceil(wait / 1000)) });
}
