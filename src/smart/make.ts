/** The parts that lean on oidc-provider, put together. */
import { Provider } from 'oidc-provider';
import { tracesOf } from '../http/faults.ts';
import type { SmartContext } from './context.ts';
import type { Keys } from './keys.ts';
import { makeProvider } from './provider.ts';
import { type Handle, makeHandle } from './server.ts';

export interface SmartServer {
  readonly handle: Handle;
  /** what the request at hand shows, of a client that proves itself by a key */
  readonly assertion: () => string | undefined;
}

export function makeServer(options: Omit<SmartContext, 'provider' | 'respond'>): SmartServer {
  const failed = (fault: unknown) => options.log.error({ fault: tracesOf(fault) }, 'failed');
  // A provider cannot change its keys, but is made in less than a millisecond, and keeps nothing itself.
  const make = (keys: Keys) => {
    const provider = makeProvider({ ...options, failed }, keys);
    return { keys, provider, respond: provider.callback() };
  };
  let made = make(options.keys());
  const current = () => {
    if (made.keys !== options.keys()) made = make(options.keys());
    return made;
  };
  const context: SmartContext = {
    ...options,
    provider: () => current().provider,
    respond: (request, response) => current().respond(request, response),
  };
  return {
    handle: makeHandle(context),
    assertion: () => Provider.ctx?.oidc?.params?.client_assertion as string | undefined,
  };
}
