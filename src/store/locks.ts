/**
 * Locks on what identifies resources: the values of `identifier` and `url`. Whoever writes such a value shares its
 * lock until the commit; a conditional interaction takes the locks of the values that its condition names for
 * itself, and then looks. So nobody brings in a match between its look and its write, whatever else the condition says.
 *
 * PostgreSQL has room for some thousands of locks: values fall on so many stripes. Two that share one only wait for
 * each other.
 */
import type { Extracted } from '../fhir/extract.ts';
import type { Filter } from '../search/request.ts';
import { boolArray, int4Array } from './arrays.ts';
import { type Keys, lockKey } from './index/keys.ts';
import { type Executor, run } from './pool.ts';

const STRIPES = 1024;

/** Class of the advisory locks on stripes, and of those on types. Both are this project's own numbers. */
const STRIPE_CLASS = 0x63_6f_6e;
const TYPE_CLASS = STRIPE_CLASS + 1;

const NONE: readonly string[] = [];
const NO_STRIPES: readonly number[] = [];

/** Parameters whose values identify: business identifiers, and the urls of canonical resources. */
const identifies = (code: string): boolean => code === 'identifier' || code === 'url';

function stripeOf(keys: Keys, type: string, value: string): number {
  return lockKey(keys.type(type), value).low & (STRIPES - 1);
}

/** Values that identify. The system of an identifier plays no part, as conditions may leave it out. */
export const identifying = {
  /** those that a resource has */
  values(extracted: readonly Extracted[]): readonly string[] {
    let texts: string[] | undefined;
    for (let i = 0; i < extracted.length; i++) {
      const { parameter, value } = extracted[i] as Extracted;
      if (!identifies(parameter.code)) continue;
      const text = value.kind === 'token' ? value.code : value.kind === 'uri' ? value.uri : undefined;
      if (text === undefined) continue;
      texts ??= [];
      texts.push(text);
    }
    return texts ?? NONE;
  },
  /** those of which each match of a condition has one; undefined where it names none */
  texts(filters: readonly Filter[]): readonly string[] | undefined {
    for (const filter of filters) {
      if (filter.kind !== 'token' && filter.kind !== 'uri') continue;
      if (!identifies(filter.parameter.code)) continue;
      const texts = filter.kind === 'token' ? filter.values.map(({ code }) => code) : filter.values;
      if (texts.every((text) => text !== undefined)) return texts;
    }
    return undefined;
  },
};

/** The stripes of the values that identify a resource. */
export function stripesOf(keys: Keys, type: string, extracted: readonly Extracted[]): readonly number[] {
  const texts = identifying.values(extracted);
  return texts.length === 0 ? NO_STRIPES : texts.map((text) => stripeOf(keys, type, text));
}

/** What a condition is held by: the stripes of the values that it names, or, where it names none, its whole type. */
export interface Hold {
  readonly type: number;
  readonly stripes: readonly number[];
}

export function holdOf(keys: Keys, type: string, typeNumber: number, filters: readonly Filter[]): Hold {
  const texts = identifying.texts(filters) ?? NONE;
  return { type: typeNumber, stripes: texts.map((text) => stripeOf(keys, type, text)) };
}

/** The part of a statement that shares the locks of what it writes: whatever else it does has to lean on `held`. */
export const SHARE_LOCKS = `held as materialized (
      select count(pg_advisory_xact_lock_shared(${STRIPE_CLASS}, stripe)) from
        (select distinct stripe from unnest($locks) e (stripe) order by stripe) sorted
    ), `;

// In one order for all, so that no two wait for each other.
const LOCK = {
  name: 'lock_stripes',
  text: `
    select count(case when alone then pg_advisory_xact_lock(class, key) else pg_advisory_xact_lock_shared(class, key) end)
    from (
      select class, key, bool_or(alone) as alone
      from unnest($1::integer[], $2::integer[], $3::boolean[]) e (class, key, alone)
      group by class, key order by class desc, key
    ) sorted`,
};

/**
 * Takes all locks of a transaction at once, until it ends.
 *
 * @param shared stripes of what it writes
 * @param holds  of its conditions
 */
export async function takeLocks(
  executor: Executor,
  shared: readonly number[],
  holds: readonly Hold[],
): Promise<void> {
  const classes: number[] = [];
  const keys: number[] = [];
  const alone: boolean[] = [];
  const add = (of: number, key: number, exclusive: boolean): void => {
    classes.push(of);
    keys.push(key);
    alone.push(exclusive);
  };
  for (const stripe of shared) add(STRIPE_CLASS, stripe, false);
  for (const { type, stripes } of holds) {
    // Conditions that name no value exclude each other, and those that do, but not all writes of their type.
    add(TYPE_CLASS, type, stripes.length === 0);
    for (const stripe of stripes) add(STRIPE_CLASS, stripe, true);
  }
  if (keys.length > 0) await run(executor, LOCK, [int4Array(classes), int4Array(keys), boolArray(alone)]);
}
