/**
 * What a browser brings of a passkey, checked (Web Authentication Level 3, §7.1 and §7.2). Browsers tell the public key of a
 * new one as SubjectPublicKeyInfo (`getPublicKey()`), so that no CBOR is read here. Which make of device holds it
 * (attestation) is not asked: who registers one has signed in, and could bring any key.
 */
import { createHash, createPublicKey, verify } from 'node:crypto';

/** Whom a passkey is for: this server. */
export interface RelyingParty {
  /** host name */
  readonly id: string;
  readonly origin: string;
}

/** What was made or used, as the page sends it; bytes are base64url. */
export interface Response {
  readonly id: string;
  readonly clientDataJSON: string;
  readonly authenticatorData: string;
  /** of a new one */
  readonly publicKey?: string;
  /** of one that is used */
  readonly signature?: string;
}

/** §6.1: where in the authenticator data what is. */
const FLAGS = 32;
const COUNTER = 33;
const CREDENTIAL = 53;

/** Somebody touched it, and was recognized by it (a finger, a PIN); it brings its key along. */
const PRESENT = 0x01;
const VERIFIED = 0x04;
const BRINGS_KEY = 0x40;

/** Of what the page has sent; undefined where it is not of that form. */
export function readResponse(text: unknown): Response | undefined {
  if (typeof text !== 'string' || text.length > 20_000) return undefined;
  try {
    const read = JSON.parse(text) as Record<string, unknown>;
    const { id, clientDataJSON, authenticatorData, publicKey, signature } = read;
    const all = { id, clientDataJSON, authenticatorData, publicKey, signature };
    const given = Object.entries(all).filter(([, value]) => value !== undefined);
    if (!id || given.some(([, value]) => typeof value !== 'string')) return undefined;
    return Object.fromEntries(given) as unknown as Response;
  } catch {
    return undefined;
  }
}

/** The challenge that a response answers; nothing of it is believed yet. */
export function challengeOf({ clientDataJSON }: Response): string {
  try {
    return String(JSON.parse(bytesOf(clientDataJSON).toString()).challenge);
  } catch {
    return '';
  }
}

/**
 * A new passkey, where the response makes one.
 *
 * @param challenge that was given out for it, once
 * @returns         undefined where something is not right
 */
export function created(
  response: Response,
  challenge: string,
  party: RelyingParty,
): { readonly id: Buffer; readonly key: Buffer; readonly counter: number } | undefined {
  const data = bytesOf(response.authenticatorData);
  if (!isFor(response, 'webauthn.create', challenge, party)) return undefined;
  if (!isBy(data, party, PRESENT | VERIFIED | BRINGS_KEY)) return undefined;
  const id = bytesOf(response.id);
  const length = data.readUInt16BE(CREDENTIAL);
  if (!data.subarray(CREDENTIAL + 2, CREDENTIAL + 2 + length).equals(id)) return undefined;
  const key = bytesOf(response.publicKey ?? '');
  return keyOf(key) && { id, key, counter: data.readUInt32BE(COUNTER) };
}

/**
 * Whether a passkey was used for this.
 *
 * @param kept as `created` told it
 * @returns    its counter now; undefined where it is not right, or the counter tells of a copy
 */
export function used(
  response: Response,
  challenge: string,
  party: RelyingParty,
  kept: { readonly key: Buffer; readonly counter: number },
): number | undefined {
  const data = bytesOf(response.authenticatorData);
  if (!isFor(response, 'webauthn.get', challenge, party)) return undefined;
  if (!isBy(data, party, PRESENT | VERIFIED)) return undefined;
  const client = createHash('sha256').update(bytesOf(response.clientDataJSON)).digest();
  const key = keyOf(kept.key);
  const signature = bytesOf(response.signature ?? '');
  if (!key || !verify('sha256', Buffer.concat([data, client]), key, signature)) return undefined;
  const counter = data.readUInt32BE(COUNTER);
  const isCounting = counter !== 0 || kept.counter !== 0;
  return isCounting && counter <= kept.counter ? undefined : counter;
}

/** §7.2 steps 11 to 13: what the browser says it was asked, by which page. */
function isFor(response: Response, type: string, challenge: string, { origin }: RelyingParty): boolean {
  try {
    const told = JSON.parse(bytesOf(response.clientDataJSON).toString()) as Record<string, unknown>;
    return (
      told.type === type &&
      told.challenge === challenge &&
      told.origin === origin &&
      told.crossOrigin !== true
    );
  } catch {
    return false;
  }
}

/** Steps 15 to 17: what the device says, of whom. */
function isBy(data: Buffer, { id }: RelyingParty, flags: number): boolean {
  if (data.length < (flags & BRINGS_KEY ? CREDENTIAL + 2 : COUNTER + 4)) return false;
  const hash = createHash('sha256').update(id).digest();
  return data.subarray(0, FLAGS).equals(hash) && ((data[FLAGS] as number) & flags) === flags;
}

/** ES256 and RS256, which were asked for. */
function keyOf(spki: Buffer) {
  try {
    const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
    return key.asymmetricKeyType === 'ec' || key.asymmetricKeyType === 'rsa' ? key : undefined;
  } catch {
    return undefined;
  }
}

const bytesOf = (text: string): Buffer => Buffer.from(text, 'base64url');
