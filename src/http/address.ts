/** Where a request came from, through the proxies that are ours (TRUST_PROXY). */
import type { IncomingMessage } from 'node:http';
import { isIPv6 } from 'node:net';

/**
 * @param proxies how many of the addresses in X-Forwarded-For were added by proxies of ours, from its end on; what is
 *                before them, anybody may have written
 */
export function addressOf({ headers, socket }: IncomingMessage, proxies: number): string {
  const own = socket.remoteAddress ?? '';
  if (proxies === 0) return own;
  const forwarded = String(headers['x-forwarded-for'] ?? '')
    .split(',')
    .map((one) => one.trim())
    .filter(Boolean);
  return forwarded.at(-proxies) ?? forwarded[0] ?? own;
}

/** What one client has of addresses: of IPv6 a network of 64 bits, usually (RFC 6177). */
export function networkOf(address: string): string {
  const bare = address.split('%')[0] as string;
  if (!isIPv6(bare) || bare.startsWith('::ffff:')) return address;
  // in one way of writing
  const [before = '', after] = new URL(`http://[${bare}]`).hostname.slice(1, -1).split('::');
  const groups = before === '' ? [] : before.split(':');
  const missing = after === undefined ? 0 : 8 - groups.length - (after === '' ? 0 : after.split(':').length);
  const rest = after ? after.split(':') : [];
  return [...groups, ...Array(missing).fill('0'), ...rest].slice(0, 4).join(':');
}
