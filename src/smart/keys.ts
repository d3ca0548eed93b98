/**
 * Signing keys, in the database: sealed under SECRET_KEY where that is set. A new key is published a day before it
 * signs, so that every process and every app knows it by then, and an old one until nothing that it signed is valid.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import type { JWK } from 'oidc-provider';
import type pg from 'pg';
import { type Executor, transaction } from '../store/pool.ts';

export interface Keys {
  /** private keys, the one that signs first */
  readonly signing: readonly JWK[];
  /** of cookies, the one that signs first */
  readonly cookies: readonly string[];
  /** of what forms bring back, and of other stamps */
  readonly stamps: Buffer;
}

const DAY = 86_400_000;
/** A key signs for this long. */
const LIFE = 90 * DAY;
/** It is published for so long before. */
const EARLY = DAY;
/** And so long after: an id token is valid for an hour. */
const LATE = DAY;

interface Kept {
  readonly kid: string;
  readonly use: string;
  readonly value: string;
  /** milliseconds */
  readonly created: number;
}

/**
 * Reads the keys, having made those that are missing or due, and removed those that are done.
 *
 * @param secret SECRET_KEY
 * @param now    milliseconds
 * @throws       Error in one line where what is sealed cannot be opened
 */
export async function loadKeys(
  pool: pg.Pool,
  secret: string | undefined,
  now: number = Date.now(),
): Promise<Keys> {
  const box = secret === undefined ? undefined : makeBox(secret);
  const kept = await transaction(pool, async (executor) => {
    // One process at a time, so that only one key is made.
    await executor.query(`select pg_advisory_xact_lock(hashtext('smart_key'))`);
    const known = await keptIn(executor);
    const made = await missing(known, now);
    const gone = done(known, now);
    for (const { kid, use, value, created } of made)
      await executor.query({
        text: `insert into smart_key (kid, use, value, created) values ($1, $2, $3, to_timestamp($4::float8 / 1000))`,
        values: [kid, use, box ? box.seal(value) : value, created],
      });
    // What was kept before there was a SECRET_KEY is sealed now.
    const open = box ? known.filter(({ value }) => !value.startsWith(SEALED)) : [];
    for (const { kid, value } of open)
      await executor.query({
        text: 'update smart_key set value = $2 where kid = $1',
        values: [kid, box?.seal(value)],
      });
    if (gone.length > 0)
      await executor.query({ text: 'delete from smart_key where kid = any($1)', values: [gone] });
    return [...known.filter(({ kid }) => !gone.includes(kid)), ...made];
  });
  const opened = kept.map((one) => ({ ...one, value: openedBy(box, one) }));
  const ofUse = (use: string) => opened.filter((one) => one.use === use);
  const byTurn = inTurn(ofUse('sig'), now);
  return {
    signing: byTurn.map(({ value }) => JSON.parse(value) as JWK),
    cookies: inTurn(ofUse('cookies'), now).map(({ value }) => value),
    stamps: Buffer.from((ofUse('stamps')[0] as Kept).value, 'base64url'),
  };
}

async function keptIn(executor: Executor): Promise<Kept[]> {
  const { rows } = await executor.query(
    `select kid, use, value, (extract(epoch from created) * 1000)::float8 as created from smart_key`,
  );
  return rows as Kept[];
}

/** The keys that have to be made. */
async function missing(known: readonly Kept[], now: number): Promise<Kept[]> {
  const made: Kept[] = [];
  for (const [use, make] of Object.entries(MAKE)) {
    const newest = Math.max(...known.filter((one) => one.use === use).map(({ created }) => created));
    const isDue = newest === Number.NEGATIVE_INFINITY || (use !== 'stamps' && newest + LIFE - EARLY < now);
    if (isDue) made.push({ use, created: now, ...(await make()) });
  }
  return made;
}

/** Those that neither sign any more nor have to be published. */
function done(known: readonly Kept[], now: number): string[] {
  return ['sig', 'cookies'].flatMap((use) => {
    const byAge = known.filter((one) => one.use === use).sort((a, b) => a.created - b.created);
    return byAge
      .filter((_, i) => {
        const next = byAge[i + 1];
        return next !== undefined && next.created + EARLY + LATE < now;
      })
      .map(({ kid }) => kid);
  });
}

/** The key that signs first: the newest that was published for long enough. */
function inTurn(keys: readonly Kept[], now: number): Kept[] {
  const byAge = [...keys].sort((a, b) => b.created - a.created);
  const signs = byAge.find(({ created }) => created + EARLY <= now) ?? byAge[byAge.length - 1];
  return signs ? [signs, ...byAge.filter((one) => one !== signs)] : [];
}

const MAKE: Readonly<Record<string, () => Promise<{ kid: string; value: string }>>> = {
  // SMART App Launch 2.2 asks for RS256 of id tokens.
  async sig() {
    // Seldom needed: a key signs for months.
    const { calculateJwkThumbprint, exportJWK, generateKeyPair } = await import('jose');
    const { privateKey } = await generateKeyPair('RS256', { extractable: true });
    const jwk = await exportJWK(privateKey);
    const kid = await calculateJwkThumbprint(jwk);
    return { kid, value: JSON.stringify({ ...jwk, kid, use: 'sig' }) };
  },
  cookies: random,
  stamps: random,
};

async function random(): Promise<{ kid: string; value: string }> {
  return { kid: randomBytes(8).toString('hex'), value: randomBytes(32).toString('base64url') };
}

const SEALED = 'sealed:';

interface Box {
  seal(text: string): string;
  open(sealed: string): string;
}

/** AES-256-GCM under a key derived of the secret, which is a text of any sort. */
function makeBox(secret: string): Box {
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'consilium signing keys', 32));
  return {
    seal(text) {
      const iv = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', key, iv);
      const bytes = Buffer.concat([iv, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
      return SEALED + bytes.toString('base64url');
    },
    open(sealed) {
      const bytes = Buffer.from(sealed.slice(SEALED.length), 'base64url');
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12));
      decipher.setAuthTag(bytes.subarray(-16));
      return Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()]).toString();
    },
  };
}

function openedBy(box: Box | undefined, { value }: Kept): string {
  if (!value.startsWith(SEALED)) return value;
  if (!box)
    throw new Error(
      'The signing keys in the database are sealed: set SECRET_KEY to the one they were sealed with',
    );
  try {
    return box.open(value);
  } catch {
    throw new Error('SECRET_KEY is not the one that the signing keys in the database were sealed with');
  }
}
