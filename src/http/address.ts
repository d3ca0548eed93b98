/** Where a request came from, through the proxies that are ours (TRUST_PROXY). */
import type { IncomingMessage } from 'node:http';

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
