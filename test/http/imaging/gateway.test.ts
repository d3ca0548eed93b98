/** DIMSE (PS3.7, PS3.8): C-ECHO and C-STORE of modalities, and what is refused. */
import { once } from 'node:events';
import { connect, type Server, type Socket } from 'node:net';
import { datasetOf, image, SYNTAX } from '../../imaging/files.ts';
import { startApp, type TestApp } from '../app.ts';
import { dicomwebOf } from './dicomweb.ts';

let app: TestApp;
let gateway: Server;
let port: number;
const { find, send } = dicomwebOf(() => app);

beforeAll(async () => {
  app = await startApp();
  const { imaging, records } = app.app;
  gateway = imaging.gateway({ title: 'OURS', allowed: new Set(['MODALITY']), caller: records.operator });
  gateway.listen(0, '127.0.0.1');
  await once(gateway, 'listening');
  ({ port } = gateway.address() as { port: number });
});
afterAll(async () => {
  gateway.close();
  await app.close();
});

const MR = '1.2.840.10008.5.1.4.1.1.4';
const ECHO = '1.2.840.10008.1.1';

const item = (type: number, content: Buffer): Buffer => {
  const head = Buffer.alloc(4);
  head[0] = type;
  head.writeUInt16BE(content.length, 2);
  return Buffer.concat([head, content]);
};
const pdu = (type: number, content: Buffer): Buffer => {
  const head = Buffer.alloc(6);
  head[0] = type;
  head.writeUInt32BE(content.length, 2);
  return Buffer.concat([head, content]);
};
const text = (of: string) => Buffer.from(of, 'latin1');

function associate(
  called: string,
  calling: string,
  contexts: readonly (readonly [string, string])[],
): Buffer {
  const head = Buffer.alloc(68);
  head.writeUInt16BE(1, 0);
  head.write(called.padEnd(16), 4, 'latin1');
  head.write(calling.padEnd(16), 20, 'latin1');
  return pdu(
    1,
    Buffer.concat([
      head,
      item(0x10, text('1.2.840.10008.3.1.1.1')),
      ...contexts.map(([abstract, transfer], i) =>
        item(
          0x20,
          Buffer.concat([
            Buffer.from([2 * i + 1, 0, 0, 0]),
            item(0x30, text(abstract)),
            item(0x40, text(transfer)),
          ]),
        ),
      ),
      item(0x50, item(0x51, Buffer.from([0, 0, 0x40, 0]))),
    ]),
  );
}

/** Data values of at most 1000 bytes, each in a PDU. */
function data(context: number, isCommand: boolean, bytes: Buffer): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; at === 0 || at < bytes.length; at += 1000) {
    const piece = bytes.subarray(at, at + 1000);
    const head = Buffer.alloc(6);
    head.writeUInt32BE(piece.length + 2, 0);
    head[4] = context;
    head[5] = (isCommand ? 1 : 0) | (at + 1000 >= bytes.length ? 2 : 0);
    pieces.push(pdu(4, Buffer.concat([head, piece])));
  }
  return Buffer.concat(pieces);
}

function commandOf(field: number, sopClass: string, instance?: string): Buffer {
  const us = (value: number) => Buffer.from([value & 255, value >> 8]);
  return datasetOf(
    {
      '00000002': ['UI', sopClass],
      '00000100': ['US', us(field)],
      '00000110': ['US', us(7)],
      '00000800': ['US', us(instance ? 1 : 0x0101)],
      ...(instance ? { '00001000': ['UI', instance] as const } : {}),
    },
    SYNTAX.implicit,
  );
}

async function open(
  first: Buffer,
): Promise<{ socket: Socket; next: () => Promise<Buffer>; ended: Promise<unknown> }> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  const ended = once(socket, 'close');
  let held = Buffer.alloc(0);
  const iterator = socket.iterator({ destroyOnReturn: false });
  socket.write(first);
  return {
    socket,
    ended,
    async next() {
      for (;;) {
        const length = held.length >= 6 ? held.readUInt32BE(2) + 6 : Number.POSITIVE_INFINITY;
        if (held.length >= length) {
          const one = held.subarray(0, length);
          held = held.subarray(length);
          return one;
        }
        const { done, value } = await iterator.next();
        if (done) throw new Error('ended');
        held = Buffer.concat([held, value]);
      }
    },
  };
}

/** Status of a response: the last value of (0000,0900). */
const statusOf = (answer: Buffer): number =>
  answer.readUInt16LE(answer.indexOf(Buffer.from([0, 0, 0, 9, 2, 0, 0, 0])) + 8);

/** The dataset of a file, in the same syntax. */
const datasetIn = (file: Buffer): Buffer => file.subarray(144 + file.readUInt32LE(140));

test('PS3.7 9.1.5: C-ECHO', async () => {
  const { socket, next } = await open(associate('OURS', 'MODALITY', [[ECHO, SYNTAX.implicit]]));
  expect((await next())[0]).toBe(2);
  socket.write(data(1, true, commandOf(0x30, ECHO)));
  expect(statusOf(await next())).toBe(0);
  socket.write(pdu(5, Buffer.alloc(4)));
  expect((await next())[0]).toBe(6);
});

test('PS3.4 B.2: C-STORE, several over one association, and the same once more', async () => {
  const { socket, next } = await open(
    associate('OURS', 'MODALITY', [
      [MR, SYNTAX.explicit],
      [MR, SYNTAX.implicit],
    ]),
  );
  expect((await next())[0]).toBe(2);
  const statuses: number[] = [];
  for (const [context, instance, syntax] of [
    [1, '4.1.1.1', SYNTAX.explicit],
    [3, '4.1.1.2', SYNTAX.implicit],
    [1, '4.1.1.1', SYNTAX.explicit],
  ] as const) {
    const file = image({ study: '4.1', instance, patient: 'G', frames: 40 }, syntax);
    socket.write(data(context, true, commandOf(1, MR, instance)));
    socket.write(data(context, false, datasetIn(file)));
    statuses.push(statusOf(await next()));
  }
  expect(statuses).toEqual([0, 0, 0]);
  socket.end();
  expect(await find('/studies/4.1/instances')).toHaveLength(2);
  const { body } = await send('get', '/studies/4.1/series/4.1.1/instances/4.1.1.2').set(
    'Accept',
    'application/dicom; transfer-syntax=*',
  );
  expect(datasetIn(body)).toEqual(
    datasetIn(image({ study: '4.1', instance: '4.1.1.2', patient: 'G', frames: 40 }, SYNTAX.implicit)),
  );
});

test('what cannot be taken has its status', async () => {
  const { socket, next } = await open(associate('OURS', 'MODALITY', [[MR, SYNTAX.explicit]]));
  await next();
  const store = async (file: Buffer, instance: string) => {
    socket.write(data(1, true, commandOf(1, MR, instance)));
    socket.write(data(1, false, file));
    return statusOf(await next());
  };
  expect(await store(datasetIn(image({ study: '4.2', instance: '4.2.1.1', patient: '' })), '4.2.1.1')).toBe(
    0x0110,
  );
  expect(await store(Buffer.alloc(5000, 65), '4.2.1.2')).toBe(0xc000);
  expect(await store(datasetIn(image({ study: '4.2', instance: '4.2.1.3', patient: 'H' })), '4.2.1.3')).toBe(
    0,
  );
  socket.end();
});

test.each([
  ['of an unknown sender', associate('OURS', 'STRANGER', [[ECHO, SYNTAX.implicit]]), 3],
  ['to another title', associate('THEIRS', 'MODALITY', [[ECHO, SYNTAX.implicit]]), 7],
])('PS3.8 9.3.4: an association %s is rejected', async (_, request, reason) => {
  const { next } = await open(request);
  const answer = await next();
  expect([answer[0], answer[9]]).toEqual([3, reason]);
});

test('PS3.8 9.3.3.2: a presentation context that is not served is not accepted', async () => {
  const { socket, next } = await open(
    associate('OURS', 'MODALITY', [
      ['1.2.840.10008.5.1.4.1.2.2.1', SYNTAX.implicit],
      [MR, '9.9.9'],
      [ECHO, SYNTAX.implicit],
    ]),
  );
  const answer = await next();
  const result = (id: number, of: number): boolean => answer.includes(Buffer.from([id, 0, of, 0, 0x40]));
  expect([result(1, 4), result(3, 4), result(5, 0)]).toEqual([true, true, true]);
  socket.end();
});

test.each([
  ['no DIMSE', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
  ['a PDU that is too long', Buffer.from([4, 0, 255, 255, 255, 255])],
  ['data before an association', data(1, true, commandOf(0x30, ECHO))],
  ['a malformed association', pdu(1, Buffer.alloc(10))],
])('%s ends the connection', async (_, bytes) => {
  const { socket, ended } = await open(bytes);
  socket.resume();
  await ended;
});

test('a file that is broken off leaves nothing', async () => {
  const { socket, next } = await open(associate('OURS', 'MODALITY', [[MR, SYNTAX.explicit]]));
  await next();
  const file = datasetIn(image({ study: '4.3', instance: '4.3.1.1', patient: 'K', frames: 40 }));
  socket.write(data(1, true, commandOf(1, MR, '4.3.1.1')));
  socket.write(data(1, false, file).subarray(0, 1500));
  socket.destroy();
  expect(await find('/studies?StudyInstanceUID=4.3')).toEqual([]);
});
