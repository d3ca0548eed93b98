/**
 * The units that quantities here are in, by the names that searches have for them. A dictionary that only grows: a
 * row needs no more than its unit's key, and is found by code, by human unit, and by any unit of its dimension.
 */
import type pg from 'pg';
import type { QuantityValue } from '../../search/request.ts';
import {
  type Conversion,
  canonicalUnit,
  conversion,
  convertible,
  UCUM,
  type Unit,
} from '../../search/units.ts';
import { keyArray, textArray } from '../arrays.ts';
import { cache } from '../cache.ts';
import type { Key } from '../hash.ts';
import { type Executor, run } from '../pool.ts';
import { keyText, unitKey, unitNameKey } from './keys.ts';

export interface Units {
  /**
   * Makes sure that units are known, before the rows that have them are written.
   *
   * @returns undefined where all are known already
   */
  add(units: readonly Unit[]): Promise<void> | undefined;
}

/** Units in which a value is looked for. */
export interface UnitsFound {
  readonly units: readonly string[];
  /** undefined: as it was typed */
  readonly convert?: Conversion;
}

// In key order: two processes that add the same units in two orders would wait for each other.
const ADD = {
  name: 'add_unit_names',
  text: `insert into unit_name (name, unit, code)
         select * from unnest($1::bigint[], $2::bigint[], $3::text[]) e (name, unit, code)
         order by name, unit on conflict do nothing`,
};

const FIND = {
  name: 'find_units',
  text: 'select name::text, unit::text, code from unit_name where name = any ($1::bigint[]) order by code, unit',
};

/** @param base the key that those of units are made from */
export function makeUnits(pool: pg.Pool, base: Key): Units {
  const known = cache<string, true>(20_000);
  return {
    add(units) {
      const fresh = new Map<string, Unit>();
      for (const unit of units) {
        const name = keyText(unitKey(base, unit));
        if (!known.get(name)) fresh.set(name, unit);
      }
      if (fresh.size === 0) return undefined;
      const names: number[] = [];
      const keys: number[] = [];
      const codes: (string | null)[] = [];
      for (const unit of fresh.values()) {
        const key = unitKey(base, unit);
        const add = (name: Key, code: string | null): void => {
          names.push(name.high, name.low);
          keys.push(key.high, key.low);
          codes.push(code);
        };
        for (const name of namesOf(base, unit)) add(name, null);
        const canonical = unit.system === UCUM && unit.code !== undefined && canonicalUnit(unit.code);
        if (canonical) add(unitNameKey(base, 'dimension', canonical.dimension), unit.code as string);
      }
      return run(pool, ADD, [keyArray(names), keyArray(keys), textArray(codes)]).then(() => {
        for (const name of fresh.keys()) known.set(name, true);
      });
    },
  };
}

/** What a unit is called by searches: `|system|code`, `||code`, `||human unit`, `|system|`. */
function namesOf(base: Key, { system, code, unit }: Unit): Key[] {
  const names: Key[] = [];
  if (system !== undefined) names.push(unitNameKey(base, 'system', system));
  if (system !== undefined && code !== undefined)
    names.push(unitNameKey(base, 'system and code', system, code));
  if (code !== undefined) names.push(unitNameKey(base, 'text', code));
  if (unit !== undefined && unit !== code) names.push(unitNameKey(base, 'text', unit));
  return names;
}

/**
 * The units here in which each of the values is looked for.
 *
 * @param values of which each has a system or a code
 */
export async function findUnits(
  executor: Executor,
  base: Key,
  values: readonly QuantityValue[],
): Promise<readonly (readonly UnitsFound[])[]> {
  const asked = values.map((value) => {
    const { system, code } = value;
    const canonical = convertible(value);
    const literal =
      system === undefined
        ? unitNameKey(base, 'text', code as string)
        : code === undefined
          ? unitNameKey(base, 'system', system)
          : unitNameKey(base, 'system and code', system, code);
    const dimension = canonical && unitNameKey(base, 'dimension', canonical.dimension);
    return { literal: keyText(literal), canonical, dimension: dimension && keyText(dimension) };
  });
  const names = asked.flatMap(({ literal, dimension }) => (dimension ? [literal, dimension] : [literal]));
  const rows = (await run(executor, FIND, [[...new Set(names)]])) as [string, string, string | null][];
  return asked.map(({ literal, canonical, dimension }) => {
    const same = rows.filter(([name]) => name === literal).map(([, unit]) => unit);
    const found: UnitsFound[] = same.length > 0 ? [{ units: same }] : [];
    if (!canonical) return found;
    const byCode = new Map<string, string[]>();
    for (const [name, unit, code] of rows) {
      if (name !== dimension || code === null || same.includes(unit)) continue;
      const units = byCode.get(code);
      if (units) units.push(unit);
      else byCode.set(code, [unit]);
    }
    for (const [code, units] of byCode) {
      const to = canonicalUnit(code);
      if (to) found.push({ units, convert: conversion(canonical, to) });
    }
    return found;
  });
}
