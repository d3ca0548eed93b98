/** What is asked of the server and of the yardsticks, and how a right answer looks. */
import {
  corrected,
  counted,
  countOf,
  familyOf,
  newObservation,
  observationId,
  patientId,
  patientsWith,
  RECORD_NUMBERS,
  recordNumber,
  type Size,
} from './dataset.ts';
import { type Exchange, type Maker, occurrences, type Workload, whole, wrong } from './exchange.ts';
import { bareMixed, mixed } from './mixed.ts';
import { places, visitsBundle } from './visit.ts';
import { fieldOf, request } from './wire.ts';

const PREBUILT = 2000;
const LOINC = 'http://loinc.org';

const read =
  (path: string, authorized: boolean): Maker =>
  ({ observations }, token) =>
  () =>
  () => {
    const id = observationId(whole(observations));
    return {
      bytes: request('GET', `${path}${id}`, authorized ? { token } : {}),
      fault: (answer) => wrong(answer, 200, `"id":"${id}"`),
    };
  };

const create =
  (path: string, authorized: boolean): Maker =>
  (size, token) => {
    const exchanges = Array.from({ length: PREBUILT }, (_, n): Exchange => {
      const body = JSON.stringify(newObservation(n, size));
      const marker = `"value":"R${n}"`;
      return {
        bytes: request('POST', path, { body, token: authorized ? token : undefined }),
        fault: (answer) =>
          answer.status === 201 && !fieldOf(answer, 'location')
            ? 'a created resource has no Location'
            : wrong(answer, 201, marker),
      };
    });
    return () => () => exchanges[whole(PREBUILT)]!;
  };

/** Corrections of the values of some Observations: each must make the next version. */
const update: Maker = (size, token) => {
  const subjects = Array.from({ length: Math.min(PREBUILT, size.observations) }, (_, n) => ({
    id: observationId(n),
    version: 0,
    variants: [1, 2].map((variant) =>
      request('PUT', `/fhir/Observation/${observationId(n)}`, {
        token,
        body: JSON.stringify(corrected(n, size, 10_000 * variant + n)),
      }),
    ),
  }));
  return (client, clients) => () => {
    const subject = subjects[whole(Math.floor(subjects.length / clients)) * clients + client]!;
    return {
      bytes: subject.variants[subject.version % 2]!,
      fault: (answer) => {
        const version = Number(/^W\/"(\d+)"$/.exec(fieldOf(answer, 'etag') ?? '')?.[1]);
        const known = subject.version;
        subject.version = version || known + 1;
        if (!(version > 1) || (known > 0 && version !== known + 1))
          return `version ${known} became ${version}: ${answer.status} ${answer.body.subarray(0, 300)}`;
        return wrong(answer, 200, `"id":"${subject.id}"`);
      },
    };
  };
};

/** A search whose answers have a known number of entries, or a known total. */
const search =
  (
    prepare: (size: Size) => () => {
      readonly query: string;
      readonly entries?: number;
      readonly total?: number;
    },
  ): Maker =>
  (size, token) => {
    const next = prepare(size);
    return () => () => {
      const { query, entries = 0, total } = next();
      return {
        bytes: request('GET', `/fhir/${query}`, { token }),
        fault: (answer) => {
          if (answer.status !== 200) return `${query}: ${answer.status} ${answer.body.subarray(0, 300)}`;
          const found = occurrences(answer.body, '"fullUrl":');
          if (found !== entries) return `${query}: ${found} entries, not ${entries}`;
          return total === undefined ? undefined : wrong(answer, 200, `"total":${total}`);
        },
      };
    };
  };

const byCode = (n: number): Maker =>
  search((size) => {
    const { code } = counted[n]!;
    const entries = Math.min(50, countOf(counted[n]!, size));
    return () => ({ query: `Observation?code=${LOINC}|${code}&_sort=-date&_count=50`, entries });
  });

const SINCE = '2021-01-01';

const patientCodeDate = search((size) => {
  const patients = patientsWith(counted[0]!, SINCE, 20, size);
  return () => ({
    query: `Observation?patient=${patientId(patients[whole(patients.length)]!)}&code=${LOINC}|${counted[0]!.code}&date=ge${SINCE}&_sort=-date&_count=20`,
    entries: 20,
  });
});

/** Transactions, each of so many visits: all their resources are created. */
const transaction =
  (visits: number, prebuilt: number): Maker =>
  (_size, token) => {
    const resources = visits * places.length;
    const exchanges = Array.from({ length: prebuilt }, (_, n): Exchange => {
      const numbers = Array.from({ length: visits }, (_, i) => WRITTEN + n * visits + i);
      return {
        bytes: request('POST', '/fhir', { token, body: visitsBundle(numbers) }),
        fault: (answer) => {
          if (answer.status !== 200) return wrong(answer, 200);
          const created = occurrences(answer.body, '"status":"201 Created"');
          return created === resources ? undefined : `${created} were created, not ${resources}`;
        },
        resources,
      };
    });
    return () => () => exchanges[whole(prebuilt)]!;
  };

/** Visits from this number on have no resources with ids that a client has chosen. */
const WRITTEN = 100_000;

/** Each request is one of some workload's, by their shares in percent. */
const blend =
  (...parts: readonly (readonly [share: number, maker: Maker])[]): Maker =>
  (size, token) => {
    const workloads = parts.flatMap(([share, maker]) => Array<Workload>(share).fill(maker(size, token)));
    return (client, clients) => {
      const nexts = workloads.map((workload) => workload(client, clients));
      return () => nexts[whole(nexts.length)]!();
    };
  };

const readObservation = read('/fhir/Observation/', true);
const createObservation = create('/fhir/Observation', true);

const makers = {
  'bare read': read('/read/', false),
  'bare insert': create('/insert', false),
  'same work': create('/same-work', false),
  'bare mixed': bareMixed,
  read: readObservation,
  create: createObservation,
  update,
  transaction: transaction(1, 200),
  large: transaction(100, 2),
  others: blend([60, readObservation], [30, patientCodeDate], [10, createObservation]),
  mixed,
  'patient+code+date': patientCodeDate,
  'code 50 %': byCode(0),
  'code 2.5 %': byCode(1),
  'code 1.25 %': byCode(2),
  'code 0.46 %': byCode(3),
  'heavy patient, no match': search(() => () => ({
    query: `Observation?patient=${patientId(0)}&code=${LOINC}|${counted[3]!.code}&_sort=-date&_count=20`,
  })),
  'count 2.5 %': search((size) => {
    const total = countOf(counted[1]!, size);
    return () => ({ query: `Observation?code=${LOINC}|${counted[1]!.code}&_summary=count`, total });
  }),
  'count 50 %': search((size) => {
    const total = countOf(counted[0]!, size);
    return () => ({ query: `Observation?code=${LOINC}|${counted[0]!.code}&_summary=count`, total });
  }),
  'patient name': search(({ patients }) => () => {
    const n = whole(196);
    const matches = Math.floor(patients / 196) + (n < patients % 196 ? 1 : 0);
    return { query: `Patient?name=${familyOf(n)}&_count=20`, entries: Math.min(20, matches) };
  }),
  'patient identifier': search(({ patients }) => () => {
    const n = whole(patients);
    return { query: `Patient?identifier=${RECORD_NUMBERS}|${recordNumber(n)}`, entries: 1 };
  }),
} satisfies Record<string, Maker>;

export type WorkloadName = keyof typeof makers;
export const workloads: Readonly<Record<WorkloadName, Maker>> = makers;

/** A workload of the server beside the yardsticks that it is divided by. */
export interface Comparison {
  readonly workload: WorkloadName;
  readonly yardsticks: readonly WorkloadName[];
  /** whether it waits for commits, so that it is measured with synchronous_commit on and off */
  readonly writes: boolean;
  /** the workload of other clients, whose answers are watched while one client does this one */
  readonly beside?: WorkloadName;
}

const reads = (Object.keys(makers) as WorkloadName[]).slice(Object.keys(makers).indexOf('mixed') + 1);

/** Those that write come last: they make the database larger. */
export const comparisons: readonly Comparison[] = [
  ...(['read', ...reads] as const).map(
    (workload): Comparison => ({ workload, yardsticks: ['bare read'], writes: false }),
  ),
  { workload: 'create', yardsticks: ['same work', 'bare insert'], writes: true },
  { workload: 'update', yardsticks: ['bare insert'], writes: true },
  { workload: 'mixed', yardsticks: ['bare mixed'], writes: true },
  { workload: 'transaction', yardsticks: ['bare insert'], writes: true },
  { workload: 'large', yardsticks: [], beside: 'others', writes: true },
];
