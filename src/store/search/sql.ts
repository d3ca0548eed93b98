/** SQL under construction: fixed fragments and numbered parameters. No text of a user's ever becomes SQL. */

export interface Sql {
  /** Adds a value and gives the parameter that stands for it. */
  bind(value: unknown): string;
  readonly values: unknown[];
  /** A name that nothing else in the statement has. */
  alias(): string;
}

export function sql(): Sql {
  const values: unknown[] = [];
  let aliases = 0;
  return { values, bind: (value) => `$${values.push(value)}`, alias: () => `x${++aliases}` };
}
