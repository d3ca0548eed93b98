/** What the database can keep. */

/**
 * Whether PostgreSQL can keep a value as text or jsonb: it has neither U+0000 nor half of a surrogate pair, anywhere in it,
 * and is not nested deeper than a stack is.
 *
 * @param value as of JSON
 */
export function isKeepable(value: unknown): boolean {
  try {
    // JSON.stringify escapes both, and nothing else of these.
    return !/(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f][0-9a-f]{2})/.test(JSON.stringify(value));
  } catch {
    return false;
  }
}
