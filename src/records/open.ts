/** Opens the door: everything of records.ts over a store. */
import { readIncoming } from '../fhir/content.ts';
import type { Definitions } from '../fhir/definitions.ts';
import { compileRewrite } from '../fhir/rewrite.ts';
import type { Validator } from '../fhir/validate.ts';
import type { Store } from '../store/store.ts';
import { openBlob, writeBinary, writeBinaryResource } from './binary.ts';
import { makeCallers } from './callers.ts';
import { history } from './history.ts';
import { makeIds } from './ids.ts';
import { read, vread } from './read.ts';
import type { Records } from './records.ts';
import { search } from './search.ts';
import type { Setting } from './setting.ts';
import { transaction } from './transaction.ts';
import { create, remove, update } from './write.ts';

export function openRecords(
  store: Store,
  definitions: Definitions,
  validator: Validator,
  options: { readonly baseUrl: string; readonly checkReferences: boolean },
): Records {
  const callers = makeCallers(store.pool, definitions.isResourceType);
  const rewrite = compileRewrite(definitions);
  const setting: Setting = { store, definitions, validator, callers, rewrite, nextId: makeIds(), ...options };
  const { asOf } = callers;
  return {
    authenticate: callers.authenticate,
    operator: callers.operator,
    read: (caller, type, id) => asOf(caller, (current) => read(setting, current, type, id)),
    vread: (caller, type, id, version) =>
      asOf(caller, (current) => vread(setting, current, type, id, version)),
    async create(caller, type, body) {
      const incoming = readIncoming(body);
      if (type === 'Binary') return writeBinaryResource(setting, caller, undefined, incoming);
      return asOf(caller, (current) => create(setting, current, type, incoming));
    },
    async update(caller, type, id, body, ifMatch) {
      const incoming = readIncoming(body);
      if (type === 'Binary') return writeBinaryResource(setting, caller, id, incoming, ifMatch);
      return asOf(caller, (current) => update(setting, current, { type, id, ifMatch }, incoming));
    },
    remove: (caller, type, id, ifMatch) =>
      asOf(caller, (current) => remove(setting, current, { type, id, ifMatch })),
    history: (caller, request) => asOf(caller, (current) => history(setting, current, request)),
    search: (caller, request) => asOf(caller, (current) => search(setting, current, request)),
    transaction: (caller, entries) => asOf(caller, (current) => transaction(setting, current, entries)),
    writeBinary: (caller, id, bytes, ifMatch) => writeBinary(setting, caller, id, bytes, ifMatch),
    openBlob: (blob, range) => openBlob(setting, blob, range),
  };
}
