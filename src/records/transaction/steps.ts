/** The entries of a transaction on their way. */
import { setImmediate as turn } from 'node:timers/promises';
import type { Resource } from 'fhir/r4.js';
import { demand } from '../../access/access.ts';
import { parseJson } from '../../fhir/json.ts';
import { inBundleEntry, invalid, Refusal } from '../../fhir/outcome.ts';
import type { Condition } from '../../search/condition.ts';
import { demandConditions } from '../conditions.ts';
import type { Draft } from '../draft.ts';
import type { Caller, Entry } from '../records.ts';
import type { Newest, Seeable } from '../seen.ts';

/** An entry that may write; what is worked out once, however often it is tried. */
export interface Step {
  /** of the entry in the Bundle; undefined where an interaction came alone */
  readonly index: number | undefined;
  readonly entry: Exclude<Entry, { readonly method: 'GET' }>;
  /** its condition, of whichever kind */
  readonly condition: Condition | undefined;
  /** the id that it gets if the server gives it one */
  readonly newId: string;
  /** the resource as it came, not to be changed */
  readonly resource: () => Resource;
  /** labels that would have been lost, as the resource has them */
  labels?: string;
}

/** What is done for an entry, as the world was when it was looked at. */
export interface Decision {
  readonly act: 'write' | 'delete' | 'none';
  readonly type: string;
  readonly id: string;
  /** the version that it must have, by the client's word or because it was looked at */
  readonly expected?: number;
  /** the version of the deletion that it undoes, and that must be the last */
  readonly revives?: number;
  /** what a condition found */
  readonly matched?: {
    readonly rid?: number;
    readonly version: number;
    readonly updated: string;
    readonly content: string;
    readonly blob: string | null;
  };
  /** further resources that a conditional DELETE deletes */
  readonly also?: readonly { readonly id: string; readonly rid: number; readonly version: number }[];
  /** the entry that already does what this one asks for */
  readonly as?: Step;
  /** what a patch makes */
  readonly patched?: { readonly text: string };
  /** whether nothing may be there yet */
  readonly fresh?: boolean;
  /** whether `expected` is the version on which it was judged that the caller may do this */
  readonly judged?: boolean;
  /** that version, where access is limited */
  readonly before?: Seeable;
  made?: Draft;
  rid?: number;
}

export type Decisions = Map<Step, Decision>;

/** What entries that name a resource by its id find there, as far as the caller may change it. */
export type Named = ReadonlyMap<Step, Newest | undefined>;

export function stepsOf(entries: readonly Entry[], bundled: boolean, nextId: () => string): readonly Step[] {
  return entries.flatMap((entry, i): Step[] => {
    if (entry.method === 'GET') return [];
    const condition = entry.method === 'POST' ? entry.ifNoneExist : entry.where;
    let resource: Resource | undefined;
    const read = (): Resource => {
      if (!('body' in entry)) throw new Error(`${entry.method} has no resource`);
      resource ??= parseJson(entry.body).value as unknown as Resource;
      return resource;
    };
    return [{ index: bundled ? i : undefined, entry, condition, newId: nextId(), resource: read }];
  });
}

/** So many entries are worked on before other requests have their turn. */
export const CHUNK = 25;

/** Runs over the steps, yields between chunks, and says which entry a refusal is about. */
export async function inTurns(
  steps: readonly Step[],
  work: (step: Step) => void | Promise<void>,
): Promise<void> {
  for (let i = 0; i < steps.length; i++) {
    if (i % CHUNK === CHUNK - 1) await turn();
    const step = steps[i] as Step;
    try {
      const working = work(step);
      if (working) await working;
    } catch (fault) {
      throw fault instanceof Refusal ? inEntry(fault, step) : fault;
    }
  }
}

/** The refusal, with expressions from the Bundle on. What is said of no element is said of the entry or its condition. */
export function inEntry(fault: Refusal, { index, entry, condition }: Step): Refusal {
  if (index === undefined) return fault;
  const place = `Bundle.entry[${index}]`;
  const asked = entry.method === 'POST' ? 'ifNoneExist' : 'url';
  return inBundleEntry(fault, index, entry.type, condition ? `${place}.request.${asked}` : place);
}

/** @throws Refusal 403 for what the caller may not do whatever is found */
export function demandSteps(caller: Caller, steps: readonly Step[]): void {
  for (const step of steps) {
    const { entry, condition, index } = step;
    try {
      demandStep(caller, entry, index !== undefined);
      if (condition) demandConditions(caller, [condition]);
    } catch (fault) {
      throw fault instanceof Refusal ? inEntry(fault, step) : fault;
    }
  }
}

function demandStep({ access }: Caller, entry: Step['entry'], bundled: boolean): void {
  const { type } = entry;
  if (entry.method === 'DELETE') demand(access, type, 'd');
  else if (entry.method === 'POST' || (entry.method === 'PUT' && entry.ifNew)) demand(access, type, 'c');
  else demand(access, type, 'u');
  // A patch tells what was there, by what it makes and by what it refuses.
  if (entry.method === 'PATCH') demand(access, type, 'r');
  // Whether a PUT creates is known only in the end, and a transaction is not refused half-way for want of leave.
  if (entry.method === 'PUT' && !entry.where && bundled) demand(access, type, 'c');
}

/** 400: two entries mean one resource (R4 http.html#trules). */
export function twice(one: Step, other: Step, name: string): Refusal {
  const [first, second] = [one.index as number, other.index as number].sort((a, b) => a - b);
  return invalid(
    'invalid',
    `Bundle.entry[${first}] and Bundle.entry[${second}] both mean ${name}: a transaction may change a resource once`,
    `Bundle.entry[${second}]`,
  );
}
