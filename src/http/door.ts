/** Who is asking: the one place where a request becomes a Caller. */
import type { IncomingMessage } from 'node:http';
import type { Config } from '../config.ts';
import { error, Refusal } from '../fhir/outcome.ts';
import type { Caller, Records } from '../records/records.ts';
import { addressOf } from './address.ts';
import { makeQuota } from './quota.ts';
import type { Strangers } from './strangers.ts';

/** What a request without an access token is asked for. */
export const CHALLENGE = 'Bearer realm="consilium"';

/**
 * Finds the caller by the access token in the Authorization header (RFC 6750 §2.1).
 *
 * @param trustProxy TRUST_PROXY, for the quota
 * @throws           Refusal 401 with WWW-Authenticate where there is no token, or it is none of ours, or has expired; 429 where the quota is used up
 */
export type Enter = (request: IncomingMessage) => Promise<Caller>;

export interface DoorOptions {
  readonly config: Pick<Config, 'quota' | 'trustProxy'>;
  readonly records: Pick<Records, 'authenticate'>;
  readonly strangers: Pick<Strangers, 'count'>;
}

/** Makes the door that all of this process's routes are behind. */
export function makeDoor({ config, records, strangers }: DoorOptions): Enter {
  const quota = config.quota > 0 ? makeQuota(config.quota) : undefined;
  return async (request) => {
    const address = addressOf(request, config.trustProxy);
    const turnAway = (diagnostics: string, fault?: string): Refusal => {
      strangers.count('token-shown', address);
      return denied(diagnostics, fault);
    };
    const header = request.headers.authorization;
    if (header === undefined) throw turnAway('An access token is needed: send Authorization: Bearer TOKEN');
    if (!/^bearer /i.test(header))
      throw turnAway('Only access tokens are taken: send Authorization: Bearer TOKEN');
    const token = bearerOf(request) ?? '';
    quota?.admit(token, address);
    const caller = token === '' ? undefined : await records.authenticate(token);
    if (caller) quota?.know(token);
    else quota?.blame(address);
    if (!caller)
      throw turnAway('This access token is unknown or has expired: get a new one', 'invalid_token');
    return caller;
  };
}

/** The access token that a request shows; undefined where it shows none. */
export function bearerOf({ headers }: IncomingMessage): string | undefined {
  return /^bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1];
}

/** The refusal of who is not let in. */
export function denied(diagnostics: string, fault?: string): Refusal {
  const challenge = fault ? `${CHALLENGE}, error="${fault}"` : CHALLENGE;
  return new Refusal(401, [error('login', diagnostics)], { 'WWW-Authenticate': challenge });
}
