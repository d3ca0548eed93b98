/** What is made of waveforms and key object selections as they come in, and goes with their study. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { dicomFile, type Elements, image, SYNTAX, uint16 } from '../../imaging/files.ts';
import { tokenFor } from '../access/tokens.ts';
import { startApp, type TestApp } from '../app.ts';
import { dicomwebOf, type Json } from './dicomweb.ts';

let app: TestApp;
const { send, stow, find, fhir } = dicomwebOf(() => app);
const MRN = 'https://hospital.example/mrn';

beforeAll(async () => {
  app = await startApp({ DICOM_ISSUERS: `*=${MRN}` });
  await app.create('Patient', 'maria', { identifier: [{ system: MRN, value: 'maria' }] });
});
afterAll(() => app.close());

const code = (value: string, scheme: string, meaning: string): Elements => ({
  '00080100': ['SH', value],
  '00080102': ['SH', scheme],
  '00080104': ['LO', meaning],
});

const int16 = (values: readonly number[], bigEndian: boolean): Buffer => {
  const bytes = Buffer.alloc(values.length * 2);
  values.forEach((value, i) => {
    if (bigEndian) bytes.writeInt16BE(value, i * 2);
    else bytes.writeInt16LE(value, i * 2);
  });
  return bytes;
};

const ofPatient = (study: string, instance: string): Elements => ({
  '00080018': ['UI', instance],
  '00080020': ['DA', '20260102'],
  '00100010': ['PN', 'Lopez^Maria'],
  '00100020': ['LO', 'maria'],
  '0020000D': ['UI', study],
  '0020000E': ['UI', `${study}.1`],
});

const LEADS = [
  code('5.6.3-9-1', 'SCPECG', 'Lead I (Einthoven)'),
  code('2:62', 'MDC', 'Lead aVR'),
  code('X', '99LOCAL', 'Frank X'),
];

/** An ECG of three leads with these samples of each. */
function ecg(
  study: string,
  leads: readonly (readonly number[])[],
  { syntax = SYNTAX.explicit as string, samples = leads[0]!.length, of = {} as Elements } = {},
): Buffer {
  const isBig = syntax === SYNTAX.bigEndian;
  const us = (value: number): Buffer => (isBig ? int16([value], true) : uint16(value));
  const ul = Buffer.alloc(4);
  if (isBig) ul.writeUInt32BE(samples);
  else ul.writeUInt32LE(samples);
  const interleaved = leads[0]!.flatMap((_, n) => leads.map((lead) => lead[n] as number));
  return dicomFile(
    {
      ...ofPatient(study, `${study}.1.1`),
      '00080016': ['UI', '1.2.840.10008.5.1.4.1.1.9.1.1'],
      '0008002A': ['DT', '20260102101500+0100'],
      '00080060': ['CS', 'ECG'],
      '54000100': [
        'SQ',
        [
          {
            '003A0005': ['US', us(leads.length)],
            '003A0010': ['UL', ul],
            '003A001A': ['DS', '500'],
            '003A0020': ['SH', 'RHYTHM'],
            '003A0200': [
              'SQ',
              leads.map((_, i) => ({
                '003A0208': ['SQ', [LEADS[i]!]] as const,
                '003A0210': ['DS', '1.25'] as const,
                '003A0211': ['SQ', [code('uV', 'UCUM', 'microvolt')]] as const,
                '003A0212': ['DS', '2'] as const,
                '003A0213': ['DS', '10'] as const,
              })),
            ],
            '54001004': ['US', us(16)],
            '54001006': ['CS', 'SS'],
            '5400100A': ['OW', int16([-32768], isBig)],
            '54001010': ['OW', int16(interleaved, isBig)],
            ...of,
          },
        ],
      ],
    },
    syntax,
  );
}

const observationsOf = (study: string) =>
  fhir(`/Observation?identifier=urn:dicom:uid|urn:oid:${study}.1.1&_count=10`);
const dataOf = (observation: Json): string[] =>
  observation.component.map(({ valueSampledData }: Json) => valueSampledData.data);

describe('PS3.3 A.34: an ECG', () => {
  const leads = [
    [1, -2, 300],
    [4, -32768, 6],
    [-7, 8, 32767],
  ];

  test('is an Observation with the samples of each lead, in the transaction of its ImagingStudy', async () => {
    const { status } = await stow([ecg('5.1', leads)]);
    expect(status).toBe(200);
    const [observation, ...more] = await observationsOf('5.1');
    expect(more).toEqual([]);
    const [study] = await fhir('/ImagingStudy?identifier=urn:dicom:uid|urn:oid:5.1');
    expect(observation).toMatchObject({
      status: 'final',
      subject: { reference: 'Patient/maria' },
      derivedFrom: [{ reference: `ImagingStudy/${study.id}` }],
      code: { coding: [{ system: 'urn:iso:std:iso:11073:10101', code: '131328' }] },
      effectiveDateTime: '2026-01-02T10:15:00+01:00',
    });
    expect(dataOf(observation)).toEqual(['1 -2 300', '4 E 6', '-7 8 32767']);
    expect(observation.component[0].valueSampledData).toMatchObject({
      origin: { value: 10, code: 'uV', system: 'http://unitsofmeasure.org' },
      period: 2,
      factor: 2.5,
      dimensions: 1,
    });
    expect(observation.component.map((one: Json) => one.code.coding?.[0].code ?? one.code.text)).toEqual([
      '131329',
      '131390',
      'Frank X',
    ]);
    const { rows } = await app.app.pool.query(
      `select count(distinct c.tx)::int as transactions from change c join resource r on r.rid = c.rid
       where r.id = any ($1)`,
      [[study.id, observation.id]],
    );
    expect(rows[0].transactions).toBe(1);
  });

  test.each([
    ['big endian', SYNTAX.bigEndian],
    ['implicit', SYNTAX.implicit],
    ['deflated', SYNTAX.deflated],
  ])('%s: the same samples', async (name, syntax) => {
    const study = `5.2.${name.length}`;
    await stow([ecg(study, leads, { syntax })]);
    expect(dataOf((await observationsOf(study))[0])).toEqual(['1 -2 300', '4 E 6', '-7 8 32767']);
  });

  test('long ones are read from the file', async () => {
    const long = [0, 1, 2].map((lead) =>
      Array.from({ length: 5000 }, (_, n) => ((n * 7 + lead) % 999) - 500),
    );
    for (const [study, syntax] of [
      ['5.3.1', SYNTAX.explicit],
      ['5.3.2', SYNTAX.bigEndian],
    ] as const) {
      await stow([ecg(study, long, { syntax })]);
      expect(dataOf((await observationsOf(study))[0])).toEqual(long.map((lead) => lead.join(' ')));
    }
  });

  test.each([
    ['with fewer samples than it says', { samples: 4 }],
    ['of a kind that is companded', { of: { '54001006': ['CS', 'MB'] } as Elements }],
    ['without a frequency', { of: { '003A001A': ['DS', '0'] } as Elements }],
    ['too long to be a text', { samples: 2_000_000 }],
  ])('%s is stored, and nothing is made of it', async (name, more) => {
    const study = `5.4.${name.length}`;
    expect((await stow([ecg(study, leads, more)])).status).toBe(200);
    expect(await observationsOf(study)).toEqual([]);
  });

  test('comes once, and again with its study', async () => {
    const file = ecg('5.5', leads);
    await stow([file]);
    await stow([file]);
    expect(await observationsOf('5.5')).toHaveLength(1);
    await send('delete', '/studies/5.5').expect(204);
    expect(await observationsOf('5.5')).toEqual([]);
    await stow([file]);
    expect(await observationsOf('5.5')).toHaveLength(1);
  });

  test('goes with an ImagingStudy that is deleted through FHIR', async () => {
    await stow([ecg('5.6', leads)]);
    const [study] = await fhir('/ImagingStudy?identifier=urn:dicom:uid|urn:oid:5.6');
    await app.send('delete', `/ImagingStudy/${study.id}`).expect(204);
    await app.app.imaging.purge();
    expect(await observationsOf('5.6')).toEqual([]);
  });

  test('whoever may not create Observations brings the file alone', async () => {
    const scope = 'system/ImagingStudy.cruds system/Patient.rs system/Endpoint.rs';
    const { status } = await stow([ecg('5.7', leads)], '/studies', await tokenFor(app, scope));
    expect(status).toBe(200);
    expect(await observationsOf('5.7')).toEqual([]);
  });

  const sample = join(import.meta.dirname, '../../../../shared/data/dicom/ecg-12lead-waveform.dcm');
  (existsSync(sample) ? test : test.skip)('of twelve leads, by a device', async () => {
    await stow([readFileSync(sample)]);
    const uid = '1.3.6.1.4.1.20029.40.20130125105919.5407.1.1';
    const found = await fhir(`/Observation?identifier=urn:dicom:uid|urn:oid:${uid}&_sort=code&_count=10`);
    const rhythm = found.find((one: Json) => one.code.text === 'ECG, RHYTHM');
    expect(found).toHaveLength(2);
    const codes = rhythm.component.map((one: Json) => one.code.coding[0].display.split('_').at(-1));
    expect([...codes].sort()).toEqual(
      ['I', 'II', 'III', 'AVR', 'AVL', 'AVF', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6'].sort(),
    );
    const lead = dataOf(rhythm).map((data) => data.split(' '));
    // the first three samples as dcmdump prints them: 0050 005a 000a
    expect(lead.slice(0, 3).map((one) => one[0])).toEqual(['80', '90', '10']);
    expect(lead.every((one) => one.length === 10_000)).toBe(true);
    expect(rhythm.component[0].valueSampledData).toMatchObject({ period: 1, factor: 1.25 });
  });
});

describe('PS3.3 A.35.4: a key object selection', () => {
  const KEY = '1.2.840.10008.5.1.4.1.1.88.59';

  const reference = (uid: string, frame?: string): Elements => ({
    '00081150': ['UI', '1.2.840.10008.5.1.4.1.1.4'],
    '00081155': ['UI', uid],
    ...(frame ? { '00081160': ['IS', frame] as const } : {}),
  });

  const evidence = (study: string, instances: readonly string[]): Elements => ({
    '0020000D': ['UI', study],
    '00081115': [
      'SQ',
      [{ '0020000E': ['UI', `${study}.2`], '00081199': ['SQ', instances.map((one) => reference(one))] }],
    ],
  });

  const selection = (study: string, others: string): Buffer =>
    dicomFile({
      ...ofPatient(study, `${study}.1.1`),
      '00080016': ['UI', KEY],
      '00080023': ['DA', '20260103'],
      '00080060': ['CS', 'KO'],
      '0040A040': ['CS', 'CONTAINER'],
      '0040A043': ['SQ', [code('113000', 'DCM', 'Of Interest')]],
      '0040A375': [
        'SQ',
        [evidence(study, [`${study}.2.1`, `${study}.2.2`]), evidence(others, [`${others}.2.1`])],
      ],
      '0040A730': [
        'SQ',
        [
          { '0040A040': ['CS', 'IMAGE'], '00081199': ['SQ', [reference(`${study}.2.1`)]] },
          { '0040A040': ['CS', 'IMAGE'], '00081199': ['SQ', [reference(`${study}.2.2`, '3')]] },
          { '0040A040': ['CS', 'IMAGE'], '00081199': ['SQ', [reference(`${others}.2.1`)]] },
          { '0040A040': ['CS', 'TEXT'], '0040A160': ['UT', 'seen'] },
        ],
      ],
    });

  test('is kept, and each image of its study is a Media that shows it', async () => {
    const file = selection('5.8', '5.9');
    const pictures = [1, 2].map((n) =>
      image({
        study: '5.8',
        series: '5.8.2',
        instance: `5.8.2.${n}`,
        patient: 'maria',
        number: n,
        frames: 3,
      }),
    );
    expect((await stow([...pictures, file])).status).toBe(200);
    const kept = await send('get', '/studies/5.8/series/5.8.1/instances/5.8.1.1').set(
      'Accept',
      'application/dicom; transfer-syntax=*',
    );
    expect(file.equals(kept.body)).toBe(true);
    const [study] = await fhir('/ImagingStudy?identifier=urn:dicom:uid|urn:oid:5.8');
    const media = await fhir('/Media?subject=Patient/maria&_sort=identifier');
    expect(media).toHaveLength(2);
    for (const one of media)
      expect(one).toMatchObject({
        status: 'completed',
        partOf: [{ reference: `ImagingStudy/${study.id}` }],
        createdDateTime: '2026-01-03',
        content: { title: 'Of Interest' },
      });
    const urls = media.map((one: Json) => one.content.url.replace('https://fhir.example.org/dicomweb', ''));
    expect(urls.sort()).toEqual([
      '/studies/5.8/series/5.8.2/instances/5.8.2.1/rendered',
      '/studies/5.8/series/5.8.2/instances/5.8.2.2/frames/3/rendered',
    ]);
    for (const url of urls) await send('get', url).set('Accept', 'image/jpeg').expect(200);
    await send('delete', '/studies/5.8').expect(204);
    expect(await fhir('/Media?subject=Patient/maria')).toEqual([]);
    expect(await find('/studies?StudyInstanceUID=5.8')).toEqual([]);
  });
});
