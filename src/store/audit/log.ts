/** Keeping who was shown what: entries that come together are committed together, before anything is answered. */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { int4Array, int8Array, textArray } from '../arrays.ts';
import type { Catalog } from '../catalog.ts';
import { lane } from '../lane.ts';
import { type Executor, run } from '../pool.ts';

/** read, vread, search, history, everything, document, bytes, break glass, sign in */
export type Action = 'r' | 'v' | 's' | 'h' | 'e' | 'd' | 'b' | 'g' | 'l';

export interface Access {
  readonly action: Action;
  /** as of HTTP */
  readonly status: number;
  /** number of the access token */
  readonly agent: number;
  /** `Type/id` of who signed in */
  readonly person?: string;
  readonly type?: string;
  /** number of the one resource that was asked for */
  readonly rid?: number;
  /** numbers of what was shown */
  readonly shown: readonly number[];
  /** how many were shown, or counted */
  readonly found?: number;
  readonly purpose?: string;
  /** as in a URL */
  readonly query?: string;
}

// A row for each patient whom what was shown is about; one without where that is nobody.
const ADD = {
  name: 'add_accesses',
  text: `insert into access_log (tx, at, patient, rid, agent, found, status, type, action, purpose, query, person)
         select pg_current_xact_id()::text::bigint + $1, now(), p.patient, nullif(e.rid, 0), e.agent, e.found,
           e.status, nullif(e.type, 0), e.action::"char", nullif(e.purpose, ''), nullif(e.query, ''::bytea),
           nullif(e.person, '')
         from unnest($2::bigint[], $3::integer[], $4::integer[], $5::integer[], $6::integer[], $7::text[], $8::text[],
           $9::bytea[], $12::text[]) with ordinality e (rid, agent, found, status, type, action, purpose, query, person, n)
         left join (
           select distinct s.n, a.patient
           from unnest($10::integer[], $11::bigint[]) s (n, rid) join resource_index i on i.rid = s.rid
           cross join unnest(i.patients) a (patient)) p on p.n = e.n`,
};

/** So much of a query is kept, in characters. */
const LONGEST = 4000;

export interface AuditLog {
  /** Resolves when the entry is committed. */
  add(access: Access): Promise<void>;
  /** What an entry's query was. */
  open(sealed: Buffer): string;
}

/** @param secret of which the key of queries is made */
export function makeAuditLog(
  executor: Executor,
  catalog: Pick<Catalog, 'feedBase' | 'typeNumber'>,
  secret: Buffer | string,
): AuditLog {
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'audit queries', 32));
  const empty = Buffer.alloc(0);

  function seal(asked: string | undefined): Buffer {
    if (!asked) return empty;
    const query = asked.length > LONGEST ? `${asked.slice(0, LONGEST)}…` : asked;
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', key, nonce);
    const text = Buffer.concat([cipher.update(query, 'utf8'), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), text]);
  }

  const add = lane<Access, undefined>({ width: 1, most: 512 }, async (batch) => {
    const shown: number[] = [];
    const of: number[] = [];
    for (const [i, one] of batch.entries())
      for (const rid of one.shown) {
        of.push(i + 1);
        shown.push(rid);
      }
    await run(executor, ADD, [
      catalog.feedBase,
      int8Array(batch.map(({ rid }) => rid ?? 0)),
      int4Array(batch.map(({ agent }) => agent)),
      int4Array(batch.map(({ found, shown: all }) => found ?? all.length)),
      int4Array(batch.map(({ status }) => status)),
      int4Array(batch.map(({ type }) => (type === undefined ? 0 : catalog.typeNumber(type)))),
      textArray(batch.map(({ action }) => action)),
      textArray(batch.map(({ purpose }) => purpose ?? '')),
      batch.map(({ query }) => seal(query)),
      int4Array(of),
      int8Array(shown),
      textArray(batch.map(({ person }) => person ?? '')),
    ]);
    return batch.map(() => undefined);
  });

  return {
    add,
    open(sealed) {
      const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12));
      decipher.setAuthTag(sealed.subarray(12, 28));
      return Buffer.concat([decipher.update(sealed.subarray(28)), decipher.final()]).toString('utf8');
    },
  };
}
