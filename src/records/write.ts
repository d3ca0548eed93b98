/** create, update and delete (R4 http.html#create, #update, #delete). */
import { demand } from '../access/access.ts';
import { attachmentsOf } from '../fhir/attachments.ts';
import { contentOf, type Incoming } from '../fhir/content.ts';
import { parseKeepingNumbers } from '../fhir/json.ts';
import { error, Refusal, refusal } from '../fhir/outcome.ts';
import { instantOf } from '../store/pool.ts';
import type { Change } from '../store/write/batch.ts';
import { Dangling } from '../store/write/check.ts';
import { type Changed, StaleEpoch } from '../store/write/writer.ts';
import { completed } from './attachments.ts';
import { checkEpoch, Stale } from './callers.ts';
import {
  analysed,
  checkId,
  type Draft,
  dangling,
  judgeAlone,
  placed,
  refuseOfTrail,
  writeOf,
} from './draft.ts';
import { demandDraft } from './leave.ts';
import type { Caller, Removed, Stored, Written } from './records.ts';
import type { Setting } from './setting.ts';

/** Creates under an id of the server's. */
export async function create(
  setting: Setting,
  caller: Caller,
  type: string,
  incoming: Incoming,
  blob: string | null = null,
): Promise<Written> {
  demand(caller.access, type, 'c');
  const { store } = setting;
  const id = setting.nextId();
  const drafting = drafted(setting, caller, { type, id }, incoming, blob);
  const made = drafting instanceof Promise ? await drafting : drafting;
  // Of limited access only the bytes of a Binary come this way: the others go together with what they are judged on.
  if (caller.access.limited) await demandDraft(setting, caller, 'c', id, made);
  const next = store.numbers.next();
  const rid = typeof next === 'number' ? next : await next;
  const { targets, paths } = await placed(setting, made);
  const write = writeOf(setting, caller, { rid, type, id }, made, targets, paths);
  await store.codeKeys.add(write.row?.codes ?? []);
  await store.units.add(write.row?.units ?? []);
  const updated = await translated(made, targets, () => store.writer.create(write));
  store.numbers.remember(type, id, rid);
  return writtenOf(type, id, made, 1, updated, true);
}

/** A resource, judged, completed where it has attachments, and taken apart. */
function drafted(
  setting: Setting,
  caller: Caller,
  to: { readonly type: string; readonly id: string },
  incoming: Incoming,
  blob: string | null,
): Draft | Promise<Draft> {
  const { type } = to;
  judgeAlone(setting, incoming, type);
  if (attachmentsOf(incoming.resource).length === 0) return analysed(setting, incoming, blob);
  return completed(setting, caller, to, incoming).then((whole) => analysed(setting, whole, blob));
}

/** Update, update as create, or revival. */
export async function update(
  setting: Setting,
  caller: Caller,
  to: { readonly type: string; readonly id: string; readonly ifMatch?: number },
  incoming: Incoming,
  blob: string | null = null,
): Promise<Written> {
  const { type, id, ifMatch } = to;
  const { store } = setting;
  demand(caller.access, type, 'u');
  const drafting = drafted(setting, caller, { type, id }, incoming, blob);
  const made = drafting instanceof Promise ? await drafting : drafting;
  checkId(made.resource, id);
  if (caller.access.limited) await demandDraft(setting, caller, 'u', id, made);
  if (!caller.access.allows(type, 'c')) await demandExisting(setting, caller, type, id);
  const [rid] = (await store.numbers.resolve([{ type, id }])) as [number];
  const { targets, paths } = await placed(setting, made);
  const write = writeOf(setting, caller, { rid, type, id }, made, targets, paths);
  await store.codeKeys.add(write.row?.codes ?? []);
  await store.units.add(write.row?.units ?? []);
  const change = { ...write, expected: ifMatch ?? null, labels: null };
  const changed = await translated(made, targets, () => changeKeepingLabels(setting, change, made));
  if (changed.status === 'other version') throw otherVersion(type, id, ifMatch, changed);
  return writtenOf(
    type,
    id,
    { ...made, content: changed.content },
    changed.version,
    changed.updated,
    !changed.existed,
  );
}

/** @throws Refusal 412 naming the current version */
export async function remove(
  setting: Setting,
  caller: Caller,
  { type, id, ifMatch }: { readonly type: string; readonly id: string; readonly ifMatch?: number },
): Promise<Removed> {
  demand(caller.access, type, 'd');
  refuseOfTrail(type, id);
  const { store, callers } = setting;
  const [rid] = await store.numbers.find([{ type, id }]);
  if (rid === undefined) {
    checkEpoch(caller, await callers.epoch());
    if (ifMatch !== undefined) throw otherVersion(type, id, ifMatch, undefined);
    return { existed: false };
  }
  const changed = await translated(undefined, [], () =>
    store.writer.change(deletion(setting, caller, { type, id, ifMatch }, rid)),
  );
  return removedOf(type, id, ifMatch, changed);
}

/** The change that deletes. */
export function deletion(
  { store }: Setting,
  caller: Caller,
  { type, id, ifMatch }: { readonly type: string; readonly id: string; readonly ifMatch?: number },
  rid: number,
): Change {
  return {
    rid,
    type: store.catalog.typeNumber(type),
    id,
    content: null,
    security: null,
    blob: null,
    agent: caller.agent,
    origin: caller.origin ?? null,
    row: null,
    epoch: caller.epoch,
    check: false,
    owns: [],
    locks: [],
    expected: ifMatch ?? null,
    labels: null,
  };
}

/** @throws Refusal 412 where the deletion found another version than was expected */
export function removedOf(type: string, id: string, ifMatch: number | undefined, changed: Changed): Removed {
  if (changed.status === 'other version') throw otherVersion(type, id, ifMatch, changed);
  if (changed.status === 'nothing to delete') return { existed: false };
  return { existed: true, version: changed.version, updated: instantOf(changed.updated) };
}

/**
 * Security labels stay unless `$meta-delete` takes them away (R4 resource.html#Meta): an update that lacks some gets
 * them added.
 */
async function changeKeepingLabels(
  setting: Setting,
  change: Change,
  made: Draft,
): Promise<Changed & { readonly content: string }> {
  let current = change;
  for (;;) {
    const changed = await setting.store.writer.change(current);
    if (changed.status !== 'labels') return { ...changed, content: current.content as string };
    current = withLabels(setting, current, made, changed.labels as string);
  }
}

/** The change with the labels that the resource has added to its own, in its content and in its index. */
export function withLabels(setting: Setting, change: Change, made: Draft, labels: string): Change {
  const resource = parseKeepingNumbers(made.content) as { meta?: { security?: unknown[] } };
  const own = resource.meta?.security ?? [];
  const has = new Set(own.map(labelName));
  const kept = (JSON.parse(labels) as unknown[]).filter((label) => !has.has(labelName(label)));
  const security = [...own, ...kept];
  const edited = { ...resource, meta: { ...resource.meta, security } };
  const labelled = { ...made.resource, meta: { ...made.resource.meta, security } } as Draft['resource'];
  const { indexer } = setting.store;
  // Labels refer to nothing, so targets and paths stay.
  const { targets, paths } = change.row as NonNullable<Change['row']>;
  const analysis = indexer.analyse(labelled, setting.baseUrl);
  const row = indexer.row(analysis, change.rid, targets, paths, setting.baseUrl);
  return { ...change, ...contentOf(edited), row, labels };
}

function labelName(label: unknown): string {
  const { system = '', code = '' } = label as { system?: string; code?: string };
  return `${system}|${code}`;
}

/** The store's refusals in the words of records. */
export async function translated<T>(
  made: Draft | undefined,
  targets: readonly number[],
  write: () => Promise<T>,
): Promise<T> {
  try {
    return await write();
  } catch (fault) {
    if (fault instanceof StaleEpoch) throw new Stale();
    if (fault instanceof Dangling && made) throw dangling(made, targets, fault.target);
    throw fault;
  }
}

async function demandExisting({ store }: Setting, caller: Caller, type: string, id: string): Promise<void> {
  const { version, deleted } = await store.read({ type: store.catalog.typeNumber(type), id });
  if (version === 0 || deleted) demand(caller.access, type, 'c');
}

/** 412, saying which version there is (R4 http.html#concurrency). */
export function otherVersion(
  type: string,
  id: string,
  expected: number | undefined,
  changed: Pick<Changed, 'version' | 'existed'> | undefined,
): Refusal {
  // What no version can have has no number to be told by.
  const version = expected === undefined || expected < 0 ? 'that version' : `version ${expected}`;
  if (!changed?.existed)
    return refusal(
      412,
      'conflict',
      `${type}/${id} is not there, so it does not have ${version}: write it without If-Match`,
    );
  const { version: current } = changed;
  return new Refusal(
    412,
    [
      error(
        'conflict',
        `${type}/${id} is at version ${current}, not ${expected === undefined || expected < 0 ? 'at one that If-Match names' : expected}: read it again and repeat the change with If-Match: W/"${current}"`,
      ),
    ],
    { ETag: `W/"${current}"` },
  );
}

export function writtenOf(
  type: string,
  id: string,
  { content, blob }: Pick<Stored, 'content' | 'blob'>,
  version: number,
  updated: string,
  created: boolean,
): Written {
  return { type, id, version, updated: instantOf(updated), deleted: false, content, blob, created };
}
