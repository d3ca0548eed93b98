/** Numbers without rounding: fractions of whole numbers. */

export interface Exact {
  readonly top: bigint;
  /** more than 0 */
  readonly bottom: bigint;
}

/** @param text a decimal number as JSON or a query writes it: `5.40`, `-1e-3` */
export function exactly(text: string): Exact {
  const [, sign, whole, part = '', power = '0'] = /^([+-]?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(
    text,
  ) as unknown as [string, string, string, string?, string?];
  const digits = BigInt(`${sign === '-' ? '-' : ''}${whole}${part}`);
  const shift = Number(power) - part.length;
  return shift >= 0
    ? { top: digits * 10n ** BigInt(shift), bottom: 1n }
    : { top: digits, bottom: 10n ** BigInt(-shift) };
}

export const plus = (a: Exact, b: Exact): Exact => ({
  top: a.top * b.bottom + b.top * a.bottom,
  bottom: a.bottom * b.bottom,
});

export const times = (a: Exact, b: Exact): Exact => ({ top: a.top * b.top, bottom: a.bottom * b.bottom });

export const minus = (a: Exact, b: Exact): Exact => plus(a, { top: -b.top, bottom: b.bottom });

/** Less than, equal to or more than 0, as for sorting. */
export function order(a: Exact, b: Exact): number {
  const difference = a.top * b.bottom - b.top * a.bottom;
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

/** The simplest fraction that a number in binary digits may have been meant to be. */
export function meant(value: number): Exact {
  let [before, now] = [
    { top: 0n, bottom: 1n },
    { top: 1n, bottom: 0n },
  ];
  for (let rest = Math.abs(value); ; rest = 1 / (rest - Math.floor(rest))) {
    const whole = BigInt(Math.floor(rest));
    [before, now] = [now, { top: whole * now.top + before.top, bottom: whole * now.bottom + before.bottom }];
    const reached = Number(now.top) / Number(now.bottom);
    if (Math.abs(reached - Math.abs(value)) <= 1e-13 * Math.abs(value))
      return { top: value < 0 ? -now.top : now.top, bottom: now.bottom };
  }
}
