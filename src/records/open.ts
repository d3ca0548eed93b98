/** Opens the door: everything of records.ts over a store. */

import { readIncoming } from '../fhir/content.ts';
import { type CoreTerminology, loadCoreTerminology } from '../fhir/core-terminology.ts';
import type { Definitions } from '../fhir/definitions.ts';
import { error, Refusal } from '../fhir/outcome.ts';
import { compileConditions, compileRewrite } from '../fhir/rewrite.ts';
import type { Validator } from '../fhir/validate.ts';
import { type Jobs, openJobs } from '../jobs/jobs.ts';
import { openReindexing, type Reindexing } from '../jobs/reindexing.ts';
import { addTranscoding, lookAtTranscoding } from '../jobs/transcodings.ts';
import { findBlobs, findRendition } from '../store/bytes.ts';
import type { Store } from '../store/store.ts';
import { readAttachment } from './attachments.ts';
import { describeBlob, openBlob, pourBlob, writeBinary, writeBinaryResource } from './binary.ts';
import { makeCallers } from './callers.ts';
import { note, openDeferred } from './deferred.ts';
import { document } from './document.ts';
import { breakGlass } from './emergency.ts';
import { everything } from './everything.ts';
import { explain } from './explain.ts';
import { history } from './history.ts';
import { makeIds } from './ids.ts';
import { openImaging } from './imaging/open.ts';
import { masked } from './masked.ts';
import { changeMeta } from './meta.ts';
import { makePeople } from './people.ts';
import { read, readAll, vread } from './read.ts';
import { readOnly } from './read-only.ts';
import type { Caller, Entry, Outcome, Records, Stored, Written } from './records.ts';
import { reindex } from './reindex.ts';
import { keepRendition } from './renditions.ts';
import { search } from './search.ts';
import type { Setting } from './setting.ts';
import { lookAt } from './transaction/look.ts';
import { transaction } from './transaction/transaction.ts';
import { openUploads } from './uploads.ts';
import { create, remove, update } from './write.ts';

export function openRecords(
  store: Store,
  definitions: Definitions,
  validator: Validator,
  options: Pick<Setting, 'baseUrl' | 'checkReferences'> &
    Partial<Pick<Setting, 'mostDeleted' | 'maxContent' | 'maxBinary' | 'bytesQuota' | 'look'>> & {
      readonly readOnly?: boolean;
      /** ACCESS_POLICY: whose records a practitioner sees */
      readonly policy?: 'treatment' | 'all';
    } & Pick<Setting, 'trail'>,
  jobs: Jobs = openJobs(store.pool),
  reindexing: Pick<Reindexing, 'wake'> = openReindexing(store, options.baseUrl),
): Records {
  const { baseUrl, policy = 'treatment' } = options;
  const person = makePeople({ store, definitions, baseUrl, policy });
  const callers = makeCallers(store.pool, { definitions, baseUrl }, person, store.parameters.upTo);
  let core: Promise<CoreTerminology> | undefined;
  const setting: Setting = {
    store,
    definitions,
    validator,
    callers,
    reindexing,
    rewrite: compileRewrite(definitions),
    conditionalReferences: compileConditions(definitions),
    coreTerminology: () => {
      core ??= loadCoreTerminology();
      return core;
    },
    nextId: makeIds(),
    mostDeleted: 1,
    maxContent: 16 * 2 ** 20,
    maxBinary: 0,
    bytesQuota: 0,
    ...options,
  };
  const { asOf } = callers;

  /** An entry that comes alone. */
  async function alone(caller: Caller, entry: Entry): Promise<Outcome> {
    const [outcome] = await asOf(caller, (current) => transaction(setting, current, [entry], false));
    return outcome as Outcome;
  }

  /** For what is written in several transactions, or past `transaction`: the job can only know that it was begun. */
  async function begun(caller: Caller): Promise<Caller> {
    if (!caller.job) return caller;
    await note(caller, store.pool, 'begun');
    return { ...caller, job: undefined };
  }

  const records: Records = {
    authenticate: callers.authenticate,
    callerOf: (agent) => callers.ofJob(undefined, agent),
    operator: callers.operator,
    person,
    // The audit trail is around the door (audited.ts).
    note: async () => {},
    async breakGlass(request) {
      return asOf(await callers.operator(), (operator) =>
        breakGlass(setting, operator, request, (body) => records.create(operator, 'Task', body)),
      );
    },
    read: (caller, type, id) => asOf(caller, (current) => read(setting, current, type, id)),
    readAll: (caller, type, ids) => asOf(caller, (current) => readAll(setting, current, type, ids)),
    vread: (caller, type, id, version) =>
      asOf(caller, (current) => vread(setting, current, type, id, version)),
    async create(caller, type, body, ifNoneExist) {
      if (ifNoneExist || goesTogether(caller, type))
        return writtenOf(await alone(caller, { method: 'POST', type, body, ifNoneExist }));
      const incoming = readIncoming(body);
      if (type === 'Binary') return writeBinaryResource(setting, caller, undefined, incoming);
      return asOf(caller, (current) => create(setting, current, type, incoming));
    },
    async update(caller, target, body, provided = {}) {
      const { type, id, where } = target;
      if (where || provided.ifNew || goesTogether(caller, type)) {
        const outcome = await alone(caller, { method: 'PUT', ...target, ...provided, body });
        if (provided.ifNew && outcome.kind === 'unchanged') throw alreadyThere(outcome.resource);
        return writtenOf(outcome);
      }
      const incoming = readIncoming(body);
      if (type === 'Binary') return writeBinaryResource(setting, caller, id, incoming, provided.ifMatch);
      return asOf(caller, (current) => update(setting, current, { type, id, ...provided }, incoming));
    },
    patch: async (caller, target, patch, provided = {}) =>
      writtenOf(await alone(caller, { method: 'PATCH', ...target, ...provided, patch })),
    async remove(caller, target, provided = {}) {
      if (target.where || goesTogether(caller, target.type)) {
        const outcome = await alone(caller, { method: 'DELETE', ...target, ...provided });
        return outcome.kind === 'removed' ? outcome.removed : { existed: false };
      }
      return asOf(caller, (current) => remove(setting, current, { ...target, ...provided }));
    },
    async changeMeta(who, to, edit) {
      const caller = await begun(who);
      return asOf(caller, (current) => changeMeta(setting, current, to, edit));
    },
    history: (caller, request) => asOf(caller, (current) => history(setting, current, request)),
    search: (caller, request) => asOf(caller, (current) => search(setting, current, request)),
    explain: (caller, request) => asOf(caller, async (current) => explain(setting, current, request)),
    document: (caller, id) => asOf(caller, (current) => document(setting, current, id)),
    everything: (caller, request) => asOf(caller, (current) => everything(setting, current, request)),
    async carryOut(who, entry) {
      const caller = entry.method === 'GET' ? who : await begun(who);
      // What waits together shares statements, so entries of a batch go the ways of interactions that come alone.
      switch (entry.method) {
        case 'POST': {
          const { type, body, ifNoneExist } = entry;
          return ifNoneExist
            ? alone(caller, entry)
            : { kind: 'written', resource: await records.create(caller, type, body) };
        }
        case 'PUT': {
          const { where, ifNew, ifMatch, body } = entry;
          return where || ifNew
            ? alone(caller, entry)
            : { kind: 'written', resource: await records.update(caller, entry, body, { ifMatch }) };
        }
        case 'DELETE':
          return { kind: 'removed', removed: await records.remove(caller, entry, entry) };
        case 'PATCH':
          return alone(caller, entry);
        case 'GET':
          return asOf(caller, (current) => lookAt(setting, current, entry.read));
      }
    },
    transaction: (caller, entries) => asOf(caller, (current) => transaction(setting, current, entries)),
    writeBinary: async (caller, id, bytes, { ifMatch } = {}) =>
      writeBinary(setting, await begun(caller), id, bytes, ifMatch),
    openBlob: (blob, range) => openBlob(setting, blob, range),
    pourBlob: (blob, take, range) => pourBlob(setting, blob, take, range),
    attachment: (caller, current, blob) => asOf(caller, (as) => readAttachment(setting, as, current, blob)),
    describeBlob: (blob) => describeBlob(setting, blob),
    describeBlobs: (blobs) => findBlobs(store.pool, blobs),
    rendition: (blob, size) => findRendition(store.pool, blob, size),
    keepRendition: (blob, size, made) => keepRendition(setting, blob, size, made),
    transcoding: {
      look: (blob) => lookAtTranscoding(store.pool, blob),
      ask: (blob) => addTranscoding(store.pool, blob),
    },
    reindex: (caller, wanted) => asOf(caller, (current) => reindex(setting, current, wanted)),
    refreshDefinitions: store.parameters.refresh,
    deferred: openDeferred(jobs, callers, store.pool),
    uploads: openUploads(setting),
    imaging: openImaging(setting, {
      operator: callers.operator,
      read: (caller, type, id) => records.read(caller, type, id),
      remove: (caller, target) => records.remove(caller, target),
    }),
  };
  const shown = masked(records);
  return options.readOnly ? readOnly(shown) : shown;
}

/** Those that act are more than resources: what else changes with them belongs to one transaction (postings.ts). */
const PARAMETERS = 'SearchParameter';

/** Whether a write is done as a transaction of one: something has to be looked at, or noted, along with it. */
const goesTogether = ({ job, access }: Caller, type: string): boolean =>
  job !== undefined || type === PARAMETERS || access.limited;

function writtenOf(outcome: Outcome): Written {
  if (outcome.kind === 'written') return outcome.resource;
  if (outcome.kind === 'unchanged') return { ...outcome.resource, created: false };
  throw new Error(`a write came out as ${outcome.kind}`);
}

/** 412 where nothing was to be there (RFC 9110 §13.1.2). */
function alreadyThere({ type, id, version, content }: Stored): Refusal {
  const issue = error(
    'conflict',
    `${type}/${id} is there already: leave If-None-Match out to update it, or choose another id`,
  );
  return new Refusal(412, [issue], content === '' ? {} : { ETag: `W/"${version}"` });
}
