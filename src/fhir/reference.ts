/** What the text of a reference points to (R4 references.html#literal). */

/** A reference, told apart by where its target lives. */
export type ParsedReference =
  /** a resource of this server, perhaps one version of it */
  | { readonly kind: 'local'; readonly type: string; readonly id: string; readonly version?: string }
  /** something on another server */
  | { readonly kind: 'absolute'; readonly url: string }
  /** a resource inside the same one; the empty id is the container itself */
  | { readonly kind: 'contained'; readonly id: string }
  | { readonly kind: 'urn'; readonly urn: string }
  | { readonly kind: 'invalid'; readonly reason: string };

/**
 * Reads the text of Reference.reference. Relative references and absolute ones under this server's own base are
 * local; `|version` of canonicals is not treated here.
 *
 * @param text            as written: `Patient/1`, `Patient/1/_history/2`, `http://…`, `#id`, `urn:uuid:…`
 * @param baseUrl         this server's FHIR base, without or with a slash at its end
 * @param isResourceType  whether a name is a resource type
 */
export function parseReference(
  text: string,
  baseUrl: string,
  isResourceType: (type: string) => boolean,
): ParsedReference {
  if (text.charCodeAt(0) === 35) return parseContained(text);
  if (text.startsWith('urn:')) return { kind: 'urn', urn: text };
  const own = afterBase(text, baseUrl);
  if (own >= 0) return parseRelative(text, own, isResourceType);
  if (hasScheme(text)) return { kind: 'absolute', url: text };
  return parseRelative(text, 0, isResourceType);
}

/** A canonical without the business version that it may name after a bar (R4 references.html#canonical). */
export function withoutVersion(reference: string): string {
  const bar = reference.indexOf('|');
  return bar > 0 ? reference.slice(0, bar) : reference;
}

/** Whether a text can be a resource's logical id (R4 datatypes.html#id). */
export function isId(text: string): boolean {
  return isIdBetween(text, 0, text.length);
}

function parseContained(text: string): ParsedReference {
  if (text.length === 1 || isIdBetween(text, 1, text.length)) return { kind: 'contained', id: text.slice(1) };
  return { kind: 'invalid', reason: `"${text}" has no id of a contained resource after its #` };
}

function parseRelative(
  text: string,
  from: number,
  isResourceType: (type: string) => boolean,
): ParsedReference {
  const slash = text.indexOf('/', from);
  if (slash < 0) return { kind: 'invalid', reason: `"${text}" is no reference: write Type/id, a url or #id` };
  const type = text.slice(from, slash);
  if (!isResourceType(type)) return { kind: 'invalid', reason: `"${type}" in "${text}" is no resource type` };

  const end = text.indexOf('/', slash + 1);
  if (end < 0) {
    if (isIdBetween(text, slash + 1, text.length)) return { kind: 'local', type, id: text.slice(slash + 1) };
    return { kind: 'invalid', reason: `"${text.slice(slash + 1)}" in "${text}" is no id` };
  }
  const version = end + '/_history/'.length;
  if (
    !text.startsWith('/_history/', end) ||
    !isIdBetween(text, slash + 1, end) ||
    !isIdBetween(text, version, text.length)
  ) {
    return { kind: 'invalid', reason: `"${text}" is neither Type/id nor Type/id/_history/version` };
  }
  return { kind: 'local', type, id: text.slice(slash + 1, end), version: text.slice(version) };
}

/** Where the rest begins if the text is a url under the base, or -1. */
function afterBase(text: string, baseUrl: string): number {
  if (!text.startsWith(baseUrl)) return -1;
  if (baseUrl.endsWith('/')) return baseUrl.length;
  return text.charCodeAt(baseUrl.length) === 47 ? baseUrl.length + 1 : -1;
}

/** Whether a url scheme comes first (RFC 3986 §3.1). */
function hasScheme(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 58) return at > 0;
    const letter = (code >= 97 && code <= 122) || (code >= 65 && code <= 90);
    const later = (code >= 48 && code <= 57) || code === 43 || code === 45 || code === 46;
    if (!letter && !(later && at > 0)) return false;
  }
  return false;
}

function isIdBetween(text: string, from: number, to: number): boolean {
  if (to <= from || to - from > 64) return false;
  for (let at = from; at < to; at++) {
    const code = text.charCodeAt(at);
    const letter = (code >= 97 && code <= 122) || (code >= 65 && code <= 90);
    const digit = code >= 48 && code <= 57;
    if (!letter && !digit && code !== 45 && code !== 46) return false;
  }
  return true;
}
