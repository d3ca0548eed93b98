/**
 * What oidc-provider keeps, in PostgreSQL. Ids are secrets and kept as hashes; what may be used once is used once, also
 * by eight at the same time; what belongs to a grant is made only while that has not ended.
 */
import { type Adapter, type AdapterPayload, errors } from 'oidc-provider';
import type pg from 'pg';
import { type Row, run } from '../store/pool.ts';
import { endToken } from '../store/tokens.ts';
import type { Clients } from './clients.ts';
import { endGrants, findGrant, keepGrant } from './grants.ts';
import { hashOf } from './secrets.ts';

export interface AdapterOptions {
  /** told what went wrong on this side */
  readonly failed: (fault: unknown) => void;
  /** for single statements */
  readonly pool: pg.Pool;
  /** for transactions */
  readonly transacting: pg.Pool;
  readonly clients: Pick<Clients, 'metadata'>;
}

/** Makes the factory that oidc-provider asks once for each of its models. */
export function makeAdapters(options: AdapterOptions): (model: string) => Adapter {
  return (model) => {
    switch (model) {
      case 'Client':
        return { ...refusing, find: (id) => options.clients.metadata(id) as Promise<AdapterPayload> };
      case 'Grant':
        return grants(options);
      case 'AccessToken':
      case 'ClientCredentials':
        return tokens(options, model);
      default:
        return artifacts(options, model);
    }
  };
}

/** What no model asks for. */
const refusing: Adapter = {
  upsert: unused,
  find: unused,
  findByUid: unused,
  findByUserCode: unused,
  consume: unused,
  destroy: unused,
  revokeByGrantId: unused,
};

function unused(): never {
  throw new Error('this is not kept');
}

function grants({ pool, transacting }: AdapterOptions): Adapter {
  return {
    ...refusing,
    async upsert(id, payload, seconds = 0) {
      if (!(await keepGrant(pool, id, withoutId(payload), seconds)))
        throw new errors.InvalidGrant('this person or app was disabled');
    },
    find: async (id) => withId(id, await findGrant(pool, id)),
    destroy: (id) => endGrants(transacting, { id }),
  };
}

const KEEP_TOKEN = {
  name: 'smart_keep_token',
  text: `insert into token (hash, scope, client, expires, grant_id, payload)
         select $1, $2, c.id, now() + make_interval(secs => $4), g.id, $6
         from smart_grant g join client c on c.id = g.client
         where g.id = $5 and g.ended is null and c.id = $3 and c.disabled is null
         for share of g
         returning true`,
};
const KEEP_CLIENT_TOKEN = {
  name: 'smart_keep_client_token',
  text: `insert into token (hash, scope, client, expires, payload)
         select $1, $2, id, now() + make_interval(secs => $4), $5 from client
         where id = $3 and disabled is null
         for share
         returning true`,
};
const FIND_TOKEN = {
  name: 'smart_find_token',
  text: `select payload from token where hash = $1 and expires > now() and payload->>'kind' = $2`,
};
/** Access tokens stand where those of the command line do, so that the FHIR door looks in one place. */
function tokens({ pool, transacting }: AdapterOptions, model: string): Adapter {
  return {
    ...refusing,
    async upsert(id, payload, seconds) {
      const { grantId, clientId, scope = '' } = payload;
      const common = [hashOf(id), scope, clientId, seconds];
      const rows = grantId
        ? await run(pool, KEEP_TOKEN, [...common, hashOf(grantId), withoutId(payload)])
        : await run(pool, KEEP_CLIENT_TOKEN, [...common, withoutId(payload)]);
      if (rows.length === 0) throw new errors.InvalidGrant('what this token would come of was revoked');
    },
    async find(id) {
      return withId(id, (await run(pool, FIND_TOKEN, [hashOf(id), model]))[0]?.[0] as object | undefined);
    },
    destroy: (id) => endToken(pool, id),
    revokeByGrantId: (id) => endGrants(transacting, { id }),
  };
}

const KEEP_OF_GRANT = {
  name: 'smart_keep_of_grant',
  text: `insert into smart_artifact (model, id, payload, expires, account, uid, grant_id)
         select $1, $2, $3, now() + make_interval(secs => $4), $5, $6, id
         from smart_grant where id = $7 and ended is null
         for share
         on conflict (model, id) do update set payload = excluded.payload, expires = excluded.expires
         returning true`,
};
const KEEP = {
  name: 'smart_keep',
  text: `insert into smart_artifact (model, id, payload, expires, account, uid)
         values ($1, $2, $3, now() + make_interval(secs => $4), $5, $6)
         on conflict (model, id) do update
         set payload = excluded.payload, expires = excluded.expires, account = excluded.account, uid = excluded.uid
         where smart_artifact.consumed is null`,
};
const KEEP_ONCE = {
  name: 'smart_keep_once',
  text: `insert into smart_artifact (model, id, payload, expires)
         values ($1, $2, $3, now() + make_interval(secs => $4))
         on conflict (model, id) do update set payload = excluded.payload, expires = excluded.expires
         where smart_artifact.expires <= now()
         returning true`,
};
const FIND = {
  name: 'smart_find',
  text: `select payload, extract(epoch from consumed)::bigint from smart_artifact
         where model = $1 and id = $2 and expires > now() and (model <> 'Session' or consumed is null)`,
};
const FIND_BY_UID = {
  name: 'smart_find_by_uid',
  text: `select payload, null from smart_artifact where model = $1 and uid = $2 and consumed is null and expires > now() limit 1`,
};
const CONSUME = {
  name: 'smart_consume',
  text: `update smart_artifact set consumed = now() where model = $1 and id = $2 and consumed is null
         returning true`,
};
const DESTROY = { name: 'smart_destroy', text: `delete from smart_artifact where model = $1 and id = $2` };

function artifacts({ pool, transacting }: AdapterOptions, model: string): Adapter {
  const found = ([row]: readonly Row[], id?: string): AdapterPayload | undefined => {
    if (!row) return undefined;
    const [payload, consumed] = row as [object, number | null];
    return withId(id, consumed === null ? payload : { ...payload, consumed });
  };
  const find: Adapter['find'] = async (id) => found(await run(pool, FIND, [model, hashOf(id)]), id);
  return {
    ...refusing,
    async upsert(id, payload, seconds) {
      const common = [model, hashOf(id), withoutId(payload), seconds];
      // oidc-provider looks first and keeps then: of several at once only the first is told that there was none.
      if (model === 'ReplayDetection') {
        if ((await run(pool, KEEP_ONCE, common)).length === 0)
          throw new errors.InvalidClientAuth('client assertion tokens must only be used once');
        return;
      }
      const { grantId, accountId, uid } = payload;
      if (OF_GRANT.has(model)) {
        const rows = await run(pool, KEEP_OF_GRANT, [...common, accountId, uid, hashOf(grantId as string)]);
        if (rows.length === 0) throw new errors.InvalidGrant('what this would come of was revoked');
      } else await run(pool, KEEP, [...common, accountId, uid]);
    },
    find,
    findByUid: async (uid) => found(await run(pool, FIND_BY_UID, [model, uid])),
    async consume(id) {
      if ((await run(pool, CONSUME, [model, hashOf(id)])).length > 0) return;
      // Somebody else was first: one of us is a thief, so neither keeps anything (RFC 9700 §2.1.1, §4.14.2).
      const grantId = (await find(id))?.grantId;
      if (grantId) await endGrants(transacting, { id: grantId });
      throw new errors.InvalidGrant(`${model} was used already`);
    },
    async destroy(id) {
      await run(pool, DESTROY, [model, hashOf(id)]);
    },
    revokeByGrantId: (id) => endGrants(transacting, { id }),
  };
}

const OF_GRANT = new Set(['AuthorizationCode', 'RefreshToken']);

function withoutId({ jti: _, ...payload }: AdapterPayload): AdapterPayload {
  return payload;
}

function withId(id: string | undefined, payload: object | undefined): AdapterPayload | undefined {
  return payload && { ...payload, ...(id === undefined ? {} : { jti: id }) };
}
