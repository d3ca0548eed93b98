/** The rows that know the bytes of Binaries. */
import type { Blobs } from './blobs/blobs.ts';
import { type Executor, run } from './pool.ts';

const ADD = {
  name: 'add_blob',
  text: 'insert into blob (name, size, sha256) values ($1, $2, $3)',
};
const FIND = { name: 'find_blob', text: `select size, encode(sha256, 'hex') from blob where name = $1` };
const KNOWN = { name: 'known_blobs', text: 'select name::text from blob where name = any ($1::uuid[])' };
// Bytes come before the Binary that is to have them; one that was refused, or lost in a crash, leaves them behind.
const FORGET = {
  name: 'forget_blobs',
  text: `delete from blob b where created < now() - interval '1 day'
           and not exists (select from resource r where r.blob = b.name)
           and not exists (select from version v where v.blob = b.name)
           and not exists (select from dicom_instance i where i.blob = b.name)
           and not exists (select from dicom_held h where h.blob = b.name)`,
};
const DAY = 86_400_000;

export async function addBlob(
  executor: Executor,
  { name, size, sha256 }: { readonly name: string; readonly size: number; readonly sha256: string },
): Promise<void> {
  await run(executor, ADD, [name, size, Buffer.from(sha256, 'hex')]);
}

/** Size and SHA-256 of bytes; undefined where no row knows them. */
export async function findBlob(
  executor: Executor,
  name: string,
): Promise<{ readonly size: number; readonly sha256: string } | undefined> {
  const [row] = await run(executor, FIND, [name]);
  return row && { size: row[0] as number, sha256: row[1] as string };
}

/** Removes bytes that for a day no version of a Binary has had; returns how many. */
export async function sweepBlobs(executor: Executor, blobs: Blobs): Promise<number> {
  await run(executor, FORGET, []);
  return blobs.sweep(
    Date.now() - DAY,
    async (names) => new Set((await run(executor, KNOWN, [names])).map(([name]) => name as string)),
  );
}
