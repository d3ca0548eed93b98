/**
 * People whose records are theirs to see, kept as long as nothing is written that it depends on: what changes there holds on
 * the next request (README, "Who sees what").
 */
import { namesOf, type Person } from '../access/person.ts';
import { lane } from '../store/lane.ts';
import { type Touched, touchedSince } from '../store/read/touched.ts';
import { snapshotNow } from '../store/search/snapshot.ts';
import { type Found, type Looking, personOf } from './person.ts';

/** So many people are kept. */
const MOST_KEPT = 1000;

/** What is kept is looked up anew after so many milliseconds: periods begin and end without a word. */
const LONGEST = 5000;

/** Types of which a write may change whose records are a person's to see, wherever it is; and if it is about their patients. */
const ROLES = ['Person', 'PractitionerRole', 'RelatedPerson'];
const RELATIONS = ['CareTeam', 'Consent', 'Encounter', 'EpisodeOfCare', 'Patient', 'Task'];

interface Kept extends Found {
  /** of the person and their organizations */
  readonly names: ReadonlySet<number>;
  readonly patients: ReadonlySet<number>;
  readonly epoch: number | undefined;
  readonly until: number;
}

/**
 * Gives people by `Type/id`, and organizations, by commas apart, as one who has no patients but theirs; somebody who sees
 * nobody, where there is no such resource.
 */
export function makePeople(looking: Looking): (holder: string, epoch?: number) => Promise<Person> {
  const { store } = looking;
  const known = new Map<string, Kept>();
  const types = [...ROLES, ...RELATIONS].map(store.catalog.typeNumber);
  const roles = new Set(ROLES.map(store.catalog.typeNumber));
  /** what was written before it is looked at: who is worked out meanwhile may not know of it yet */
  const underway = new Set<Touched[]>();
  let snapshot: string | undefined;

  function concerns(
    { names, patients }: Kept,
    { type, deleted, rid, patients: about, targets }: Touched,
  ): boolean {
    if (roles.has(type) || looking.policy === 'all') return true;
    return (
      names.has(rid) ||
      about.some((one) => patients.has(one)) ||
      targets.some((one) => names.has(one)) ||
      // It is not told what it referred to.
      (deleted && about.length === 0)
    );
  }

  /**
   * Has those looked up anew about whom something was written since it was looked last. Requests that come at the same time share the
   * look that begins after them.
   */
  const lookAround = lane<null, null>({ width: 1, most: 10_000 }, async (batch) => {
    if (snapshot === undefined) {
      snapshot = (await snapshotNow(store.pool)) ?? undefined;
    } else {
      const { snapshot: now, touched } = await touchedSince(store.pool, store.catalog, snapshot, types);
      snapshot = now;
      for (const [holder, kept] of known)
        if (!touched || touched.some((one) => concerns(kept, one))) known.set(holder, { ...kept, until: 0 });
      for (const seen of underway) seen.push(...(touched ?? [EVERYTHING]));
    }
    return batch.map(() => null);
  });

  return async (holder, epoch) => {
    await lookAround(null);
    const kept = known.get(holder);
    // Glass that is broken raises the epoch.
    if (kept && kept.epoch === epoch && kept.until > Date.now()) return kept.person;
    const meanwhile: Touched[] = [];
    underway.add(meanwhile);
    try {
      const told = await personOf(looking, holder, kept?.epoch === epoch ? kept : undefined);
      const { person } = told;
      const names = (await store.numbers.find(namesOf(person))).filter((rid) => rid !== undefined);
      const found: Kept = {
        ...told,
        epoch,
        names: new Set(names),
        patients: new Set([...person.patients.values(), ...person.sharing.values()]),
        until: Date.now() + LONGEST,
      };
      if (!meanwhile.some((one) => one === EVERYTHING || concerns(found, one))) keep(holder, found);
      return person;
    } finally {
      underway.delete(meanwhile);
    }
  };

  function keep(holder: string, found: Kept): void {
    known.delete(holder);
    known.set(holder, found);
    const [eldest] = known.keys();
    if (known.size > MOST_KEPT && eldest !== undefined) known.delete(eldest);
  }
}

/** Stands for more than is looked at. */
const EVERYTHING: Touched = { type: -1, deleted: false, rid: -1, patients: [], targets: [] };
