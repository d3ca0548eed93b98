/** The characters that separate values, and how they are written as themselves (R4 search.html#escaping). */

/** Parts between separators that no backslash escapes; the escapes stay. */
export function splitEscaped(text: string, separator: ',' | '|' | '$'): string[] {
  if (!text.includes(separator)) return [text];
  const parts: string[] = [];
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === separator) {
      parts.push(text.slice(start, i));
      start = i + 1;
    }
  }
  parts.push(text.slice(start));
  return parts;
}

/** The alternatives of a parameter: an empty one asks for nothing, beside others. */
export function alternatives(text: string): string[] {
  const parts = splitEscaped(text, ',');
  const full = parts.filter((part) => part !== '');
  return full.length > 0 ? full : parts;
}

/** Whether each backslash escapes one of these characters: `xx\xx` is illegal. */
export const isEscaped = (text: string): boolean =>
  !text.includes('\\') || !/\\(?:[^,|$\\]|$)/s.test(text.replaceAll('\\\\', ''));

/** `\,` `\|` `\$` `\\` are the characters themselves. */
export function withoutEscapes(text: string): string {
  return text.includes('\\') ? text.replace(/\\([,|$\\])/g, '$1') : text;
}

/** A text that stands for itself in a search (R4 search.html#escaping). */
export const escaped = (text: string): string => text.replace(/[\\,|$]/g, '\\$&');
