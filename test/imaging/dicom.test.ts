/** DICOM files, read as they stream by, and as DICOM JSON (PS3.5, PS3.10, PS3.18 annex F). */
import { openDictionary } from '../../src/imaging/dicom/dictionary.ts';
import { encode } from '../../src/imaging/dicom/encode.ts';
import { describe as describeFile } from '../../src/imaging/dicom/json.ts';
import { Malformed, type Part10, parseDataset, parsePart10 } from '../../src/imaging/dicom/parse.ts';
import { passing, readWhole } from '../../src/imaging/dicom/read.ts';
import { datasetOf, dicomFile, type Elements, encapsulated, SYNTAX, uint16 } from './files.ts';

const dictionary = openDictionary();
const read = (bytes: Buffer): Part10 => readWhole(bytes, parsePart10(dictionary));
const json = (elements: Elements, syntax?: string) =>
  describeFile(read(dicomFile(elements, syntax))).attributes;

/** Through the stream, in chunks of a size. */
async function streamed(bytes: Buffer, size: number): Promise<Part10> {
  async function* chunks() {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  }
  const passed: Uint8Array[] = [];
  const { chunks: out, parsed } = passing(chunks(), dictionary);
  for await (const chunk of out) passed.push(chunk);
  expect(Buffer.concat(passed).equals(bytes)).toBe(true);
  return parsed();
}

const SAMPLE: Elements = {
  '00080005': ['CS', 'ISO_IR 192'],
  '00080008': ['CS', 'ORIGINAL\\\\AXIAL'],
  '00100010': ['PN', 'Yamada^Tarou=山田^太郎'],
  '00280010': ['US', uint16(4)],
  '00081140': ['SQ', [{ '00081155': ['UI', '1.2.3'] }, { '00081155': ['UI', '1.2.4'] }]],
  '7FE00010': ['OW', Buffer.alloc(5000, 7)],
};

describe('PS3.18 F.2: DICOM JSON', () => {
  test.each([
    ['AT is 8 hexadecimal digits', ['AT', uint16(0x0062, 0x000b)], { vr: 'AT', Value: ['0062000B'] }],
    ['an empty value has no Value', ['DS', ''], { vr: 'DS' }],
    ['an empty one among others is null', ['CS', 'A\\\\B'], { vr: 'CS', Value: ['A', null, 'B'] }],
    ['DS and IS are numbers', ['DS', '1.50\\-2e3'], { vr: 'DS', Value: [1.5, -2000] }],
    ['what is no number stays a text', ['IS', '1x'], { vr: 'IS', Value: ['1x'] }],
    ['padding goes', ['LO', ' a b '], { vr: 'LO', Value: ['a b'] }],
    ['spaces at the beginning of a text stay', ['LT', ' a\\b '], { vr: 'LT', Value: [' a\\b'] }],
    ['a name of nothing but carets is empty', ['PN', '^^^^'], { vr: 'PN' }],
    [
      'groups of a name',
      ['PN', 'A^B=C=D'],
      { vr: 'PN', Value: [{ Alphabetic: 'A^B', Ideographic: 'C', Phonetic: 'D' }] },
    ],
    [
      'FL is the shortest number that it is',
      ['FL', Buffer.from(new Float32Array([0.1]).buffer)],
      { vr: 'FL', Value: [0.1] },
    ],
    [
      'a number that JSON has not',
      ['FD', Buffer.from(new Float64Array([NaN]).buffer)],
      { vr: 'FD', Value: ['NaN'] },
    ],
    [
      'a large number keeps its digits',
      ['UV', Buffer.alloc(8, 255)],
      { vr: 'UV', Value: ['18446744073709551615'] },
    ],
    ['short bytes are inline', ['OB', Buffer.from([1, 2])], { vr: 'OB', InlineBinary: 'AQI=' }],
    ['long ones are elsewhere', ['OB', Buffer.alloc(4000)], { vr: 'OB', BulkDataURI: '00291010' }],
    ['an empty sequence', ['SQ', []], { vr: 'SQ' }],
  ] as const)('%s', (_, given, shown) => {
    expect(json({ '00291010': given as never })['00291010']).toEqual(shown);
  });

  test('group lengths and file meta information are left out', () => {
    expect(Object.keys(json({ '00080000': ['UL', Buffer.alloc(4)], '00080060': ['CS', 'MR'] }))).toEqual([
      '00080060',
    ]);
  });

  test('Implicit VR: the dictionary tells, US or SS by Pixel Representation, what is private is UN', () => {
    const elements: Elements = {
      '00280103': ['US', uint16(1)],
      '00280106': ['SS', uint16(0xffff)],
      '00290010': ['LO', 'CREATOR'],
      '00291001': ['LO', 'secret'],
      '7FE00010': ['OW', uint16(1, 2)],
    };
    expect(json(elements, SYNTAX.implicit)).toEqual({
      '00280103': { vr: 'US', Value: [1] },
      '00280106': { vr: 'SS', Value: [-1] },
      '00290010': { vr: 'LO', Value: ['CREATOR'] },
      '00291001': { vr: 'UN', InlineBinary: Buffer.from('secret').toString('base64') },
      '7FE00010': { vr: 'OW', BulkDataURI: '7FE00010' },
    });
    const unsigned = json({ ...elements, '00280103': ['US', uint16(0)] }, SYNTAX.implicit);
    expect(unsigned['00280106']).toEqual({ vr: 'US', Value: [65535] });
  });

  test('Big Endian: the same as little endian, words in JSON little endian', () => {
    const bytes = dicomFile(
      { '00280010': ['US', Buffer.from([1, 2])], '00281201': ['OW', Buffer.from([1, 2])] },
      SYNTAX.bigEndian,
    );
    expect(describeFile(read(bytes)).attributes).toEqual({
      '00280010': { vr: 'US', Value: [258] },
      '00281201': { vr: 'OW', InlineBinary: Buffer.from([2, 1]).toString('base64') },
    });
  });

  test.each([
    ['ISO_IR 100', Buffer.from([0xc4]), 'Ä'],
    ['ISO_IR 144', Buffer.from([0xbb]), 'Л'],
    ['ISO_IR 192', Buffer.from('山'), '山'],
    ['\\ISO 2022 IR 87', Buffer.from([0x1b, 0x24, 0x42, 0x3b, 0x33, 0x1b, 0x28, 0x42]), '山'],
    ['\\ISO 2022 IR 149', Buffer.from([0x1b, 0x24, 0x29, 0x43, 0xb1, 0xe8]), '김'],
    ['GB18030', Buffer.from([0xcd, 0xf5]), '王'],
  ])('PS3.3 C.12.1.1.2: texts in %s', (set, bytes, text) => {
    expect(json({ '00080005': ['CS', set], '00100020': ['LO', bytes] })['00100020']?.Value).toEqual([text]);
  });
});

describe('PS3.10 7: files', () => {
  test.each([1, 3, 64, 100_000])('in chunks of %i bytes, whatever the transfer syntax', async (size) => {
    for (const syntax of [SYNTAX.explicit, SYNTAX.implicit, SYNTAX.deflated]) {
      const bytes = dicomFile(SAMPLE, syntax);
      const { attributes, bulk } = describeFile(await streamed(bytes, size));
      expect(attributes['00100010']?.Value).toEqual([
        { Alphabetic: 'Yamada^Tarou', Ideographic: '山田^太郎' },
      ]);
      expect(attributes['00081140']?.Value).toHaveLength(2);
      const { offset, length } = bulk['7FE00010']!;
      expect(length).toBe(5000);
      if (syntax !== SYNTAX.deflated)
        expect(bytes.subarray(offset, offset + length).every((one) => one === 7)).toBe(true);
    }
  });

  test('PS3.5 A.4: where fragments of encapsulated pixel data are', async () => {
    const pixels = encapsulated([Buffer.from('ab'), Buffer.from('cdef')], [0, 10]);
    const bytes = Buffer.concat([dicomFile({ '00280008': ['IS', '2'] }, SYNTAX.rle), pixels]);
    const { dataset } = await streamed(bytes, 7);
    const { fragments, offsets } = dataset.at(-1)!;
    expect(offsets).toEqual([0, 10]);
    expect(fragments!.map(({ offset, length }) => bytes.toString('latin1', offset, offset + length))).toEqual(
      ['ab', 'cdef'],
    );
  });

  test('PS3.5 6.2.2: UN of undefined length is a sequence in Implicit VR', () => {
    const inner = datasetOf({ '00081155': ['UI', '1.2.3'] }, SYNTAX.implicit);
    const item = Buffer.alloc(8);
    item.writeUInt16LE(0xfffe, 0);
    item.writeUInt16LE(0xe000, 2);
    item.writeUInt32LE(inner.length, 4);
    const head = Buffer.from([0x29, 0, 0x10, 0x10, 0x55, 0x4e, 0, 0, 255, 255, 255, 255]);
    const end = Buffer.from([0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0]);
    const file = Buffer.concat([dicomFile({ '00080060': ['CS', 'MR'] }), head, item, inner, end]);
    expect(describeFile(read(file)).attributes['00291010']).toEqual({
      vr: 'SQ',
      Value: [{ '00081155': { vr: 'UI', Value: ['1.2.3'] } }],
    });
  });

  const whole = dicomFile(SAMPLE);
  test.each([
    ['no DICOM at all', Buffer.from('hello'.repeat(100)), /DICM/],
    ['shorter than a preamble', Buffer.alloc(10), /middle/],
    ['cut within a value', whole.subarray(0, whole.length - 10), /middle/],
    ['cut within an element', Buffer.concat([whole, Buffer.from([1, 2, 3])]), /middle/],
    [
      'without a transfer syntax',
      Buffer.concat([Buffer.alloc(128), Buffer.from('DICM'), datasetOf({ '00080060': ['CS', 'MR'] })]),
      /Transfer Syntax/,
    ],
    [
      'deflated, but is not',
      Buffer.concat([dicomFile({}, SYNTAX.deflated).subarray(0, -2), Buffer.alloc(50, 255)]),
      /inflate|ends/,
    ],
  ])('%s: Malformed, and no other fault', async (_, bytes, message) => {
    for (const size of [13, 10_000])
      await expect(streamed(Buffer.from(bytes), size)).rejects.toThrow(message);
    await expect(streamed(Buffer.from(bytes), 13)).rejects.toBeInstanceOf(Malformed);
  });

  test('sequences within sequences without end are refused', () => {
    let elements: Elements = { '00080060': ['CS', 'MR'] };
    for (let i = 0; i < 40; i++) elements = { '00081140': ['SQ', [elements]] };
    expect(() => read(dicomFile(elements))).toThrow(/nested/);
  });
});

describe('PS3.5 7.1.2: datasets written in Explicit VR Little Endian', () => {
  test.each([SYNTAX.explicit, SYNTAX.implicit])('of one in %s, without loss', async (syntax) => {
    const bytes = dicomFile(SAMPLE, syntax);
    const { dataset } = read(bytes);
    const pieces: Uint8Array[] = [];
    const open = async function* ({ offset, length }: { offset: number; length: number }) {
      yield bytes.subarray(offset, offset + length);
    };
    for await (const piece of encode(dataset, { bigEndian: false, open })) pieces.push(piece);
    const again = readWhole(Buffer.concat(pieces), parseDataset(dictionary, SYNTAX.explicit));
    const described = { syntax: read(bytes).syntax, dataset: again };
    expect(describeFile(described).attributes).toEqual(describeFile(read(bytes)).attributes);
  });
});
