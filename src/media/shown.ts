/** What there is to see and hear in the attachments of resources, for whoever has found these: told in few statements. */
import type { Attachment, Resource } from 'fhir/r4.js';
import { attachmentsOf, blobOf } from '../fhir/attachments.ts';
import { parseReference } from '../fhir/reference.ts';
import { type Context, fhirBase } from '../http/exchange.ts';
import type { Caller, KnownBlob, Stored } from '../records/records.ts';
import { isFilm } from './ffmpeg.ts';
import { PLAY, type Wanted } from './wanted.ts';

/** A picture, a video or a sound. */
export interface Shown {
  readonly attachment: Attachment;
  readonly contentType: string;
  /** what its bytes are asked for by; undefined where the caller may not have them, or they are elsewhere */
  readonly wanted?: Wanted;
  /** sizes that it can be had in, too */
  readonly sizes: readonly ('256' | typeof PLAY)[];
}

const SEEN_OR_HEARD = /^(?:image|video|audio)\//i;

/**
 * @param isPicture whether there is a picture in bytes
 * @returns         by resource, in the order in which they are given
 */
export async function shownIn(
  { records, config, definitions }: Pick<Context, 'records' | 'config' | 'definitions'>,
  caller: Caller,
  found: readonly Stored[],
  isPicture: (known: KnownBlob) => boolean,
): Promise<readonly (readonly Shown[])[]> {
  const base = fhirBase({ config });
  /** The id of the Binary that a url leads to. */
  const binaryOf = ({ url }: Attachment): string | undefined => {
    const target = url === undefined ? undefined : parseReference(url, base, definitions.isResourceType);
    return target?.kind === 'local' && target.type === 'Binary' && target.version === undefined
      ? target.id
      : undefined;
  };
  const placed = found.map((stored) =>
    attachmentsOf(JSON.parse(stored.content) as Resource).map((attachment) => ({
      ...{ stored, attachment, binary: binaryOf(attachment) },
      part: attachment.data === undefined ? undefined : blobOf(attachment.data),
    })),
  );
  const all = placed.flat();
  const ids = [...new Set(all.flatMap(({ binary }) => binary ?? []))];
  const mayRead = ids.length > 0 && caller.access.allows('Binary', 'r');
  const binaries = mayRead ? await records.readAll(caller, 'Binary', ids) : new Map<string, Stored>();
  const blobs = all.flatMap(({ binary, part }) => part ?? binaries.get(binary ?? '')?.blob ?? []);
  const known = await records.describeBlobs(blobs);
  return placed.map((attachments) =>
    attachments.flatMap(({ stored: { type, id }, attachment, binary, part }): readonly Shown[] => {
      const there = binaries.get(binary ?? '');
      const bytes = known.get(part ?? there?.blob ?? '');
      const contentType = there ? contentTypeOf(there) : (attachment.contentType ?? bytes?.kind ?? '');
      // A Media is about something to see or hear, whatever it says.
      if (type !== 'Media' && !SEEN_OR_HEARD.test(contentType)) return [];
      if (!bytes) return [{ attachment, contentType, sizes: [] }];
      const wanted =
        type === 'Media'
          ? { type, id }
          : part
            ? { type, id, part }
            : { type: 'Binary', id: binary as string };
      const sizes: Shown['sizes'] = [
        ...(isPicture(bytes) ? (['256'] as const) : []),
        ...(bytes.plays || isFilm(bytes.kind ?? '') ? ([PLAY] as const) : []),
      ];
      return [{ attachment, contentType, wanted, sizes }];
    }),
  );
}

const contentTypeOf = ({ content }: Stored): string => JSON.parse(content).contentType;
