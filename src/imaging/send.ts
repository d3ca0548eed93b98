/** A study is sent to another server by STOW-RS (PS3.18 §10.5), file by file, as it is stored. */
import { setTimeout as sleep } from 'node:timers/promises';
import { error, Refusal } from '../fhir/outcome.ts';
import type { Caller } from '../records/records.ts';
import { itemsIn, wholeIn } from './attributes.ts';
import type { ImagingContext } from './context.ts';
import type { Attributes } from './dicom/json.ts';
import { allOf, type OpenFile } from './layout.ts';
import { newBoundary, writeParts } from './multipart.ts';

/** Where to. */
export interface Destination {
  /** of its DICOMweb */
  readonly url: string;
  /** value of the header */
  readonly authorization?: string;
}

export interface Sent {
  /** files that it has taken, or had */
  readonly sent: number;
  /** SOP Instance UIDs, with FailureReason (0008,1197) */
  readonly failed: readonly { readonly uid: string; readonly reason: number }[];
}

export interface Studies {
  /**
   * Sends all of a study.
   *
   * @throws Refusal as reading it; 502 where the other server cannot be reached, or does not take it, again and again
   */
  send(caller: Caller, study: string, to: Destination): Promise<Sent>;
}

/** So often a file is tried, with growing pauses in ms between. */
const PAUSES = [500, 2000, 8000];
/** What passes, perhaps. */
const PASSING = new Set([408, 425, 429, 500, 502, 503, 504]);
const LONGEST = 600_000;
const LONGEST_ANSWER = 1024 * 1024;
/** FailureReason of what is there already (PS3.7 §C.5.5). */
const DUPLICATE = 0x0111;

export const sending = ({ records }: Pick<ImagingContext, 'records'>): Studies => ({
  async send(caller, study, to) {
    const { pages } = await records.imaging.read(caller, { study });
    const failed: { uid: string; reason: number }[] = [];
    let sent = 0;
    for await (const page of pages)
      for (const place of page) {
        const reason = await sendFile(to, () => records.imaging.open(place), place.syntax);
        if (reason === undefined || reason === DUPLICATE) sent++;
        else failed.push({ uid: place.uid, reason });
      }
    return { sent, failed };
  },
});

/** Sends one; the reason why it was not taken, where it was not. */
async function sendFile(to: Destination, open: OpenFile, syntax: string): Promise<number | undefined> {
  for (let attempt = 0; ; attempt++) {
    const answer = await post(to, open, syntax).catch(() => undefined);
    if (answer && !PASSING.has(answer.status)) return reasonOf(answer);
    const pause = PAUSES[attempt];
    if (pause === undefined) throw unreachable(answer?.status);
    await sleep(Math.min(30_000, Math.max(pause, (answer?.retryAfter ?? 0) * 1000)));
  }
}

interface Answer {
  readonly status: number;
  readonly retryAfter: number;
  readonly text: string;
}

async function post({ url, authorization }: Destination, open: OpenFile, syntax: string): Promise<Answer> {
  const boundary = newBoundary();
  const body = writeParts(
    [{ contentType: `application/dicom; transfer-syntax=${syntax}`, body: allOf(open) }],
    boundary,
  );
  const request = {
    method: 'POST',
    headers: {
      'Content-Type': `multipart/related; type="application/dicom"; boundary=${boundary}`,
      Accept: 'application/dicom+json',
      ...(authorization ? { Authorization: authorization } : {}),
    },
    body,
    duplex: 'half',
    // what is sent elsewhere by an answer is not what was allowed
    redirect: 'error',
    signal: AbortSignal.timeout(LONGEST),
  };
  const answer = await fetch(`${url}/studies`, request as unknown as RequestInit);
  return {
    status: answer.status,
    retryAfter: Number(answer.headers.get('retry-after')) || 0,
    text: await shortText(answer),
  };
}

/** The body, unless it is longer than any sound answer. */
async function shortText({ body }: Response): Promise<string> {
  let text = '';
  const decoder = new TextDecoder();
  for await (const piece of (body ?? []) as AsyncIterable<Uint8Array>) {
    text += decoder.decode(piece, { stream: true });
    if (text.length > LONGEST_ANSWER) return '';
  }
  return text;
}

/** PS3.18 §10.5.3: what is in FailedSOPSequence was not taken. */
function reasonOf({ status, text }: Answer): number | undefined {
  try {
    const [failed] = itemsIn(JSON.parse(text) as Attributes, '00081198');
    if (failed) return wholeIn(failed, '00081197') ?? 0x0110;
  } catch {
    // an answer in XML, or none
  }
  if (status === 200 || status === 202) return undefined;
  throw unreachable(status);
}

const unreachable = (status: number | undefined): Refusal =>
  new Refusal(502, [
    error(
      'transient',
      status === undefined
        ? 'The other server cannot be reached: what was sent already is there, send it again later'
        : `The other server answered ${status}: what was sent already is there`,
    ),
  ]);
