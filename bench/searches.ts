/** The searches that are measured over the large dataset, how their answers look, and what is asked of them. */
import {
  COMPONENTS,
  counted,
  countOf,
  NAMED,
  observationsBySubject,
  patientId,
  patientsWith,
  practitionerId,
  RECORD_NUMBERS,
  recordNumber,
  type Size,
} from './dataset.ts';
import { type Maker, occurrences, whole, wrong } from './exchange.ts';
import { request } from './wire.ts';

const LOINC = 'http://loinc.org';

interface Asking {
  readonly query: string;
  /** entries of the answer; a function judges their number */
  readonly entries?: number | ((found: number) => boolean);
  readonly total?: number;
}

/** A search whose answers have a known number of entries, or a known total. */
export const search =
  (prepare: (size: Size) => () => Asking): Maker =>
  (size, token) => {
    const next = prepare(size);
    return () => () => {
      const { query, entries = 0, total } = next();
      const isRight = typeof entries === 'number' ? (found: number) => found === entries : entries;
      return {
        bytes: request('GET', query.startsWith('/') ? query : `/fhir/${query}`, { token }),
        fault: (answer) => {
          if (answer.status !== 200) return `${query}: ${answer.status} ${answer.body.subarray(0, 300)}`;
          const found = occurrences(answer.body, '"fullUrl":');
          if (!isRight(found)) return `${query}: ${found} entries`;
          return total === undefined ? undefined : wrong(answer, 200, `"total":${total}`);
        },
      };
    };
  };

const always = (asking: Asking | ((size: Size) => Asking)): Maker =>
  search((size) => {
    const one = typeof asking === 'function' ? asking(size) : asking;
    return () => one;
  });

const SINCE = '2021-01-01';
const BORN = '1950-01-01';
const [frequent, second, , rare] = counted as readonly [Kind, Kind, Kind, Kind];
type Kind = (typeof counted)[number];

const frequentCode = `code=${LOINC}|${frequent.code}`;
const secondCode = `code=${LOINC}|${second.code}`;
const first = `Practitioner/${practitionerId(0)}`;

/** Patients of whom there are at least so many Observations, some thousands of them. */
function patientsOfMany(least: number, size: Size): number[] {
  const counts = observationsBySubject(size);
  counts.delete(0);
  return [...counts].filter(([, count]) => count >= least).map(([subject]) => subject);
}

const patientCodeDate = (bare: boolean): Maker =>
  search((size) => {
    const patients = patientsWith(frequent, SINCE, 20, size);
    return () => {
      const id = patientId(patients[whole(patients.length)]!);
      const query = `Observation?patient=${id}&${frequentCode}&date=ge${SINCE}&_sort=-date&_count=20`;
      return { query: bare ? `/search/code?${id}&${SINCE}` : query, entries: 20 };
    };
  });

const patientCategory = (bare: boolean): Maker =>
  search((size) => {
    const patients = patientsOfMany(50, size);
    return () => {
      const id = patientId(patients[whole(patients.length)]!);
      const query = `Observation?patient=${id}&category=vital-signs&_count=50`;
      return { query: bare ? `/search/category?${id}` : query, entries: 50 };
    };
  });

const NAMES = ['an', 'bor', 'cal', 'den', 'el', 'far', 'gil', 'hol', 'in', 'jar', 'kel', 'lor', 'mar', 'nor'];

const nameBirth = (bare: boolean): Maker =>
  search(() => () => {
    const name = NAMES[whole(NAMES.length)]!;
    const query = `Patient?name=${name}&birthdate=ge1950&_count=20`;
    return { query: bare ? `/search/name?${name}&${BORN}` : query, entries: 20 };
  });

const byCode = (kind: Kind, sorted: boolean): Maker =>
  always((size) => ({
    query: `Observation?code=${LOINC}|${kind.code}&_count=50${sorted ? '&_sort=-date' : ''}`,
    entries: Math.min(50, countOf(kind, size)),
  }));

const count = (kind: Kind): Maker =>
  always((size) => ({
    query: `Observation?code=${LOINC}|${kind.code}&_summary=count`,
    total: countOf(kind, size),
  }));

/** What is asked of a row: ratios to yardsticks at least, a 99th percentile in ms at most. */
export interface Asked {
  readonly ratios?: Readonly<Record<string, number>>;
  readonly p99?: number;
}

interface Row {
  readonly maker: Maker;
  readonly bare?: Maker;
  readonly asked: Asked;
  /** another row that it is divided by */
  readonly beside?: string;
}

const within = (p99: number): Asked => ({ p99 });
const row = (maker: Maker, p99: number): Row => ({ maker, asked: within(p99) });
const half = (maker: Maker, beside: string): Row => ({
  maker,
  beside,
  asked: { p99: 100, ratios: { [beside]: 0.5 } },
});

const value = (name: string, query: string, bounds: readonly [number, number, number]): [string, Row][] =>
  (['10 %', '0.1 %', 'none'] as const).map((share, i) => [
    `${name} ${share}`,
    row(
      always({ query: `${query.replace('BOUND', `gt${bounds[i]}`)}&_count=50`, entries: i < 2 ? 50 : 0 }),
      25,
    ),
  ]);

/** By their names; the names of rows that are yardsticks begin with `bare`. */
export const rows: Readonly<Record<string, Row>> = {
  'patient, code, date': {
    maker: patientCodeDate(false),
    bare: patientCodeDate(true),
    asked: { ratios: { 'bare patient, code, date': 0.6, 'bare read': 0.35 } },
  },
  'patient, category': {
    maker: patientCategory(false),
    bare: patientCategory(true),
    asked: { ratios: { 'bare patient, category': 0.6 } },
  },
  'name, birth date': {
    maker: nameBirth(false),
    bare: nameBirth(true),
    asked: { ratios: { 'bare name, birth date': 0.6 } },
  },
  'code 50 %': row(byCode(frequent, true), 20),
  'code 2.5 %': row(byCode(second, true), 20),
  'code 50 %, no sort': row(byCode(frequent, false), 20),
  'code 2.5 %, no sort': row(byCode(second, false), 20),
  'heavy: rare code': row(
    always({ query: `Observation?patient=${patientId(0)}&code=${LOINC}|${rare.code}&_sort=-date&_count=20` }),
    20,
  ),
  'heavy: dates': row(
    always({
      query: `Observation?patient=${patientId(0)}&date=ge2020-03&date=lt2020-05&_sort=-date&_count=20`,
      entries: 20,
    }),
    20,
  ),
  'heavy: count': row(
    always((size) => ({
      query: `Observation?patient=${patientId(0)}&_summary=count`,
      total: observationsBySubject(size).get(0) ?? 0,
    })),
    20,
  ),
  'of 5,000: code 50 %': half(
    always({
      query: `Observation?${frequentCode}&patient.general-practitioner=${first}&_count=50`,
      entries: 50,
    }),
    'code 50 %',
  ),
  'of 5,000: code 2.5 %': half(
    always({
      query: `Observation?${secondCode}&patient.general-practitioner=${first}&_count=50`,
      entries: 50,
    }),
    'code 2.5 %',
  ),
  'of 5,000: name': half(
    search(() => () => ({
      query: `Patient?name=${NAMES[whole(NAMES.length)]}&birthdate=ge1950&general-practitioner=${first}&_count=20`,
      entries: 20,
    })),
    'name, birth date',
  ),
  'count 2.5 %': row(count(second), 10),
  'count all': row(
    always((size) => ({ query: 'Observation?_summary=count', total: size.observations })),
    150,
  ),
  'chain: identifier': row(
    search((size) => () => ({
      query: `Observation?patient.identifier=${RECORD_NUMBERS}|${recordNumber(1 + whole(size.patients - 1))}&_count=20`,
      entries: (found) => found > 0,
    })),
    25,
  ),
  ...Object.fromEntries(
    Object.entries(NAMED).map(([many, name]) => [
      `chain: name of ${many}`,
      row(
        always({
          query: `Observation?subject:Patient.name=${name}&_count=20`,
          entries: (found) => found > 10,
        }),
        25,
      ),
    ]),
  ),
  ...Object.fromEntries(
    [frequent.code, rare.code, '0000-0'].map((code, i) => [
      `_has: ${['frequent', 'rare', 'absent'][i]}`,
      row(
        always({
          query: `Patient?_has:Observation:patient:code=${LOINC}|${code}&_count=20`,
          entries: i < 2 ? 20 : 0,
        }),
        40,
      ),
    ]),
  ),
  ...Object.fromEntries([
    ...value('value', 'Observation?value-quantity=BOUND', [900, 999, 1000]),
    ...value(
      'code and value',
      `Observation?code-value-quantity=${LOINC}|${frequent.code}$BOUND`,
      [800, 998, 1000],
    ),
    ...value(
      'component and value',
      `Observation?component-code-value-quantity=${LOINC}|${COMPONENTS[0]}$BOUND`,
      [600, 996, 1000],
    ),
  ]),
  includes: row(
    always({
      query: `Observation?${secondCode}&_count=50&_include=Observation:patient&_include=Observation:encounter&_include=Observation:performer&_revinclude=DiagnosticReport:result`,
      entries: (found) => found > 150,
    }),
    60,
  ),
};
