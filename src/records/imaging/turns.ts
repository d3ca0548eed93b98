/**
 * What comes for one study at once waits in turn, and what waits together goes together: each arrival makes a new version
 * of the ImagingStudy, which lists all that is in it, so that eight senders of a thousand instances would make a thousand.
 */
import type { Caller } from '../stored.ts';
import type { Arrival, Arrived } from './imaging.ts';

type Store = (caller: Caller, arrival: Arrival) => Promise<readonly Arrived[]>;

interface Waiting {
  readonly caller: Caller;
  readonly arrival: Arrival;
  readonly resolve: (arrived: readonly Arrived[]) => void;
  readonly reject: (fault: unknown) => void;
}

/** Instances that go together, at most. */
const MOST = 500;

/** Makes it for one process; between processes the store tells who was overtaken. */
export function inTurns(store: Store): Store {
  const byStudy = new Map<string, Waiting[]>();

  async function work(study: string, waiting: Waiting[]): Promise<void> {
    while (waiting.length > 0) await together(store, takeAlike(waiting));
    byStudy.delete(study);
  }

  return (caller, arrival) =>
    new Promise((resolve, reject) => {
      const { uid } = arrival.study;
      const waiting = byStudy.get(uid);
      const mine = { caller, arrival, resolve, reject };
      if (waiting) {
        waiting.push(mine);
        return;
      }
      const queue = [mine];
      byStudy.set(uid, queue);
      void work(uid, queue);
    });
}

/** The first, and what may go with it: of the same caller, and about the same patient. */
function takeAlike(waiting: Waiting[]): readonly Waiting[] {
  const [first] = waiting as [Waiting];
  const alike: Waiting[] = [];
  let count = 0;
  for (const one of [...waiting]) {
    const { caller, arrival } = one;
    const { patientId, issuer } = arrival.study;
    const goesAlong =
      caller.agent === first.caller.agent &&
      patientId === first.arrival.study.patientId &&
      issuer === first.arrival.study.issuer;
    count += weightOf(arrival);
    if (!goesAlong || (alike.length > 0 && count > MOST)) continue;
    alike.push(one);
    waiting.splice(waiting.indexOf(one), 1);
  }
  return alike;
}

/** What is derived is long: an ECG's samples are a text of half a megabyte. */
const weightOf = ({ instances, derived }: Arrival): number => instances.length + 25 * derived.length;

async function together(store: Store, alike: readonly Waiting[]): Promise<void> {
  const [first] = alike as [Waiting];
  const all = alike.length === 1 ? first.arrival : merged(alike.map(({ arrival }) => arrival));
  try {
    const arrived = await store(first.caller, all);
    let at = 0;
    for (const { arrival, resolve } of alike) {
      resolve(arrived.slice(at, at + arrival.instances.length));
      at += arrival.instances.length;
    }
  } catch (fault) {
    if (alike.length === 1) first.reject(fault);
    // One may be at fault: each by itself, so that the others are not refused for it.
    else for (const one of alike) await together(store, [one]);
  }
}

function merged(arrivals: readonly Arrival[]): Arrival {
  const [first] = arrivals as [Arrival];
  const series = new Map(arrivals.flatMap((arrival) => arrival.series.map((one) => [one.uid, one] as const)));
  return {
    ...first,
    series: [...series.values()],
    instances: arrivals.flatMap(({ instances }) => instances),
    derived: arrivals.flatMap(({ derived }) => derived),
  };
}
