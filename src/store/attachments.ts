/** The rows that know which resources have large data of attachments, and equal bytes that become one. */
import { type Executor, run } from './pool.ts';

const ADD = {
  name: 'add_attachment',
  text: 'insert into attachment (blob, type, id, media) values ($1, $2, $3, $4) on conflict do nothing',
};
const FIND = {
  name: 'find_attachment',
  text: 'select media from attachment where blob = $1 and type = $2 and id = $3',
};
// The current version is one of them where it has it still.
const HAVING = {
  name: 'versions_having_attachment',
  text: `select v.version from resource r join version v on v.rid = r.rid
         where r.type = $2 and r.id = $3 and strpos(v.content, '"blob:' || $1 || '"') > 0
         order by v.version desc limit 100`,
};
const SAME = {
  name: 'same_attachment',
  text: `select b.name::text from blob b, blob own, attachment a
         where own.name = $1 and b.sha256 = own.sha256 and b.size = own.size and b.name <> own.name
           and a.blob = b.name and a.type = $2 and a.id = $3 and a.checked
         limit 1`,
};
// A write that failed has left its row; one that was done is seen in some version, and then stays.
const CHECK = {
  name: 'check_attachments',
  text: `with old as (select * from attachment where not checked and created < now() - interval '1 hour'),
    had as (
      select o.blob, o.type, o.id from old o join resource r using (type, id)
      where strpos(r.content, '"blob:' || o.blob || '"') > 0
         or exists (select from version v where v.rid = r.rid and strpos(v.content, '"blob:' || o.blob || '"') > 0)),
    kept as (update attachment a set checked = true from had h
             where a.blob = h.blob and a.type = h.type and a.id = h.id)
    delete from attachment a using old o
    where a.blob = o.blob and a.type = o.type and a.id = o.id
      and not exists (select from had h where h.blob = a.blob and h.type = a.type and h.id = a.id)`,
};
// Binaries whose owner belongs to one patient alone; what came in before was looked at then.
const UNITE = {
  name: 'unite_blobs',
  text: `with placed as (
      select b.name, b.sha256, b.size, b.created, i.patients[1] as patient
      from blob b
      join resource r on r.blob = b.name
      join binary_owner o on o.rid = r.rid
      join resource_index i on i.rid = o.owner and cardinality(i.patients) = 1
      where b.sha256 in (select sha256 from blob where created > now() - interval '2 days')),
    first as (
      select distinct on (sha256, size, patient) sha256, size, patient, name
      from placed order by sha256, size, patient, created, name)
    update resource r set blob = f.name
    from placed p join first f using (sha256, size, patient)
    where r.blob = p.name and p.name <> f.name`,
};

/** Notes that a resource is to have data, before it is written. */
export async function addAttachment(
  executor: Executor,
  blob: string,
  { type, id, media }: { readonly type: number; readonly id: string; readonly media: string | undefined },
): Promise<void> {
  await run(executor, ADD, [blob, type, id, media ?? null]);
}

/** The contentType of data that a resource has, or had; undefined where it has no such. */
export async function findAttachment(
  executor: Executor,
  blob: string,
  { type, id }: { readonly type: number; readonly id: string },
): Promise<{ readonly media: string | null } | undefined> {
  const [row] = await run(executor, FIND, [blob, type, id]);
  return row && { media: row[0] as string | null };
}

/** Past versions of a resource that have such data, the newest first; of the newest hundred. */
export async function versionsHaving(
  executor: Executor,
  blob: string,
  { type, id }: { readonly type: number; readonly id: string },
): Promise<readonly number[]> {
  return (await run(executor, HAVING, [blob, type, id])).map(([version]) => version as number);
}

/** Equal data that the resource has already. */
export async function sameAttachment(
  executor: Executor,
  blob: string,
  { type, id }: { readonly type: number; readonly id: string },
): Promise<string | undefined> {
  const [row] = await run(executor, SAME, [blob, type, id]);
  return row?.[0] as string | undefined;
}

/** Forgets what no version came to have. */
export async function checkAttachments(executor: Executor): Promise<void> {
  await run(executor, CHECK, []);
}

/** Makes equal bytes of Binaries of one patient one; those of different patients stay apart. */
export async function uniteBlobs(executor: Executor): Promise<void> {
  await run(executor, UNITE, []);
}
