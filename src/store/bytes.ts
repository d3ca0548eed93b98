/** The rows that know the bytes of Binaries, and the pictures that were made of them. */

import { finished } from 'node:stream/promises';
import { checkAttachments, uniteBlobs } from './attachments.ts';
import { type Blob, type Blobs, timeOf } from './blobs/blobs.ts';
import { checked } from './blobs/measure.ts';
import { type Executor, run } from './pool.ts';
import { sweepUploads } from './uploads.ts';

/** What bytes are, told by themselves. */
export interface Facts {
  readonly width?: number;
  readonly height?: number;
  /** of an animation, a multi-page picture or a video */
  readonly frames?: number;
  /** seconds */
  readonly duration?: number;
  /** what took them */
  readonly device?: string;
  /** of video and audio: whether every browser plays them as they are */
  readonly plays?: boolean;
}

export interface KnownBlob {
  readonly size: number;
  /** in hexadecimal digits */
  readonly sha256: string;
  /** in base64, as Attachment.hash has it; null of what came in before it was kept */
  readonly sha1: string | null;
  /** the media type that the bytes show; null where they show none */
  readonly kind: string | null;
  readonly facts: Facts | null;
  /** whether there is a form of it that every browser plays, or it is one */
  readonly plays: boolean;
}

/** A picture that was made of bytes, or the same film in another form. */
export interface Rendition {
  /** name of its bytes */
  readonly made: string;
  readonly type: string;
  /** null of sound */
  readonly width: number | null;
  readonly height: number | null;
}

const ADD = {
  name: 'add_blob',
  text: `insert into blob (name, size, sha256, sha1, kind, facts, agent)
         values ($1, $2, $3, $4, $5, $6, $7)`,
};
// Pieces of an upload that is becoming a Binary are in their whole.
const SENT = {
  name: 'bytes_sent',
  text: `select coalesce(sum(b.size), 0)::float8 from blob b
         where b.agent = $1 and not exists (
           select from upload_part p join upload u on u.id = p.upload and u.state = 'c' where p.blob = b.name)`,
};
const FIND = {
  name: 'find_blobs',
  text: `select name::text, size, encode(sha256, 'hex'), encode(sha1, 'base64'), kind, facts,
                coalesce((facts->>'plays')::boolean, false)
                  or exists (select from rendition where blob = name and rendition.size = 'play')
         from blob where name = any ($1::uuid[])`,
};
const KNOWN = { name: 'known_blobs', text: 'select name::text from blob where name = any ($1::uuid[])' };
// Bytes come before the Binary that is to have them; one that was refused, or lost in a crash, leaves them behind.
const USED = `(exists (select from resource r where r.blob = b.name)
  or exists (select from version v where v.blob = b.name)
  or exists (select from rendition p where p.made = b.name)
  or exists (select from attachment a where a.blob = b.name)
  or exists (select from upload_part p where p.blob = b.name)
  or exists (select from dicom_instance i where i.blob = b.name)
  or exists (select from dicom_held h where h.blob = b.name))`;
const NOTE = {
  name: 'note_idle_blobs',
  text: `update blob b set idle = case when ${USED} then null else now() end
         where (idle is null) <> ${USED}`,
};
const FORGET = {
  name: 'forget_blobs',
  text: `delete from blob b where idle < now() - interval '1 day' and not ${USED}`,
};
const RENDITION = {
  name: 'find_rendition',
  text: 'select made::text, type, width, height from rendition where blob = $1 and size = $2',
};
// Of two processes that made the same one, the first is kept, and the other's bytes are swept away.
const ADD_RENDITION = {
  name: 'add_rendition',
  text: `insert into rendition (blob, size, made, type, width, height)
         select name, $2, $3, $4, $5, $6 from blob where name = $1
         on conflict do nothing`,
};
const COUNT = { name: 'count_blobs', text: 'select count(*) from blob' };
// by their names, so that each stretch begins where the one before ended
const ALL = {
  name: 'all_blobs',
  text: `select b.name::text, ${USED} from blob b where b.name > $1 order by b.name limit 10000`,
};
const DAY = 86_400_000;
const HOUR = 3_600_000;

/** @param more as far as it is known */
export async function addBlob(
  executor: Executor,
  { name, size, sha256, sha1 }: Blob,
  more: Partial<Pick<KnownBlob, 'kind' | 'facts'> & { readonly agent: number }> = {},
): Promise<void> {
  const { kind = null, facts = null, agent = 0 } = more;
  const hashes = [Buffer.from(sha256, 'hex'), Buffer.from(sha1, 'base64')];
  await run(executor, ADD, [name, size, ...hashes, kind, facts, agent]);
}

/** Bytes that are kept for an access token. */
export async function bytesSent(executor: Executor, agent: number): Promise<number> {
  return (await run(executor, SENT, [agent]))[0]?.[0] as number;
}

/** What is known of bytes; undefined where no row knows them. */
export async function findBlob(executor: Executor, name: string): Promise<KnownBlob | undefined> {
  return (await findBlobs(executor, [name])).get(name);
}

/** The same of several, by their names. */
export async function findBlobs(
  executor: Executor,
  names: readonly string[],
): Promise<ReadonlyMap<string, KnownBlob>> {
  if (names.length === 0) return new Map();
  const rows = await run(executor, FIND, [names]);
  return new Map(
    rows.map(([name, size, sha256, sha1, kind, facts, plays]) => [
      name as string,
      { size, sha256, sha1, kind, facts, plays } as KnownBlob,
    ]),
  );
}

/** The picture of bytes in a size; undefined where it was not made yet. */
export async function findRendition(
  executor: Executor,
  blob: string,
  size: string,
): Promise<Rendition | undefined> {
  const [row] = await run(executor, RENDITION, [blob, size]);
  if (!row) return undefined;
  const [made, type, width, height] = row;
  return { made, type, width, height } as Rendition;
}

/** Keeps a picture of bytes, unless there is one of that size already, or the bytes are gone. */
export async function addRendition(
  executor: Executor,
  blob: string,
  size: string,
  { made, type, width, height }: Rendition,
): Promise<void> {
  await run(executor, ADD_RENDITION, [blob, size, made, type, width, height]);
}

/** Removes bytes that for a day nothing has had: no version of a Binary, no picture, no upload; returns how many. */
export async function sweepBlobs(executor: Executor, blobs: Blobs): Promise<number> {
  await sweepUploads(executor);
  await checkAttachments(executor);
  await uniteBlobs(executor);
  await run(executor, NOTE, []);
  await run(executor, FORGET, []);
  return blobs.sweep(
    Date.now() - DAY,
    async (names) => new Set((await run(executor, KNOWN, [names])).map(([name]) => name as string)),
  );
}

/** What the store of bytes and the database say of each other. */
export interface BlobFindings {
  readonly blobs: number;
  /** bytes that no row knows; younger ones may be on their way */
  readonly orphans: number;
  /** names of bytes that something has, but that are not there */
  readonly lost: readonly string[];
}

/** Compares the store of bytes with the rows that know them. What comes and goes meanwhile is left out. */
export async function compareBlobs(executor: Executor, blobs: Blobs): Promise<BlobFindings> {
  const [before] = await run(executor, COUNT, []);
  const there = new Set<string>();
  let orphans = 0;
  for await (const names of blobs.names()) {
    const known = new Set((await run(executor, KNOWN, [names])).map(([name]) => name as string));
    for (const name of names) {
      if (known.has(name)) there.add(name);
      else if (timeOf(name) < Date.now() - DAY) orphans++;
    }
  }
  const lost: string[] = [];
  for await (const name of usedBlobs(executor))
    if (!there.has(name) && timeOf(name) < Date.now() - HOUR) lost.push(name);
  return { blobs: Number(before?.[0]), orphans, lost };
}

/** Reads all bytes that something has, and compares them with the hash that they had when they came in. */
export async function damagedBlobs(
  executor: Executor,
  blobs: Blobs,
): Promise<{ readonly read: number; readonly damaged: readonly string[] }> {
  const damaged: string[] = [];
  let read = 0;
  for await (const name of usedBlobs(executor)) {
    const known = await findBlob(executor, name);
    if (!known) continue;
    try {
      const stream = checked((await blobs.open(name)).stream, known.sha256).resume();
      await finished(stream);
    } catch (fault) {
      // those that are not there are told as lost; whatever else cannot be read is damaged
      if ((fault as { status?: unknown }).status !== 404) damaged.push(name);
    }
    read++;
  }
  return { read, damaged };
}

/** The names of all bytes that something has, in their order. */
async function* usedBlobs(executor: Executor): AsyncGenerator<string> {
  for (let after = '00000000-0000-0000-0000-000000000000'; ; ) {
    const rows = await run(executor, ALL, [after]);
    for (const [name, used] of rows as [string, boolean][]) if (used) yield name;
    const last = rows.at(-1);
    if (!last) return;
    after = last[0] as string;
  }
}
