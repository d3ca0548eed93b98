/** The port to listen on, and why a server does not. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';

/** Where something is to listen. */
interface Place {
  readonly port: number;
  readonly host: string;
}

/** What they are called where they can be chosen. */
type Names = Readonly<Record<keyof Place, string>>;

/**
 * PORT=0 leaves the port to the system. It is asked for one before the start, as links are made from BASE_URL,
 * which says the port, and all workers must listen on the same one.
 */
export async function portOf<C extends Place & { readonly baseUrl: string }>(config: C): Promise<C> {
  if (config.port !== 0) return config;
  const server = createServer().listen(0, config.host);
  try {
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    return { ...config, port, baseUrl: config.baseUrl.replace(/:0$/, `:${port}`) };
  } catch (fault) {
    throw explained(fault as NodeJS.ErrnoException, config);
  } finally {
    server.close();
  }
}

/** Why a server does not listen, in words. */
export function explained(
  fault: NodeJS.ErrnoException,
  { port, host }: Place,
  names: Names = { port: 'PORT', host: 'HOST' },
): Error {
  switch (fault.code) {
    case 'EADDRINUSE':
      return new Error(
        `port ${port} on ${host} is taken: stop what listens there, or choose another with ${names.port}`,
      );
    case 'EACCES':
      return new Error(`port ${port} may not be used by this user: choose a ${names.port} of 1024 or more`);
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new Error(
        `${names.host} ${host} is no address of this machine: choose 127.0.0.1, or 0.0.0.0 for all`,
      );
    default:
      return fault;
  }
}
