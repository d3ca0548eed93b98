/**
 * A transaction (R4 http.html#transaction): all of it is written, in one database transaction, or nothing. It is
 * prepared by what is seen before; then locks are taken, conditions looked at again, and where they still find the
 * same, all is written. Where not, it is prepared anew.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Resource } from 'fhir/r4.js';
import { attachmentsOf } from '../../fhir/attachments.ts';
import { prepare } from '../../fhir/content.ts';
import { parseJson } from '../../fhir/json.ts';
import { type Refusal, refusal } from '../../fhir/outcome.ts';
import { isDeadlock } from '../../store/pool.ts';
import { isTaken } from '../../store/write/writer.ts';
import { completed, type Beside as WrittenBytes } from '../attachments.ts';
import { takeIn } from '../binary.ts';
import { resolve } from '../conditions.ts';
import { analysed, checkId, judge } from '../draft.ts';
import type { Caller, Entry, Outcome } from '../records.ts';
import type { Setting } from '../setting.ts';
import { decide } from './decide.ts';
import { demandBrought, findNamed } from './leave.ts';
import { look } from './look.ts';
import { checkFullUrls, linksOf, makeValuesOf, namesOf, patchedLinks } from './names.ts';
import type { Beside, Plan } from './plan.ts';
import { postingsOf } from './postings.ts';
import { type Decision, type Decisions, demandSteps, inTurns, type Step, stepsOf } from './steps.ts';
import { Again, findExisting, writeAll } from './write.ts';

/** So often it is tried, with growing pauses: others win each time, but somebody does. */
const ATTEMPTS = 12;
const LONGEST_PAUSE = 250;

/**
 * Carries out entries.
 *
 * @param bundled false for an interaction that came alone, whose refusals name no entry
 * @param beside  what else belongs to the transaction
 */
export async function transaction(
  setting: Setting,
  caller: Caller,
  entries: readonly Entry[],
  bundled = true,
  beside?: Beside,
): Promise<Outcome[]> {
  const steps = stepsOf(entries, bundled, setting.nextId);
  demandSteps(caller, steps);
  if (steps.length === 0) return look(setting, caller, entries);
  checkFullUrls(entries);
  const links = bundled ? await linksOf(setting, caller, steps) : [];
  const conditions = [
    ...steps.flatMap(({ condition }) => condition ?? []),
    ...links.map(({ condition }) => condition),
  ];
  const plan = { entries, steps, links, conditions, beside };
  for (let attempt = 1; ; attempt++) {
    try {
      return await attemptOnce(setting, caller, plan);
    } catch (fault) {
      // What was looked at has changed, an id was given away, or two writers waited for each other.
      const passing = fault instanceof Again || isTaken(fault) || isDeadlock(fault);
      if (!passing) throw isTimeout(fault) && bundled ? tooLong() : fault;
      if (attempt === ATTEMPTS) throw overtaken();
      await sleep(Math.random() * Math.min(LONGEST_PAUSE, 2 ** attempt));
    }
  }
}

const isTimeout = (fault: unknown): boolean => (fault as { code?: unknown }).code === '57014';

function tooLong(): Refusal {
  return refusal(
    413,
    'too-costly',
    'This Bundle took longer than a transaction may, and nothing of it was done: split it into smaller ones',
  );
}

function overtaken(): Refusal {
  return refusal(
    409,
    'conflict',
    'Others changed the same at the same time and went first, again and again: nothing was done, try again',
  );
}

async function attemptOnce(setting: Setting, caller: Caller, plan: Plan): Promise<Outcome[]> {
  const { steps } = plan;
  const resolution = await resolve(setting, caller, plan.conditions);
  const named = await findNamed(setting, caller, steps);
  const existing = await findExisting(setting, steps);
  let decisions: Decisions = new Map();
  const valuesOf = makeValuesOf(setting, () => decisions);
  decisions = await decide(setting, caller, steps, resolution, { valuesOf, existing, named });
  // What patches bring is known only now.
  const brought = steps[0]?.index === undefined ? [] : patchedLinks(setting, caller, decisions);
  const links = [...plan.links, ...brought];
  const conditions = [...plan.conditions, ...brought.map(({ condition }) => condition)];
  const found = new Map([
    ...resolution,
    ...(await resolve(
      setting,
      caller,
      brought.map(({ condition }) => condition),
    )),
  ]);
  const names = namesOf(setting, decisions, links, found, valuesOf);
  const draftAll = (of: readonly Step[], beside: WrittenBytes) =>
    inTurns(of, (step) =>
      makeDraft({ setting, caller, names, beside }, step, decisions.get(step) as Decision),
    );
  // Attachments are told by the Binaries that come with them.
  const binaries = steps.filter(({ entry }) => entry.type === 'Binary');
  await draftAll(binaries, new Map());
  const bytes = binaries.map((step) => decisions.get(step) as Decision);
  await draftAll(
    steps.filter(({ entry }) => entry.type !== 'Binary'),
    new Map(bytes.map(({ id, made }) => [`Binary/${id}`, made?.blob ?? null])),
  );
  await demandBrought(setting, caller, decisions);
  const postings = postingsOf(setting, caller, decisions);
  const outcomes = await writeAll(
    setting,
    caller,
    { ...plan, links, conditions, postings },
    decisions,
    found,
  );
  if (postings) {
    await setting.store.parameters.refresh();
    setting.reindexing.wake();
  }
  return outcomes;
}

interface Drafting {
  readonly setting: Setting;
  readonly caller: Caller;
  readonly names: ReadonlyMap<string, string>;
  readonly beside: WrittenBytes;
}

async function makeDraft(
  { setting, caller, names, beside }: Drafting,
  { entry }: Step,
  decision: Decision,
): Promise<void> {
  if (decision.act !== 'write') return;
  const { type, id, patched } = decision;
  const text = patched?.text ?? ('body' in entry ? entry.body : '');
  // What a patch makes is mostly this server's own, whose relative references are its own too.
  const fullUrl = 'body' in entry ? entry.fullUrl : undefined;
  const parsed = parseJson(text);
  // Judged as it was sent: a new name may stand where only a uuid or an oid may.
  judge(setting, parsed.value as unknown as Resource, type);
  const incoming = prepare(parsed, text, (resource) => setting.rewrite(resource, names, fullUrl));
  if (entry.method === 'PUT' && !entry.where && !entry.ifNew) checkId(incoming.resource, id);
  if (type === 'Binary') {
    const { incoming: kept, blob } = await takeIn(setting, caller, incoming);
    decision.made = analysed(setting, kept, blob);
    return;
  }
  const kept =
    attachmentsOf(incoming.resource).length > 0
      ? await completed(setting, caller, { type, id }, incoming, beside)
      : incoming;
  decision.made = analysed(setting, kept, null);
}
