/** A load: sources in, counts out, never more in memory than what is under way. */

import type { Refusal } from '../../fhir/outcome.ts';
import { LONGEST } from './documents.ts';
import type { Refused, Unit } from './plan.ts';
import { type Send, sendUnit, wholly } from './send.ts';
import type { Source } from './sources.ts';
import { unitsOf } from './units.ts';

export interface LoadOptions {
  readonly send: Send;
  /** units under way at once, at most */
  readonly parallel: number;
  /** ends reading; what is under way is finished */
  readonly signal?: AbortSignal;
  readonly read?: (bytes: number) => void;
  /** told of each unit's outcome */
  readonly settled?: (done: number, refused: number) => void;
  readonly refused?: (refused: Refused) => void;
}

export interface Loaded {
  /** by type, those that were written */
  readonly created: Map<string, number>;
  /** that were there already */
  there: number;
  refused: number;
  /** whether all was read */
  complete: boolean;
}

/**
 * Loads all of the sources.
 *
 * @throws Error where nothing can be written any more
 */
export async function runLoad(sources: readonly Source[], options: LoadOptions): Promise<Loaded> {
  const loaded: Loaded = { created: new Map(), there: 0, refused: 0, complete: false };
  const units = unitsOf(sources, options.read ?? (() => {}));
  const room = makeRoom(LONGEST);
  let failed = false;

  const settle = (refused: readonly Refused[]) => {
    for (const one of refused) {
      loaded.refused += one.count;
      options.refused?.(one);
    }
  };
  const settleAll = (unit: Unit, fault: Refusal) => {
    settle(wholly(unit.resources, fault).refused);
    options.settled?.(0, unit.resources.length);
  };
  // What refers to others by a condition, and comes before them, is sent again when all is read.
  let waiting: Unit[] = [];
  let held = 0;
  const reasons = new Map<Unit, Refusal>();
  const take = async (unit: Unit | Refused) => {
    if ('fault' in unit) {
      settle([unit]);
      options.settled?.(0, unit.count);
      return;
    }
    const size = sizeOf(unit);
    await room.enter(size);
    try {
      const { created, there, refused, waits } = await sendUnit(unit, options.send);
      if (waits) {
        if (held + size > MOST_HELD) return settleAll(unit, waits);
        held += size;
        waiting.push(unit);
        reasons.set(unit, waits);
        return;
      }
      for (const { type } of created) loaded.created.set(type, (loaded.created.get(type) ?? 0) + 1);
      loaded.there += there;
      settle(refused);
      options.settled?.(created.length + there, unit.resources.length - created.length - there);
    } finally {
      room.leave(size);
    }
  };
  // A generator answers its askers one after the other: the next unit is read when a writer is free.
  const writer = async () => {
    while (!failed && !options.signal?.aborted) {
      const { value, done } = await units.next();
      if (done) {
        loaded.complete = true;
        return;
      }
      await take(value);
    }
  };
  try {
    await Promise.all(
      Array.from({ length: options.parallel }, () =>
        writer().catch((fault) => {
          failed = true;
          throw fault;
        }),
      ),
    );
    // As long as something goes in, it may be what others wait for.
    for (let before = Number.POSITIVE_INFINITY; waiting.length < before && !options.signal?.aborted; ) {
      const again = waiting;
      before = again.length;
      waiting = [];
      held = 0;
      for (const unit of again) await take(unit);
    }
    for (const unit of waiting) settleAll(unit, reasons.get(unit) as Refusal);
  } finally {
    await units.return(undefined);
  }
  return loaded;
}

/** So many characters of what waits are held; what is beyond is refused, and can be loaded again. */
const MOST_HELD = 256 * 1024 * 1024;

const sizeOf = ({ resources }: Unit): number => resources.reduce((sum, { body }) => sum + body.length, 0);

/** Lets in what fits into a number of characters; what is larger than all goes alone. */
function makeRoom(most: number): { enter(size: number): Promise<void>; leave(size: number): void } {
  let taken = 0;
  const waiting: { size: number; enter: () => void }[] = [];
  const admit = () => {
    for (let next = waiting[0]; next && (taken === 0 || taken + next.size <= most); next = waiting[0]) {
      taken += next.size;
      waiting.shift();
      next.enter();
    }
  };
  return {
    enter: (size) =>
      new Promise((resolve) => {
        waiting.push({ size, enter: resolve });
        admit();
      }),
    leave: (size) => {
      taken -= size;
      admit();
    },
  };
}
