/** Opens imaging.ts over the store. */
import { demand } from '../../access/access.ts';
import { refusal } from '../../fhir/outcome.ts';
import { addBlob } from '../../store/bytes.ts';
import { count, find, type InstancePlace, readInstances, readSyntaxes } from '../../store/imaging/find.ts';
import { derivedOfGone, findStudy, knownFiles, purge } from '../../store/imaging/rows.ts';
import { PLAN_EACH } from '../../store/pool.ts';
import { openBlob } from '../binary.ts';
import { checkEpoch } from '../callers.ts';
import { arrive } from '../intake.ts';
import type { Caller, Records, Stored } from '../records.ts';
import { newestSeen } from '../seen.ts';
import type { Setting } from '../setting.ts';
import { openReview } from './held.ts';
import type { Found, Imaging } from './imaging.ts';
import { ofStudy } from './lookups.ts';
import { storeInstances } from './store.ts';
import { inTurns } from './turns.ts';

/** Instances read at once. */
const PAGE = 50;
/** Of so many studies is told which a caller of limited access may find, for one answer. */
const MOST_JUDGED = 5000;
const STRIDE = 200;

export function openImaging(
  setting: Setting,
  records: Pick<Records, 'read' | 'remove' | 'operator'>,
): Imaging {
  const { store, callers } = setting;
  const storeInTurn = inTurns((caller, arrival) =>
    storeInstances(setting, caller, records.operator, arrival),
  );

  /** A study's ImagingStudy, which the caller may read. */
  async function demandStudy(caller: Caller, study: string): Promise<Stored> {
    demand(caller.access, 'ImagingStudy', 'r');
    const known = await findStudy(store.pool, study);
    if (!known) throw absent(caller);
    const stored = await records.read(caller, 'ImagingStudy', known.id).catch((fault) => {
      throw fault?.status === 404 || fault?.status === 410 ? absent(caller) : fault;
    });
    if (!isOf(JSON.parse(stored.content), study)) throw absent(caller);
    return stored;
  }

  /** Studies for a caller who may not find all: each is judged by its ImagingStudy. */
  async function findJudged(caller: Caller, sought: Parameters<Imaging['find']>[1]): Promise<Found> {
    const patient = await patientNumber(setting, caller);
    const rows: Found['rows'][number][] = [];
    let at = 0;
    for (; at < MOST_JUDGED; at += STRIDE) {
      const page = await find(store.pool, { ...sought, patient, limit: STRIDE, offset: at });
      const names = [...new Set(page.map(({ id }) => id))].map((id) => ({ type: 'ImagingStudy', id }));
      const seen = await newestSeen(setting, caller, 's', names);
      rows.push(...page.filter(({ id }) => seen.get(`ImagingStudy/${id}`)?.deleted === false));
      if (page.length < STRIDE) {
        const total = rows.length;
        return { rows: rows.slice(sought.offset, sought.offset + sought.limit), total };
      }
    }
    return { rows: rows.slice(sought.offset, sought.offset + sought.limit), total: undefined };
  }

  /** What was made of a study goes before its rows, which alone know of it. */
  async function purgeAll(study?: string): Promise<readonly string[]> {
    const operator = await records.operator();
    for (const { type, id } of await derivedOfGone(store.pool, study))
      await records.remove(operator, { type: store.catalog.typeName(type), id });
    return purge(store.pool, store.blobs, study);
  }

  return {
    async putAway(caller, stream) {
      if (!caller.access.allows('ImagingStudy', 'c')) demand(caller.access, 'ImagingStudy', 'u');
      const { came, seen } = await arrive(setting, caller, stream, true);
      // What is on its way to its study counts already, so that one request cannot go past the quota.
      if (setting.bytesQuota > 0) await addBlob(store.pool, came, { ...seen, agent: caller.agent });
      return came;
    },
    reopen: ({ name }, range) => store.blobs.open(name, range),
    store: storeInTurn,
    find: (caller, sought) =>
      callers.asOf(caller, async (current) => {
        demand(current.access, 'ImagingStudy', 's');
        checkEpoch(current, await callers.epoch());
        if (current.access.within('ImagingStudy', 's').length > 0) return findJudged(current, sought);
        // Of one moment; what is counted is much, and what is shown is little: each is planned by itself.
        return store.atOneMoment(async (executor) => {
          await executor.query(PLAN_EACH);
          return { rows: await find(executor, sought), total: await count(executor, sought) };
        });
      }),
    async read(caller, of) {
      const study = await demandStudy(caller, of.study);
      const first = await readInstances(store.pool, of, PAGE, 0);
      if (first.length === 0) throw absent(caller);
      async function* pages(): AsyncGenerator<readonly InstancePlace[]> {
        let page = first;
        for (let at = PAGE; page.length > 0; at += PAGE) {
          yield page;
          page = page.length < PAGE ? [] : await readInstances(store.pool, of, PAGE, at);
        }
      }
      return { study, syntaxes: await readSyntaxes(store.pool, of), pages: pages() };
    },
    open: ({ blob }, range) => openBlob(setting, blob, range),
    async remove(caller, study) {
      const { id } = await demandStudy(caller, study);
      await records.remove(caller, { type: 'ImagingStudy', id });
      return purgeAll(study);
    },
    review: openReview(setting, records.operator, (caller, arrival, decided) =>
      storeInstances(setting, caller, records.operator, arrival, decided),
    ),
    known: (blobs) => knownFiles(store.pool, blobs),
    purge: () => purgeAll(),
  };
}

/** Somebody else may have written an ImagingStudy of the same UID, or changed this one's: what counts is the index's. */
function isOf(
  { identifier }: { readonly identifier?: readonly { readonly system?: string; readonly value?: string }[] },
  study: string,
): boolean {
  const own = ofStudy(study);
  return !!identifier?.some(({ system, value }) => system === own.system && value === own.value);
}

/** Whoever has access to one patient alone is told alike of studies of others and of none (SMART Imaging Access). */
const absent = ({ access }: Caller) =>
  access.patient === undefined
    ? refusal(
        404,
        'not-found',
        'There is no such study, series or instance here, or none that this access token may read',
      )
    : refusal(403, 'forbidden', 'This access token is for one patient, and that is no study of theirs');

async function patientNumber({ store }: Setting, { access }: Caller): Promise<number | undefined> {
  if (access.patient === undefined) return undefined;
  const [rid] = await store.numbers.find([{ type: 'Patient', id: access.patient }]);
  return rid ?? -1;
}
