/**
 * Profiles, tags and security labels of a resource, added or taken away (R4 resource-operation-meta-add.html,
 * resource-operation-meta-delete.html). R4 4.0.1 does not say any more that this makes no new version: it makes one, so
 * that who did it, and what was there before, can be told.
 */
import type { Resource } from 'fhir/r4.js';
import { demand } from '../access/access.ts';
import { contentOf } from '../fhir/content.ts';
import { parseKeepingNumbers } from '../fhir/json.ts';
import { type Meta, withMeta, withoutMeta } from '../fhir/meta.ts';
import { refusal } from '../fhir/outcome.ts';
import { instantOf } from '../store/pool.ts';
import type { Current } from '../store/read/current.ts';
import type { Changed } from '../store/write/writer.ts';
import { checkEpoch } from './callers.ts';
import { analysed, judge, placed, writeOf } from './draft.ts';
import { demandDraft, demandMatched } from './leave.ts';
import { notFound } from './not-found.ts';
import { gone } from './read.ts';
import type { Caller, MetaEdit, Stored } from './records.ts';
import { isSeen } from './seen.ts';
import type { Setting } from './setting.ts';
import { otherVersion, translated } from './write.ts';

/** So often it is tried anew where others write the same resource. */
const ATTEMPTS = 20;

/** @throws Refusal 403; 404, 410; 400 where Meta is not as it should be; 412 where the version is another one */
export async function changeMeta(
  setting: Setting,
  caller: Caller,
  to: { readonly type: string; readonly id: string; readonly ifMatch?: number },
  edit: MetaEdit,
): Promise<Stored> {
  const { type, id, ifMatch } = to;
  const { store } = setting;
  demand(caller.access, type, 'u');
  // What is answered is a part of it.
  demand(caller.access, type, 'r');
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const current = await store.read({ type: store.catalog.typeNumber(type), id });
    checkEpoch(caller, current.epoch);
    if (current.version === 0 || !(await isSeen(setting, caller, 'r', { type, id, ...current })))
      throw notFound(type, id);
    await demandMatched(setting, caller, 'u', { type, id, ...current });
    if (current.deleted) throw gone(type, id, current);
    if (ifMatch !== undefined && ifMatch !== current.version)
      throw otherVersion(type, id, ifMatch, { version: current.version, existed: true });
    const edited = editedContent(current, edit);
    if (!edited) return storedOf(type, id, current.content as string, current.blob, current);
    const changed = await write(setting, caller, { type, id }, current, edited);
    if (changed.status === 'done') return storedOf(type, id, edited.content, current.blob, changed);
  }
  throw refusal(409, 'conflict', `${type}/${id} was written by others again and again: try once more`);
}

/** Undefined where nothing changes. */
function editedContent(
  { content }: Current,
  { kind, meta }: MetaEdit,
): ReturnType<typeof contentOf> | undefined {
  const resource = parseKeepingNumbers(content as string) as { readonly meta?: Meta };
  const changed = (kind === 'add' ? withMeta : withoutMeta)(resource.meta ?? {}, meta);
  return changed && contentOf({ ...resource, meta: changed });
}

async function write(
  setting: Setting,
  caller: Caller,
  { type, id }: { readonly type: string; readonly id: string },
  current: Current,
  edited: ReturnType<typeof contentOf>,
): Promise<Changed> {
  const { store } = setting;
  const { version, blob } = current;
  const resource = JSON.parse(edited.content) as Resource;
  judge(setting, resource, type);
  const made = analysed(setting, { resource, ...edited }, blob);
  await demandDraft(setting, caller, 'u', id, made, { type, id, ...current });
  const [rid] = (await store.numbers.resolve([{ type, id }])) as [number];
  const { targets, paths } = await placed(setting, made);
  const change = {
    ...writeOf(setting, caller, { rid, type, id }, made, targets, paths),
    expected: version,
    labels: null,
  };
  await store.codeKeys.add(change.row?.codes ?? []);
  return translated(made, targets, async () => {
    const changed = await store.writer.change(change);
    // They are those of the version that was read: here alone they may go.
    return changed.status === 'labels' ? store.writer.change({ ...change, labels: changed.labels }) : changed;
  });
}

function storedOf(
  type: string,
  id: string,
  content: string,
  blob: string | null,
  { version, updated }: { readonly version: number; readonly updated: string },
): Stored {
  return { type, id, version, updated: instantOf(updated), deleted: false, content, blob };
}
