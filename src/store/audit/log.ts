/** Keeping who was shown what: entries that come together are committed together, before anything is answered. */
import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { byteaArray, int2Array, int4Array, int8Array, textArray } from '../arrays.ts';
import type { Catalog } from '../catalog.ts';
import { lane } from '../lane.ts';
import { type Executor, run } from '../pool.ts';

/**
 * What was done. In small letters: read, vread, search, history, everything, document, break glass; sign in, sign out, an
 * access token issued, none shown that is one, an export, a link followed. In capitals what would have written and was refused: create, update,
 * patch, delete, a change of meta, a transaction, an operation.
 */
export type Action =
  | 'r'
  | 'v'
  | 's'
  | 'h'
  | 'e'
  | 'd'
  | 'g'
  | 'i'
  | 'o'
  | 't'
  | 'n'
  | 'x'
  | 'k'
  | 'C'
  | 'U'
  | 'P'
  | 'D'
  | 'M'
  | 'T'
  | 'O';

export interface Access {
  readonly action: Action;
  /** as of HTTP */
  readonly status: number;
  /** number of the access token */
  readonly agent: number;
  readonly type?: string;
  /** number of the one resource that was asked for */
  readonly rid?: number;
  /** numbers of what was shown */
  readonly shown: readonly number[];
  /** how many were shown, or counted */
  readonly found?: number;
  readonly purpose?: string;
  /** id of the request and the address that it came from, apart by a space */
  readonly origin?: string | undefined;
  /** as in a URL */
  readonly query?: string | undefined;
}

/** What is no interaction: it may be done without an access token. */
export interface Happening {
  readonly action: Action;
  readonly status: number;
  readonly agent?: number | undefined;
  /** id of the patient whom it is about */
  readonly patient?: string | undefined;
  readonly client?: string | undefined;
  /** `Type/id` */
  readonly person?: string | undefined;
  readonly origin?: string | undefined;
  readonly query?: string | undefined;
  /** how often; one is noted for several */
  readonly times?: number | undefined;
}

const insert = (patients: string, from: string): string => `
  insert into access_log (tx, at, patient, rid, agent, found, n, status, type, action, purpose, origin, query)
  select (select pg_current_xact_id()::text::bigint) + $1, now(), patient, rid, agent, found, row_number() over (), status, type,
    action::"char", purpose, origin, query
  from (
    select ${patients} as patient, e.*
    from unnest($2::bigint[], $3::integer[], $4::integer[], $5::smallint[], $6::smallint[], $7::text[], $8::text[],
      $9::text[], $10::bytea[]) with ordinality e (rid, agent, found, status, type, action, purpose, origin, query, n)
    ${from}) e`;

// A row for each patient whom what was shown is about; one without where that is nobody. The rows are made in the select
// list, which costs half of what a lateral join does.
const ADD_READS = {
  name: 'add_reads',
  text: insert(
    `unnest(case when cardinality(i.patients) > 0 then i.patients else array[null::bigint] end)`,
    'left join resource_index i on i.rid = e.rid',
  ),
};
const ADD = {
  name: 'add_accesses',
  text: insert(
    'p.patient',
    `left join (
      select distinct s.n, a.patient
      from unnest($11::integer[], $12::bigint[]) s (n, rid) join resource_index i on i.rid = s.rid
      cross join unnest(i.patients) a (patient)) p on p.n = e.n`,
  ),
};
const ADD_HAPPENING = {
  name: 'add_happening',
  text: `insert into access_log (tx, at, patient, agent, found, n, status, action, origin, query, client, person)
         select pg_current_xact_id()::text::bigint + $1, now(), (select rid from resource where type = $2 and id = $3), $4, coalesce($11, 0), 1,
           $5, $6::text::"char", $7, $8, $9, $10`,
};

/** So much of a query is kept, in characters. */
const LONGEST = 4000;

export interface AuditLog {
  /** Resolves when the entry is committed. */
  add(access: Access): Promise<void>;
  addHappening(happening: Happening): Promise<void>;
  /** What an entry's query was. */
  open(sealed: Buffer): string;
}

/** @param secret of which the key of queries is made */
export function makeAuditLog(
  executor: Executor,
  catalog: Pick<Catalog, 'feedBase' | 'typeNumber'>,
  secret: Buffer | string,
): AuditLog {
  const key = createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', 'audit queries', 32)));

  const columnsOf = (batch: readonly Access[]): unknown[] => [
    catalog.feedBase,
    int8Array(batch.map(({ rid }) => rid ?? null)),
    int4Array(batch.map(({ agent }) => agent)),
    int4Array(batch.map(({ found, shown }) => found ?? shown.length)),
    int2Array(batch.map(({ status }) => status)),
    int2Array(batch.map(({ type }) => (type === undefined ? null : catalog.typeNumber(type)))),
    textArray(batch.map(({ action }) => action)),
    textArray(batch.map(({ purpose }) => purpose ?? null)),
    textArray(batch.map(({ origin }) => origin ?? null)),
    byteaArray(batch.map(({ query }) => (query === undefined ? null : seal(key, query)))),
  ];
  // Most are reads of one resource, and wait for no others.
  const addRead = lane<Access, undefined>(LANE, async (batch) => {
    await run(executor, ADD_READS, columnsOf(batch));
    return batch.map(() => undefined);
  });
  const addAny = lane<Access, undefined>(LANE, async (batch) => {
    const shown = batch.flatMap((one) => one.shown);
    const of = batch.flatMap((one, i) => one.shown.map(() => i + 1));
    await run(executor, ADD, [...columnsOf(batch), int4Array(of), int8Array(shown)]);
    return batch.map(() => undefined);
  });

  return {
    add: (access) => (isOfOne(access) ? addRead(access) : addAny(access)),
    async addHappening({ action, status, agent, patient, origin, query, client, person, times }) {
      const asked = query === undefined ? null : seal(key, query);
      const of = [catalog.typeNumber('Patient'), patient, agent];
      await run(executor, ADD_HAPPENING, [
        catalog.feedBase,
        ...of,
        status,
        action,
        origin,
        asked,
        client,
        person,
        times,
      ]);
    },
    open(sealed) {
      const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12));
      decipher.setAuthTag(sealed.subarray(12, 28));
      return Buffer.concat([decipher.update(sealed.subarray(28)), decipher.final()]).toString('utf8');
    },
  };
}

// All that came since the one before goes in one commit: two under way gained nothing (measured).
const LANE = { width: 1, most: 512 };

/** Whether what was shown is what was asked for, or nothing. */
const isOfOne = ({ rid, shown }: Access): boolean =>
  shown.length === 0 ? rid === undefined : shown.length === 1 && shown[0] === rid;

function seal(key: KeyObject, asked: string): Buffer {
  const query = asked.length > LONGEST ? `${asked.slice(0, LONGEST)}…` : asked;
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  const text = Buffer.concat([cipher.update(query, 'utf8'), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), text]);
}
