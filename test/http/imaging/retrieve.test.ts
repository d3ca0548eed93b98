/** QIDO-RS, WADO-RS and WADO-URI (PS3.18 §8.3, §8.7, §9, §10.4, §10.6). */
import { openDictionary } from '../../../src/imaging/dicom/dictionary.ts';
import { describe as describeFile } from '../../../src/imaging/dicom/json.ts';
import { parsePart10 } from '../../../src/imaging/dicom/parse.ts';
import { readWhole } from '../../../src/imaging/dicom/read.ts';
import { encapsulated, image, SYNTAX, uint16 } from '../../imaging/files.ts';
import { startApp, type TestApp } from '../app.ts';
import { dicomwebOf, type Json, jsonOf, partsOf, value } from './dicomweb.ts';

let app: TestApp;
const { send, stow, find } = dicomwebOf(() => app);

const ONE = '/studies/1.1/series/1.1.1/instances/1.1.1.1';
const BIG = '/studies/1.1/series/1.1.1/instances/1.1.1.2';
const RLE = '/studies/1.2/series/1.2.1/instances/1.2.1.1';
const one = image({ study: '1.1', instance: '1.1.1.1', patient: 'P1', frames: 3 });
const implicit = image({ study: '1.1', instance: '1.1.1.2', patient: 'P1', number: 2 }, SYNTAX.implicit);

/** A row of 64 equal bytes, as RLE has it (PS3.5 annex G). */
const rleFrame = (gray: number): Buffer => {
  const head = Buffer.alloc(64);
  head.writeUInt32LE(1, 0);
  head.writeUInt32LE(64, 4);
  return Buffer.concat([head, Buffer.from([257 - 64, gray])]);
};
const frames = [rleFrame(10), rleFrame(200)];
const rleHead = image(
  {
    study: '1.2',
    instance: '1.2.1.1',
    patient: 'P2',
    frames: 2,
    modality: 'CT',
    more: { '00080020': ['DA', '20250303'], '00100010': ['PN', 'Müller^Åke'], '7FE00010': ['OB', ''] },
  },
  SYNTAX.rle,
);
const rle = Buffer.concat([rleHead.subarray(0, rleHead.length - 12), encapsulated(frames, [0, 74])]);

beforeAll(async () => {
  app = await startApp();
  const answers = [await stow([one, implicit]), await stow([rle])];
  expect(answers.map(({ status }) => status)).toEqual([200, 200]);
});
afterAll(() => app.close());

const uids = (found: readonly Json[], tag = '0020000D') => found.map((item) => value(item, tag)).sort();

describe('PS3.18 10.6: QIDO-RS', () => {
  test.each([
    ['', ['1.1', '1.2']],
    ['?PatientName=lopez*', ['1.1']],
    ['?PatientName=LOPEZ%5EMARIA', ['1.1']],
    ['?PatientName=lopez', []],
    ['?PatientName=m*ller*', ['1.2']],
    ['?PatientName=muller^ake', ['1.2']],
    ['?PatientName=mar&fuzzymatching=true', ['1.1']],
    ['?PatientName=Maria%20Lop&fuzzymatching=true', ['1.1']],
    ['?PatientID=P?', ['1.1', '1.2']],
    ['?00100020=P2', ['1.2']],
    ['?StudyDate=20260102', ['1.1']],
    ['?StudyDate=20250101-20251231', ['1.2']],
    ['?StudyDate=-20260101', ['1.2']],
    ['?StudyDate=20260101-', ['1.1']],
    ['?StudyTime=10-11', ['1.1', '1.2']],
    ['?StudyTime=1015', ['1.1', '1.2']],
    ['?StudyTime=1016-', []],
    ['?ModalitiesInStudy=CT', ['1.2']],
    ['?ModalitiesInStudy=CT,MR', ['1.1', '1.2']],
    ['?AccessionNumber=A-1', ['1.1', '1.2']],
    ['?AccessionNumber=A*2', []],
    ['?StudyInstanceUID=1.1,1.7', ['1.1']],
    ['?StudyDescription=Knee&PatientID=P1', ['1.1']],
    ['?ReferringPhysicianName=house*', ['1.1', '1.2']],
    ['?PatientSex=', ['1.1', '1.2']],
  ])('/studies%s', async (query, expected) => {
    expect(uids(await find(`/studies${query}`))).toEqual(expected);
  });

  test.each([
    ['/series?Modality=CT', ['1.2.1'], '0020000E'],
    ['/studies/1.1/series', ['1.1.1'], '0020000E'],
    ['/studies/1.1/instances', ['1.1.1.1', '1.1.1.2'], '00080018'],
    ['/studies/1.1/series/1.1.1/instances?InstanceNumber=2', ['1.1.1.2'], '00080018'],
    ['/instances?SOPInstanceUID=1.2.1.1', ['1.2.1.1'], '00080018'],
    ['/instances?Rows=8&PatientID=P2', ['1.2.1.1'], '00080018'],
  ])('%s', async (path, expected, tag) => {
    expect(uids(await find(path), tag)).toEqual(expected);
  });

  test('10.6.3.3: what a study, a series and an instance are answered with', async () => {
    const [study] = await find('/studies?StudyInstanceUID=1.1');
    expect(study).toMatchObject({
      '00080020': { vr: 'DA', Value: ['20260102'] },
      '00080056': { vr: 'CS', Value: ['ONLINE'] },
      '00080061': { vr: 'CS', Value: ['MR'] },
      '00081190': { vr: 'UR', Value: ['https://fhir.example.org/dicomweb/studies/1.1'] },
      '00100010': { vr: 'PN', Value: [{ Alphabetic: 'Lopez^Maria' }] },
      '00201206': { vr: 'IS', Value: [1] },
      '00201208': { vr: 'IS', Value: [2] },
    });
    const [series] = await find('/studies/1.1/series');
    expect(series).toMatchObject({ '00080060': { Value: ['MR'] }, '00201209': { vr: 'IS', Value: [2] } });
    expect(series['00100010']).toBeUndefined();
    const [everywhere] = await find('/series?SeriesInstanceUID=1.1.1');
    expect(value(everywhere, '00100020')).toBe('P1');
    const [instance] = await find('/studies/1.1/instances?InstanceNumber=1');
    expect(instance).toMatchObject({ '00280008': { Value: [3] }, '00280010': { Value: [8] } });
    const [more] = await find('/instances?includefield=PatientID&includefield=00081030&InstanceNumber=2');
    expect([value(more, '00100020'), value(more, '00081030')]).toEqual(['P1', 'Knee']);
    const [all] = await find('/studies/1.1/instances?includefield=all');
    expect(value(all, '00280103')).toBe(0);
    expect(all['7FE00010']).toBeUndefined();
  });

  test('8.3.4.4: pages, X-Total-Count, and Warning 299 where there is more', async () => {
    const first = await send('get', '/instances?limit=2').set('Accept', '*/*').expect(200);
    expect(first.headers['content-type']).toBe('application/dicom+json');
    expect(first.headers['x-total-count']).toBe('3');
    expect(first.headers.warning).toMatch(/^299 .*exceeded/);
    const last = await send('get', '/instances?limit=2&offset=2').expect(200);
    expect(last.headers.warning).toBeUndefined();
    expect(uids([...jsonOf(first), ...jsonOf(last)], '00080018')).toEqual(['1.1.1.1', '1.1.1.2', '1.2.1.1']);
    expect(jsonOf(await send('get', '/studies?PatientID=nobody').expect(200))).toEqual([]);
  });

  test.each([
    ['/studies?Nothing=1', /Nothing/],
    ['/studies?Modality=MR', /each series/],
    ['/studies?StudyDate=2026', /day/],
    ['/studies?limit=-1', /limit/],
    ['/studies?fuzzymatching=perhaps', /fuzzymatching/],
    ['/studies?RequestAttributesSequence.StudyID=1', /sequences/],
    ['/instances?PixelData=1', /cannot be searched/],
  ])('400: %s', async (path, detail) => {
    const answer = await send('get', path).expect(400);
    expect(jsonOf(answer).detail).toMatch(detail);
  });
});

describe('PS3.18 10.4: WADO-RS', () => {
  const AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*';

  test('a study, a series and an instance as they are stored', async () => {
    for (const [path, files] of [
      ['/studies/1.1', [one, implicit]],
      ['/studies/1.1/series/1.1.1', [one, implicit]],
      [BIG, [implicit]],
    ] as const) {
      const parts = partsOf(await send('get', path).set('Accept', AS_STORED).expect(200));
      expect(parts.map(({ body }) => body.toString('hex'))).toEqual(
        files.map((file) => file.toString('hex')),
      );
    }
    const [part] = partsOf(await send('get', BIG).set('Accept', AS_STORED));
    expect(part!.headers).toMatch(
      /^Content-Type: application\/dicom; transfer-syntax=1\.2\.840\.10008\.1\.2\r$/m,
    );
  });

  test('8.7.3: Explicit VR Little Endian unless asked otherwise', async () => {
    const dictionary = openDictionary();
    const read = (bytes: Buffer) => readWhole(bytes, parsePart10(dictionary));
    const [, second] = partsOf(
      await send('get', '/studies/1.1')
        .set('Accept', 'multipart/related; type=application/dicom')
        .expect(200),
    );
    const given = read(second!.body);
    expect(given.syntax.uid).toBe(SYNTAX.explicit);
    expect(describeFile(given).attributes).toEqual(describeFile(read(implicit)).attributes);
    const { body } = await send('get', RLE).set('Accept', 'application/dicom').expect(200);
    const { dataset } = read(body);
    const { offset, length } = dataset.at(-1)!.bulk!;
    expect(body.subarray(offset, offset + length)).toEqual(
      Buffer.concat([Buffer.alloc(64, 10), Buffer.alloc(64, 200)]),
    );
  });

  test.each([
    ['*/*', 200],
    ['multipart/related', 200],
    ['multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.5', 200],
    ['multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.91', 406],
    ['text/html', 406],
    ['text/html, application/dicom;q=0.1', 200],
  ])('Accept: %s', async (accept, status) => {
    const answer = await send('get', RLE).set('Accept', accept).expect(status);
    if (status === 406) expect(jsonOf(answer).detail).toMatch(/application\/dicom/);
  });

  test('RFC 9110 14: ranges and ETag of one file', async () => {
    const whole = await send('get', ONE).set('Accept', 'application/dicom; transfer-syntax=*').expect(200);
    expect(whole.body.equals(one)).toBe(true);
    const { etag } = whole.headers;
    const asked = () => send('get', ONE).set('Accept', 'application/dicom');
    const part = await asked().set('Range', 'bytes=128-131').expect(206);
    expect([part.body.toString(), part.headers['content-range']]).toEqual([
      'DICM',
      `bytes 128-131/${one.length}`,
    ]);
    await asked().set('If-None-Match', etag!).expect(304);
    const past = await asked().set('Range', 'bytes=999999-').expect(416);
    expect(past.headers['content-range']).toBe(`bytes */${one.length}`);
    const head = await send('head', ONE).set('Accept', 'application/dicom').expect(200);
    expect(head.headers['content-length']).toBe(String(one.length));
  });

  test('metadata, with URLs where values are long', async () => {
    const all = jsonOf(await send('get', '/studies/1.1/metadata').expect(200));
    expect(all).toHaveLength(2);
    const [first] = all;
    expect(first['00100010']).toEqual({ vr: 'PN', Value: [{ Alphabetic: 'Lopez^Maria' }] });
    expect(first['00083002']).toEqual({ vr: 'UI', Value: [SYNTAX.explicit] });
    const url: string = first['7FE00010'].BulkDataURI;
    expect(url).toBe(`https://fhir.example.org/dicomweb${ONE}/bulkdata/7FE00010`);
    const path = url.slice('https://fhir.example.org/dicomweb'.length);
    const pixels = await send('get', path).set('Accept', 'application/octet-stream').expect(200);
    expect(pixels.body).toEqual(Buffer.concat([10, 20, 30].map((gray) => Buffer.alloc(64, gray))));
    const part = await send('get', path)
      .set('Accept', 'application/octet-stream')
      .set('Range', 'bytes=64-65')
      .expect(206);
    expect([...part.body]).toEqual([20, 20]);
    const [multi] = partsOf(
      await send('get', path).set('Accept', 'multipart/related; type=application/octet-stream').expect(200),
    );
    expect(multi!.body).toHaveLength(192);
    await send('get', `${ONE}/bulkdata/00100010`).expect(404);
  });

  test('a Pixel Spacing of nothing is left out of metadata, by which viewers would show nothing', async () => {
    const more = (spacing: string) => ({ '00280030': ['DS', spacing] }) as const;
    await stow([
      image({ study: '1.6', instance: '1.6.1.1', patient: 'P6', more: more('0\\0') }),
      image({ study: '1.6', instance: '1.6.1.2', patient: 'P6', number: 2, more: more('0.5\\0.5') }),
    ]);
    const all = jsonOf(await send('get', '/studies/1.6/metadata').expect(200));
    expect(all.map((one: Json) => one['00280030'])).toEqual([undefined, { vr: 'DS', Value: [0.5, 0.5] }]);
  });

  describe('frames', () => {
    test('as viewers ask for them: the type without quotation marks', async () => {
      const accept = 'multipart/related; type=application/octet-stream; transfer-syntax=*';
      const parts = partsOf(await send('get', `${ONE}/frames/3,1`).set('Accept', accept).expect(200));
      expect(parts.map(({ body }) => body[0])).toEqual([30, 10]);
      expect(parts[0]!.headers).toMatch(
        /application\/octet-stream; transfer-syntax=1\.2\.840\.10008\.1\.2\.1\r/,
      );
      const [stored] = partsOf(await send('get', `${RLE}/frames/2`).set('Accept', accept).expect(200));
      expect(stored!.headers).toMatch(/image\/dicom-rle; transfer-syntax=1\.2\.840\.10008\.1\.2\.5\r/);
      expect(stored!.body).toEqual(frames[1]);
    });

    test('native where that is asked for, or nothing', async () => {
      for (const accept of ['multipart/related; type="application/octet-stream"', '*/*']) {
        const [part] = partsOf(await send('get', `${RLE}/frames/2`).set('Accept', accept).expect(200));
        expect(part!.body).toEqual(Buffer.alloc(64, 200));
      }
      const single = await send('get', `${RLE}/frames/1`)
        .set('Accept', 'application/octet-stream')
        .expect(200);
      expect(single.body).toEqual(Buffer.alloc(64, 10));
    });

    test.each([
      ['/frames/4', 404],
      ['/frames/0', 400],
      ['/frames/1,', 400],
    ])('%s: %i', async (path, status) => {
      await send('get', ONE + path).expect(status);
    });

    test('PS3.5 8.1.1: frames of single bits begin within a byte', async () => {
      const bits = Buffer.from([0b00000111, 0b00111000]);
      const more = {
        '00280010': ['US', uint16(3)],
        '00280011': ['US', uint16(3)],
        '00280100': ['US', uint16(1)],
        '00280101': ['US', uint16(1)],
        '00280102': ['US', uint16(0)],
        '7FE00010': ['OB', Buffer.concat([bits, Buffer.alloc(2)])],
      } as const;
      await stow([image({ study: '1.3', instance: '1.3.1.1', patient: 'P3', frames: 2, more })]);
      const of = '/studies/1.3/series/1.3.1/instances/1.3.1.1/frames/';
      const frame = (n: number) => send('get', of + n).set('Accept', 'application/octet-stream');
      expect([...(await frame(1)).body][0]).toBe(0b111);
      expect([...(await frame(2)).body][0]).toBe(0b00011100);
    });

    test('PS3.5 A.4: a frame in several fragments, by the offset table and without one', async () => {
      const soi = (n: number) => Buffer.from([0xff, 0xd8, n, n]);
      const pieces = [soi(1), Buffer.from([5, 5]), soi(2), Buffer.from([6, 6])];
      for (const [i, table] of [[0, 22], []].entries()) {
        const uid = `1.4.${i}`;
        const head = image(
          { study: uid, instance: `${uid}.1.1`, patient: 'P4', frames: 2, more: { '7FE00010': ['OB', ''] } },
          SYNTAX.jpeg,
        );
        await stow([Buffer.concat([head.subarray(0, head.length - 12), encapsulated(pieces, table)])]);
        const answer = await send('get', `/studies/${uid}/series/${uid}.1/instances/${uid}.1.1/frames/2`)
          .set('Accept', 'image/jpeg')
          .expect(200);
        expect([...answer.body]).toEqual([0xff, 0xd8, 2, 2, 6, 6]);
      }
    });
  });

  test('what is not there is 404, what is no UID is no path', async () => {
    for (const path of ['/studies/9.9', '/studies/1.1/series/9', `${ONE}9`, '/studies/x', '/nothing'])
      await send('get', path).expect(404);
    const { headers } = await send('delete', ONE).expect(405);
    expect(headers.allow).toBe('GET, HEAD, OPTIONS');
  });

  test('browsers of any origin may ask', async () => {
    const before = await send('options', '/studies')
      .set('Origin', 'https://viewer.example')
      .set('Access-Control-Request-Method', 'GET')
      .expect(204);
    expect(before.headers['access-control-allow-methods']).toBe('GET, HEAD, POST, OPTIONS');
    const after = await send('get', '/studies').set('Origin', 'https://viewer.example').expect(200);
    expect(after.headers['access-control-allow-origin']).toBe('*');
    expect(after.headers['access-control-expose-headers']).toMatch(/X-Total-Count/);
  });
});

describe('PS3.18 10.4.1.1.3: rendered', () => {
  test('one picture, not for diagnosis', async () => {
    const answer = await send('get', `${ONE}/frames/1/rendered`).set('Accept', 'image/png').expect(200);
    expect(answer.headers['content-type']).toBe('image/png');
    expect(answer.headers.warning).toMatch(/not for diagnosis/);
    expect(answer.body.subarray(1, 4).toString()).toBe('PNG');
  });

  test('8.3.5.1.3: window, viewport, quality', async () => {
    const { default: sharp } = await import('sharp');
    const gray = async (query: string, frame = 2) => {
      const { body } = await send('get', `${ONE}/frames/${frame}/rendered?${query}`)
        .set('Accept', 'image/png')
        .expect(200);
      const { data, info } = await sharp(body).raw().toBuffer({ resolveWithObject: true });
      return [data[0], info.width, info.height];
    };
    // PS3.3 C.11.2.1.2: ((20 - 19.5) / 20 + 0.5) * 255 = 133.9
    expect([133, 134]).toContain((await gray('window=20,21'))[0]);
    expect(await gray('window=100,2')).toEqual([0, 8, 8]);
    expect(await gray('window=5,2')).toEqual([255, 8, 8]);
    expect(await gray('viewport=4,4')).toMatchObject({ 1: 4, 2: 4 });
    expect(await gray('viewport=6,4,0,0,4,8')).toMatchObject({ 1: 2, 2: 4 });
    const size = async (quality: number) =>
      (
        await send('get', `${ONE}/frames/1/rendered?viewport=256,256&quality=${quality}`).set(
          'Accept',
          'image/jpeg',
        )
      ).body.length;
    expect(await size(1)).toBeLessThanOrEqual(await size(100));
  });

  test('what is not done is told', async () => {
    const { headers } = await send('get', `${ONE}/frames/1/rendered?annotation=patient`).expect(200);
    expect(headers.warning).toMatch(/annotation is passed over/);
    await send(
      'get',
      '/wado?requestType=WADO&studyUID=1.1&seriesUID=1.1.1&objectUID=1.1.1.2&anonymize=yes',
    ).expect(400);
  });

  test('more frames than are rendered at once are refused, and not some of them shown as all', async () => {
    await stow([image({ study: '1.12', instance: '1.12.1.1', frames: 501 })]);
    const at = '/studies/1.12/series/1.12.1/instances/1.12.1.1';
    const refused = await send('get', `${at}/rendered`).set('Accept', 'multipart/related; type="image/png"');
    expect([refused.status, jsonOf(refused).detail]).toEqual([413, expect.stringMatching(/500 frames/)]);
    await send('get', `${at}/frames/500,501/rendered`)
      .set('Accept', 'multipart/related; type="image/png"')
      .expect(200);
  });

  test('several frames are parts', async () => {
    const answer = await send('get', `${ONE}/rendered`)
      .set('Accept', 'multipart/related; type=image/jpeg')
      .expect(200);
    expect(partsOf(answer).map(({ headers }) => headers)).toEqual(Array(3).fill('Content-Type: image/jpeg'));
  });

  test.each([
    `${ONE}/thumbnail`,
    `${RLE}/frames/2/thumbnail`,
    '/studies/1.1/thumbnail',
    '/studies/1.1/series/1.1.1/thumbnail?viewport=4,4',
  ])('%s', async (path) => {
    const answer = await send('get', path).set('Accept', '*/*').expect(200);
    expect(answer.headers['content-type']).toBe('image/jpeg');
  });

  test.each([
    ['window=1', 400],
    ['window=1,0', 400],
    ['window=1,2,sigmoid', 400],
    ['viewport=0,5', 400],
    ['viewport=a,b', 400],
    ['viewport=99999,5', 400],
    ['quality=0', 400],
    ['accept=image/gif', 406],
  ])('%s: %i', async (query, status) => {
    await send('get', `${ONE}/rendered?${query}`).expect(status);
  });

  test('what has no picture, or one that is broken', async () => {
    const more = { '7FE00010': ['OB', Buffer.alloc(10)] } as const;
    const broken = Buffer.concat([
      image(
        { study: '1.5', instance: '1.5.1.2', patient: 'P5', more: { '7FE00010': ['OB', ''] } },
        SYNTAX.jpeg,
      ).subarray(0, -12),
      encapsulated([Buffer.from([0xff, 0xd8, 1, 2])]),
    ]);
    await stow([image({ study: '1.5', instance: '1.5.1.1', patient: 'P5', more }), broken]);
    await send('get', '/studies/1.5/series/1.5.1/instances/1.5.1.1/rendered').expect(406);
    await send('get', '/studies/1.5/series/1.5.1/instances/1.5.1.2/rendered').expect(406);
    await send('get', '/studies/1.5/series/1.5.1/instances/1.5.1.2')
      .set('Accept', 'application/dicom')
      .expect(406);
  });
});

describe('PS3.18 9: WADO-URI', () => {
  const query = (more: string) =>
    `/wado?requestType=WADO&studyUID=1.1&seriesUID=1.1.1&objectUID=1.1.1.2${more}`;

  test('a file and a picture', async () => {
    const file = await send(
      'get',
      query('&contentType=application/dicom&transferSyntax=1.2.840.10008.1.2'),
    ).expect(200);
    expect(file.body.equals(implicit)).toBe(true);
    const picture = await send(
      'get',
      query('&contentType=image/png&windowCenter=10&windowWidth=5&rows=4&columns=4'),
    );
    expect(picture.headers['content-type']).toBe('image/png');
    expect((await send('get', query(''))).headers['content-type']).toBe('image/jpeg');
  });

  test('400 where it is not said which', async () => {
    await send('get', '/wado?requestType=WADO&studyUID=1.1').expect(400);
    await send('get', '/wado?studyUID=1.1').expect(400);
  });
});

test('no log line holds what is in a request or a file', () => {
  const text = app.log.join('\n');
  expect(text.includes('/dicomweb/studies/:study')).toBe(true);
  expect(['Lopez', 'lopez', 'PatientName', '1.1.1.1'].filter((secret) => text.includes(secret))).toEqual([]);
});
