/** Units of measure: what a quantity search says of the units that quantities are in (R4 search.html#quantity). */
import { createRequire } from 'node:module';
import type { QuantityValue } from './request.ts';

/** A unit as a quantity has it. */
export interface Unit {
  readonly system?: string;
  readonly code?: string;
  /** for people */
  readonly unit?: string;
}

/** A unit of UCUM by the base units of its dimension: `value * factor + shift` of these. */
export interface Canonical {
  /** equal for units that can be converted into each other */
  readonly dimension: string;
  readonly factor: number;
  readonly shift: number;
}

/** Makes the number in one unit that in another. */
export type Conversion = (value: number) => number;

export const UCUM = 'http://unitsofmeasure.org';

/** Time to read a unit grows with the square of its length; those that are used are short. */
const LONGEST_UNIT = 50;

/** What is used of @lhncbc/ucum-lhc. */
interface Library {
  readonly UcumLhcUtils: {
    getInstance(): {
      convertToBaseUnits(
        code: string,
        value: number,
      ): {
        readonly status: string;
        readonly magnitude?: number;
        readonly unitToExp?: Readonly<Record<string, number>>;
        readonly fromUnitIsSpecial?: boolean;
      };
    };
  };
}

/** Its tables take time and memory, which only those pay who have units: required at first use, then known. */
const require = createRequire(import.meta.url);

/**
 * @returns undefined where it is no unit of UCUM, is too long to be read, or cannot be converted by multiplying and
 *          adding: arbitrary units ([iU]), logarithms ([pH])
 */
export function canonicalUnit(code: string): Canonical | undefined {
  if (code.length > LONGEST_UNIT) return undefined;
  const ucum = (require('@lhncbc/ucum-lhc') as Library).UcumLhcUtils.getInstance();
  const base = (value: number): number => ucum.convertToBaseUnits(code, value).magnitude ?? Number.NaN;
  try {
    const { status, magnitude: factor, unitToExp, fromUnitIsSpecial } = ucum.convertToBaseUnits(code, 1);
    if (status !== 'succeeded' || factor === undefined || !unitToExp) return undefined;
    const dimension = Object.entries(unitToExp)
      .map(([name, exponent]) => `${name}${exponent}`)
      .sort()
      .join('.');
    if (!fromUnitIsSpecial) return factor > 0 ? { dimension, factor, shift: 0 } : undefined;
    const shift = base(0);
    const slope = (base(1000) - shift) / 1000;
    const isStraight = [1, 300].every((value) => {
      const reckoned = shift + slope * value;
      return Math.abs(reckoned - base(value)) <= 1e-9 * Math.abs(reckoned);
    });
    return slope > 0 && isStraight ? { dimension, factor: slope, shift } : undefined;
  } catch {
    // What it cannot read it may throw at: then there is nothing to convert.
    return undefined;
  }
}

/**
 * From one unit into another of the same dimension. The factors are not quite what they should be in binary digits,
 * so what they make is rounded to as many decimal ones as clients write.
 */
export function conversion(from: Canonical, to: Canonical): Conversion {
  const factor = from.factor / to.factor;
  const shift = (from.shift - to.shift) / to.factor;
  return (value) => Number((value * factor + shift).toPrecision(12));
}

/** The code that a search may convert from: of UCUM, or of no system, as `5.4||mg` may be meant. */
export const convertible = ({ system, code }: QuantityValue): Canonical | undefined =>
  code !== undefined && (system === undefined || system === UCUM) ? canonicalUnit(code) : undefined;

/**
 * How a value searched for compares with quantities in a unit: as it is, once converted, or not at all. With a system
 * its code is meant; without one `5.4||mg` means code or human unit. Both may be converted (R4 search.html#quantity).
 */
export function inUnit(wanted: QuantityValue, { system, code, unit }: Unit): 'same' | Conversion | undefined {
  const isSystem = wanted.system === undefined || wanted.system === system;
  if (wanted.code === undefined) return isSystem ? 'same' : undefined;
  if (isSystem && (code === wanted.code || (wanted.system === undefined && unit === wanted.code)))
    return 'same';
  if (system !== UCUM || code === undefined) return undefined;
  const from = convertible(wanted);
  const to = from && canonicalUnit(code);
  return to && from.dimension === to.dimension ? conversion(from, to) : undefined;
}
