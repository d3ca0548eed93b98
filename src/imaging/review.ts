/** The review of instances that are kept apart: seen with whom they say to be about, released to a patient, or rejected. */
import type { Patient } from 'fhir/r4.js';
import { Refusal } from '../fhir/outcome.ts';
import type { Arrived, Held, HeldWanted } from '../records/imaging/imaging.ts';
import type { Caller } from '../records/records.ts';
import { textIn } from './attributes.ts';
import type { ImagingContext } from './context.ts';
import type { Attributes } from './dicom/json.ts';
import { passing } from './dicom/read.ts';
import { type Instance, instanceOf } from './instance.ts';
import { arrivalOf, groups, type Result, resultOf } from './stow.ts';
import { patientIdentifier, patientOf } from './study.ts';

/** One of them, with the patient that it names. */
export interface HeldInstance extends Held {
  readonly patient: Patient;
}

/** Those of a study, or of some ids. */
export type Chosen = Pick<HeldWanted, 'study' | 'ids'>;

export interface Review {
  /** @throws Refusal as records.imaging.review */
  find(caller: Caller, wanted: HeldWanted): Promise<readonly HeldInstance[]>;
  /**
   * Brings instances into their studies as those of a patient; with a reason, one stays kept apart.
   *
   * @throws Refusal as records.imaging.review; 404 where none is kept apart
   */
  release(caller: Caller, chosen: Chosen, patient: string): Promise<readonly Result[]>;
  /** Takes them away for good, and says how many there were. @throws Refusal as release */
  reject(caller: Caller, chosen: Chosen): Promise<number>;
}

/** So many are decided at once: their attributes are in memory. */
const STRIDE = 100;

export function openReview(context: ImagingContext): Review {
  const { records, config, base } = context;
  const { review } = records.imaging;

  /** Those that are chosen, in pages: what is decided of a page does not move the next. */
  async function* pagesOf(caller: Caller, chosen: Chosen): AsyncGenerator<readonly Held[]> {
    let after: string | undefined;
    for (;;) {
      const page = await review.find(caller, { ...chosen, after, limit: STRIDE });
      if (page.length > 0) yield page;
      after = page.at(-1)?.id;
      if (page.length < STRIDE) return;
    }
  }

  async function releasePage(caller: Caller, page: readonly Held[], patient: string): Promise<Result[]> {
    const ids = new Map<Instance, string>();
    for (const held of page) ids.set(await readAgain(context, held), held.id);
    const results: Result[] = [];
    for (const group of groups([...ids.keys()])) {
      const to = { patient, held: group.map((one) => ids.get(one) as string) };
      const outcomes = await review
        .release(caller, arrivalOf(context, group), to)
        .catch((fault): readonly Refusal[] => {
          if (fault instanceof Refusal && REFUSED.has(fault.status)) return group.map(() => fault);
          throw fault;
        });
      results.push(...group.map((one, i) => resultOf(one, outcomes[i] as Arrived | Refusal)));
    }
    return results;
  }

  return {
    async find(caller, wanted) {
      const found = await review.find(caller, wanted);
      return found.map((held) => {
        const { attributes } = held;
        const named = JSON.parse(attributes) as Attributes;
        const of = {
          attributes,
          patientId: textIn(named, '00100020') ?? '',
          issuer: textIn(named, '00100021') ?? '',
        };
        return { ...held, patient: patientOf(attributes, patientIdentifier(of, config.dicomIssuers, base)) };
      });
    },
    async release(caller, chosen, patient) {
      const results: Result[] = [];
      for await (const page of pagesOf(caller, chosen))
        results.push(...(await releasePage(caller, page, patient)));
      return results;
    },
    async reject(caller, chosen) {
      let gone = 0;
      for await (const page of pagesOf(caller, chosen))
        gone += await review.reject(
          caller,
          page.map(({ id }) => id),
        );
      return gone;
    },
  };
}

/** What stands against some of them, and not against all. */
const REFUSED = new Set([410, 422]);

/** What a file is, read once more: what is kept apart has no row that would say it. */
async function readAgain({ records, dictionary }: ImagingContext, { blob }: Held): Promise<Instance> {
  const { stream } = await records.imaging.open({ blob: blob.name });
  const { chunks, parsed } = passing(stream, dictionary);
  for await (const _ of chunks) void _;
  return instanceOf(parsed(), blob);
}
