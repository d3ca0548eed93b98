/** Opens the authorization server over records and a migrated database. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import type { Config } from '../config.ts';
import type { Definitions } from '../fhir/definitions.ts';
import { tracesOf } from '../http/faults.ts';
import { endpointsOf } from '../http/issuer.ts';
import type { Strangers } from '../http/strangers.ts';
import { makeMailer } from '../jobs/mailer.ts';
import type { Records } from '../records/records.ts';
import type { Pools } from '../store/pool.ts';
import { type Accounts, makeAccounts } from './accounts.ts';
import { type Clients, isLoopback, makeClients } from './clients.ts';
import { discovery } from './discovery.ts';
import { type Enrolment, makeEnrolment } from './enrolment.ts';
import { invite } from './invitations.ts';
import { makeKeySets } from './jwks.ts';
import { type Keys, loadKeys } from './keys.ts';
import type { SmartServer } from './make.ts';
import { makePasskeys, type Passkeys } from './passkeys.ts';
import { makePatients, type Patients } from './patients.ts';
import { sweep } from './sweep.ts';

export interface Smart {
  /** what comes under /auth */
  readonly handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  /** what it says of itself */
  readonly configuration: Readonly<Record<string, unknown>>;
  readonly accounts: Accounts;
  readonly clients: Clients;
  readonly patients: Patients;
  readonly passkeys: Passkeys;
  readonly enrolment: Enrolment;
  /** a token with which an app may register itself */
  invite(): Promise<string>;
  /** Reads the signing keys again, having made those that are due. */
  turnKeys(now?: number): Promise<void>;
  /** Takes away what has expired. */
  sweep(): Promise<void>;
  close(): Promise<void>;
}

export interface SmartOptions {
  readonly config: Config;
  readonly definitions: Definitions;
  readonly records: Records;
  readonly pools: Pools;
  readonly strangers: Pick<Strangers, 'count'>;
  readonly log: Logger;
}

/**
 * Opens what is needed at once. oidc-provider, which takes a quarter of a second to load, and all that leans on it comes with
 * the first request.
 *
 * @throws Error in one line where the keys are sealed under another SECRET_KEY
 */
export async function openSmart(options: SmartOptions): Promise<Smart> {
  const { config, definitions, records, pools, strangers, log } = options;
  const { fixed: pool, transacting } = pools;
  const endpoints = endpointsOf({ config });
  const grammar = { definitions, baseUrl: endpoints.fhir };
  const local = isLoopback(new URL(config.baseUrl).hostname);
  let server: Promise<SmartServer> | undefined;
  let assertion: SmartServer['assertion'] | undefined;
  const clients = makeClients({
    pool,
    transacting,
    isResourceType: definitions.isResourceType,
    keySets: makeKeySets({ local }),
    local,
    assertion: () => assertion?.(),
    warn: (client, fault) =>
      log.warn({ client, fault: fault.message }, 'could not fetch the keys of a client'),
  });
  let keys: Keys = await loadKeys(transacting, config.secretKey);
  const accounts = makeAccounts(pool, transacting);
  const { hostname, origin } = new URL(endpoints.issuer);
  const party = { id: hostname, origin };
  const passkeys = makePasskeys({ pool, transacting, accounts, party, stamps: () => keys.stamps });
  const patients = makePatients(records, grammar);
  const mailer =
    config.smtpUrl &&
    makeMailer(config.smtpUrl, config.mailFrom ?? `consilium@${new URL(config.baseUrl).hostname}`);
  const enrolment = makeEnrolment({ accounts, passkeys, patients, mailer, issuer: endpoints.issuer });
  const underWay = new Set<Promise<unknown>>();
  const later = (what: string, work: Promise<unknown>): void => {
    const done = work
      .catch((fault) => log.warn({ fault: tracesOf(fault) }, what))
      .finally(() => underWay.delete(done));
    underWay.add(done);
  };
  const context = {
    ...{ config, endpoints, pool, transacting, records, grammar, accounts, clients, passkeys, patients, log },
    ...{ enrolment, strangers, later },
    root: new URL(endpoints.issuer).pathname,
    keys: () => keys,
  };

  async function load(): Promise<SmartServer> {
    const made = (await import('./make.ts')).makeServer(context);
    assertion = made.assertion;
    return made;
  }
  async function turnKeys(now?: number): Promise<void> {
    const newer = await loadKeys(transacting, config.secretKey, now);
    // The same object means that nothing has changed.
    if (JSON.stringify(newer) !== JSON.stringify(keys)) keys = newer;
  }
  return {
    async handle(request, response) {
      server ??= load();
      await (await server).handle(request, response);
    },
    configuration: discovery(endpoints),
    accounts,
    clients,
    patients,
    passkeys,
    enrolment,
    invite: () => invite(pool),
    turnKeys,
    sweep: () => sweep(pool),
    async close() {
      await Promise.all(underWay);
    },
  };
}
