/** Passwords, by argon2id (RFC 9106) as OWASP advises: 19 MiB, two passes, one lane. */
import crypto, { randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const COST = { memory: 19_456, passes: 2, parallelism: 1 };
const LENGTH = 32;

/** How short and how long a password may be, in characters. */
export const SHORTEST = 10;
const LONGEST = 200;

/** @returns what is wrong with a new password; undefined where nothing is */
export function faultOfPassword(password: string, username: string): string | undefined {
  const length = [...password].length;
  if (length < SHORTEST) return `A password has ${SHORTEST} characters or more. A few words make a good one.`;
  if (length > LONGEST) return `A password has ${LONGEST} characters at most.`;
  if (new Set(password).size < 4) return 'This password is too simple: use a few words.';
  if (password.toLowerCase().includes(username)) return 'A password must not contain the user name.';
  return undefined;
}

/** What is kept of a password, in PHC form. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const hash = await derive(password, salt, COST);
  const { memory, passes, parallelism } = COST;
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${base64(salt)}$${base64(hash)}`;
}

/**
 * Whether a password is the one that was kept.
 *
 * @param kept undefined where there is none: then it takes as long, so that nobody learns of it
 */
export async function isPassword(password: string, kept: string | undefined): Promise<boolean> {
  const found = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([^$]+)\$([^$]+)$/.exec(kept ?? '');
  if (!found) {
    await derive(password, randomBytes(16), COST);
    return false;
  }
  const [memory, passes, parallelism] = found.slice(1, 4).map(Number) as [number, number, number];
  const [salt, hash] = found.slice(4).map((text) => Buffer.from(text, 'base64')) as [Buffer, Buffer];
  const derived = await derive(password.slice(0, 2 * LONGEST), salt, { memory, passes, parallelism });
  return timingSafeEqual(derived, hash);
}

/** Node has argon2 from 24.7 on. */
export const hasPasswords = 'argon2' in crypto;

/** On a thread of the pool, so that others go on. Letters that look the same are the same, however they were typed. */
async function derive(password: string, salt: Buffer, cost: typeof COST): Promise<Buffer> {
  if (!hasPasswords)
    throw new Error('passwords need Node 24.7 or later: run it through npm, which brings it');
  const hashed = promisify(crypto.argon2);
  const message = Buffer.from(password.normalize('NFKC'));
  return hashed('argon2id', { message, nonce: salt, tagLength: LENGTH, ...cost });
}

const base64 = (bytes: Buffer): string => bytes.toString('base64').replaceAll('=', '');
