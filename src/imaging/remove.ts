/** DELETE of a study: its ImagingStudy, its files, and what was made of them. */
import { begin } from './answers.ts';
import { type ImagingContext, namedBy, type Visit } from './context.ts';

export async function remove(context: ImagingContext, visit: Visit): Promise<void> {
  const { study } = namedBy(visit);
  const blobs = await context.records.imaging.remove(visit.caller, study);
  for (const blob of blobs) await context.cache.forget(blob);
  begin(visit, {});
  visit.response.writeHead(204).end();
}

/** Pictures of files that are gone from all processes: this one's cache hears of what it removes itself alone. */
export const sweepPictures = ({ records, cache }: Pick<ImagingContext, 'records' | 'cache'>): Promise<void> =>
  cache.sweep(records.imaging.known);

/** What belongs to ImagingStudys that were deleted through FHIR. */
export async function purge({ records, cache }: Pick<ImagingContext, 'records' | 'cache'>): Promise<void> {
  for (const blob of await records.imaging.purge()) await cache.forget(blob);
}
