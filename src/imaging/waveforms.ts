/**
 * ECGs (PS3.3 §A.34) as FHIR has them: an Observation for each multiplex group, with the samples of each lead as SampledData
 * (R4 datatypes.html#SampledData).
 */
import type { CodeableConcept, Observation, ObservationComponent, Quantity, SampledData } from 'fhir/r4.js';
import type { Derived } from '../records/imaging/imaging.ts';
import { firstOf, itemsIn, textIn, wholeIn, wordsIn } from './attributes.ts';
import type { Attributes } from './dicom/json.ts';
import { syntaxOf } from './dicom/syntaxes.ts';
import type { Instance } from './instance.ts';
import { bytesAt, collect, type Layout, type OpenFile } from './layout.ts';
import { atOf } from './study.ts';

/** ECG Waveform Storage: twelve leads, general, ambulatory. */
const ECG = /^1\.2\.840\.10008\.5\.1\.4\.1\.1\.9\.1\.[123]$/;
const MDC = 'urn:iso:std:iso:11073:10101';
const UCUM = 'http://unitsofmeasure.org';
/** MDC_ECG_ELEC_POTL; that of a lead is as much more as its number in PS3.16 CID 3001 says. */
const POTENTIAL = 131_328;

/** So many samples are written as text, at most: twelve leads for 20 s; of longer ones the file alone is kept. */
const MOST_SAMPLES = 250_000;

/**
 * What is made of an instance.
 *
 * @param base of DICOMweb, as clients write it
 * @param open opens its file
 */
export function observationsOf(
  { attributes, instance }: Instance,
  base: string,
  open: OpenFile,
): readonly Derived[] {
  if (!ECG.test(instance.class)) return [];
  const layout = JSON.parse(instance.places) as Layout;
  return itemsIn(attributes, '54000100').flatMap((group, i): readonly Derived[] => {
    const path = `54000100/${i}/54001010`;
    const stretch = layout.bulk[path];
    const inline = Buffer.from(group['54001010']?.InlineBinary ?? '', 'base64');
    const read = readerOf(group, stretch?.length ?? inline.length);
    if (!read) return [];
    const identifier = { system: `${base}/waveforms`, value: `${instance.uid}/${i + 1}` };
    const samples = async (): Promise<Buffer> =>
      stretch ? collect(bytesAt(open, instance, layout, stretch)) : inline;
    // what is kept in JSON is little endian already
    const bigEndian = syntaxOf(instance.syntax).bigEndian && stretch !== undefined;
    return [
      {
        type: 'Observation',
        identifier,
        make: async ({ subject, study }) => ({
          ...observationOf(attributes, group, await samples(), (bytes, at) => read(bytes, at, bigEndian)),
          identifier: [identifier, { system: 'urn:dicom:uid', value: `urn:oid:${instance.uid}` }],
          subject: { reference: subject },
          derivedFrom: [{ reference: study }],
        }),
      },
    ];
  });
}

type Read = (bytes: Buffer, index: number, bigEndian: boolean) => number;

/** How a sample is read, by its interpretation (PS3.3 §C.10.9.1.5); what is companded has no such. */
const READ: Readonly<Record<string, Read>> = {
  SB: (bytes, i) => bytes.readInt8(i),
  UB: (bytes, i) => bytes.readUInt8(i),
  SS: (bytes, i, big) => (big ? bytes.readInt16BE(i * 2) : bytes.readInt16LE(i * 2)),
  US: (bytes, i, big) => (big ? bytes.readUInt16BE(i * 2) : bytes.readUInt16LE(i * 2)),
  SL: (bytes, i, big) => (big ? bytes.readInt32BE(i * 4) : bytes.readInt32LE(i * 4)),
  UL: (bytes, i, big) => (big ? bytes.readUInt32BE(i * 4) : bytes.readUInt32LE(i * 4)),
};
const BITS: Readonly<Record<string, number>> = { SB: 8, UB: 8, SS: 16, US: 16, SL: 32, UL: 32 };

/** Undefined where the group is too long, or not understood, or has fewer bytes than samples. */
function readerOf(group: Attributes, length: number): Read | undefined {
  const { channels, samples, frequency } = shapeOf(group);
  const kind = textIn(group, '54001006') ?? '';
  const isSound =
    channels > 0 &&
    channels === itemsIn(group, '003A0200').length &&
    samples > 0 &&
    channels * samples <= MOST_SAMPLES &&
    frequency > 0 &&
    wholeIn(group, '54001004') === BITS[kind] &&
    length * 8 >= channels * samples * (BITS[kind] ?? Infinity);
  return isSound ? READ[kind] : undefined;
}

const shapeOf = (group: Attributes) => ({
  channels: wholeIn(group, '003A0005') ?? 0,
  samples: wholeIn(group, '003A0010') ?? 0,
  frequency: numberIn(group, '003A001A') ?? 0,
});

const numberIn = (attributes: Attributes, tag: string): number | undefined => {
  const value = firstOf(attributes, tag);
  return typeof value === 'number' ? value : undefined;
};

function observationOf(
  attributes: Attributes,
  group: Attributes,
  bytes: Buffer,
  read: (bytes: Buffer, index: number) => number,
): Omit<Observation, 'subject'> {
  const { channels, samples, frequency } = shapeOf(group);
  const label = wordsIn(group, '003A0020');
  const acquired = textIn(attributes, '0008002A');
  const at = acquired
    ? atOf(
        acquired.slice(0, 8),
        acquired.slice(8),
        /[+-]\d{4}$/.exec(acquired)?.[0] ?? textIn(attributes, '00080201'),
      )
    : atOf(textIn(attributes, '00080020'), textIn(attributes, '00080030'), textIn(attributes, '00080201'));
  const padding = paddingOf(group);
  return {
    resourceType: 'Observation',
    status: 'final',
    category: [
      {
        coding: [{ system: 'http://terminology.hl7.org/CodeSystem/observation-category', code: 'procedure' }],
      },
    ],
    code: {
      coding: [{ system: MDC, code: String(POTENTIAL), display: 'MDC_ECG_ELEC_POTL' }],
      text: label ? `ECG, ${label}` : 'ECG',
    },
    ...(at ? { effectiveDateTime: at } : {}),
    component: itemsIn(group, '003A0200').map((channel, i): ObservationComponent => {
      const values = Array.from({ length: samples }, (_, n) => {
        const value = read(bytes, n * channels + i);
        return value === padding ? 'E' : String(value);
      });
      return { code: leadOf(channel), valueSampledData: sampled(channel, frequency, values.join(' ')) };
    }),
  };
}

/** Waveform Padding Value: where the device had no sample. */
function paddingOf(group: Attributes): number | undefined {
  const bytes = Buffer.from(group['5400100A']?.InlineBinary ?? '', 'base64');
  const read = READ[textIn(group, '54001006') ?? ''];
  return read && bytes.length * 8 >= (wholeIn(group, '54001004') ?? Infinity)
    ? read(bytes, 0, false)
    : undefined;
}

/** What a number of the channel stands for: number · sensitivity · correction + baseline (PS3.3 §C.10.9.1.4.2). */
function sampled(channel: Attributes, frequency: number, data: string): SampledData {
  const sensitivity = numberIn(channel, '003A0210');
  const factor = sensitivity === undefined ? undefined : sensitivity * (numberIn(channel, '003A0212') ?? 1);
  return {
    origin: { value: numberIn(channel, '003A0213') ?? 0, ...unitOf(channel) },
    period: 1000 / frequency,
    ...(factor === undefined || factor === 0 ? {} : { factor: tidy(factor) }),
    dimensions: 1,
    data,
  };
}

/** Without what multiplying has added in the last digits. */
const tidy = (number: number): number => Number(number.toPrecision(12));

function unitOf(channel: Attributes): Pick<Quantity, 'unit' | 'system' | 'code'> {
  const [unit] = itemsIn(channel, '003A0211');
  const code = unit && wordsIn(unit, '00080100');
  if (!code || !/^\S+$/.test(code)) return {};
  return textIn(unit, '00080102') === 'UCUM' ? { unit: code, system: UCUM, code } : { unit: code };
}

/** Leads as SCP-ECG and CID 3001 number them, by what they are called in MDC. */
const NAMES: Readonly<Record<string, string>> = {
  ...{ 1: 'I', 2: 'II', 3: 'V1', 4: 'V2', 5: 'V3', 6: 'V4', 7: 'V5', 8: 'V6' },
  ...{ 61: 'III', 62: 'AVR', 63: 'AVL', 64: 'AVF' },
};

function leadOf(channel: Attributes): CodeableConcept {
  const [source] = itemsIn(channel, '003A0208');
  const code = (source && textIn(source, '00080100')) ?? '';
  const scheme = source && textIn(source, '00080102');
  const text = (source && wordsIn(source, '00080104')) ?? wordsIn(channel, '003A0203') ?? 'lead';
  const pattern =
    scheme === 'SCPECG' ? /^5\.6\.3-9-(\d{1,3})$/ : scheme === 'MDC' ? /^2:(\d{1,3})$/ : undefined;
  const number = pattern?.exec(code)?.[1];
  const name = number === undefined ? undefined : NAMES[number];
  if (number === undefined) return { text };
  return {
    coding: [
      {
        system: MDC,
        code: String(POTENTIAL + Number(number)),
        ...(name ? { display: `MDC_ECG_ELEC_POTL_${name}` } : {}),
      },
    ],
    text,
  };
}
