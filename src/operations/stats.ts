/** Observation/$stats (R4 observation-operation-stats.html): statistics of a subject's measurements over a time. */
import type { Coding, ObservationComponent, Period } from 'fhir/r4.js';
import { render } from '../fhir/content.ts';
import { readRange } from '../fhir/date.ts';
import { invalid } from '../fhir/outcome.ts';
import { parseReference } from '../fhir/reference.ts';
import { dateTime } from '../fhir/validation/primitives.ts';
import { answerStream } from '../http/answer.ts';
import { type Context, type Exchange, fhirBase } from '../http/exchange.ts';
import type { Stored } from '../records/records.ts';
import { escaped } from '../search/escapes.ts';
import type { Parameter } from '../search/query-string.ts';
import { UCUM } from '../search/units.ts';
import { type Arguments, readArguments } from './arguments.ts';
import { type Collected, type Collecting, collect } from './measurements.ts';
import { type Measurement, type Sample, STATISTICS, type Statistic, sampleOf } from './statistics.ts';

const CODES = 'http://terminology.hl7.org/CodeSystem/observation-statistics';

export async function stats(context: Context, exchange: Exchange): Promise<void> {
  const given = await readArguments(context, exchange);
  const statistics = readStatistics(given);
  const period = readPeriod(given);
  const codings = readCodings(given);
  const collecting: Collecting = {
    subject: ['subject', escaped(readSubject(context, given))],
    codings,
    sources: readSources(given),
  };
  const collected = await collect(context, exchange.caller, queryOf(codings, period), collecting);
  const results = [...collected.groups.values()].flatMap(({ coding, total, byUnit }) => {
    const units = byUnit.size > 0 ? [...byUnit] : [[undefined, []] as const];
    return units.map(([unit, measurements]) => {
      const from = readRange(period.start ?? '')?.low ?? earliest(measurements);
      const sample = sampleOf(measurements, total, from);
      return {
        resourceType: 'Observation',
        status: 'final',
        code: { coding: [coding] },
        subject: { reference: given.text('subject') },
        effectivePeriod: period,
        component: statistics.flatMap(([code, statistic]) => componentsOf(code, statistic, sample, unit)),
      };
    });
  });
  return answerStream(exchange, 200, [], texts(results, collected));
}

/** Where a period without a start begins. */
const earliest = (measurements: readonly Measurement[]): number =>
  measurements.reduce((least, { at = least }) => Math.min(least, at), Number.POSITIVE_INFINITY);

function* texts(results: readonly object[], { sources }: Collected): Generator<string> {
  yield '{"resourceType":"Parameters"';
  let between = ',"parameter":[';
  for (const result of results) {
    yield `${between}{"name":"statistics","resource":${JSON.stringify(result)}}`;
    between = ',';
  }
  for (const source of sources) {
    yield `${between}{"name":"source","resource":${shown(source)}}`;
    between = ',';
  }
  yield between === ',' ? ']}' : '}';
}

const shown = (stored: Stored): string => render(stored.content, stored);

/** One component for each number; where there is none, why not (R4 Observation.component.dataAbsentReason). */
function componentsOf(
  code: string,
  { display, parts }: Statistic,
  sample: Sample,
  unit: string | undefined,
): ObservationComponent[] {
  return parts.map(({ name, dimension, of }) => {
    const value = of(sample);
    const concept = { coding: [{ system: CODES, code, display }], ...(name && { text: name }) };
    if (value === undefined || !Number.isFinite(value)) return { code: concept, dataAbsentReason: NO_NUMBER };
    const measured = unit === undefined || dimension === 'none' ? '1' : UNITS[dimension](unit);
    const quantity = { value: Number(value.toPrecision(12)), unit: measured, system: UCUM, code: measured };
    return { code: concept, valueQuantity: quantity };
  });
}

/** In UCUM, where no power can be put to a term in brackets. */
const UNITS = {
  unit: (unit: string) => unit,
  square: (unit: string) => (/^[A-Za-z%]+$/.test(unit) ? `${unit}2` : `(${unit}).(${unit})`),
  'by day': (unit: string) => (unit.includes('/') ? `(${unit})/d` : `${unit}/d`),
};

const NO_NUMBER = {
  coding: [{ system: 'http://terminology.hl7.org/CodeSystem/data-absent-reason', code: 'not-a-number' }],
};

function readSubject(context: Context, given: Arguments): string {
  const text = given.text('subject') as string;
  const { kind } = parseReference(text, fhirBase(context), context.definitions.isResourceType);
  if (kind === 'local' || kind === 'absolute') return text;
  throw invalid('value', 'subject is a reference, such as Patient/123');
}

function readStatistics(given: Arguments): [string, Statistic][] {
  return [...new Set(given.texts('statistic').flatMap((text) => text.split(',')))].map((code) => {
    const statistic = Object.hasOwn(STATISTICS, code) ? STATISTICS[code] : undefined;
    if (statistic) return [code, statistic];
    throw invalid(
      'value',
      `"${code.slice(0, 80)}" is no statistic: possible are ${Object.keys(STATISTICS).join(', ')}`,
    );
  });
}

/** The time that is looked at. */
function readPeriod(given: Arguments): Period {
  const hours = given.text('duration');
  const [period] = given.values('period');
  if ((hours === undefined) === (period === undefined))
    throw invalid('required', '$stats needs the time to look at: a duration in hours, or a period');
  if (hours !== undefined) {
    const [now, length] = [Date.now(), Number(hours) * 3_600_000];
    if (!(length > 0 && length <= now)) throw invalid('value', 'duration is a number of hours, such as 24');
    return { start: new Date(now - length).toISOString(), end: new Date(now).toISOString() };
  }
  const { start, end } = period as Period;
  if (
    (start === undefined && end === undefined) ||
    ![start, end].every((one) => one === undefined || dateTime(one))
  )
    throw invalid('value', 'period has a start, an end, or both, each a dateTime');
  return { ...(start && { start }), ...(end && { end }) };
}

/** The codes that are asked for. */
function readCodings(given: Arguments): Coding[] {
  const system = given.text('system');
  const codes = given.texts('code');
  if (codes.length > 0 && system === undefined)
    throw invalid('required', 'code needs its system: give it in the parameter system, or give a coding');
  const codings: Coding[] = codes.map((code) => ({ system, code }));
  for (const { system: own, code, display } of given.values('coding')) {
    if (typeof code !== 'string' || (own !== undefined && typeof own !== 'string'))
      throw invalid('value', 'coding has a code and a system');
    codings.push({ system: own, code, ...(typeof display === 'string' && { display }) });
  }
  if (codings.length === 0) throw invalid('required', '$stats needs code and system, or coding');
  return codings;
}

/** How many of the observations are returned as well. */
function readSources(given: Arguments): number {
  if (given.text('include') !== 'true') return 0;
  return Number(given.text('limit') ?? Number.POSITIVE_INFINITY);
}

function queryOf(codings: readonly Coding[], { start, end }: Period): Parameter[] {
  const tokens = codings.map(({ system, code = '' }) => `${escaped(system ?? '')}|${escaped(code)}`);
  return [
    ['combo-code', tokens.join(',')],
    ['status:not', 'entered-in-error'],
    ...(start === undefined ? [] : [['date', `ge${start}`] as const]),
    ...(end === undefined ? [] : [['date', `le${end}`] as const]),
  ];
}
