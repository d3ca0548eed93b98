/**
 * Key sets of clients, fetched from their URLs: never from a private network, for seconds and kilobytes at most, and
 * kept no longer than they say, so that a key that was removed is no key any more (RFC 7517; SMART backend services).
 */
import { lookup as resolve } from 'node:dns';
import { get as getHttp, type RequestOptions } from 'node:http';
import { get as getHttps } from 'node:https';
import { BlockList, isIP, isIPv6, type LookupFunction } from 'node:net';
import { cache } from '../store/cache.ts';
import { isKeepable } from './kept.ts';

/** A public key as its owner wrote it. */
export type PublicJwk = Readonly<Record<string, unknown>> & { readonly kid: string };

export interface KeySets {
  /**
   * The key set behind a URL.
   *
   * @param kid of the key that is looked for: what is kept is asked for anew where it is not among it
   * @throws    Error saying why there is none
   */
  fetch(url: string, kid: string | undefined): Promise<readonly PublicJwk[]>;
}

const SECOND = 1000;
/** For the whole answer. */
const PATIENCE = 3 * SECOND;
const MAX_BYTES = 64 * 1024;
const MAX_KEYS = 50;
/** What says that it may be kept longer is kept for this long. */
const MOST_KEPT = 300 * SECOND;
/** A key that is not among what was just fetched is not looked for again within this. */
const ANEW = 5 * SECOND;

interface Kept {
  readonly keys: Promise<readonly PublicJwk[]>;
  readonly fetched: number;
  until: number;
}

/**
 * Makes them.
 *
 * @param local whether addresses of this machine and of private networks, and plain HTTP to them, are let through: of a
 *              server that is itself on one
 */
export function makeKeySets({ local }: { readonly local: boolean }): KeySets {
  const kept = cache<string, Kept>(1000);

  function ask(url: string): Kept {
    const now = Date.now();
    // While it is under way, all wait for the same.
    const one: Kept = { keys: undefined as never, fetched: now, until: now + PATIENCE };
    const keys = load(url, local).then(
      ({ body, seconds }) => {
        one.until = now + Math.min(seconds * SECOND, MOST_KEPT);
        return keysIn(body);
      },
      (fault) => {
        one.until = 0;
        throw fault;
      },
    );
    Object.assign(one, { keys });
    kept.set(url, one);
    return one;
  }

  return {
    async fetch(url, kid) {
      const known = kept.get(url);
      if (!known || known.until <= Date.now()) return ask(url).keys;
      const keys = await known.keys;
      const isThere = keys.some((key) => key.kid === kid);
      return isThere || known.fetched + ANEW > Date.now() ? keys : ask(url).keys;
    },
  };
}

/** The keys of a set that can be used to check signatures; what else is in it is passed over (RFC 7517 §5). */
export function keysIn(text: string): readonly PublicJwk[] {
  const { keys } = JSON.parse(text) as { readonly keys?: unknown };
  if (!Array.isArray(keys) || keys.length > MAX_KEYS)
    throw new Error(`it is no JSON Web Key Set of ${MAX_KEYS} keys at most`);
  return keys.filter(isPublic).map(({ alg: _, ...key }) => key as unknown as PublicJwk);
}

function isPublic(key: unknown): key is Record<string, unknown> {
  if (typeof key !== 'object' || key === null) return false;
  const { kty, kid, use, d, k } = key as Record<string, unknown>;
  const isForSigning = use === undefined || use === 'sig';
  return (
    (kty === 'RSA' || kty === 'EC') &&
    typeof kid === 'string' &&
    kid !== '' &&
    isForSigning &&
    !d &&
    !k &&
    isKeepable(key)
  );
}

/** Says why a URL cannot be one of a key set; undefined where it can. */
export function faultOfUrl(text: string, local: boolean): string | undefined {
  if (!URL.canParse(text)) return `"${text}" is no URL`;
  const { protocol, hostname, username, password } = new URL(text);
  if (username || password) return 'a URL of a key set has no user and password';
  const bare = hostname.replace(/^\[|\]$/g, '');
  if (!local && isIP(bare) && isPrivate(bare)) return `${hostname} is no public address`;
  if (protocol === 'https:' || (local && protocol === 'http:')) return undefined;
  return 'a key set is fetched by https';
}

function load(url: string, local: boolean): Promise<{ body: string; seconds: number }> {
  const fault = faultOfUrl(url, local);
  if (fault) return Promise.reject(new Error(fault));
  const options: RequestOptions = {
    headers: { Accept: 'application/json' },
    lookup: local ? undefined : publicOnly,
    agent: false,
    signal: AbortSignal.timeout(PATIENCE),
  };
  return new Promise((done, fail) => {
    const get = url.startsWith('https:') ? getHttps : getHttp;
    const request = get(url, options, (response) => {
      // What leads elsewhere is not followed: it could lead inside.
      if (response.statusCode !== 200) {
        request.destroy();
        return fail(new Error(`it answers with status ${response.statusCode}`));
      }
      let body = '';
      response.setEncoding('utf8').on('data', (piece: string) => {
        body += piece;
        if (body.length > MAX_BYTES) request.destroy(new Error(`it is longer than ${MAX_BYTES} bytes`));
      });
      response.on('end', () => done({ body, seconds: maxAge(response.headers['cache-control']) }));
      response.on('error', fail);
    });
    request.on('error', fail);
  });
}

function maxAge(header = ''): number {
  if (/\bno-(?:store|cache)\b/i.test(header)) return 0;
  return Number(/\bmax-age=(\d{1,9})/i.exec(header)?.[1] ?? 0);
}

/** Looks a name up, and refuses it where any of its addresses is private: what is checked is what is connected to. */
const publicOnly: LookupFunction = (hostname, options, callback) => {
  resolve(hostname, { ...options, all: true }, (fault, addresses) => {
    if (fault) return callback(fault, '', 4);
    const refused = addresses.find(({ address }) => isPrivate(address));
    if (refused || addresses.length === 0)
      return callback(new Error(`${hostname} is no public address`), '', 4);
    if (options.all) return callback(null, addresses);
    const [{ address, family }] = addresses as [{ address: string; family: number }];
    callback(null, address, family);
  });
};

/** Addresses that no public name has (RFC 6890). */
const PRIVATE = new BlockList();
for (const [net, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const)
  PRIVATE.addSubnet(net, bits, 'ipv4');
/** All of IPv6 that is public is in 2000::/3, but for examples and what stands for IPv4. */
const GLOBAL = new BlockList();
GLOBAL.addSubnet('2000::', 3, 'ipv6');
const SPECIAL = new BlockList();
for (const [net, bits] of [
  ['2001:db8::', 32],
  ['2001::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const)
  SPECIAL.addSubnet(net, bits, 'ipv6');

export function isPrivate(address: string): boolean {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped) return PRIVATE.check(mapped, 'ipv4');
  if (!isIPv6(address)) return PRIVATE.check(address, 'ipv4');
  return !GLOBAL.check(address, 'ipv6') || SPECIAL.check(address, 'ipv6');
}
