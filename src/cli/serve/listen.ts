/** Why a server does not listen, in words. */
import type { Config } from '../../config.ts';

export function explained(fault: NodeJS.ErrnoException, { port, host }: Config): Error {
  switch (fault.code) {
    case 'EADDRINUSE':
      return new Error(
        `port ${port} on ${host} is taken: stop what listens there, or choose another with PORT`,
      );
    case 'EACCES':
      return new Error(`port ${port} may not be used by this user: choose a PORT of 1024 or more`);
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new Error(`HOST ${host} is no address of this machine: choose 127.0.0.1, or 0.0.0.0 for all`);
    default:
      return fault;
  }
}
