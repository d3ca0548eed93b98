/** A DIMSE service class provider for modalities that have no DICOMweb: C-ECHO and C-STORE (PS3.4 §A, §B; PS3.7 §9). */
import { createServer, type Server, type Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { Refusal } from '../../fhir/outcome.ts';
import type { Caller } from '../../records/records.ts';
import type { ImagingContext } from '../context.ts';
import type { Dataset } from '../dicom/element.ts';
import { fileMeta } from '../dicom/encode.ts';
import { parseDataset, textOf } from '../dicom/parse.ts';
import { readWhole } from '../dicom/read.ts';
import { IMPLICIT_LE, isKnown } from '../dicom/syntaxes.ts';
import { REASONS } from '../instance.ts';
import { type Result, storeFile } from '../stow.ts';
import {
  type Association,
  aborted,
  accept,
  command,
  type DataValue,
  ProtocolError,
  readPdus,
  reject,
  released,
} from './pdu.ts';

export interface GatewayOptions {
  /** our application entity title */
  readonly title: string;
  /** titles of those who may send; a title proves nothing, so the network has to */
  readonly allowed: ReadonlySet<string>;
  /** in whose name what comes is written */
  readonly caller: () => Promise<Caller>;
}

const VERIFICATION = '1.2.840.10008.1.1';
const STORAGE = /^1\.2\.840\.10008\.5\.1\.4\.(?:1\.1|34)\./;
/** Of a command: it is followed by no dataset. */
const NO_DATASET = 0x0101;
const SILENCE = 120_000;
const LARGEST_COMMAND = 16 * 1024;
const MOST_ASSOCIATIONS = 50;

/** Makes the server; who calls it lets it listen. */
export function makeGateway(context: ImagingContext, options: GatewayOptions): Server {
  const { log } = context;
  const server = createServer((socket) => {
    socket.setTimeout(SILENCE, () => socket.destroy());
    socket.on('error', () => {});
    serve(context, options, socket).catch((fault) => {
      if (fault instanceof ProtocolError) socket.end(aborted());
      else {
        log.error(
          { name: (fault as Error)?.name, code: (fault as { code?: unknown })?.code },
          'an association failed',
        );
        socket.destroy();
      }
    });
  });
  server.maxConnections = MOST_ASSOCIATIONS;
  return server;
}

/** A file on its way in. */
interface Incoming {
  readonly context: number;
  readonly asked: Dataset;
  readonly bytes: PassThrough;
  readonly stored: Promise<Result>;
}

async function serve(context: ImagingContext, options: GatewayOptions, socket: Socket): Promise<void> {
  const syntaxes = new Map<number, string>();
  let established = false;
  let asking: Buffer[] = [];
  let incoming: Incoming | undefined;
  try {
    for await (const pdu of readPdus(socket.iterator({ destroyOnReturn: false }))) {
      if (pdu.kind === 'associate') {
        if (established) throw new ProtocolError('there is an association already');
        established = associate(options, socket, pdu.request, syntaxes);
        if (!established) return;
        continue;
      }
      if (!established) throw new ProtocolError('there is no association');
      if (pdu.kind !== 'data') {
        if (pdu.kind === 'release') socket.end(released());
        else socket.destroy();
        return;
      }
      for (const value of pdu.values) {
        if (!value.isCommand) {
          if (!incoming || incoming.context !== value.context)
            throw new ProtocolError('a dataset was not asked for');
          incoming = await take(socket, incoming, value);
          continue;
        }
        asking.push(Buffer.from(value.bytes));
        if (asking.reduce((sum, { length }) => sum + length, 0) > LARGEST_COMMAND)
          throw new ProtocolError('a command is too long');
        if (!value.isLast) continue;
        const asked = readCommand(context, Buffer.concat(asking));
        asking = [];
        incoming = begin(context, options, socket, syntaxes, value.context, asked);
      }
    }
  } finally {
    // What was broken off leaves nothing, also where it ends between two elements.
    incoming?.bytes.destroy(new ProtocolError('the association ended within a file'));
    await incoming?.stored.catch(() => {});
  }
}

/** Whether the association is accepted (PS3.8 §7.1). */
function associate(
  { title, allowed }: GatewayOptions,
  socket: Socket,
  request: Association,
  syntaxes: Map<number, string>,
): boolean {
  const { called, calling, contexts } = request;
  if (called !== title || !allowed.has(calling)) {
    socket.end(reject(called === title ? 3 : 7));
    return false;
  }
  const answered = contexts.map(({ id, abstractSyntax, transferSyntaxes }) => {
    const isOurs = abstractSyntax === VERIFICATION || STORAGE.test(abstractSyntax);
    const transferSyntax = isOurs ? transferSyntaxes.find(isKnown) : undefined;
    if (transferSyntax) syntaxes.set(id, transferSyntax);
    return { id, transferSyntax };
  });
  socket.write(accept(request, answered));
  return true;
}

function readCommand({ dictionary }: ImagingContext, bytes: Buffer): Dataset {
  try {
    return readWhole(bytes, parseDataset(dictionary, IMPLICIT_LE));
  } catch {
    throw new ProtocolError('a command is malformed');
  }
}

function numberIn(asked: Dataset, tag: number): number {
  const value = asked.find((element) => element.tag === tag)?.value;
  return value && value.length >= 2 ? value.readUInt16LE(0) : 0;
}

/** Answers what needs no dataset, and makes ready for one. */
function begin(
  context: ImagingContext,
  { caller }: GatewayOptions,
  socket: Socket,
  syntaxes: ReadonlyMap<number, string>,
  id: number,
  asked: Dataset,
): Incoming | undefined {
  const syntax = syntaxes.get(id);
  if (syntax === undefined) throw new ProtocolError('a presentation context was not accepted');
  switch (numberIn(asked, 0x00000100)) {
    case 0x0030:
      socket.write(response(id, asked, 0x0000));
      return undefined;
    case 0x0001: {
      const bytes = new PassThrough({ highWaterMark: 1024 * 1024 });
      const meta = fileMeta({
        sopClass: textOf(asked, 0x00000002) ?? '',
        sopInstance: textOf(asked, 0x00001000) ?? '',
        syntax,
      });
      // Whoever reads it may stop at what is no sound DICOM.
      bytes.on('error', () => {});
      bytes.write(meta);
      const stored = caller().then((who) => storeFile(context, who, bytes));
      stored.catch(() => bytes.resume());
      return { context: id, asked, bytes, stored };
    }
    default:
      throw new ProtocolError('only C-ECHO and C-STORE are served');
  }
}

/** The next bytes of a dataset; after the last the answer. */
async function take(
  socket: Socket,
  incoming: Incoming,
  { bytes, isLast }: DataValue,
): Promise<Incoming | undefined> {
  const { context, asked, stored } = incoming;
  const file = incoming.bytes;
  if (!file.destroyed && !file.write(Buffer.from(bytes)))
    await Promise.race([new Promise((resume) => file.once('drain', resume)), stored.catch(() => {})]);
  if (!isLast) return incoming;
  file.end();
  socket.write(response(context, asked, await statusOf(stored)));
  return undefined;
}

/** Statuses of C-STORE (PS3.4 table B.2-1). */
async function statusOf(stored: Promise<Result>): Promise<number> {
  try {
    return (await stored).reason ?? 0x0000;
  } catch (fault) {
    if (!(fault instanceof Refusal)) throw fault;
    return fault.status === 403
      ? REASONS.notAuthorized
      : fault.status === 507
        ? REASONS.outOfResources
        : REASONS.processing;
  }
}

/** The command that answers, in Implicit VR Little Endian (PS3.7 §6.3.1). */
function response(context: number, asked: Dataset, status: number): Buffer {
  const uids = [0x00000002, 0x00001000].map((tag) => [tag, textOf(asked, tag)] as const);
  const elements = [
    ...uids
      .filter(([tag, uid]) => tag === 0x00000002 && uid)
      .map(([tag, uid]) => uidElement(tag, uid as string)),
    numberElement(0x00000100, numberIn(asked, 0x00000100) | 0x8000),
    numberElement(0x00000120, numberIn(asked, 0x00000110)),
    numberElement(0x00000800, NO_DATASET),
    numberElement(0x00000900, status),
    ...uids
      .filter(([tag, uid]) => tag === 0x00001000 && uid)
      .map(([tag, uid]) => uidElement(tag, uid as string)),
  ];
  const group = Buffer.concat(elements);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(group.length);
  return command(context, Buffer.concat([implicit(0x00000000, length), group]));
}

function implicit(tag: number, value: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt16LE(tag >>> 16, 0);
  head.writeUInt16LE(tag & 0xffff, 2);
  head.writeUInt32LE(value.length, 4);
  return Buffer.concat([head, value]);
}

function numberElement(tag: number, value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return implicit(tag, bytes);
}

const uidElement = (tag: number, uid: string): Buffer =>
  implicit(tag, Buffer.from(uid.length % 2 === 0 ? uid : `${uid}\0`, 'latin1'));
