/** JSON Pointers (RFC 6901). */

/** Names of members and array indexes, from the whole document on. */
export type Pointer = readonly string[];

/** The tokens of a pointer; undefined for what is none. */
export function parsePointer(text: string): Pointer | undefined {
  if (text === '') return [];
  if (!text.startsWith('/') || /~(?![01])/.test(text)) return undefined;
  const tokens = text.slice(1).split('/');
  // "~01" stands for "~1": the order matters (RFC 6901 §4)
  return text.includes('~')
    ? tokens.map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'))
    : tokens;
}

/** Whether one place is the other, or around it. */
export function isPrefix(outer: Pointer, inner: Pointer): boolean {
  return outer.every((token, i) => token === inner[i]);
}
