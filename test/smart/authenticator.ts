/** A device that holds passkeys (Web Authentication Level 3 §6), as much of one as its answers need. */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

export interface Told {
  readonly id: string;
  readonly rawId: string;
  readonly type: 'public-key';
  readonly clientExtensionResults: object;
  readonly response: Record<string, string>;
}

/** What is otherwise than it should be. */
export interface Otherwise {
  readonly origin?: string;
  readonly rpId?: string;
  readonly challenge?: string;
  readonly type?: string;
  /** UP 0x01, UV 0x04 */
  readonly flags?: number;
  readonly counter?: number;
  readonly userHandle?: string;
  readonly key?: KeyObject;
}

interface Options {
  readonly challenge: string;
  readonly rp?: { readonly id: string };
  readonly rpId?: string;
  readonly user?: { readonly id: string };
}

const USED = 0x05;
const MADE = 0x40;

export class Authenticator {
  readonly #origin: string;
  readonly #id = randomBytes(16);
  readonly #keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  #user = '';
  #counter = 0;

  constructor(origin: string) {
    this.#origin = origin;
  }

  /** SubjectPublicKeyInfo of its key. */
  get spki(): Buffer {
    return this.#keys.publicKey.export({ format: 'der', type: 'spki' });
  }

  /** §7.1: a new passkey, by the options of the server. */
  make(options: Options, otherwise: Otherwise = {}): Told {
    this.#user = options.user?.id ?? '';
    const { x = '', y = '' } = this.#keys.publicKey.export({ format: 'jwk' });
    // COSE_Key of ES256 on P-256 (RFC 9053 §7.1.1)
    const key = Buffer.concat([
      Buffer.from('a5010203262001215820', 'hex'),
      Buffer.from(x, 'base64url'),
      Buffer.from('225820', 'hex'),
      Buffer.from(y, 'base64url'),
    ]);
    const credential = Buffer.concat([Buffer.alloc(16), Buffer.from([0, this.#id.length]), this.#id, key]);
    const data = this.#data(options.rp?.id ?? '', { flags: USED, ...otherwise }, credential);
    // {"fmt": "none", "attStmt": {}, "authData": bytes}
    const attestation = Buffer.concat([
      Buffer.from('a363666d74646e6f6e656761747453746d74a068617574684461746159', 'hex'),
      Buffer.from([data.length >> 8, data.length & 0xff]),
      data,
    ]);
    return this.#told({
      clientDataJSON: this.#client('webauthn.create', options, otherwise).toString('base64url'),
      attestationObject: attestation.toString('base64url'),
    });
  }

  /** §7.2: uses it. */
  use(options: Options, otherwise: Otherwise = {}): Told {
    this.#counter += 1;
    const data = this.#data(options.rpId ?? '', { flags: USED, counter: this.#counter, ...otherwise });
    const client = this.#client('webauthn.get', options, otherwise);
    const signed = Buffer.concat([data, createHash('sha256').update(client).digest()]);
    return this.#told({
      clientDataJSON: client.toString('base64url'),
      authenticatorData: data.toString('base64url'),
      signature: sign('sha256', signed, otherwise.key ?? this.#keys.privateKey).toString('base64url'),
      userHandle: otherwise.userHandle ?? this.#user,
    });
  }

  #data(rpId: string, otherwise: Otherwise, credential?: Buffer): Buffer {
    const { flags = USED, counter = 0 } = otherwise;
    const head = Buffer.alloc(5);
    head[0] = credential ? flags | MADE : flags;
    head.writeUInt32BE(counter, 1);
    const hash = createHash('sha256')
      .update(otherwise.rpId ?? rpId)
      .digest();
    return Buffer.concat([hash, head, credential ?? Buffer.alloc(0)]);
  }

  #client(type: string, options: Options, otherwise: Otherwise): Buffer {
    return Buffer.from(
      JSON.stringify({
        type: otherwise.type ?? type,
        challenge: otherwise.challenge ?? options.challenge,
        origin: otherwise.origin ?? this.#origin,
        crossOrigin: false,
      }),
    );
  }

  #told(response: Record<string, string>): Told {
    const id = this.#id.toString('base64url');
    return { id, rawId: id, type: 'public-key', clientExtensionResults: {}, response };
  }
}
