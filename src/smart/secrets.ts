/** Values that are known by having them: random, given out once, and kept as hashes only. */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** A new one, of 256 bits. base64url, which needs no escaping in a URL, a form or HTTP Basic. */
export const newSecret = (): string => randomBytes(32).toString('base64url');

/** What is kept of it. It is random, so a plain hash is as good as a slow one. */
export const hashOf = (secret: string): Buffer => createHash('sha256').update(secret).digest();

/** Whether a value is the one that was kept, in constant time. */
export const isSecret = (given: string, kept: Buffer): boolean => timingSafeEqual(hashOf(given), kept);

/** A value that only this server can make of a text: what a form has to bring back (CSRF). */
export const stampOf = (key: Buffer, text: string): string =>
  createHmac('sha256', key).update(text).digest('base64url');

/** Whether a form brought it back, in constant time. */
export function isStamp(key: Buffer, text: string, given: unknown): boolean {
  const wanted = Buffer.from(stampOf(key, text));
  const got = Buffer.from(typeof given === 'string' ? given : '');
  return got.length === wanted.length && timingSafeEqual(got, wanted);
}
