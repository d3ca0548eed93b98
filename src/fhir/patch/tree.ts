/** JSON in memory as patches change it: of `JSON.parse` or, with numbers as their digits, of `parseKeepingNumbers`. */

export type Tree = Record<string, unknown>;

// of ES2026, which TypeScript's library does not describe yet
const { isRawJSON } = JSON as unknown as { isRawJSON(value: unknown): value is { readonly rawJSON: string } };

/** Whether something can be inside; a number that is kept as its digits is an object to JavaScript only. */
export function isContainer(value: unknown): value is Tree | unknown[] {
  return typeof value === 'object' && value !== null && !isRawJSON(value);
}

export function isTree(value: unknown): value is Tree {
  return isContainer(value) && !Array.isArray(value);
}

/** The digits of a number as they were written; undefined for what is no number. */
export function digitsOf(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value);
  return isRawJSON(value) ? value.rawJSON : undefined;
}

/** A member that the object itself has: not what all objects inherit (`constructor`, `__proto__`). */
export function memberOf(object: Tree, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

/** Sets a member, also one that assignment would take for the prototype. */
export function setMember(object: Tree, name: string, value: unknown): void {
  if (name === '__proto__')
    Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true });
  else object[name] = value;
}

/** A copy that shares nothing that can change. */
export function copyOf(value: unknown, leaf = (primitive: unknown) => primitive): unknown {
  if (!isContainer(value)) return leaf(value);
  if (Array.isArray(value)) return value.map((each) => copyOf(each, leaf));
  const copy: Tree = {};
  for (const name of Object.keys(value)) setMember(copy, name, copyOf(value[name], leaf));
  return copy;
}

/** A copy with numbers as JavaScript's own, for reading only: they may have lost digits. */
export function plainOf(value: unknown): unknown {
  return copyOf(value, (primitive) => (isRawJSON(primitive) ? Number(primitive.rawJSON) : primitive));
}

/** How deeply a value is nested, 0 for one that nothing can be inside of, and about how long its text is. */
export function measure(value: unknown): { readonly depth: number; readonly size: number } {
  if (!isContainer(value)) return { depth: 0, size: typeof value === 'string' ? value.length + 3 : 6 };
  let depth = 0;
  let size = 2;
  for (const name of Object.keys(value)) {
    const inner = measure((value as Tree)[name]);
    if (inner.depth > depth) depth = inner.depth;
    size += inner.size + (Array.isArray(value) ? 0 : name.length + 3);
  }
  return { depth: depth + 1, size };
}

/**
 * Takes away the objects and arrays that removals have left empty, and those that this empties in turn: FHIR has
 * none (R4 json.html). Empty ones that were there before stay, for the validator to judge.
 *
 * @param emptied what something was removed from
 */
export function prune(value: unknown, emptied: ReadonlySet<object>): void {
  const isEmpty = [...emptied].some((each) => Object.keys(each).length === 0);
  if (isEmpty && isContainer(value)) isLeftEmpty(value, emptied, '');
}

function isLeftEmpty(value: Tree | unknown[], emptied: ReadonlySet<object>, name: string): boolean {
  let pruned = emptied.has(value);
  if (Array.isArray(value)) {
    // What stands beside a list of primitives is matched with it by place (R4 json.html#primitive).
    const beside = name.startsWith('_');
    let at = 0;
    for (const each of value) {
      const empty = isContainer(each) && isLeftEmpty(each, emptied, '');
      if (empty) pruned = true;
      if (!empty) value[at++] = each;
      else if (beside) value[at++] = null;
    }
    value.length = at;
    return pruned && value.every((each) => each === null);
  }
  for (const key of Object.keys(value)) {
    const inner = value[key];
    if (!isContainer(inner) || !isLeftEmpty(inner, emptied, key)) continue;
    delete value[key];
    pruned = true;
  }
  return pruned && Object.keys(value).length === 0;
}

/** Whether two values are equal as JSON: objects whatever the order of their members, numbers numerically (RFC 6902 §4.6). */
export function sameJson(a: unknown, b: unknown): boolean {
  if (isContainer(a) && isContainer(b)) {
    if (Array.isArray(a) !== Array.isArray(b)) return false;
    const names = Object.keys(a);
    return (
      names.length === Object.keys(b).length &&
      names.every((name) => Object.hasOwn(b, name) && sameJson((a as Tree)[name], (b as Tree)[name]))
    );
  }
  if (a === b) return true;
  const digits = digitsOf(a);
  const others = digitsOf(b);
  return digits !== undefined && others !== undefined && normal(digits) === normal(others);
}

/** One text for all that a number can be written as: 100, 1e2 and 100.0 are `1e2`. */
function normal(digits: string): string {
  const [, sign, whole, fraction = '', exponent = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE](.+))?$/.exec(digits)!;
  const all = whole! + fraction;
  let start = 0;
  let end = all.length;
  while (start < end && all[start] === '0') start++;
  while (end > start && all[end - 1] === '0') end--;
  if (start === end) return '0';
  return `${sign}${all.slice(start, end)}e${Number(exponent) - fraction.length + all.length - end}`;
}
