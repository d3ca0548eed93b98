/**
 * Instances that are kept apart, as it is not known whose they are, until the organization has decided: a Task asks for
 * that. They are seen by whoever may see the studies of all patients, as they may be anybody's.
 */
import type { Task } from 'fhir/r4.js';
import { v7 as uuid } from 'uuid';
import { demandWhole } from '../../access/access.ts';
import { readIncoming } from '../../fhir/content.ts';
import { refusal } from '../../fhir/outcome.ts';
import { countHeld, dropHeld, findHeld, type Held, hold, letGo } from '../../store/imaging/held.ts';
import type { KnownInstance } from '../../store/imaging/rows.ts';
import { read } from '../read.ts';
import type { Caller } from '../records.ts';
import type { Setting } from '../setting.ts';
import { transaction } from '../transaction/transaction.ts';
import { update } from '../write.ts';
import type { Arrival, Arrived, Decided, Review } from './imaging.ts';
import { findByIdentifier, identifierCondition, ofStudy } from './lookups.ts';

/** Keeps instances apart, once each, and asks for a review. */
export async function holdAll(
  setting: Setting,
  caller: Caller,
  operator: Caller,
  { study, instances }: Arrival,
  same: ReadonlyMap<string, KnownInstance>,
  reason: string,
): Promise<readonly Arrived[]> {
  let held = 0;
  for (const { uid, blob } of instances) {
    if (same.get(uid)?.sha256 === blob.sha256) continue;
    const { agent } = caller;
    const row = { id: uuid(), agent, reason, uid, study: study.uid, blob, attributes: study.attributes };
    if (await hold(setting.store.pool, row)) held++;
  }
  if (held > 0) await askForReview(setting, operator, study.uid, reason);
  return instances.map(() => ({ kind: 'held' }));
}

const open = (study: string) => ({ type: 'Task', status: 'requested', ...ofStudy(study) });

/** One Task for all that is kept apart of a study. */
async function askForReview(
  setting: Setting,
  operator: Caller,
  study: string,
  reason: string,
): Promise<void> {
  const body = JSON.stringify(review(study, reason));
  const ifNoneExist = identifierCondition(setting, open(study));
  await transaction(setting, operator, [{ method: 'POST', type: 'Task', body, ifNoneExist }], false);
}

/** What the organization is asked to look at; it says nothing of the patient, as it is not known who that is. */
function review(study: string, reason: string): Task {
  return {
    resourceType: 'Task',
    identifier: [ofStudy(study)],
    status: 'requested',
    intent: 'order',
    code: { text: 'Review of DICOM instances that were kept apart' },
    description: `Instances were brought in that cannot be assigned: ${reason}`,
    authoredOn: new Date().toISOString(),
  };
}

/** Where nothing of a study is kept apart any more, its review is done. */
async function endReview(setting: Setting, operator: Caller, study: string): Promise<void> {
  const { pool } = setting.store;
  if ((await countHeld(pool, study)) > 0) return;
  for (const { id, version, content } of await findByIdentifier(setting, operator, open(study))) {
    const done = {
      ...(JSON.parse(content) as Task),
      status: 'completed',
      lastModified: new Date().toISOString(),
    };
    const body = readIncoming(JSON.stringify({ ...done, id }));
    await update(setting, operator, { type: 'Task', id, ifMatch: version }, body);
  }
  // what has come meanwhile has found the Task open, and asked for no other
  if ((await countHeld(pool, study)) > 0)
    await askForReview(setting, operator, study, 'they came while others were reviewed');
}

/**
 * Opens the review.
 *
 * @param store brings instances in as it was decided
 */
export function openReview(
  setting: Setting,
  operator: () => Promise<Caller>,
  store: (caller: Caller, arrival: Arrival, decided: Decided) => Promise<readonly Arrived[]>,
): Review {
  const { store: stored, callers } = setting;
  return {
    find: (caller, wanted) =>
      callers.asOf(caller, async ({ access }) => {
        demandWhole(access, 'ImagingStudy', 'r');
        demandWhole(access, 'ImagingStudy', 's');
        return findHeld(stored.pool, wanted);
      }),
    async release(caller, arrival, { patient, held }) {
      await callers.asOf(caller, async (current) => {
        demandWhole(current.access, 'ImagingStudy', 'c');
        demandWhole(current.access, 'ImagingStudy', 'u');
        await read(setting, current, 'Patient', patient);
      });
      const arrived = await store(caller, arrival, { subject: `Patient/${patient}`, held });
      // These are in their study already: what is kept apart is one more of the same.
      await letGo(
        stored.pool,
        held.filter((_, i) => arrived[i]?.kind === 'unchanged'),
      );
      await endReview(setting, await operator(), arrival.study.uid);
      return arrived;
    },
    reject: (caller, held) =>
      callers.asOf(caller, async ({ access }) => {
        demandWhole(access, 'ImagingStudy', 'd');
        const gone: readonly Pick<Held, 'study'>[] = await dropHeld(stored.pool, stored.blobs, held);
        if (gone.length === 0 && held.length > 0)
          throw refusal(404, 'not-found', 'None of these is kept apart here, or any more');
        for (const study of new Set(gone.map((one) => one.study)))
          await endReview(setting, await operator(), study);
        return gone.length;
      }),
  };
}
