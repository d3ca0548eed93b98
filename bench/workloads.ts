/** What is asked of the server and of the yardsticks, and how a right answer looks. */
import { corrected, newObservation, observationId } from './dataset.ts';
import { type Exchange, type Maker, occurrences, type Workload, whole, wrong } from './exchange.ts';
import { bareMixed, mixed } from './mixed.ts';
import { type Asked, rows } from './searches.ts';
import { places, visitsBundle } from './visit.ts';
import { fieldOf, request } from './wire.ts';

const PREBUILT = 2000;

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
  others: blend([60, readObservation], [30, rows['patient, code, date']!.maker], [10, createObservation]),
  mixed,
} satisfies Record<string, Maker>;

/** Searches have the names of their rows after this. */
const SEARCH = 'search ';

const searches: Record<string, Maker> = {};
for (const [name, { maker, bare }] of Object.entries(rows)) {
  searches[`${SEARCH}${name}`] = maker;
  if (bare) searches[`bare ${name}`] = bare;
}

export type WorkloadName = string;
export const workloads: Readonly<Record<WorkloadName, Maker>> = { ...makers, ...searches };

/** Whether a workload is one of the yardsticks' server. */
export const isBare = (workload: WorkloadName): boolean =>
  workload.startsWith('bare ') || workload === 'same work';

/** A workload of the server beside those that it is divided by. */
export interface Comparison {
  readonly workload: WorkloadName;
  readonly yardsticks: readonly WorkloadName[];
  /** whether it waits for commits, so that it is measured with synchronous_commit on and off */
  readonly writes: boolean;
  /** the workload of other clients, whose answers are watched while one client does this one */
  readonly beside?: WorkloadName;
  readonly asked?: Asked;
}

/** Those that write come last: they make the database larger. */
export const comparisons: readonly Comparison[] = [
  { workload: 'read', yardsticks: ['bare read'], writes: false },
  ...Object.entries(rows).map(([name, { asked, beside }]): Comparison => {
    const own = Object.keys(asked.ratios ?? {}).map((one) => (one === beside ? `${SEARCH}${one}` : one));
    return { workload: `${SEARCH}${name}`, yardsticks: own, writes: false, asked };
  }),
  { workload: 'create', yardsticks: ['same work', 'bare insert'], writes: true },
  { workload: 'update', yardsticks: ['bare insert'], writes: true },
  { workload: 'mixed', yardsticks: ['bare mixed'], writes: true },
  { workload: 'transaction', yardsticks: ['bare insert'], writes: true },
  { workload: 'large', yardsticks: [], beside: 'others', writes: true },
];
