/** What the queue of films does with each: as H.264 and AAC it is kept beside the film, for whoever may have that. */
import { refusal } from '../fhir/outcome.ts';
import type { Transcode } from '../jobs/transcodings.ts';
import type { Records } from '../records/records.ts';
import { isFilm } from './ffmpeg.ts';
import type { Playable } from './films.ts';
import { PLAY } from './wanted.ts';

type Bytes = Pick<Records, 'describeBlob' | 'openBlob' | 'keepRendition'>;

export function makeTranscode(records: Bytes, playable: Playable): Transcode {
  return async (blob, doing) => {
    const { kind } = await records.describeBlob(blob);
    if (kind === null || !isFilm(kind))
      throw refusal(422, 'not-supported', 'it is no video or audio that is read');
    const open = async () => (await records.openBlob(blob)).stream;
    const { contentType, ...made } = await playable(open, kind, doing);
    try {
      await records.keepRendition(blob, PLAY, { ...made, type: contentType });
    } finally {
      made.bytes.destroy();
    }
  };
}
