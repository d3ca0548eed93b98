/** Opens the authorization server over records and a migrated database. */
import { Provider } from 'oidc-provider';
import type { Logger } from 'pino';
import type { Config } from '../config.ts';
import type { Definitions } from '../fhir/definitions.ts';
import { tracesOf } from '../http/faults.ts';
import { endpointsOf } from '../http/issuer.ts';
import type { Records } from '../records/records.ts';
import type { Pools } from '../store/pool.ts';
import { type Accounts, makeAccounts } from './accounts.ts';
import { sweep } from './adapter.ts';
import { type Clients, isLoopback, makeClients } from './clients.ts';
import type { SmartContext } from './context.ts';
import { discovery } from './discovery.ts';
import { makeKeySets } from './jwks.ts';
import { type Keys, loadKeys } from './keys.ts';
import { makePatients, type Patients } from './patients.ts';
import { makeProvider } from './provider.ts';
import { invite } from './register.ts';
import { type Handle, makeHandle } from './server.ts';

export interface Smart {
  /** what comes under /auth */
  readonly handle: Handle;
  /** what it says of itself */
  readonly configuration: Readonly<Record<string, unknown>>;
  readonly accounts: Accounts;
  readonly clients: Clients;
  readonly patients: Patients;
  /** a token with which an app may register itself */
  invite(): Promise<string>;
  /** Reads the signing keys again, having made those that are due. */
  turnKeys(now?: number): Promise<void>;
  close(): void;
}

export interface SmartOptions {
  readonly config: Config;
  readonly definitions: Definitions;
  readonly records: Records;
  readonly pools: Pools;
  readonly log: Logger;
}

const HOUR = 3_600_000;

/** @throws Error in one line where the keys are sealed under another SECRET_KEY */
export async function openSmart({ config, definitions, records, pools, log }: SmartOptions): Promise<Smart> {
  const { fixed: pool, transacting } = pools;
  const endpoints = endpointsOf({ config });
  const grammar = { definitions, baseUrl: endpoints.fhir };
  const local = isLoopback(new URL(config.baseUrl).hostname);
  const clients = makeClients({
    pool,
    transacting,
    isResourceType: definitions.isResourceType,
    keySets: makeKeySets({ local }),
    local,
    assertion: () => Provider.ctx?.oidc?.params?.client_assertion as string | undefined,
    warn: (client, fault) =>
      log.warn({ client, fault: fault.message }, 'could not fetch the keys of a client'),
  });
  const accounts = makeAccounts(pool, transacting);
  const failed = (fault: unknown) => log.error({ fault: tracesOf(fault) }, 'failed');
  const patients = makePatients(records, grammar);
  const made = { pool, transacting, endpoints, grammar, accounts, clients, failed };

  let keys: Keys = await loadKeys(transacting, config.secretKey);
  let provider = makeProvider(made, keys);
  let respond = provider.callback();
  async function turnKeys(now?: number): Promise<void> {
    const newer = await loadKeys(transacting, config.secretKey, now);
    if (JSON.stringify(newer) === JSON.stringify(keys)) return;
    keys = newer;
    provider = makeProvider(made, newer);
    respond = provider.callback();
  }

  const context: SmartContext = {
    ...{ config, endpoints, pool, transacting, records, grammar, accounts, clients, patients, log },
    root: new URL(endpoints.issuer).pathname,
    provider: () => provider,
    respond: (request, response) => respond(request, response),
    keys: () => keys,
  };
  const hourly = setInterval(() => {
    if (config.readOnly) return;
    Promise.all([turnKeys(), sweep(pool)]).catch((fault) =>
      log.warn({ fault: tracesOf(fault) }, 'could not turn keys or sweep'),
    );
  }, HOUR).unref();
  return {
    handle: makeHandle(context),
    configuration: discovery(endpoints),
    accounts,
    clients,
    patients,
    invite: () => invite(context),
    turnKeys,
    close: () => clearInterval(hourly),
  };
}
