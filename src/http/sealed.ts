/**
 * Sealed links to pages: they carry all that a page needs, so that every process can make it and none remembers it.
 * Nobody can read, change or make them, they are good for one access token and one day.
 */
import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { invalid, refusal } from '../fhir/outcome.ts';
import type { Parameter } from '../search/query-string.ts';

/** What a link to a page says. */
export interface PageState {
  /** of the first page */
  readonly parameters: readonly Parameter[];
  /** which page, in the words of whoever made it */
  readonly after: string;
  /** the path that it is good for */
  readonly path: string;
}

export interface Seal {
  /** @param agent number of the access token that may follow the link */
  close(agent: number, state: PageState): string;
  /** @throws Refusal 400 for what is no such link; 403 for somebody else's; 410 for an old one */
  open(agent: number, path: string, text: string): PageState;
}

const CIPHER = 'aes-256-gcm';
const NONCE = 12;
const TAG = 16;
/** The first byte: how the rest is written. */
const PLAIN = 1;
const DEFLATED = 2;
/** Longer states are deflated. */
const LONG = 500;

/** How long a link is good for, in milliseconds. */
export const LIFETIME = 86_400_000;

/** @param bytes of the key, 32, the same in all processes */
export function makeSeal(bytes: Buffer, now: () => number = Date.now): Seal {
  const box = makeBox<Written>(bytes);
  return {
    close: (agent, { parameters, after, path }) =>
      box.close([agent, now() + LIFETIME, path, after, parameters]),
    open(agent, path, text) {
      const [owner, expires, own, after, parameters] = box.open(text) ?? [];
      if (owner === undefined || expires === undefined) throw damaged();
      if (owner !== agent)
        throw refusal(
          403,
          'forbidden',
          'This page link was made for another access token: begin again with the first page',
        );
      if (expires < now())
        throw refusal(
          410,
          'processing',
          'This page link has expired, as they do after a day: begin again with the first page',
        );
      if (own !== path) throw damaged();
      return { parameters: parameters ?? [], after: after ?? '', path };
    },
  };
}

/** What nobody can read, change or make who does not have the key. */
export interface Box<T> {
  close(content: T): string;
  /** undefined where it was not closed under this key */
  open(text: string): T | undefined;
}

/** @param bytes of the key, 32, for contents of one sort only */
export function makeBox<T>(bytes: Buffer): Box<T> {
  const key = createSecretKey(bytes);
  const nextNonce = makeNonces();
  return {
    close(content) {
      const json = Buffer.from(JSON.stringify(content));
      const form = json.length > LONG ? DEFLATED : PLAIN;
      const nonce = nextNonce();
      const cipher = createCipheriv(CIPHER, key, nonce).setAAD(Buffer.of(form));
      const body = cipher.update(form === DEFLATED ? deflateRawSync(json) : json);
      const end = cipher.final();
      return Buffer.concat([Buffer.of(form), nonce, body, end, cipher.getAuthTag()]).toString('base64url');
    },
    open: (text) => unsealed<T>(key, text),
  };
}

/** Random ones, taken from a supply: asking the system for each costs more than sealing. */
function makeNonces(): () => Buffer {
  let supply = Buffer.alloc(0);
  return () => {
    if (supply.length === 0) supply = randomBytes(1024 * NONCE);
    const nonce = supply.subarray(0, NONCE);
    supply = supply.subarray(NONCE);
    return nonce;
  };
}

type Written = readonly [
  agent: number,
  expires: number,
  path: string,
  after: string,
  parameters: readonly Parameter[],
];

function unsealed<T>(key: KeyObject, text: string): T | undefined {
  try {
    const bytes = Buffer.from(text, 'base64url');
    const form = bytes.subarray(0, 1);
    const decipher = createDecipheriv(CIPHER, key, bytes.subarray(1, 1 + NONCE), { authTagLength: TAG });
    decipher.setAAD(form).setAuthTag(bytes.subarray(-TAG));
    const body = Buffer.concat([decipher.update(bytes.subarray(1 + NONCE, -TAG)), decipher.final()]);
    return JSON.parse((form[0] === DEFLATED ? inflateRawSync(body) : body).toString()) as T;
  } catch {
    return undefined;
  }
}

const damaged = () => invalid('value', 'This page link is damaged: begin again with the first page');
