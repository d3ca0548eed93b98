/** Protocol data units of the upper layer (PS3.8 §9.3), of an acceptor that stores. */

export type Pdu =
  | { readonly kind: 'associate'; readonly request: Association }
  | { readonly kind: 'data'; readonly values: readonly DataValue[] }
  | { readonly kind: 'release' | 'abort' };

/** A-ASSOCIATE-RQ */
export interface Association {
  readonly called: string;
  readonly calling: string;
  readonly contexts: readonly Proposed[];
  /** longest PDU that the other side takes, in bytes; 0: any */
  readonly longest: number;
}

/** A presentation context. */
export interface Proposed {
  readonly id: number;
  readonly abstractSyntax: string;
  readonly transferSyntaxes: readonly string[];
}

/** A presentation data value. */
export interface DataValue {
  readonly context: number;
  readonly isCommand: boolean;
  readonly isLast: boolean;
  readonly bytes: Buffer;
}

/** Thrown where the other side does not keep to the protocol. */
export class ProtocolError extends Error {}

/** Longest PDU that we take: it is in memory as a whole. */
export const LONGEST = 256 * 1024;
const APPLICATION = '1.2.840.10008.3.1.1.1';
const IMPLEMENTATION = '2.25.221890274918263726158303645227411370612';

/** The PDUs of a connection, as they come. */
export async function* readPdus(socket: AsyncIterable<Buffer>): AsyncGenerator<Pdu> {
  let held: Buffer = Buffer.alloc(0);
  for await (const bytes of socket) {
    held = held.length === 0 ? bytes : Buffer.concat([held, bytes]);
    while (held.length >= 6) {
      const length = held.readUInt32BE(2);
      if (length > LONGEST) throw new ProtocolError('a PDU is too long');
      if (held.length < 6 + length) break;
      yield pduOf(held[0] as number, held.subarray(6, 6 + length));
      held = held.subarray(6 + length);
    }
  }
}

function pduOf(type: number, bytes: Buffer): Pdu {
  switch (type) {
    case 0x01:
      return { kind: 'associate', request: associationOf(bytes) };
    case 0x04:
      return { kind: 'data', values: [...dataValues(bytes)] };
    case 0x05:
      return { kind: 'release' };
    case 0x07:
      return { kind: 'abort' };
    default:
      throw new ProtocolError('a PDU of this type is not expected');
  }
}

function* dataValues(bytes: Buffer): Generator<DataValue> {
  for (let at = 0; at < bytes.length; ) {
    const length = at + 4 <= bytes.length ? bytes.readUInt32BE(at) : 0;
    if (length < 2 || at + 4 + length > bytes.length) throw new ProtocolError('a data value is malformed');
    const control = bytes[at + 5] as number;
    yield {
      context: bytes[at + 4] as number,
      isCommand: (control & 1) === 1,
      isLast: (control & 2) === 2,
      bytes: bytes.subarray(at + 6, at + 4 + length),
    };
    at += 4 + length;
  }
}

/** Items: a type, a length of 16 bits, and what they hold. */
function* items(bytes: Buffer, from: number): Generator<readonly [type: number, content: Buffer]> {
  for (let at = from; at < bytes.length; ) {
    const length = at + 4 <= bytes.length ? bytes.readUInt16BE(at + 2) : bytes.length;
    if (at + 4 + length > bytes.length) throw new ProtocolError('an item is malformed');
    yield [bytes[at] as number, bytes.subarray(at + 4, at + 4 + length)];
    at += 4 + length;
  }
}

const textOf = (bytes: Buffer): string => bytes.toString('latin1').replaceAll('\0', '').trim();

function associationOf(bytes: Buffer): Association {
  if (bytes.length < 68) throw new ProtocolError('an A-ASSOCIATE-RQ is too short');
  const contexts: Proposed[] = [];
  let longest = 0;
  for (const [type, content] of items(bytes, 68)) {
    if (type === 0x20 && content.length >= 4) contexts.push(contextOf(content));
    if (type !== 0x50) continue;
    for (const [inner, value] of items(content, 0))
      if (inner === 0x51 && value.length === 4) longest = value.readUInt32BE(0);
  }
  return {
    called: textOf(bytes.subarray(4, 20)),
    calling: textOf(bytes.subarray(20, 36)),
    contexts,
    longest,
  };
}

function contextOf(content: Buffer): Proposed {
  let abstractSyntax = '';
  const transferSyntaxes: string[] = [];
  for (const [type, value] of items(content, 4)) {
    if (type === 0x30) abstractSyntax = textOf(value);
    if (type === 0x40) transferSyntaxes.push(textOf(value));
  }
  return { id: content[0] as number, abstractSyntax, transferSyntaxes };
}

function item(type: number, content: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head[0] = type;
  head.writeUInt16BE(content.length, 2);
  return Buffer.concat([head, content]);
}

function pdu(type: number, content: Buffer): Buffer {
  const head = Buffer.alloc(6);
  head[0] = type;
  head.writeUInt32BE(content.length, 2);
  return Buffer.concat([head, content]);
}

/** A presentation context as it is answered: with the transfer syntax that is taken, or none. */
export interface Answered {
  readonly id: number;
  readonly transferSyntax?: string | undefined;
}

/** Of A-ASSOCIATE-AC (PS3.8 §9.3.3.2): abstract syntax not supported, transfer syntaxes not supported. */
const ACCEPTED = 0;
const NO_SYNTAX = 4;

export function accept({ called, calling }: Association, contexts: readonly Answered[]): Buffer {
  const head = Buffer.alloc(68);
  head.writeUInt16BE(1, 0);
  head.write(called.padEnd(16), 4, 16, 'latin1');
  head.write(calling.padEnd(16), 20, 16, 'latin1');
  const longest = Buffer.alloc(4);
  longest.writeUInt32BE(LONGEST);
  return pdu(
    0x02,
    Buffer.concat([
      head,
      item(0x10, Buffer.from(APPLICATION)),
      ...contexts.map(({ id, transferSyntax }) =>
        item(
          0x21,
          Buffer.concat([
            Buffer.from([id, 0, transferSyntax ? ACCEPTED : NO_SYNTAX, 0]),
            item(0x40, Buffer.from(transferSyntax ?? '1.2.840.10008.1.2')),
          ]),
        ),
      ),
      item(0x50, Buffer.concat([item(0x51, longest), item(0x52, Buffer.from(IMPLEMENTATION))])),
    ]),
  );
}

/** A-ASSOCIATE-RJ, for good, by the user: 3 calling AE title, 7 called AE title not recognized. */
export const reject = (reason: 3 | 7): Buffer => pdu(0x03, Buffer.from([0, 1, 1, reason]));

export const released = (): Buffer => pdu(0x06, Buffer.alloc(4));

/** By the provider, for an invalid PDU. */
export const aborted = (): Buffer => pdu(0x07, Buffer.from([0, 0, 2, 6]));

/** A command, which is short, as one data value. */
export function command(context: number, bytes: Buffer): Buffer {
  const head = Buffer.alloc(6);
  head.writeUInt32BE(bytes.length + 2, 0);
  head[4] = context;
  head[5] = 3;
  return pdu(0x04, Buffer.concat([head, bytes]));
}
