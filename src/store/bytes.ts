/** The rows that know the bytes of Binaries. */
import type pg from 'pg';
import { run } from './pool.ts';

const ADD = {
  name: 'add_blob',
  text: 'insert into blob (name, size, sha256) values ($1, $2, $3)',
};
const FIND = { name: 'find_blob', text: `select size, encode(sha256, 'hex') from blob where name = $1` };
const KNOWN = { name: 'known_blobs', text: 'select name::text from blob where name = any ($1::uuid[])' };

export async function addBlob(
  pool: pg.Pool,
  { name, size, sha256 }: { readonly name: string; readonly size: number; readonly sha256: string },
): Promise<void> {
  await run(pool, ADD, [name, size, Buffer.from(sha256, 'hex')]);
}

/** Size and SHA-256 of bytes; undefined where no row knows them. */
export async function findBlob(
  pool: pg.Pool,
  name: string,
): Promise<{ readonly size: number; readonly sha256: string } | undefined> {
  const [row] = await run(pool, FIND, [name]);
  return row && { size: row[0] as number, sha256: row[1] as string };
}

/** Those of the names that a row knows. */
export async function knownBlobs(pool: pg.Pool, names: readonly string[]): Promise<ReadonlySet<string>> {
  return new Set((await run(pool, KNOWN, [names])).map(([name]) => name as string));
}
